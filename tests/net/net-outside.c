/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing gets from one machine to another, to the host or outside unseen. */

#include "net-outside.h"

#include "net-world.h"

#include "net/net-netlink.h"
#include "net/net-resolvers.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#define SETTLE_ATTEMPTS   10
#define FIRST_SETTLE_PORT 20000
#define DEADLINE          5000

/* ---- The outside --------------------------------------------------------------------------- */

/* Not persistent: it is gone with its descriptor. */
static int
open_eth0 (void)
{
  struct ifreq request = { .ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (ioctl (fd, TUNSETIFF, &request), ==, 0);
  return fd;
}

/* The stand-in knows no other MACs than those of a guest and its gateway. */
static void
configure_eth0 (VmsanNetlink *host, gboolean has_ipv6)
{
  g_autoptr (GError) error = NULL;
  VmsanNetLink eth0;

  net_world_write ("/proc/sys/net/"
                   "ipv4/ip_forward",
                   "1");
  net_world_write ("/proc/sys/net/"
                   "ipv6/conf/default/addr_gen_mode",
                   "1");
  net_world_write ("/proc/sys/net/"
                   "ipv6/conf/all/forwarding",
                   "1");
  g_assert_true (vmsan_netlink_get_link (host, "eth0", 0, &eth0, &error));
  g_assert_true (
      vmsan_netlink_set_ethernet (host, eth0.ifindex, VMSAN_NET_GATEWAY_MAC, 1500, &error));
  g_assert_true (vmsan_netlink_add_address (host, eth0.ifindex, NET_OUTSIDE_HOST4, 24, &error));
  g_assert_true (vmsan_netlink_add_neighbour (host, eth0.ifindex, NET_WORLD_ROUTER4,
                                              VMSAN_NET_GUEST_MAC, &error));
  g_assert_true (
      vmsan_netlink_add_route (host, "0.0.0.0/0", NET_WORLD_ROUTER4, eth0.ifindex, &error));
  if (!has_ipv6)
    return;
  g_assert_true (vmsan_netlink_add_address (host, eth0.ifindex, NET_OUTSIDE_HOST6, 64, &error));
  g_assert_true (vmsan_netlink_add_neighbour (host, eth0.ifindex, NET_WORLD_ROUTER6,
                                              VMSAN_NET_GUEST_MAC, &error));
  g_assert_true (vmsan_netlink_add_route (host, "::/0", NET_WORLD_ROUTER6, eth0.ifindex, &error));
  g_assert_no_error (error);
}

NetOutside *
net_outside_new (const char *pool6)
{
  static const VmsanNetResolver resolvers[] = { { AF_INET, "9.8.7.6", 5353 },
                                                { AF_INET6, "2620:1::53", 5353 } };
  NetOutside *self = g_new0 (NetOutside, 1);
  int fd = open_eth0 ();
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (NULL);
  g_autoptr (GError) error = NULL;
  VmsanNetHost table;

  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", pool6, &self->pools, NULL));
  configure_eth0 (host, self->pools.has_pool6);
  self->internet = tap_guest_new_for_all (fd, NET_OUTSIDE_HOST4);
  self->resolvers = g_array_new (FALSE, TRUE, sizeof (VmsanNetResolver));
  g_array_append_vals (self->resolvers, resolvers, G_N_ELEMENTS (resolvers));
  table = (VmsanNetHost){ &self->pools, self->resolvers };
  vmsan_net_host_rebuild (&table, NULL, 0, &error);
  g_assert_no_error (error);
  return self;
}

void
net_outside_free (NetOutside *self)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_host_delete_table (&error);
  g_assert_no_error (error);
  tap_guest_free (self->internet);
  g_array_unref (self->resolvers);
  g_free (self);
}

/* ---- Machines ------------------------------------------------------------------------------ */

VmsanNetPolicy *
net_outside_parse (NetOutside *self, const VmsanNetPolicy *old, const char *options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) parsed =
      g_variant_parse (G_VARIANT_TYPE_VARDICT, options, NULL, NULL, &error);
  VmsanNetPolicy *policy;

  g_assert_no_error (error);
  policy = vmsan_net_policy_parse (parsed, old, &self->pools, &error);
  g_assert_no_error (error);
  return policy;
}

