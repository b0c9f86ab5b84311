/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what machines need of the host is tried, not looked up by the kernel's version. */

#include "doctor/checks.h"

#include "net/net-dns.h"
#include "net/net-nft.h"
#include "sys/cgroup.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ---- The kernel ---------------------------------------------------------------------------- */

/* The kernel has them, and the administrator has not set their number to nothing. */
static gboolean
has_namespaces (const char *type)
{
  g_autofree char *file = g_strdup_printf ("/proc/self/ns/%s", type);
  g_autofree char *limit_file = g_strdup_printf ("/proc/sys/user/max_%s_namespaces", type);
  g_autofree char *limit = NULL;

  return access (file, F_OK) == 0 && (!g_file_get_contents (limit_file, &limit, NULL, NULL) ||
                                      g_ascii_strtoull (limit, NULL, 10) > 0);
}

static gboolean
has_all_namespaces (void)
{
  static const char *const types[] = { "net", "mnt", "pid", "ipc", "uts", "user" };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (!has_namespaces (types[i]))
      return FALSE;
  return TRUE;
}

static gboolean
has_taps (void)
{
  vmsan_autofd int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  return fd >= 0;
}

static gboolean
has_pidfds (void)
{
  vmsan_autofd int fd = syscall (SYS_pidfd_open, getpid (), 0);

  return fd >= 0;
}

/* Without a filter to read it gets no further than to see that it could have one (seccomp(2)). */
static gboolean
has_seccomp_filters (void)
{
  return prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

static const struct
{
  const char *name;
  gboolean (*is_there) (void);
  const char *advice;
} features[] = {
  { "namespaces", has_all_namespaces,
    "Use a kernel with CONFIG_NAMESPACES, and set what is 0 of /proc/sys/user/max_*_namespaces to "
    "its default" },
  { "tap devices", has_taps, "Use a kernel with CONFIG_TUN, and load the module: modprobe tun" },
  { "process descriptors", has_pidfds, "Use Linux 5.10 or later" },
  { "system call filters", has_seccomp_filters, "Use a kernel with CONFIG_SECCOMP_FILTER" },
};

static void
check_kernel (GPtrArray *findings)
{
  gboolean all = TRUE;

  for (guint i = 0; i < G_N_ELEMENTS (features); i++)
    {
      if (features[i].is_there ())
        continue;
      all = FALSE;
      vmsan_findings_add (findings, "kernel-feature", VMSAN_SEVERITY_ERROR, features[i].name,
                          features[i].advice, "The kernel does not offer %s, which machines need",
                          features[i].name);
    }
  if (all)
    vmsan_findings_add (findings, "kernel-feature", VMSAN_SEVERITY_OK, NULL, NULL,
                        "The kernel has what machines need");
}

/* ---- Control groups, nftables, dnsmasq ------------------------------------------------------- */

static void
check_cgroups (GPtrArray *findings)
{
  static const char *const layouts[] = {
    [VMSAN_CGROUP_V2] = "version 2",
    [VMSAN_CGROUP_V1] = "version 1",
    [VMSAN_CGROUP_HYBRID] = "both versions",
  };
  g_autoptr (GError) error = NULL;
  VmsanCgroupLayout layout;

  if (vmsan_cgroup_detect (NULL, &layout, &error))
    vmsan_findings_add (findings, "cgroups", VMSAN_SEVERITY_OK, NULL, NULL,
                        "Machines can be limited by control groups of %s", layouts[layout]);
  else
    vmsan_findings_add (findings, "cgroups", VMSAN_SEVERITY_ERROR, NULL,
                        "Enable the controllers cpu, memory and pids; machines without limits are "
                        "not started",
                        "%s", error->message);
}

static void
check_nftables (GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = vmsan_net_nft_list (-1, "list tables", "Asking nftables", &error);

  if (answer != NULL)
    vmsan_findings_add (findings, "nftables", VMSAN_SEVERITY_OK, NULL, NULL, "nftables works");
  else
    vmsan_findings_add (findings, "nftables", VMSAN_SEVERITY_ERROR, NULL,
                        "Use a kernel with CONFIG_NF_TABLES; until then, create machines with "
                        "“network” “none”",
                        "%s", error->message);
}

static void
check_dnsmasq (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = vmsan_net_dns_find_binary (scope->dnsmasq_binary, &error);

  if (path != NULL)
    vmsan_findings_add (findings, "dnsmasq", VMSAN_SEVERITY_OK, path, NULL,
                        "Policies can list names");
  else
    vmsan_findings_add (findings, "dnsmasq", VMSAN_SEVERITY_WARNING, NULL,
                        "Install dnsmasq (the package dnsmasq-base of Debian and Ubuntu, or "
                        "dnsmasq), or do without lists of names",
                        "Policies that list names are refused: %s", error->message);
}

void
vmsan_doctor_check_host (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  check_kernel (findings);
  check_cgroups (findings);
  check_nftables (findings);
  check_dnsmasq (scope, findings);
}
