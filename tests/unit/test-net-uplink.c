/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A host's uplinks: whose answers come back, and what the host's own routers said stays. */

#include "net-fixture.h"

#include "net/net-forwarding.h"
#include "net/net-inside.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

/* ---- Forwarding on the host ---------------------------------------------------------------- */

static void
assert_answers (TapGuest *guest, gboolean answer4, gboolean answer6)
{
  TapProbe probe4 = { .protocol = IPPROTO_ICMP, .to = NET_WORLD_FAR4 };
  TapProbe probe6 = { .protocol = IPPROTO_ICMP, .to = NET_WORLD_FAR6 };

  tap_guest_send (guest, &probe4);
  tap_guest_send (guest, &probe6);
  g_assert_cmpint (tap_guest_wait (guest, &probe4, answer4 ? NET_SOON_MS : NET_QUIET_MS), ==,
                   answer4 ? TAP_ANSWERED : TAP_SILENT);
  g_assert_cmpint (tap_guest_wait (guest, &probe6, answer6 ? NET_SOON_MS : 0), ==,
                   answer6 ? TAP_ANSWERED : TAP_SILENT);
}

static void
check_forwarding (NetFixture *f, VmsanNetIpv6Forwarding ipv6, gboolean answer6)
{
  g_autoptr (TapGuest) guest = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = NULL;
  g_auto (GStrv) more = NULL;
  vmsan_autofd int fd = -1;

  net_fixture_create (f);
  fd = net_fixture_open (f);
  guest = net_fixture_start_guest (fd);
  net_world_route_guest (f->world, &f->pools, NET_SLOT);
  assert_answers (guest, FALSE, FALSE);

  changes = net_fixture_enable (f, ipv6);
  g_assert_cmpuint (g_strv_length (changes), >, 0);
  assert_answers (guest, TRUE, answer6);
  more = vmsan_net_uplink_plan (f->world->host, ipv6, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (more), ==, 0);

  net_fixture_restore (changes);
  assert_answers (guest, FALSE, FALSE);
  net_fixture_restore (changes);
  g_clear_pointer (&guest, tap_guest_free);
  vmsan_fd_close (&fd);
  net_fixture_delete (f);
}

static void
test_answers_come_back_only_once_uplinks_forward (NetFixture *f, gconstpointer data)
{
  check_forwarding (f, VMSAN_NET_IPV6_OFF, FALSE);
  check_forwarding (f, VMSAN_NET_IPV6_GLOBAL, TRUE);
  if (vmsan_net_uplink_get_ipv6_forwarding (TRUE) == VMSAN_NET_IPV6_PER_LINK)
    check_forwarding (f, VMSAN_NET_IPV6_PER_LINK, TRUE);
}

static void
test_a_host_that_became_a_router_stays_one (NetFixture *f, gconstpointer data)
{
  g_auto (GStrv) changes = net_fixture_enable (f, VMSAN_NET_IPV6_OFF);
  g_autofree char *value = NULL;

  g_assert_cmpuint (g_strv_length (changes), ==, 1);
  g_assert_cmpstr (changes[0], ==, "ipv4/conf/eth0/forwarding=0");
  net_world_write ("/proc/sys/net/ipv4/ip_forward", "1");
  net_fixture_restore (changes);
  g_assert_true (
      g_file_get_contents ("/proc/sys/net/ipv4/conf/eth0/forwarding", &value, NULL, NULL));
  g_assert_cmpstr (value, ==, "1\n");
  net_world_write ("/proc/sys/net/ipv4/ip_forward", "0");
}

