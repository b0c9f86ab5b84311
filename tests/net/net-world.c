/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: everything happens in namespaces that this program made. */

#include "net-world.h"

#include "net/net-inside.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define UNUSED_PORT      9
#define WIRE_AGAIN_MS    10
#define WIRE_DEADLINE_MS 5000

void
net_world_write (const char *path, const char *value)
{
  vmsan_autofd int fd = open (path, O_WRONLY | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (vmsan_fd_write_all (fd, value, strlen (value), NULL));
}

static void
set_up_loopback (VmsanNetlink *netlink)
{
  g_autoptr (GError) error = NULL;
  VmsanNetLink lo;

  vmsan_netlink_get_link (netlink, "lo", 0, &lo, &error);
  g_assert_no_error (error);
  vmsan_netlink_set_up (netlink, lo.ifindex, &error);
  g_assert_no_error (error);
}

gboolean
net_world_enter (void)
{
  g_autoptr (VmsanNetlink) host = NULL;

  if (unshare (CLONE_NEWNET | CLONE_NEWNS) < 0)
    return FALSE;
  g_assert_cmpint (mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
  g_assert_cmpint (mount ("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"), ==, 0);
  host = vmsan_netlink_open (NULL);
  g_assert_nonnull (host);
  set_up_loopback (host);
  return TRUE;
}

int
net_world_run_tests (void)
{
  int status = g_test_run ();
  g_autofree char *home = g_file_read_link ("/proc/thread-self/ns/net", NULL);
  g_autoptr (GDir) threads = g_dir_open ("/proc/self/task", 0, NULL);
  const char *id;

  g_assert_nonnull (home);
  while ((id = g_dir_read_name (threads)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", id, "ns/net", NULL);
      g_autofree char *place = g_file_read_link (path, NULL);

      if (place != NULL) /* it has not ended meanwhile */
        g_assert_cmpstr (place, ==, home);
    }
  return status;
}

/* ---- Ways to the guest --------------------------------------------------------------------- */

/* Adds a route on @link to the addresses inside machines' namespaces, by @gateway of either family;
 * empty for none. */
static void
add_guest_route (VmsanNetlink *netlink, const char *link_name, const char *gateway)
{
  gboolean is4 = strchr (gateway, ':') == NULL;
  g_autoptr (GError) error = NULL;
  VmsanNetLink link;

  if (gateway[0] == '\0')
    return;
  vmsan_netlink_get_link (netlink, link_name, 0, &link, &error);
  g_assert_no_error (error);
  vmsan_netlink_add_route (netlink, is4 ? "192.0.0.0/29" : "fd76:6d73:616e::/64", gateway,
                           link.ifindex, &error);
  g_assert_no_error (error);
}

/* ---- Sockets in the internet --------------------------------------------------------------- */

typedef struct
{
  int family;
  int type;
  int fd;
} Socket;

static gboolean
make_socket (gpointer data, GError **error)
{
  Socket *s = data;

  s->fd = socket (s->family, s->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_cmpint (s->fd, >=, 0);
  return TRUE;
}

static int
make_socket_in_internet (NetWorld *self, int family, int type)
{
  Socket s = { family, type, -1 };

  g_assert_true (vmsan_net_inside_run (self->internet_fd, make_socket, &s, NULL));
  return s.fd;
}

static gboolean
wait_for (int fd, short events, guint timeout_ms)
{
  struct pollfd poll_fd = { fd, events, 0 };

  return poll (&poll_fd, 1, timeout_ms) == 1;
}

gboolean
net_world_wait_readable (int fd, guint timeout_ms)
{
  return wait_for (fd, POLLIN, timeout_ms);
}

/* -1 if it failed at once. */
static int
connect_from_internet (NetWorld *self, int type, const char *address, guint16 port)
{
  gboolean is4 = strchr (address, ':') == NULL;
  vmsan_autofd int fd = make_socket_in_internet (self, is4 ? AF_INET : AF_INET6, type);
  struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  int code;

  inet_pton (is4 ? AF_INET : AF_INET6, address,
             is4 ? (void *) &to4.sin_addr : (void *) &to6.sin6_addr);
  code = is4 ? connect (fd, (struct sockaddr *) &to4, sizeof to4)
             : connect (fd, (struct sockaddr *) &to6, sizeof to6);
  return code == 0 || errno == EINPROGRESS ? g_steal_fd (&fd) : -1;
}

/* ---- The internet -------------------------------------------------------------------------- */

/* Errors about many probes that come at once: kernels send a few a second. */
static void
unlimit_icmp_errors (void)
{
  net_world_write ("/proc/sys/net/ipv4/icmp_ratelimit", "0");
  net_world_write ("/proc/sys/net/ipv6/icmp/ratelimit", "0");
}

static gboolean
make_namespace (gpointer data, GError **error)
{
  g_autoptr (VmsanNetlink) inside = NULL;
  int *fd = data;

  g_assert_cmpint (unshare (CLONE_NEWNET), ==, 0);
  *fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (*fd, >=, 0);
  inside = vmsan_netlink_open (error);
  g_assert_nonnull (inside);
  set_up_loopback (inside);
  /* So that no address is there that appears some time after its link. */
  net_world_write ("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1");
  unlimit_icmp_errors ();
  return TRUE;
}

typedef struct
{
  const char *link;
  const char *address;
  guint prefix_length;
} Address;

static void
add_addresses (VmsanNetlink *netlink, const Address *addresses, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GError) error = NULL;
      VmsanNetLink link;

      vmsan_netlink_get_link (netlink, addresses[i].link, 0, &link, &error);
      g_assert_no_error (error);
      vmsan_netlink_set_up (netlink, link.ifindex, &error);
      g_assert_no_error (error);
      vmsan_netlink_add_address (netlink, link.ifindex, addresses[i].address,
                                 addresses[i].prefix_length, &error);
      g_assert_no_error (error);
    }
}

static gboolean
configure_internet (gpointer data, GError **error)
{
  static const Address addresses[] = {
    { "net0", NET_WORLD_ROUTER4, 24 }, { "net0", NET_WORLD_ROUTER6, 64 }, { "net0", "fe80::1", 64 },
    { "lo", NET_WORLD_FAR4, 32 },      { "lo", NET_WORLD_FAR6, 128 },
  };
  g_autoptr (VmsanNetlink) inside = vmsan_netlink_open (error);

  g_assert_nonnull (inside);
  add_addresses (inside, addresses, G_N_ELEMENTS (addresses));
  add_guest_route (inside, "net0", NET_WORLD_HOST4);
  add_guest_route (inside, "net0", NET_WORLD_HOST6);
  return TRUE;
}

/* The kernel sends nothing by a link until it has noticed, some time after, that the other end is
 * up; until then it drops what is sent. */
static void
wait_for_wire (NetWorld *self)
{
  static const char *const addresses[] = { NET_WORLD_HOST4, NET_WORLD_HOST6 };
  gint64 deadline = g_get_monotonic_time () + WIRE_DEADLINE_MS * G_GINT64_CONSTANT (1000);

  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      vmsan_autofd int fd = connect_from_internet (self, SOCK_DGRAM, addresses[i], UNUSED_PORT);

      /* Until it says that nobody listens. */
      while (send (fd, "x", 1, 0) == 1 && !wait_for (fd, POLLERR, WIRE_AGAIN_MS))
        g_assert_cmpint (g_get_monotonic_time (), <, deadline);
    }
}

static int
watch_routes6 (void)
{
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_ROUTE };

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &groups, sizeof groups), ==, 0);
  return fd;
}

