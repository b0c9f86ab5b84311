/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Packets from a guest's place through its namespace and the host to an internet and back, without
 * policies: what the links and settings alone let through, and what a guest cannot make of them. */

#include "net-fixture.h"

#include "net/net-firewall.h"
#include "net/net-inside.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netlink/route/neighbour.h>
#include <string.h>
#include <sys/socket.h>

#define CLOSED_PORT 9
#define OPEN_PORT   80

/* ---- Ways --------------------------------------------------------------------------------------
 */

static TapAnswer
ask (TapGuest *guest, int protocol, const char *to, guint16 port, guint timeout_ms)
{
  return tap_guest_probe (guest, (TapProbe){ .protocol = protocol, .to = to, .port = port },
                          timeout_ms);
}

static void
assert_reaches (TapGuest *guest, const char *to)
{
  g_autoptr (TapStream) stream = NULL;

  g_assert_cmpint (ask (guest, IPPROTO_ICMP, to, 0, NET_SOON_MS), ==, TAP_ANSWERED);
  g_assert_cmpint (ask (guest, IPPROTO_TCP, to, OPEN_PORT, NET_SOON_MS), ==, TAP_ANSWERED);
  g_assert_cmpint (ask (guest, IPPROTO_TCP, to, CLOSED_PORT, NET_SOON_MS), ==, TAP_REFUSED);
  g_assert_cmpint (ask (guest, IPPROTO_UDP, to, CLOSED_PORT, NET_SOON_MS), ==, TAP_REFUSED);
  stream = tap_guest_connect (guest, to, OPEN_PORT, NET_SOON_MS);
  g_assert_nonnull (stream);
  g_assert_true (tap_stream_exchange (stream, NET_SOON_MS));
  g_assert_true (tap_stream_exchange (stream, NET_SOON_MS));
}

static void
test_a_guest_reaches_host_and_internet (NetFixture *f, gconstpointer data)
{
  vmsan_autofd int server = net_world_listen (f->world, SOCK_STREAM, OPEN_PORT);
  NetMachine m;

  net_machine_start (&m, f);
  g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, VMSAN_NET_GATEWAY4, 0, NET_SOON_MS), ==,
                   TAP_ANSWERED);
  g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, f->addresses.host4, 0, NET_SOON_MS), ==,
                   TAP_ANSWERED);
  assert_reaches (m.guest, NET_WORLD_FAR4);
  if (f->pools.has_pool6)
    {
      g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, VMSAN_NET_GATEWAY6, 0, NET_SOON_MS), ==,
                       TAP_ANSWERED);
      g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, f->addresses.host6, 0, NET_SOON_MS), ==,
                       TAP_ANSWERED);
      assert_reaches (m.guest, NET_WORLD_FAR6);
    }
  net_machine_stop (&m);
}

static void
test_the_internet_reaches_a_guest (NetFixture *f, gconstpointer data)
{
  static const char *const addresses[] = { VMSAN_NET_GUEST4, VMSAN_NET_GUEST6 };
  NetMachine m;

  net_machine_start (&m, f);
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_assert_true (net_world_reach (f->world, SOCK_DGRAM, addresses[i], 7, NET_SOON_MS));
      g_assert_true (net_world_reach (f->world, SOCK_STREAM, addresses[i], 22, NET_SOON_MS));
    }
  g_assert_cmpuint (tap_guest_count (m.guest, IPPROTO_UDP, NET_WORLD_ROUTER4, 7), ==, 1);
  g_assert_cmpuint (tap_guest_count (m.guest, IPPROTO_UDP, NET_WORLD_ROUTER6, 7), ==, 1);
  g_assert_cmpuint (tap_guest_count (m.guest, IPPROTO_UDP, NULL, 8), ==, 0);
  net_machine_stop (&m);
}

/* ---- Lies ---------------------------------------------------------------------------------- */

static void
test_only_the_gateway_answers_for_itself (NetFixture *f, gconstpointer data)
{
  const char *others[] = { f->addresses.host4, f->addresses.own4, "192.0.0.3",
                           f->addresses.host6, f->addresses.own6, "fd76:6d73:616e::3" };
  static const char *const gateways[] = { VMSAN_NET_GATEWAY4, VMSAN_NET_GATEWAY6 };
  NetMachine m;

  net_machine_start (&m, f);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_null (tap_guest_resolve (m.guest, others[i], NET_QUIET_MS));
  for (guint i = 0; i < G_N_ELEMENTS (gateways); i++)
    {
      g_autofree char *mac = tap_guest_resolve (m.guest, gateways[i], NET_SOON_MS);

      g_assert_cmpstr (mac, ==, VMSAN_NET_GATEWAY_MAC);
    }
  net_machine_stop (&m);
}

