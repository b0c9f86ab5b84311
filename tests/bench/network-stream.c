/* SPDX-License-Identifier: GPL-2.0-or-later */

/* network-stream ROUNDS SECONDS
 *
 * MiB/s of one TCP stream from behind a machine's tap to the internet, through the machine's rules,
 * its address translation and the host's; and of one through a bare pair of links: medians,
 * measured in turns. A tap needs a program that moves each packet, so one end of a pair stands in
 * for it, with its name and addresses; all the rest is as the service makes it. */

#include "machine-networks.h"
#include "raw-bus.h"
#include "times.h"

#include "net/net-inside.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ip.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT        5001
#define BUFFER_SIZE (256 * 1024)
#define MTU         1500
#define BARE_FROM   "192.0.2.1"
#define BARE_TO     "192.0.2.2"
#define BARE_PREFIX 24

static void
check (gboolean ok, const char *what, GError *error)
{
  if (!ok)
    die ("%s: %s", what, error != NULL ? error->message : g_strerror (errno));
}

/* ---- Namespaces ---------------------------------------------------------------------------- */

static gboolean
unshare_network (gpointer data, GError **error)
{
  int *fd = data;

  check (unshare (CLONE_NEWNET) == 0, "unshare", NULL);
  *fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  return *fd >= 0;
}

static int
make_namespace (void)
{
  int fd = -1;

  check (vmsan_net_inside_thread (unshare_network, &fd, NULL), "namespace", NULL);
  return fd;
}

typedef struct
{
  const char *link;
  const char *address;
  guint prefix_length;
  const char *gateway; /* NULL: no way on */
  const char *neighbour;
  const char *neighbour_mac;
} End;

static gboolean
configure_end (gpointer data, GError **error)
{
  const VmsanNetInetSetting forwarding = { IPV4_DEVCONF_FORWARDING, 1 };
  const End *end = data;
  g_autoptr (VmsanNetlink) inside = vmsan_netlink_open (error);
  VmsanNetLink link;

  return inside != NULL && vmsan_netlink_get_link (inside, end->link, 0, &link, error) &&
         vmsan_netlink_set_inet (inside, link.ifindex, &forwarding, 1, error) &&
         vmsan_netlink_set_up (inside, link.ifindex, error) &&
         vmsan_netlink_add_address (inside, link.ifindex, end->address, end->prefix_length,
                                    error) &&
         vmsan_netlink_add_neighbour (inside, link.ifindex, end->neighbour, end->neighbour_mac,
                                      error) &&
         (end->gateway == NULL ||
          vmsan_netlink_add_route (inside, "0.0.0.0/0", end->gateway, link.ifindex, error));
}

typedef struct
{
  VmsanNetVeth veth;
  gboolean replace;
} Pair;

static gboolean
add_pair (gpointer data, GError **error)
{
  const Pair *pair = data;
  g_autoptr (VmsanNetlink) inside = vmsan_netlink_open (error);
  VmsanNetLink link;

  return inside != NULL &&
         (!pair->replace || (vmsan_netlink_get_link (inside, pair->veth.name, 0, &link, error) &&
                             vmsan_netlink_delete_link (inside, link.ifindex, error))) &&
         vmsan_netlink_add_veth (inside, &pair->veth, error);
}

static void
connect_namespaces (int fd, const End *end, int peer_fd, const End *peer, gboolean replace)
{
  const Pair pair = {
    .veth = { .name = end->link,
              .mac = peer->neighbour_mac,
              .peer_name = peer->link,
              .peer_mac = end->neighbour_mac,
              .peer_namespace_fd = peer_fd,
              .mtu = MTU },
    .replace = replace,
  };
  g_autoptr (GError) error = NULL;

  check (vmsan_net_inside_run (fd, add_pair, (gpointer) &pair, &error) &&
             vmsan_net_inside_run (fd, configure_end, (gpointer) end, &error) &&
             vmsan_net_inside_run (peer_fd, configure_end, (gpointer) peer, &error),
         "links", error);
}

/* ---- Streams ------------------------------------------------------------------------------- */

typedef struct
{
  int from_fd; /* namespaces */
  int to_fd;
  const char *address; /* of the receiver */
  int sender;
  int listener;
} Path;

static gboolean
open_sender (gpointer data, GError **error)
{
  Path *path = data;

  path->sender = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return path->sender >= 0;
}

static gboolean
open_listener (gpointer data, GError **error)
{
  Path *path = data;
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons (PORT) };
  int on = 1;

  path->listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt (path->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return bind (path->listener, (struct sockaddr *) &at, sizeof at) == 0 &&
         listen (path->listener, 1) == 0;
}

typedef struct
{
  int fd;
  gint64 until;
} Sending;

static gpointer
send_all (gpointer data)
{
  const Sending *sending = data;
  g_autofree char *buffer = g_malloc0 (BUFFER_SIZE);

  while (now_ns () < sending->until)
    check (send (sending->fd, buffer, BUFFER_SIZE, MSG_NOSIGNAL) > 0, "sending", NULL);
  shutdown (sending->fd, SHUT_WR);
  return NULL;
}