/* The kernel adds the route of an own IPv6 address some time after the address; a list of routes
 * that is read meanwhile may have some twice. @watch_fd: opened before the address was added. */
static void
wait_for_own_route6 (int watch_fd, const char *address)
{
  struct in6_addr bytes;
  GString *row = g_string_new (NULL);
  char buffer[8192];

  inet_pton (AF_INET6, address, &bytes);
  for (guint i = 0; i < sizeof bytes; i++)
    g_string_append_printf (row, "%02x", bytes.s6_addr[i]);
  g_string_append (row, " 80 ");
  while (TRUE)
    {
      g_autofree char *routes = net_world_read_proc (-1, "ipv6_route");

      if (strstr (routes, row->str) != NULL)
        break;
      g_assert_true (wait_for (watch_fd, POLLIN, WIRE_DEADLINE_MS));
      g_assert_cmpint (recv (watch_fd, buffer, sizeof buffer, 0), >, 0);
    }
  g_string_free (row, TRUE);
}

NetWorld *
net_world_new (guint mtu)
{
  static const Address addresses[] = {
    { "eth0", NET_WORLD_HOST4, 24 },
    { "eth0", NET_WORLD_HOST6, 64 },
    { "eth0", "fe80::2", 64 },
  };
  NetWorld *self = g_new0 (NetWorld, 1);
  VmsanNetVeth veth = { .name = "eth0",
                        .mac = "02:00:00:00:00:02",
                        .peer_name = "net0",
                        .peer_mac = "02:00:00:00:00:01",
                        .mtu = mtu };
  vmsan_autofd int watch_fd = watch_routes6 ();
  g_autoptr (GError) error = NULL;
  VmsanNetLink eth0;

  vmsan_net_inside_thread (make_namespace, &self->internet_fd, &error);
  g_assert_no_error (error);
  self->host = vmsan_netlink_open (&error);
  g_assert_no_error (error);
  veth.peer_namespace_fd = self->internet_fd;
  /* As above; later links, which are not the test's, have to see to it themselves. */
  net_world_write ("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1");
  vmsan_netlink_add_veth (self->host, &veth, &error);
  g_assert_no_error (error);
  net_world_write ("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "0");
  vmsan_netlink_get_link (self->host, "eth0", 0, &eth0, &error);
  g_assert_no_error (error);

  vmsan_net_inside_run (self->internet_fd, configure_internet, NULL, &error);
  g_assert_no_error (error);
  add_addresses (self->host, addresses, G_N_ELEMENTS (addresses));
  vmsan_netlink_add_route (self->host, "0.0.0.0/0", NET_WORLD_ROUTER4, eth0.ifindex, &error);
  g_assert_no_error (error);
  vmsan_netlink_add_route (self->host, "::/0", NET_WORLD_ROUTER6, eth0.ifindex, &error);
  g_assert_no_error (error);
  unlimit_icmp_errors ();
  wait_for_wire (self);
  wait_for_own_route6 (watch_fd, NET_WORLD_HOST6);
  wait_for_own_route6 (watch_fd, "fe80::2");
  return self;
}

void
net_world_free (NetWorld *self)
{
  g_autoptr (GError) error = NULL;
  VmsanNetLink eth0;

  vmsan_netlink_get_link (self->host, "eth0", 0, &eth0, &error);
  g_assert_no_error (error);
  vmsan_netlink_delete_link (self->host, eth0.ifindex, &error);
  g_assert_no_error (error);
  vmsan_netlink_free (self->host);
  close (self->internet_fd);
  g_free (self);
}

/* ---- Describing ---------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  char *text;
} ProcFile;

static gboolean
read_proc (gpointer data, GError **error)
{
  ProcFile *file = data;
  g_autofree char *path = g_strconcat ("/proc/thread-self/net/", file->name, NULL);

  return g_file_get_contents (path, &file->text, NULL, error);
}

char *
net_world_read_proc (int namespace_fd, const char *name)
{
  ProcFile file = { name, NULL };
  g_autoptr (GError) error = NULL;

  if (namespace_fd >= 0)
    vmsan_net_inside_run (namespace_fd, read_proc, &file, &error);
  else
    read_proc (&file, &error);
  g_assert_no_error (error);
  return file.text;
}

static void
describe_links (GPtrArray *lines)
{
  struct if_nameindex *links = if_nameindex ();

  for (guint i = 0; links[i].if_index != 0; i++)
    g_ptr_array_add (lines, g_strdup_printf ("link %s", links[i].if_name));
  if_freenameindex (links);
}

/* Some @columns of a table in /proc/net (the others are counters), in rows with @word and without
 * @other_word. */
static void
describe_table (GPtrArray *lines,
                const char *name,
                const char *columns,
                const char *word,
                const char *other_word)
{
  g_autofree char *text = net_world_read_proc (-1, name);
  g_auto (GStrv) rows = g_strsplit (text, "\n", -1);

  for (guint i = 0; rows[i] != NULL; i++)
    {
      g_auto (GStrv) fields = g_strsplit_set (rows[i], " \t", -1);
      GString *line = g_string_new (name);
      guint column = 0;

      if ((word != NULL && strstr (rows[i], word) == NULL) ||
          (other_word != NULL && strstr (rows[i], other_word) != NULL))
        {
          g_string_free (line, TRUE);
          continue;
        }
      for (guint k = 0; fields[k] != NULL; k++)
        {
          if (fields[k][0] == '\0')
            continue;
          if (columns == NULL || strchr (columns, 'a' + column) != NULL)
            g_string_append_printf (line, " %s", fields[k]);
          column++;
        }
      g_ptr_array_add (lines, g_string_free (line, FALSE));
    }
}

static void
describe_directory (GPtrArray *lines, const char *path, const char *setting)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, setting, NULL);
      g_autofree char *text = NULL;

      if (setting != NULL)
        g_file_get_contents (file, &text, NULL, NULL);
      g_ptr_array_add (lines,
                       g_strdup_printf ("%s %s", file, text != NULL ? g_strchomp (text) : ""));
    }
}