static void
send_false_arp_from (TapGuest *guest,
                     guint16 operation,
                     const guint8 sender[4],
                     const guint8 target[4])
{
  static const guint8 liar[6] = { 0x02, 0xee, 0xee, 0xee, 0xee, 0xee };
  struct
  {
    struct ether_header header;
    struct ether_arp arp;
  } __attribute__ ((packed)) frame = { .header.ether_type = htons (ETHERTYPE_ARP) };

  memset (frame.header.ether_dhost, 0xff, 6);
  memcpy (frame.header.ether_shost, liar, 6);
  frame.arp.arp_hrd = htons (ARPHRD_ETHER);
  frame.arp.arp_pro = htons (ETHERTYPE_IP);
  frame.arp.arp_hln = 6;
  frame.arp.arp_pln = 4;
  frame.arp.arp_op = htons (operation);
  memcpy (frame.arp.arp_sha, liar, 6);
  memcpy (frame.arp.arp_spa, sender, 4);
  memcpy (frame.arp.arp_tpa, target, 4);
  tap_guest_send_frame (guest, (guint8 *) &frame, sizeof frame);
}

/* That the guest's address is at another card: told to the gateway, and to everybody. */
static void
send_false_arp (TapGuest *guest)
{
  static const guint8 guest4[4] = { 192, 0, 0, 2 };
  static const guint8 gateway4[4] = { 192, 0, 0, 1 };

  send_false_arp_from (guest, ARPOP_REPLY, guest4, gateway4);
  send_false_arp_from (guest, ARPOP_REQUEST, guest4, gateway4);
  send_false_arp_from (guest, ARPOP_REQUEST, guest4, guest4);
}

/* An ICMPv6 message of neighbour discovery from the guest's place. */
static void
send_discovery (TapGuest *guest, const char *from, const char *to, const guint8 *data, gsize size)
{
  g_autoptr (GByteArray) message = g_byte_array_append (g_byte_array_new (), data, size);
  g_autoptr (GByteArray) frame = packet_build_with (from, to, IPPROTO_ICMPV6, message, 2,
                                                    VMSAN_NET_GUEST_MAC, VMSAN_NET_GATEWAY_MAC);

  tap_guest_send_frame (guest, frame->data, frame->len);
}

static void
send_false_advertisement (TapGuest *guest)
{
  /* Override, for the guest's address, with the liar's. */
  guint8 message[32] = { ND_NEIGHBOR_ADVERT,
                         0,
                         0,
                         0,
                         0x20,
                         [24] = ND_OPT_TARGET_LINKADDR,
                         1,
                         0x02,
                         0xee,
                         0xee,
                         0xee,
                         0xee,
                         0xee };

  inet_pton (AF_INET6, VMSAN_NET_GUEST6, message + 8);
  send_discovery (guest, VMSAN_NET_GUEST6, VMSAN_NET_GATEWAY6, message, sizeof message);
}

static void
test_false_neighbours_are_not_believed (NetFixture *f, gconstpointer data)
{
  g_autofree char *arp = NULL;
  NetMachine m;

  net_machine_start (&m, f);
  send_false_arp (m.guest);
  send_false_advertisement (m.guest);
  /* The stand-in hears nothing that is sent to the liar. */
  g_assert_true (net_world_reach (f->world, SOCK_DGRAM, VMSAN_NET_GUEST4, 7, NET_SOON_MS));
  g_assert_true (net_world_reach (f->world, SOCK_DGRAM, VMSAN_NET_GUEST6, 7, NET_SOON_MS));
  arp = net_world_read_proc (m.fd, "arp");
  g_assert_null (strstr (arp, "02:ee"));
  net_machine_stop (&m);
}