static void
test_damaged_changes_are_refused (NetFixture *f, gconstpointer data)
{
  static const char *const bad[] = {
    "",
    "=",
    "ipv4/conf/eth0/forwarding",
    "ipv4/conf/eth0/forwarding=",
    "ipv4/conf/eth0/forwarding=1",
    "ipv4/conf/eth0/rp_filter=0",
    "ipv4/ip_forward=0",
    "ipv4/conf/../../../kernel/forwarding=0",
    "/ipv4/conf/eth0/forwarding=0",
    "core/forwarding=0",
    "ipv6/conf/eth0/accept_ra=0",
  };
  static const char *const gone[] = { "ipv4/conf/gone/forwarding=0", NULL };
  g_autoptr (GError) gone_error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      const char *const changes[] = { "ipv4/conf/eth0/forwarding=0", bad[i], NULL };
      g_autoptr (GError) apply_error = NULL;
      g_autoptr (GError) restore_error = NULL;

      g_assert_false (vmsan_net_uplink_apply (changes, &apply_error));
      g_assert_error (apply_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
      net_fixture_assert_nothing_left (f);
      g_assert_false (vmsan_net_uplink_restore (changes, &restore_error));
      g_assert_error (restore_error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
  g_assert_true (vmsan_net_uplink_apply (gone, &gone_error));
  g_assert_true (vmsan_net_uplink_restore (gone, &gone_error));
  g_assert_no_error (gone_error);
}

/* ---- On record ----------------------------------------------------------------------------- */

static void
assert_record (int state_fd, const char *expected)
{
  g_autofree char *text = vmsan_fd_read_file_at (state_fd, "uplink-settings", 4096, NULL, NULL);

  g_assert_cmpstr (text, ==, expected);
}

static void
enable_on_record (NetFixture *f, int state_fd)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = vmsan_net_forwarding_prepare (state_fd, &f->pools, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (changes), ==, 1);
  vmsan_net_forwarding_enable ((const char *const *) changes, &error);
  g_assert_no_error (error);
}

static void
test_changes_are_on_record_once_and_while_their_link_is_there (NetFixture *f, gconstpointer data)
{
  static const char earlier[] = "ipv4/conf/gone/forwarding=0\nipv4/conf/eth0/forwarding=0";
  g_autofree char *path = g_dir_make_tmp ("vmsan-uplink-XXXXXX", NULL);
  vmsan_autofd int state_fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) links = NULL;
  gboolean ipv6;

  vmsan_fd_write_file_at (state_fd, "uplink-settings", earlier, strlen (earlier), 0600, &error);
  g_assert_no_error (error);
  enable_on_record (f, state_fd);
  assert_record (state_fd, "ipv4/conf/eth0/forwarding=0");
  links = vmsan_net_forwarding_list_links (state_fd, &ipv6);
  g_assert_cmpuint (g_strv_length (links), ==, 1);
  g_assert_cmpstr (links[0], ==, "eth0");
  g_assert_false (ipv6);

  /* As when the link was taken away, and came back. */
  net_world_write ("/proc/sys/net/ipv4/conf/eth0/forwarding", "0");
  enable_on_record (f, state_fd);
  assert_record (state_fd, "ipv4/conf/eth0/forwarding=0");

  g_assert_true (vmsan_net_forwarding_restore (state_fd, &error));
  g_assert_true (vmsan_net_forwarding_restore (state_fd, &error));
  g_assert_no_error (error);
  assert_record (state_fd, NULL);
  g_assert_cmpint (g_rmdir (path), ==, 0);
}

static void
test_an_uplink_of_a_dangerous_name_stays_as_it_is (NetFixture *f, gconstpointer data)
{
  static const char *const names[] = { "a\"b", "a..b" };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      const VmsanNetVeth veth = {
        .name = names[i],
        .mac = VMSAN_NET_GATEWAY_MAC,
        .peer_name = "peer",
        .peer_mac = VMSAN_NET_GUEST_MAC,
        .peer_namespace_fd = f->world->internet_fd,
        .mtu = 1500,
      };
      g_auto (GStrv) changes = NULL;
      VmsanNetLink link;

      g_assert_true (vmsan_netlink_add_veth (f->world->host, &veth, &error));
      g_assert_true (vmsan_netlink_get_link (f->world->host, names[i], 0, &link, &error));
      g_assert_true (
          vmsan_netlink_add_address (f->world->host, link.ifindex, "192.0.2.1", 24, &error));
      g_assert_true (vmsan_netlink_set_up (f->world->host, link.ifindex, &error));
      g_assert_true (vmsan_netlink_add_route (f->world->host, "128.0.0.0/1", "192.0.2.2",
                                              link.ifindex, &error));
      changes = vmsan_net_uplink_plan (f->world->host, VMSAN_NET_IPV6_OFF, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (g_strv_length (changes), ==, 1);
      g_assert_cmpstr (changes[0], ==, "ipv4/conf/eth0/forwarding=0");
      g_assert_true (vmsan_netlink_delete_link (f->world->host, link.ifindex, &error));
    }
}

