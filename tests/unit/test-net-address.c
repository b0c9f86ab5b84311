/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Prefixes as callers write them, and the arithmetic of pools. */

#include "net/net-address.h"
#include "sys/error.h"

#include <string.h>

static VmsanNetPrefix
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  VmsanNetPrefix prefix;

  g_assert_true (vmsan_net_prefix_parse (text, &prefix, &error));
  g_assert_no_error (error);
  return prefix;
}

/* ---- Prefixes ------------------------------------------------------------------------------ */

static void
test_what_is_accepted_is_written_the_same_way (void)
{
  static const char *const pairs[][2] = {
    { "192.0.2.0/24", "192.0.2.0/24" },
    { "192.0.2.1", "192.0.2.1/32" },
    { "0.0.0.0/0", "0.0.0.0/0" },
    { "255.255.255.255", "255.255.255.255/32" },
    { "128.0.0.0/1", "128.0.0.0/1" },
    { "10.1.2.252/30", "10.1.2.252/30" },
    { "2001:db8::/32", "2001:db8::/32" },
    { "2001:0DB8:0000::1", "2001:db8::1/128" },
    { "::/0", "::/0" },
    { "::1", "::1/128" },
    { "2001:db8::8000:0/97", "2001:db8::8000:0/97" },
    { "64:ff9b::192.0.2.1", "64:ff9b::c000:201/128" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
    {
      VmsanNetPrefix prefix = parse (pairs[i][0]);
      g_autofree char *text = vmsan_net_prefix_to_string (&prefix);
      VmsanNetPrefix again = parse (text);

      g_assert_cmpstr (text, ==, pairs[i][1]);
      g_assert_cmpmem (&again, sizeof again, &prefix, sizeof prefix);
    }
}

static void
test_what_is_wrong_is_refused_by_value_and_rule (void)
{
  static const char *const cases[][2] = {
    { "", "no IP address" },
    { "/", "no IP address" },
    { "/24", "no IP address" },
    { "example.com", "no IP address" },
    { "192.0.2", "no IP address" },
    { "192.0.2.0.0", "no IP address" },
    { "192.0.2.256", "no IP address" },
    { "192.0.2.01", "no IP address" },
    { "0x7f.0.0.1", "no IP address" },
    { "3221225985", "no IP address" },
    { " 192.0.2.1", "no IP address" },
    { "192.0.2.1 ", "no IP address" },
    { "192.0.2.1\n", "no IP address" },
    { "192.0.2.1,192.0.2.2", "no IP address" },
    { "192.0.2.1-192.0.2.9", "no IP address" },
    { "::1::", "no IP address" },
    { "1:2:3:4:5:6:7:8:9", "no IP address" },
    { "[::1]", "no IP address" },
    { "12345::", "no IP address" },
    { "192.0.2.0/", "0 to 32" },
    { "192.0.2.0/33", "0 to 32" },
    { "192.0.2.0/-1", "0 to 32" },
    { "192.0.2.0/+24", "0 to 32" },
    { "192.0.2.0/ 24", "0 to 32" },
    { "192.0.2.0/24 ", "0 to 32" },
    { "192.0.2.0/024", "0 to 32" },
    { "192.0.2.0/24/24", "0 to 32" },
    { "192.0.2.0/4294967320", "0 to 32" },
    { "192.0.2.0/255.255.255.0", "0 to 32" },
    { "192.0.2.0/2a", "0 to 32" },
    { "2001:db8::/129", "0 to 128" },
    { "2001:db8::/", "0 to 128" },
    { "192.0.2.1/24", "after its prefix length" },
    { "192.0.2.1/0", "after its prefix length" },
    { "192.0.2.1/31", "after its prefix length" },
    { "2001:db8::1/127", "after its prefix length" },
    { "2001:db8::/16", "after its prefix length" },
    { "::ffff:0:0/95", "after its prefix length" },
    { "::ffff:192.0.2.1", "mapped" },
    { "::ffff:0:0/96", "mapped" },
    { "::ffff:c000:200/120", "mapped" },
    { "fe80::1%eth0", "scope" },
    { "fe80::%1/64", "scope" },
    { "%", "scope" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VmsanNetPrefix prefix = { .family = -1 };
      g_autoptr (GError) error = NULL;

      g_assert_false (vmsan_net_prefix_parse (cases[i][0], &prefix, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, cases[i][0]));
      g_assert_nonnull (strstr (error->message, cases[i][1]));
      g_assert_cmpint (prefix.family, ==, -1);
    }
}

static void
test_messages_stay_short_and_valid (void)
{
  g_autofree char *long_text = g_strnfill (1 << 20, '1');
  g_autofree char *cut_character = g_strnfill (500, '\xc3');
  const char *texts[] = { long_text, cut_character, "\xff\xfe", "1.2.3.4/\xff", "%\xff" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (GError) error = NULL;
      VmsanNetPrefix prefix;

      g_assert_false (vmsan_net_prefix_parse (texts[i], &prefix, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
      g_assert_cmpuint (strlen (error->message), <, 500);
    }
}

static void
test_random_text_gives_a_prefix_that_reads_back_or_nothing (void)
{
  static const char alphabet[] = "0123456789abcdef:./%x ";

  for (guint round = 0; round < 20000; round++)
    {
      g_autoptr (GError) error = NULL;
      VmsanNetPrefix prefix;
      char text[24] = { 0 };
      guint length = g_test_rand_int_range (0, sizeof text - 1);

      for (guint i = 0; i < length; i++)
        text[i] = alphabet[g_test_rand_int_range (0, sizeof alphabet - 1)];
      if (vmsan_net_prefix_parse (text, &prefix, &error))
        {
          g_autofree char *string = vmsan_net_prefix_to_string (&prefix);
          VmsanNetPrefix again = parse (string);

          g_assert_cmpmem (&again, sizeof again, &prefix, sizeof prefix);
        }
      else
        g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_overlap_and_containment (void)
{
  static const struct
  {
    const char *a;
    const char *b;
    gboolean overlap;
    gboolean a_has_b;
    gboolean b_has_a;
  } cases[] = {
    { "10.0.0.0/8", "10.1.0.0/16", TRUE, TRUE, FALSE },
    { "10.0.0.0/8", "10.0.0.0/8", TRUE, TRUE, TRUE },
    { "10.0.0.0/8", "11.0.0.0/8", FALSE, FALSE, FALSE },
    { "10.0.0.0/15", "10.1.0.0/16", TRUE, TRUE, FALSE },
    { "10.0.0.0/15", "10.2.0.0/16", FALSE, FALSE, FALSE },
    { "0.0.0.0/0", "255.255.255.255", TRUE, TRUE, FALSE },
    { "192.0.2.128/25", "192.0.2.127", FALSE, FALSE, FALSE },
    { "192.0.2.128/25", "192.0.2.128", TRUE, TRUE, FALSE },
    { "0.0.0.0/0", "::/0", FALSE, FALSE, FALSE },
    { "0.0.0.0/0", "::1", FALSE, FALSE, FALSE },
    { "::/0", "2001:db8::1", TRUE, TRUE, FALSE },
    { "2001:db8::/33", "2001:db8:8000::/33", FALSE, FALSE, FALSE },
    { "2001:db8::1", "2001:db8::1", TRUE, TRUE, TRUE },
    { "2001:db8::1", "2001:db8::2", FALSE, FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VmsanNetPrefix a = parse (cases[i].a);
      VmsanNetPrefix b = parse (cases[i].b);

      g_assert_cmpint (vmsan_net_prefix_overlaps (&a, &b), ==, cases[i].overlap);
      g_assert_cmpint (vmsan_net_prefix_overlaps (&b, &a), ==, cases[i].overlap);
      g_assert_cmpint (vmsan_net_prefix_contains (&a, &b), ==, cases[i].a_has_b);
      g_assert_cmpint (vmsan_net_prefix_contains (&b, &a), ==, cases[i].b_has_a);
    }
}

/* ---- Pools --------------------------------------------------------------------------------- */

static void
test_slots_of_a_pool (void)
{
  static const struct
  {
    const char *pool4;
    const char *pool6;
    guint n;
  } cases[] = {
    { "198.18.0.0/16", "", 16384 },        { "198.18.0.0/16", NULL, 16384 },
    { "10.0.0.0/8", "", 4194304 },         { "192.168.7.16/28", "", 4 },
    { "10.0.0.0/8", "fd00::/112", 16384 }, { "10.0.0.0/8", "fd00::/32", 4194304 },
    { "192.168.7.16/28", "fd00::/64", 4 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      VmsanNetPools pools;

      g_assert_true (vmsan_net_pools_parse (cases[i].pool4, cases[i].pool6, &pools, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (vmsan_net_pools_get_n_slots (&pools), ==, cases[i].n);
    }
}

static void
test_addresses_of_first_and_last_slots (void)
{
  VmsanNetSlotAddresses addresses;
  VmsanNetPools pools;

  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", "fd12:3456:789a::/48", &pools, NULL));
  vmsan_net_pools_get_addresses (&pools, 0, &addresses);
  g_assert_cmpstr (addresses.host4, ==, "198.18.0.1");
  g_assert_cmpstr (addresses.own4, ==, "198.18.0.2");
  g_assert_cmpstr (addresses.host6, ==, "fd12:3456:789a::1");
  g_assert_cmpstr (addresses.own6, ==, "fd12:3456:789a::2");
  vmsan_net_pools_get_addresses (&pools, 64, &addresses);
  g_assert_cmpstr (addresses.host4, ==, "198.18.1.1");
  g_assert_cmpstr (addresses.host6, ==, "fd12:3456:789a::101");
  vmsan_net_pools_get_addresses (&pools, 16383, &addresses);
  g_assert_cmpstr (addresses.host4, ==, "198.18.255.253");
  g_assert_cmpstr (addresses.own4, ==, "198.18.255.254");
  g_assert_cmpstr (addresses.own6, ==, "fd12:3456:789a::fffe");

  g_assert_true (vmsan_net_pools_parse ("10.0.0.0/8", "", &pools, NULL));
  vmsan_net_pools_get_addresses (&pools, 4194303, &addresses);
  g_assert_cmpstr (addresses.own4, ==, "10.255.255.254");
  g_assert_cmpstr (addresses.host6, ==, "");
  g_assert_cmpstr (addresses.own6, ==, "");
}

/* Slots must not share a link's prefix, or a machine would answer for its neighbour. */
static void
test_every_slot_is_a_link_of_its_own (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  VmsanNetPools pools;

  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/18", "fd00:0:0:1::/112", &pools, NULL));
  for (guint slot = 0; slot < vmsan_net_pools_get_n_slots (&pools); slot++)
    {
      VmsanNetSlotAddresses addresses;
      const char *texts[4] = { addresses.host4, addresses.own4, addresses.host6, addresses.own6 };
      VmsanNetPrefix parsed[4];

      vmsan_net_pools_get_addresses (&pools, slot, &addresses);
      for (guint i = 0; i < 4; i++)
        {
          parsed[i] = parse (texts[i]);
          g_assert_true (g_hash_table_add (seen, g_strdup (texts[i])));
          g_assert_true (
              vmsan_net_prefix_contains (i < 2 ? &pools.pool4 : &pools.pool6, &parsed[i]));
        }
      g_assert_cmpuint (parsed[0].bytes[3] / 4, ==, parsed[1].bytes[3] / 4);
      g_assert_cmpuint (parsed[0].bytes[3] % 4, ==, 1);
      g_assert_cmpuint (parsed[3].bytes[15] % 4, ==, 2);
    }
}

static void
test_pools_that_cannot_work_are_refused (void)
{
  static const char *const cases[][3] = {
    { "", "", "no IP address" },
    { "198.18.0.0", "", "/8 to /28" },
    { "198.0.0.0/7", "", "/8 to /28" },
    { "198.18.0.0/29", "", "/8 to /28" },
    { "198.18.0.1/16", "", "after its prefix" },
    { "fd00::/64", "", "IPv4" },
    { "198.18.0.0/16", "198.19.0.0/16", "IPv6" },
    { "198.18.0.0/16", "fd00::/31", "/32 to /112" },
    { "198.18.0.0/16", "fd00::/113", "/32 to /112" },
    { "127.0.0.0/8", "", "loopback" },
    { "127.1.0.0/16", "", "loopback" },
    { "0.0.0.0/8", "", "this network" },
    { "169.254.0.0/16", "", "link-local" },
    { "224.0.0.0/8", "", "multicast" },
    { "255.255.255.0/24", "", "reserved" },
    { "192.0.0.0/24", "", "inside each machine" },
    { "192.0.0.0/28", "", "inside each machine" },
    { "198.18.0.0/16", "fe80::/64", "link-local" },
    { "198.18.0.0/16", "ff02::/64", "multicast" },
    { "198.18.0.0/16", "::/64", "loopback" },
    { "198.18.0.0/16", "fd76:6d73:616e::/48", "inside each machine" },
    { "198.18.0.0/16", "fd76:6d73:616e::/112", "inside each machine" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      VmsanNetPools pools = { .has_pool6 = 42 };
      g_autoptr (GError) error = NULL;

      g_assert_false (vmsan_net_pools_parse (cases[i][0], cases[i][1], &pools, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      if (strstr (error->message, cases[i][2]) == NULL)
        g_error ("%s, %s: %s", cases[i][0], cases[i][1], error->message);
      g_assert_cmpint (pools.has_pool6, ==, 42);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/address/what-is-accepted-is-written-the-same-way",
                   test_what_is_accepted_is_written_the_same_way);
  g_test_add_func ("/net/address/what-is-wrong-is-refused-by-value-and-rule",
                   test_what_is_wrong_is_refused_by_value_and_rule);
  g_test_add_func ("/net/address/messages-stay-short-and-valid",
                   test_messages_stay_short_and_valid);
  g_test_add_func ("/net/address/random-text-gives-a-prefix-that-reads-back-or-nothing",
                   test_random_text_gives_a_prefix_that_reads_back_or_nothing);
  g_test_add_func ("/net/address/overlap-and-containment", test_overlap_and_containment);
  g_test_add_func ("/net/pools/slots-of-a-pool", test_slots_of_a_pool);
  g_test_add_func ("/net/pools/addresses-of-first-and-last-slots",
                   test_addresses_of_first_and_last_slots);
  g_test_add_func ("/net/pools/every-slot-is-a-link-of-its-own",
                   test_every_slot_is_a_link_of_its_own);
  g_test_add_func ("/net/pools/pools-that-cannot-work-are-refused",
                   test_pools_that_cannot_work_are_refused);
  return g_test_run ();
}