static void
test_false_routers_are_not_believed (NetFixture *f, gconstpointer data)
{
  static const guint8 advertisement[] = {
    /* A default route for half an hour, and addresses for a prefix. */
    ND_ROUTER_ADVERT,
    0,
    0,
    0,
    64,
    0,
    0x07,
    0x08,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    ND_OPT_PREFIX_INFORMATION,
    4,
    64,
    0xc0,
    0,
    0,
    0x0e,
    0x10,
    0,
    0,
    0x0e,
    0x10,
    0,
    0,
    0,
    0,
    0x20,
    0x01,
    0x0d,
    0xb8,
    0xee,
    0xee,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0
  };
  guint8 redirect[40] = { ND_REDIRECT };
  g_autofree char *routes = NULL;
  g_autofree char *addresses = NULL;
  NetMachine m;

  net_machine_start (&m, f);
  inet_pton (AF_INET6, VMSAN_NET_GUEST6, redirect + 8);
  inet_pton (AF_INET6, NET_WORLD_FAR6, redirect + 24);
  send_discovery (m.guest, "fe80::2", "ff02::1", advertisement, sizeof advertisement);
  send_discovery (m.guest, "fe80::2", VMSAN_NET_GATEWAY6, redirect, sizeof redirect);
  g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, NET_WORLD_FAR6, 0, NET_SOON_MS), ==, TAP_ANSWERED);
  routes = net_world_read_proc (m.fd, "ipv6_route");
  addresses = net_world_read_proc (m.fd, "if_inet6");
  g_assert_null (strstr (routes, "fe80"));
  g_assert_null (strstr (routes, "20010db8eeee"));
  g_assert_null (strstr (addresses, "20010db8eeee"));
  net_machine_stop (&m);
}

static void
test_false_senders_get_nowhere (NetFixture *f, gconstpointer data)
{
  /* The internet's, the host's, the slot's own, loopback, a broadcast, nobody. */
  const char *senders[] = { NET_WORLD_FAR4,    NET_WORLD_HOST4, f->addresses.host4,
                            f->addresses.own4, "127.0.0.1",     "255.255.255.255",
                            "0.0.0.0",         "10.9.9.9" };
  vmsan_autofd int server = net_world_listen (f->world, SOCK_DGRAM, OPEN_PORT);
  char text[16] = "";
  NetMachine m;

  net_machine_start (&m, f);
  for (guint i = 0; i < G_N_ELEMENTS (senders); i++)
    {
      TapProbe probe = { .protocol = IPPROTO_UDP,
                         .to = NET_WORLD_FAR4,
                         .port = OPEN_PORT,
                         .from = senders[i],
                         .payload = "false" };

      tap_guest_send (m.guest, &probe);
    }
  /* The way is in order, so those sent before would have come before. */
  tap_guest_send (m.guest, &(TapProbe){ .protocol = IPPROTO_UDP,
                                        .to = NET_WORLD_FAR4,
                                        .port = OPEN_PORT,
                                        .payload = "true" });
  g_assert_true (net_world_wait_readable (server, NET_SOON_MS));
  g_assert_cmpint (recv (server, text, sizeof text - 1, 0), ==, 4);
  g_assert_cmpstr (text, ==, "true");
  g_assert_cmpint (recv (server, text, sizeof text, 0), <, 0);
  net_machine_stop (&m);
}

static void
test_loopback_is_out_of_reach (NetFixture *f, gconstpointer data)
{
  TapProbe probes[] = { { .protocol = IPPROTO_ICMP, .to = "127.0.0.1" },
                        { .protocol = IPPROTO_ICMP, .to = "127.9.9.9" },
                        { .protocol = IPPROTO_ICMP, .to = "0.0.0.0" },
                        { .protocol = IPPROTO_ICMP, .to = "::1" } };
  NetMachine m;

  net_machine_start (&m, f);
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    tap_guest_send (m.guest, &probes[i]);
  g_assert_cmpint (ask (m.guest, IPPROTO_ICMP, VMSAN_NET_GATEWAY6, 0, NET_SOON_MS), ==,
                   TAP_ANSWERED);
  for (guint i = 0; i < G_N_ELEMENTS (probes); i++)
    g_assert_cmpint (tap_guest_wait (m.guest, &probes[i], 0), ==, TAP_SILENT);
  net_machine_stop (&m);
}

typedef struct
{
  int family;
  guint n;
} Neighbours;