/* All but the directory of the names itself, which stays once it is there. */
static void
describe_mounts (GPtrArray *lines)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) rows = NULL;

  g_assert_true (g_file_get_contents ("/proc/thread-self/mountinfo", &text, NULL, NULL));
  rows = g_strsplit (text, "\n", -1);
  for (guint i = 0; rows[i] != NULL && rows[i][0] != '\0'; i++)
    {
      g_auto (GStrv) fields = g_strsplit (rows[i], " ", -1);

      if (!g_str_equal (fields[4], NET_WORLD_NAMES))
        g_ptr_array_add (lines, g_strdup_printf ("mount %s", fields[4]));
    }
}

static int
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char *
net_world_describe (void)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);

  describe_links (lines);
  describe_table (lines, "route", NULL, NULL, NULL);
  describe_table (lines, "fib_trie", NULL, NULL, NULL);
  describe_table (lines, "arp", NULL, "vmsan", NULL);
  describe_table (lines, "if_inet6", "acdef", NULL, NULL);
  /* Without the routes of own addresses (RTF_LOCAL), which come some time after the address. */
  describe_table (lines, "ipv6_route", "abcdefij", NULL, " 80200001 ");
  describe_directory (lines, "/proc/sys/net/ipv4/conf", "forwarding");
  describe_directory (lines, "/proc/sys/net/ipv6/conf", "forwarding");
  describe_directory (lines, "/proc/sys/net/ipv6/conf", "force_forwarding");
  describe_directory (lines, "/proc/sys/net/ipv6/conf", "accept_ra");
  describe_directory (lines, NET_WORLD_NAMES, NULL);
  describe_directory (lines, "/proc/self/fd", NULL);
  describe_mounts (lines);
  g_ptr_array_sort (lines, compare_lines);
  g_ptr_array_add (lines, NULL);
  return g_strjoinv ("\n", (char **) lines->pdata);
}

