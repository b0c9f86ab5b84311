/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the resolver can do nothing but answer, ask its servers, and change the rules of the one
 * namespace that it is in. */

#include "net/net-dns.h"

#include "net/net-inside.h"
#include "net/net-resolvers.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define START_DEADLINE_MS 5000
#define LOOK_AGAIN_MS     1
#define ASK_AGAIN_MS      100
#define MAX_MESSAGE       500

/* Where /lib and its like are links into /usr, the bind has what the link leads to. */
static const VmsanBind binds[] = {
  { .source = "/usr", .source_fd = -1, .target = "/usr" },
  { .source = "/lib", .source_fd = -1, .target = "/lib", .optional = TRUE },
  { .source = "/lib64", .source_fd = -1, .target = "/lib64", .optional = TRUE },
  { .source = "/sbin", .source_fd = -1, .target = "/sbin", .optional = TRUE },
  { .source = "/etc/ld.so.cache", .source_fd = -1, .target = "/etc/ld.so.cache", .optional = TRUE },
  { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
  { .source = "/dev/urandom", .source_fd = -1, .target = "/dev/urandom", .device = TRUE },
};

char *
vmsan_net_dns_find_binary (const char *configured, GError **error)
{
  static const char *const paths[] = { "/usr/sbin/dnsmasq", "/sbin/dnsmasq", "/usr/bin/dnsmasq" };
  gboolean is_configured = configured != NULL && *configured != '\0';

  if (is_configured && access (configured, X_OK) == 0)
    return g_strdup (configured);
  for (guint i = 0; !is_configured && i < G_N_ELEMENTS (paths); i++)
    if (access (paths[i], X_OK) == 0)
      return g_strdup (paths[i]);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "Listed domains need dnsmasq, which is not %s%s%s; install the package dnsmasq-base",
               is_configured ? "at “" : "in /usr/sbin, /sbin or /usr/bin",
               is_configured ? configured : "", is_configured ? "”" : "");
  return NULL;
}

/* ---- Starting ------------------------------------------------------------------------------ */

static int
make_memory_file (const char *name, const char *text, GError **error)
{
  vmsan_autofd int fd = memfd_create (name, MFD_CLOEXEC);

  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Making a file in memory for dnsmasq failed");
      return -1;
    }
  if (!vmsan_fd_write_all (fd, text, strlen (text), error))
    return -1;
  if (lseek (fd, 0, SEEK_SET) < 0)
    {
      vmsan_error_set_errno (error, errno, "Rewinding a file in memory for dnsmasq failed");
      return -1;
    }
  return g_steal_fd (&fd);
}

/* All of dnsmasq's configuration is its standard input; it logs nothing, but says on standard error
 * why it cannot start. */
static VmsanProcess *
spawn (const VmsanNetDnsSpec *spec,
       const char *binary,
       int configuration_fd,
       int message_fd,
       GError **error)
{
  const char *const argv[] = { binary, "--conf-file=-", NULL };
  const VmsanSpawnFd fds[] = { { configuration_fd, 0 }, { message_fd, 2 } };
  const VmsanRlimit limits[] = { { RLIMIT_CORE, 0 },
                                 { RLIMIT_NOFILE, 1024 },
                                 { RLIMIT_FSIZE, 65536 } };
  const VmsanSpawnSpec child = {
    .argv = argv,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS,
    .uid = spec->uid,
    .gid = spec->uid,
    .netns_fd = spec->namespace_fd,
    .kept_capabilities = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_BIND_SERVICE,
    .cgroup = spec->cgroup,
    .root_binds = binds,
    .n_root_binds = G_N_ELEMENTS (binds),
    .fds = fds,
    .n_fds = G_N_ELEMENTS (fds),
    .rlimits = limits,
    .n_rlimits = G_N_ELEMENTS (limits),
    .new_session = TRUE,
  };

  return vmsan_process_spawn (&child, error);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* A question about a name that nobody has (RFC 2606), which dnsmasq refuses by itself. */
static const guint8 question[] = "\x76\x6d\1\0\0\1\0\0\0\0\0\0\7invalid\0\0\1\0\1";

/* By the namespace's loopback, where an address of one's own answers, or refuses, at once. */
static int
open_socket (const char *gateway, GError **error)
{
  gboolean v4 = strchr (gateway, ':') == NULL;
  vmsan_autofd int fd =
      socket (v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons (53) };
  struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons (53) };

  inet_pton (AF_INET, gateway, &to4.sin_addr);
  inet_pton (AF_INET6, gateway, &to6.sin6_addr);
  if (fd < 0 || (v4 ? connect (fd, (struct sockaddr *) &to4, sizeof to4)
                    : connect (fd, (struct sockaddr *) &to6, sizeof to6)) < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening a way to the resolver at %s failed", gateway);
      return -1;
    }
  return g_steal_fd (&fd);
}

typedef enum
{
  NOBODY, /* no socket there */
  SILENT, /* a socket, but no answer yet */
  ANSWERS,
} Presence;

