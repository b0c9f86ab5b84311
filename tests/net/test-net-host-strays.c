/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Elements of the host's table that are no machine's, in any form that nftables gives them. */

#include "net-world.h"

#include "net/net-host-strays.h"
#include "net/net-nft.h"

#define POOL4 "198.18.0.0/15"
#define POOL6 "fd12:3456:789a::/64"

typedef struct
{
  VmsanNetPools pools;
  VmsanNetHost host;
  VmsanNetPolicy *policy;
  VmsanNetMember member;
} Fixture;

static void
run_nft (const char *commands)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_nft_run (-1, commands, "A test", &error);
  g_assert_no_error (error);
}

/* A machine in slot 1 that uses each set and map. */
static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GVariant) options = g_variant_ref_sink (g_variant_new_parsed (
      "{'published-ports': <['8080:80', '0.0.0.0:8081:81/udp']>,"
      " 'allowed-cidrs': <['192.0.2.1', '2001:db8::1', '198.51.100.0/24']>}"));
  g_autoptr (GError) error = NULL;

  vmsan_net_pools_parse (POOL4, POOL6, &f->pools, &error);
  g_assert_no_error (error);
  f->policy = vmsan_net_policy_parse (options, NULL, &f->pools, &error);
  g_assert_no_error (error);
  f->host.pools = &f->pools;
  f->member = (VmsanNetMember){ 1, f->policy };
  vmsan_net_host_rebuild (&f->host, NULL, 0, &error);
  g_assert_no_error (error);
  /* Without its link, which is not there. */
  vmsan_net_host_add (&f->host, &f->member, NULL, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  run_nft ("flush ruleset");
  vmsan_net_policy_unref (f->policy);
}

static void
find (const Fixture *f, guint n_members, VmsanNetHostStrays *strays)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_host_strays_find (&f->host, &f->member, n_members, strays, &error);
  g_assert_no_error (error);
}

static void
test_what_a_machine_has_is_no_stray (Fixture *f, gconstpointer data)
{
  g_auto (VmsanNetHostStrays) strays = { 0 };

  find (f, 1, &strays);
  g_assert_true (strays.has_table);
  g_assert_cmpuint (g_strv_length (strays.elements), ==, 0);
  g_assert_cmpuint (g_strv_length (strays.addresses), ==, 0);
}

static gboolean
contains (GStrv list, const char *text)
{
  return g_strv_contains ((const char *const *) list, text);
}

static void
test_all_that_a_machine_had_is_stray_without_it (Fixture *f, gconstpointer data)
{
  g_auto (VmsanNetHostStrays) strays = { 0 };

  find (f, 0, &strays);
  g_assert_true (contains (strays.elements, "members4 198.18.0.6 . vmsan1"));
  g_assert_true (contains (strays.elements, "members6 fd12:3456:789a::6 . vmsan1"));
  g_assert_true (contains (strays.elements, "reach4 198.18.0.6 . 192.0.2.1"));
  g_assert_true (contains (strays.elements, "reach6 fd12:3456:789a::6 . 2001:db8::1"));
  g_assert_true (contains (strays.elements, "ports4 6 . 127.0.0.1 . 8080 . 198.18.0.6 . 80"));
  g_assert_true (contains (strays.elements, "any_ports4 17 . 8081 . 198.18.0.6 . 81"));
  g_assert_cmpuint (g_strv_length (strays.elements), ==, 6);
  /* Whose connections are to be forgotten: machines' addresses only. */
  g_assert_true (contains (strays.addresses, "198.18.0.6"));
  g_assert_true (contains (strays.addresses, "fd12:3456:789a::6"));
  g_assert_false (contains (strays.addresses, "127.0.0.1"));
  g_assert_false (contains (strays.addresses, "192.0.2.1"));
}

static void
test_strays_are_found_in_any_form (Fixture *f, gconstpointer data)
{
  g_auto (VmsanNetHostStrays) strays = { 0 };

  run_nft ("add element inet vmsan members4 { 198.18.0.10 . \"vmsan2\" comment \"x\" }\n"
           "add element inet vmsan members4 { 10.0.0.1 . \"eth0\" }\n"
           "add set inet vmsan more { type ipv4_addr; flags interval; }\n"
           "add element inet vmsan more { 203.0.113.0/24 }\n");
  find (f, 1, &strays);
  g_assert_cmpuint (g_strv_length (strays.elements), ==, 3);
  g_assert_true (contains (strays.elements, "members4 10.0.0.1 . eth0"));
  g_assert_true (contains (strays.addresses, "198.18.0.10"));
  g_assert_cmpuint (g_strv_length (strays.addresses), ==, 1);
}

static void
test_no_table_has_no_strays (Fixture *f, gconstpointer data)
{
  g_auto (VmsanNetHostStrays) strays = { 0 };

  run_nft ("flush ruleset");
  find (f, 1, &strays);
  g_assert_false (strays.has_table);
  g_assert_cmpuint (g_strv_length (strays.elements), ==, 0);
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

  g_test_add ("/net/host-strays/what-a-machine-has-is-no-stray", Fixture, NULL, set_up,
              test_what_a_machine_has_is_no_stray, tear_down);
  g_test_add ("/net/host-strays/all-that-a-machine-had-is-stray-without-it", Fixture, NULL, set_up,
              test_all_that_a_machine_had_is_stray_without_it, tear_down);
  g_test_add ("/net/host-strays/strays-are-found-in-any-form", Fixture, NULL, set_up,
              test_strays_are_found_in_any_form, tear_down);
  g_test_add ("/net/host-strays/no-table-has-no-strays", Fixture, NULL, set_up,
              test_no_table_has_no_strays, tear_down);
  return net_world_run_tests ();
}