/* MiB/s */
static double
stream (Path *path, guint seconds)
{
  g_autofree char *buffer = g_malloc (BUFFER_SIZE);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (PORT) };
  Sending sending;
  GThread *thread;
  gint64 begin, n = 0;
  gssize got;
  int fd;

  check (vmsan_net_inside_run (path->from_fd, open_sender, path, NULL) &&
             vmsan_net_inside_run (path->to_fd, open_listener, path, NULL),
         "sockets", NULL);
  inet_pton (AF_INET, path->address, &to.sin_addr);
  check (connect (path->sender, (struct sockaddr *) &to, sizeof to) == 0, path->address, NULL);
  fd = accept (path->listener, NULL, NULL);
  check (fd >= 0, "accept", NULL);
  begin = now_ns ();
  sending = (Sending){ path->sender, begin + (gint64) seconds * 1000000000 };
  thread = g_thread_new ("sender", send_all, &sending);
  while ((got = recv (fd, buffer, BUFFER_SIZE, 0)) > 0)
    n += got;
  check (got == 0, "receiving", NULL);
  g_thread_join (thread);
  close (fd);
  close (path->sender);
  close (path->listener);
  return n / 1048576.0 / ((now_ns () - begin) / 1e9);
}

static int
compare_rates (const void *a, const void *b)
{
  double first = *(const double *) a, second = *(const double *) b;

  return first < second ? -1 : first > second;
}

static double
median (GArray *rates)
{
  g_array_sort (rates, compare_rates);
  return g_array_index (rates, double, rates->len / 2);
}

/* A guest behind @machine's network. */
static int
make_guest (Networks *networks, const VmsanNetMachine *machine)
{
  const End inside = { .link = VMSAN_NET_TAP_NAME,
                       .address = VMSAN_NET_GATEWAY4,
                       .prefix_length = VMSAN_NET_PREFIX4,
                       .neighbour = VMSAN_NET_GUEST4,
                       .neighbour_mac = VMSAN_NET_GUEST_MAC };
  const End guest = { .link = "eth0",
                      .address = VMSAN_NET_GUEST4,
                      .prefix_length = VMSAN_NET_PREFIX4,
                      .gateway = VMSAN_NET_GATEWAY4,
                      .neighbour = VMSAN_NET_GATEWAY4,
                      .neighbour_mac = VMSAN_NET_GATEWAY_MAC };
  int guest_fd = make_namespace ();
  vmsan_autofd int namespace_fd = -1;
  vmsan_autofd int tap_fd = -1;
  g_autoptr (GError) error = NULL;

  check (vmsan_net_manager_open (networks->manager, machine->id, &namespace_fd, &tap_fd, &error),
         "machine", error);
  vmsan_fd_close (&tap_fd);
  connect_namespaces (namespace_fd, &inside, guest_fd, &guest, TRUE);
  return guest_fd;
}

static void
make_bare (Path *path)
{
  const End from = { .link = "from",
                     .address = BARE_FROM,
                     .prefix_length = BARE_PREFIX,
                     .neighbour = BARE_TO,
                     .neighbour_mac = "02:00:00:00:00:12" };
  const End to = { .link = "to",
                   .address = BARE_TO,
                   .prefix_length = BARE_PREFIX,
                   .neighbour = BARE_FROM,
                   .neighbour_mac = "02:00:00:00:00:11" };

  *path = (Path){ make_namespace (), make_namespace (), BARE_TO, -1, -1 };
  connect_namespaces (path->from_fd, &from, path->to_fd, &to, FALSE);
}

int
main (int argc, char **argv)
{
  guint rounds = argc == 3 ? (guint) atoi (argv[1]) : 0;
  guint seconds = argc == 3 ? (guint) atoi (argv[2]) : 0;
  g_autoptr (GArray) through = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (GArray) past = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (GPtrArray) machines = g_ptr_array_new ();
  g_autoptr (VmsanNetPolicy) policy = NULL;
  Networks networks;
  Path path, bare;

  if (rounds == 0 || seconds == 0)
    die ("Usage: see the head of network-stream.c");
  networks_init (&networks, 0);
  policy = networks_parse (&networks, "{'network-policy': <'allow-all'>}");
  g_ptr_array_add (machines, networks_add (&networks, policy, FALSE));
  networks_set_up (&networks, machines);
  path = (Path){ make_guest (&networks, machines->pdata[0]), networks.world->internet_fd,
                 NET_WORLD_ROUTER4, -1, -1 };
  make_bare (&bare);
  for (guint i = 0; i < rounds; i++)
    {
      double rate = stream (&path, seconds);

      g_array_append_val (through, rate);
      rate = stream (&bare, seconds);
      g_array_append_val (past, rate);
    }
  printf ("%.1f %.1f\n", median (through), median (past));
  close (path.from_fd);
  close (bare.from_fd);
  close (bare.to_fd);
  networks_take_down (&networks, machines);
  networks_remove (&networks, machines->pdata[0]);
  networks_clear (&networks);
  return 0;
}