static void
join_host (NetMachine *self, const VmsanNetPolicy *old)
{
  const VmsanNetHost table = { &self->outside->pools, self->outside->resolvers };
  const VmsanNetMember member = { self->slot, self->policy };
  g_autoptr (GError) error = NULL;

  vmsan_net_host_add (&table, &member, old, &error);
  g_assert_no_error (error);
}

NetMachine *
net_machine_new (NetOutside *outside, guint slot, const char *options)
{
  NetMachine *self = g_new0 (NetMachine, 1);
  const VmsanNetSetup setup = { .directory = NET_WORLD_NAMES, .pools = &outside->pools };
  g_autoptr (GError) error = NULL;
  int tap_fd;

  self->outside = outside;
  self->slot = slot;
  self->name = g_strdup_printf ("vmsan-m%u", slot);
  self->policy = net_outside_parse (outside, NULL, options);
  vmsan_net_namespace_create (&setup, self->name, slot, &error);
  g_assert_no_error (error);
  self->namespace_fd = vmsan_net_namespace_open (&setup, self->name, &error);
  g_assert_no_error (error);
  self->firewall = (VmsanNetFirewall){ .namespace_fd = self->namespace_fd,
                                       .pools = &outside->pools,
                                       .slot = slot,
                                       .resolvers = outside->resolvers,
                                       .resolver_uid = 4711 };
  vmsan_net_firewall_prepare (&self->firewall, &error);
  g_assert_no_error (error);
  vmsan_net_firewall_fill (&self->firewall, self->policy, &error);
  g_assert_no_error (error);
  join_host (self, NULL);
  tap_fd = vmsan_net_namespace_open_tap (self->namespace_fd, &error);
  g_assert_no_error (error);
  self->guest = tap_guest_new (tap_fd);
  return self;
}

void
net_machine_free (NetMachine *self)
{
  const VmsanNetHost table = { &self->outside->pools, self->outside->resolvers };
  const VmsanNetSetup setup = { .directory = NET_WORLD_NAMES, .pools = &self->outside->pools };
  const char *const names[] = { self->name };
  g_autoptr (GError) error = NULL;

  tap_guest_free (self->guest);
  vmsan_net_host_remove (&table, self->slot, self->policy, &error);
  g_assert_no_error (error);
  close (self->namespace_fd);
  vmsan_net_namespace_delete (&setup, names, &self->slot, 1, &error);
  g_assert_no_error (error);
  vmsan_net_policy_unref (self->policy);
  g_free (self->name);
  g_free (self);
}

void
net_machine_change (NetMachine *self, const char *options)
{
  g_autoptr (VmsanNetPolicy) old = self->policy;
  g_autoptr (GError) error = NULL;

  self->policy = net_outside_parse (self->outside, old, options);
  vmsan_net_firewall_apply (&self->firewall, self->policy, old, &error);
  g_assert_no_error (error);
  join_host (self, old);
}

/* Links and the kernel's queues keep order: an answer from the namespace comes after it has dealt
 * with earlier packets, and what the host then sends comes after what it had to forward. A queue
 * that is full loses what comes, so it may take more than one. */
void
net_machine_settle (NetMachine *self)
{
  static guint16 port = FIRST_SETTLE_PORT;
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (++port) };
  vmsan_autofd int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_autofree char *mac = NULL;
  gboolean settled = FALSE;

  tap_guest_forget_neighbours (self->guest);
  mac = tap_guest_resolve (self->guest, VMSAN_NET_GATEWAY4, DEADLINE);
  g_assert_nonnull (mac);
  inet_pton (AF_INET, NET_WORLD_ROUTER4, &to.sin_addr);
  for (guint i = 0; !settled && i < SETTLE_ATTEMPTS; i++)
    {
      g_assert_cmpint (sendto (fd, "x", 1, 0, (struct sockaddr *) &to, sizeof to), ==, 1);
      settled = tap_guest_wait_for (self->outside->internet, IPPROTO_UDP, NULL, port,
                                    DEADLINE / SETTLE_ATTEMPTS);
    }
  g_assert_true (settled);
}