static gboolean
count_neighbours (gpointer data, GError **error)
{
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (error);
  Neighbours *neighbours = data;
  struct nl_cache *cache;
  int code;

  g_assert_nonnull (netlink);
  code = rtnl_neigh_alloc_cache (netlink, &cache);
  g_assert_cmpint (code, ==, 0);
  for (struct nl_object *o = nl_cache_get_first (cache); o != NULL; o = nl_cache_get_next (o))
    {
      if (rtnl_neigh_get_family ((struct rtnl_neigh *) o) == neighbours->family)
        neighbours->n++;
    }
  nl_cache_free (cache);
  return TRUE;
}

/* The kernel remembers who asks, in one table of each family for all namespaces. */
static void
test_a_guest_cannot_crowd_the_neighbours_out (NetFixture *f, gconstpointer data)
{
  Neighbours neighbours6 = { AF_INET6, 0 };
  Neighbours neighbours4 = { AF_INET, 0 };
  g_autoptr (GArray) resolvers = g_array_new (FALSE, FALSE, 1);
  VmsanNetFirewall firewall = { .pools = &f->pools, .slot = NET_SLOT, .resolvers = resolvers };
  g_autoptr (GError) error = NULL;
  g_autofree char *mac4 = NULL;
  g_autofree char *mac6 = NULL;
  NetMachine m;

  net_machine_start (&m, f);
  firewall.namespace_fd = m.fd;
  vmsan_net_firewall_prepare (&firewall, &error);
  g_assert_no_error (error);
  for (guint i = 1; i <= 200; i++)
    {
      guint8 solicitation[32] = { ND_NEIGHBOR_SOLICIT, [24] = ND_OPT_SOURCE_LINKADDR, 1, 2, i };
      g_autofree char *from = g_strdup_printf ("%s::%x", i % 2 == 0 ? "fe80" : "fd00", i + 99);

      inet_pton (AF_INET6, VMSAN_NET_GATEWAY6, solicitation + 8);
      send_discovery (m.guest, from, VMSAN_NET_GATEWAY6, solicitation, sizeof solicitation);
      send_false_arp_from (m.guest, ARPOP_REQUEST, (guint8[]){ 10, 0, 0, i },
                           (guint8[]){ 192, 0, 0, 1 });
    }
  mac4 = tap_guest_resolve (m.guest, VMSAN_NET_GATEWAY4, NET_SOON_MS);
  g_assert_cmpstr (mac4, ==, VMSAN_NET_GATEWAY_MAC);
  mac6 = tap_guest_resolve (m.guest, VMSAN_NET_GATEWAY6, NET_SOON_MS);
  g_assert_cmpstr (mac6, ==, VMSAN_NET_GATEWAY_MAC);
  vmsan_net_inside_run (m.fd, count_neighbours, &neighbours6, NULL);
  vmsan_net_inside_run (m.fd, count_neighbours, &neighbours4, NULL);
  g_assert_cmpuint (neighbours6.n, <, 10);
  g_assert_cmpuint (neighbours4.n, <, 10);
  net_machine_stop (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!net_world_enter ())
    {
      g_print ("1..0 # SKIP needs root, for namespaces of its own\n");
      return 0;
    }

  NET_FIXTURE_ADD ("/net/packets/a-guest-reaches-host-and-internet",
                   test_a_guest_reaches_host_and_internet);
  NET_FIXTURE_ADD_IPV4 ("/net/packets/a-guest-reaches-host-and-internet",
                        test_a_guest_reaches_host_and_internet);
  NET_FIXTURE_ADD ("/net/packets/the-internet-reaches-a-guest", test_the_internet_reaches_a_guest);
  NET_FIXTURE_ADD ("/net/packets/only-the-gateway-answers-for-itself",
                   test_only_the_gateway_answers_for_itself);
  NET_FIXTURE_ADD ("/net/packets/false-neighbours-are-not-believed",
                   test_false_neighbours_are_not_believed);
  NET_FIXTURE_ADD ("/net/packets/false-routers-are-not-believed",
                   test_false_routers_are_not_believed);
  NET_FIXTURE_ADD ("/net/packets/false-senders-get-nowhere", test_false_senders_get_nowhere);
  NET_FIXTURE_ADD ("/net/packets/loopback-is-out-of-reach", test_loopback_is_out_of_reach);
  NET_FIXTURE_ADD ("/net/packets/a-guest-cannot-crowd-the-neighbours-out",
                   test_a_guest_cannot_crowd_the_neighbours_out);
  return net_world_run_tests ();
}