/* Waits up to @timeout_ms, or until @end_fd is readable; -1 for none. */
static Presence
ask (int fd, int end_fd, guint timeout_ms)
{
  struct pollfd fds[] = { { fd, POLLIN, 0 }, { end_fd, POLLIN, 0 } };
  guint8 answer[512];

  if (send (fd, question, sizeof question - 1, 0) < 0)
    return NOBODY;
  if (poll (fds, G_N_ELEMENTS (fds), timeout_ms) <= 0 || fds[0].revents == 0)
    return SILENT;
  return recv (fd, answer, sizeof answer, 0) > 0 ? ANSWERS : NOBODY;
}

/* One that is to be replaced would be taken for its successor. */
static gboolean
check_free_inside (gpointer data, GError **error)
{
  const VmsanNetDnsSpec *spec = data;
  vmsan_autofd int fd = open_socket (VMSAN_NET_GATEWAY4, error);

  if (fd < 0)
    return FALSE;
  if (ask (fd, -1, LOOK_AGAIN_MS) == NOBODY)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
               "Machine “%s” has a resolver already; end it first", spec->id);
  return FALSE;
}

typedef struct
{
  VmsanProcess *process;
  const char *gateway;
  gboolean answers;
} Wait;

/* Until it answers or has ended, whatever comes first. */
static gboolean
wait_inside (gpointer data, GError **error)
{
  Wait *wait = data;
  vmsan_autofd int fd = open_socket (wait->gateway, error);
  struct pollfd end = { vmsan_process_get_pidfd (wait->process), POLLIN, 0 };
  gint64 deadline = g_get_monotonic_time () + START_DEADLINE_MS * G_TIME_SPAN_MILLISECOND;

  if (fd < 0)
    return FALSE;
  while (g_get_monotonic_time () < deadline)
    {
      wait->answers = ask (fd, end.fd, ASK_AGAIN_MS) == ANSWERS;
      if (wait->answers || poll (&end, 1, LOOK_AGAIN_MS) > 0)
        return TRUE;
    }
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
               "dnsmasq does not answer after %d seconds", START_DEADLINE_MS / 1000);
  return FALSE;
}

static gboolean
fail (int message_fd, GError **error)
{
  char message[MAX_MESSAGE + 1] = "";
  g_autofree char *valid = NULL;
  ssize_t n = pread (message_fd, message, MAX_MESSAGE, 0);

  valid = g_utf8_make_valid (message, MAX (n, 0));
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "dnsmasq ended right after its start: %s",
               *valid != '\0' ? g_strstrip (valid) : "it gives no reason");
  return FALSE;
}

gboolean
vmsan_net_dns_check_servers (const GArray *resolvers, gboolean has_ipv6, GError **error)
{
  for (guint i = 0; resolvers != NULL && i < resolvers->len; i++)
    if (has_ipv6 || g_array_index (resolvers, VmsanNetResolver, i).family == AF_INET)
      return TRUE;
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                       "Listed domains need a name server to ask, and this host has none that "
                       "machines can reach; set Resolver in vmsand.conf");
  return FALSE;
}

VmsanProcess *
vmsan_net_dns_spawn (const VmsanNetDnsSpec *spec,
                     const VmsanNetPolicy *policy,
                     int *message_fd,
                     GError **error)
{
  g_autofree char *binary = vmsan_net_dns_find_binary (spec->binary, error);
  g_autofree char *configuration = NULL;
  vmsan_autofd int configuration_fd = -1;
  vmsan_autofd int messages = -1;
  VmsanProcess *process;

  g_return_val_if_fail (vmsan_net_policy_get_names (policy) == VMSAN_NET_NAMES_LISTED, NULL);

  if (binary == NULL || !vmsan_net_dns_check_servers (spec->resolvers, spec->has_ipv6, error))
    return NULL;
  if (!vmsan_net_inside_run (spec->namespace_fd, check_free_inside, (gpointer) spec, error))
    return NULL;
  configuration = vmsan_net_dns_configuration (spec, policy);
  configuration_fd = make_memory_file ("dnsmasq-configuration", configuration, error);
  messages = make_memory_file ("dnsmasq-messages", "", error);
  if (configuration_fd < 0 || messages < 0)
    return NULL;
  process = spawn (spec, binary, configuration_fd, messages, error);
  if (process != NULL)
    *message_fd = g_steal_fd (&messages);
  return process;
}

gboolean
vmsan_net_dns_wait (const VmsanNetDnsSpec *spec,
                    VmsanProcess *process,
                    int message_fd,
                    GError **error)
{
  Wait wait = { process, spec->has_ipv6 ? VMSAN_NET_GATEWAY6 : VMSAN_NET_GATEWAY4, FALSE };

  if (vmsan_net_inside_run (spec->namespace_fd, wait_inside, &wait, error) &&
      (wait.answers || fail (message_fd, error)))
    return TRUE;
  g_prefix_error (error, "Starting the resolver of machine “%s” failed: ", spec->id);
  return FALSE;
}
