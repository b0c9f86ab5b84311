/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Requests to netlink are made by the service's functions for single ones, and rules are the
 * service's text; all the rest is done here. */

#include "bare-network.h"

#include "raw-bus.h"

#include "net/net-host-rules.h"
#include "net/net-inside.h"
#include "net/net-links.h"
#include "net/net-rules.h"
#include "net/net-sysctl.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define MTU 1500

typedef struct
{
  Networks *networks;
  VmsanNetlink *host;
  const char *path;
  guint slot;
  VmsanNetPolicy *policy;
  int proc_fd;
} Work;

static void
check (gboolean ok, const char *what, GError *error)
{
  if (!ok)
    die ("%s: %s", what, error != NULL ? error->message : g_strerror (errno));
}

static void
run_nft (const char *commands)
{
  struct nft_ctx *context = nft_ctx_new (NFT_CTX_DEFAULT);

  nft_ctx_buffer_error (context);
  if (nft_run_cmd_from_buffer (context, commands) != 0)
    die ("nft: %s", nft_ctx_get_error_buffer (context));
  nft_ctx_free (context);
}

static void
make_rules (const Work *work)
{
  const VmsanNetFirewall firewall = { .pools = &work->networks->pools, .slot = work->slot };
  g_autofree char *base = vmsan_net_rules_base (&firewall);
  g_autofree char *policy = vmsan_net_rules_first_policy (&firewall, work->policy);
  g_autofree char *rules = g_strconcat (base, policy, NULL);

  run_nft (rules);
}

static void
add_tap (void)
{
  struct ifreq request = { .ifr_name = VMSAN_NET_TAP_NAME,
                           .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  vmsan_autofd int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  check (fd >= 0 && ioctl (fd, TUNSETIFF, &request) == 0 && ioctl (fd, TUNSETPERSIST, 1) == 0,
         "tap", NULL);
}

static gboolean
make_inside (gpointer data, GError **error)
{
  Work *work = data;
  const VmsanNetPools *pools = &work->networks->pools;
  vmsan_autofd int fd = -1;
  g_autoptr (VmsanNetlink) inside = NULL;

  check (unshare (CLONE_NEWNET) == 0, "unshare", NULL);
  fd = open (work->path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  check (fd >= 0, work->path, NULL);
  check (mount ("/proc/thread-self/ns/net", work->path, "none", MS_BIND, NULL) == 0, "mount", NULL);
  vmsan_fd_close (&fd);
  fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  inside = vmsan_netlink_open (error);
  check (inside != NULL && vmsan_net_links_set_defaults (work->proc_fd, pools->has_pool6, error) &&
             vmsan_net_links_add_pair (work->host, work->slot, fd, MTU, error),
         "links", *error);
  add_tap ();
  check (vmsan_net_links_configure_inside (inside, pools, work->slot, MTU, error), "links", *error);
  make_rules (work);
  return TRUE;
}

static void
change_host (const Work *work, const char *verb)
{
  const VmsanNetHost host = { .pools = &work->networks->pools };
  const VmsanNetMember member = { work->slot, work->policy };
  g_autofree char *commands = vmsan_net_host_rules_member (&host, &member, verb);

  run_nft (commands);
}

void
bare_network_set_up (Networks *networks, const char *name, guint slot, VmsanNetPolicy *policy)
{
  g_autofree char *path = g_build_filename ("/run", name, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (&error);
  vmsan_autofd int proc_fd = vmsan_net_sysctl_mount (&error);
  vmsan_autofd int conf6 = -1;
  Work work = { networks, host, path, slot, policy, proc_fd };

  check (proc_fd >= 0 && vmsan_net_links_open_conf6 (proc_fd, FALSE, &conf6, &error) &&
             vmsan_net_inside_thread (make_inside, &work, &error) &&
             vmsan_net_links_configure_host (host, conf6, &networks->pools, slot, &error),
         "set-up", error);
  change_host (&work, "add");
}

void
bare_network_take_down (Networks *networks, const char *name, guint slot, VmsanNetPolicy *policy)
{
  g_autofree char *path = g_build_filename ("/run", name, NULL);
  g_autofree char *link_name = vmsan_net_host_link_name (slot);
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (&error);
  const Work work = { networks, host, path, slot, policy, -1 };
  VmsanNetLink link;

  change_host (&work, "delete");
  check (vmsan_netlink_get_link (host, link_name, 0, &link, &error) &&
             vmsan_netlink_delete_link (host, link.ifindex, &error),
         "take-down", error);
  check (umount2 (path, MNT_DETACH) == 0 && unlink (path) == 0, path, NULL);
}