/* ---- Routers of the host ------------------------------------------------------------------- */

static gboolean
advertise_router (gpointer data, GError **error)
{
  static const guint8 message[16] = { ND_ROUTER_ADVERT, 0, 0, 0, 64, 0, 0x07, 0x08 };
  vmsan_autofd int fd = socket (AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = if_nametoindex ("net0") };
  struct sockaddr_in6 from = to;
  int hops = 255;

  inet_pton (AF_INET6, "ff02::1", &to.sin6_addr);
  inet_pton (AF_INET6, "fe80::1", &from.sin6_addr);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (setsockopt (fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops), ==, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &from, sizeof from), ==, 0);
  g_assert_cmpint (sendto (fd, message, sizeof message, 0, (struct sockaddr *) &to, sizeof to), ==,
                   sizeof message);
  return TRUE;
}

static gboolean
has_advertised_route (void)
{
  g_autofree char *routes = net_world_read_proc (-1, "ipv6_route");

  return strstr (routes, " fe800000000000000000000000000001 ") != NULL;
}

static void
learn_route (NetFixture *f)
{
  vmsan_autofd int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_ROUTE };
  char buffer[8192];

  g_assert_cmpint (bind (fd, (struct sockaddr *) &groups, sizeof groups), ==, 0);
  g_assert_true (vmsan_net_inside_run (f->world->internet_fd, advertise_router, NULL, NULL));
  while (!has_advertised_route ())
    {
      g_assert_true (net_world_wait_readable (fd, NET_SOON_MS));
      g_assert_cmpint (recv (fd, buffer, sizeof buffer, 0), >, 0);
    }
}

static void
test_a_host_keeps_what_its_routers_said (NetFixture *f, gconstpointer data)
{
  g_auto (GStrv) changes = NULL;

  /* What would happen otherwise. */
  learn_route (f);
  net_world_write ("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  g_assert_false (has_advertised_route ());
  net_world_write ("/proc/sys/net/ipv6/conf/all/forwarding", "0");

  learn_route (f);
  changes = net_fixture_enable (f, VMSAN_NET_IPV6_GLOBAL);
  g_assert_true (has_advertised_route ());
  net_fixture_restore (changes);
  g_assert_true (has_advertised_route ());

  /* Gone with its link, which the next test has anew. */
  net_world_free (f->world);
  f->world = net_world_new (1500);
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

  NET_FIXTURE_ADD ("/net/uplink/answers-come-back-only-once-uplinks-forward",
                   test_answers_come_back_only_once_uplinks_forward);
  NET_FIXTURE_ADD ("/net/uplink/a-host-that-became-a-router-stays-one",
                   test_a_host_that_became_a_router_stays_one);
  NET_FIXTURE_ADD ("/net/uplink/damaged-changes-are-refused", test_damaged_changes_are_refused);
  NET_FIXTURE_ADD_IPV4 ("/net/uplink/changes-are-on-record-once-and-while-their-link-is-there",
                        test_changes_are_on_record_once_and_while_their_link_is_there);
  NET_FIXTURE_ADD ("/net/uplink/an-uplink-of-a-dangerous-name-stays-as-it-is",
                   test_an_uplink_of_a_dangerous_name_stays_as_it_is);
  NET_FIXTURE_ADD ("/net/uplink/a-host-keeps-what-its-routers-said",
                   test_a_host_keeps_what_its_routers_said);
  return net_world_run_tests ();
}