static guint
count_line (GStrv lines, const char *line)
{
  guint n = 0;

  for (guint i = 0; lines[i] != NULL; i++)
    n += g_str_equal (lines[i], line);
  return n;
}

static void
print_missing (const char *title, GStrv lines, GStrv others)
{
  for (guint i = 0; lines[i] != NULL; i++)
    {
      if (count_line (lines, lines[i]) > count_line (others, lines[i]))
        g_test_message ("%s: %s", title, lines[i]);
    }
}

void
net_world_assert_same (const char *before, const char *after)
{
  g_auto (GStrv) old_lines = g_strsplit (before, "\n", -1);
  g_auto (GStrv) new_lines = g_strsplit (after, "\n", -1);

  if (g_str_equal (before, after))
    return;
  print_missing ("lost", old_lines, new_lines);
  print_missing ("left", new_lines, old_lines);
  g_error ("The host is not what it was");
}

void
net_world_route_guest (NetWorld *self, const VmsanNetPools *pools, guint slot)
{
  g_autofree char *name = vmsan_net_host_link_name (slot);
  VmsanNetSlotAddresses addresses;

  vmsan_net_pools_get_addresses (pools, slot, &addresses);
  add_guest_route (self->host, name, addresses.own4);
  add_guest_route (self->host, name, addresses.own6);
}

/* ---- From the internet --------------------------------------------------------------------- */

int
net_world_listen (NetWorld *self, int type, guint16 port)
{
  int fd = make_socket_in_internet (self, AF_INET6, type);
  struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons (port) };

  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  if (type == SOCK_STREAM)
    g_assert_cmpint (listen (fd, 128), ==, 0);
  return fd;
}

gboolean
net_world_reach (NetWorld *self, int type, const char *address, guint16 port, guint timeout_ms)
{
  vmsan_autofd int fd = connect_from_internet (self, type, address, port);
  int code;
  socklen_t size = sizeof code;
  char byte;

  if (fd < 0)
    return FALSE;
  if (type == SOCK_STREAM)
    return wait_for (fd, POLLOUT, timeout_ms) &&
           getsockopt (fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0;
  return send (fd, "x", 1, 0) == 1 && wait_for (fd, POLLIN, timeout_ms) &&
         recv (fd, &byte, 1, 0) == 1 && byte == 'x';
}

socklen_t
net_world_fill_address (struct sockaddr_storage *address, const char *text, guint16 port)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *) address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) address;

  memset (address, 0, sizeof *address);
  if (inet_pton (AF_INET, text, &v4->sin_addr) == 1)
    {
      v4->sin_family = AF_INET;
      v4->sin_port = htons (port);
      return sizeof *v4;
    }
  g_assert_cmpint (inet_pton (AF_INET6, text, &v6->sin6_addr), ==, 1);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons (port);
  return sizeof *v6;
}
