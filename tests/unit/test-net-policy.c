/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What callers may ask for, what it means, and what is refused by which words. */

#include "net/net-domain.h"
#include "net/net-policy.h"
#include "sys/error.h"

#include <string.h>

static VmsanNetPools pools;

static GVariant *
parse_text (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *options = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (vmsan_options_check (options, vmsan_net_policy_options, &error));
  g_assert_no_error (error);
  return options;
}

static VmsanNetPolicy *
change (const VmsanNetPolicy *old, const char *text)
{
  g_autoptr (GVariant) options = parse_text (text);
  g_autoptr (GError) error = NULL;
  VmsanNetPolicy *policy = vmsan_net_policy_parse (options, old, &pools, &error);

  g_assert_no_error (error);
  g_assert_nonnull (policy);
  return policy;
}

static VmsanNetPolicy *
make (const char *text)
{
  return change (NULL, text);
}

static void
assert_is (const VmsanNetPolicy *policy, const char *text)
{
  g_autoptr (GVariant) options = g_variant_ref_sink (vmsan_net_policy_to_variant (policy));
  g_autoptr (GVariant) expected = parse_text (text);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, expected);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value))
    {
      g_autoptr (GVariant) owned = value;
      g_autoptr (GVariant) found = g_variant_lookup_value (options, key, NULL);
      g_autofree char *want = g_variant_print (owned, FALSE);
      g_autofree char *have = g_variant_print (found, FALSE);

      g_assert_cmpstr (have, ==, want);
    }
}

static void
assert_refused_after (const VmsanNetPolicy *old, const char *text, const char *a, const char *b)
{
  g_autoptr (GVariant) options = parse_text (text);
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_net_policy_parse (options, old, &pools, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  if (strstr (error->message, a) == NULL || strstr (error->message, b) == NULL)
    g_error ("%s: “%s” names not both “%s” and “%s”", text, error->message, a, b);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_cmpuint (strlen (error->message), <, 600);
}

/* ---- What it means ------------------------------------------------------------------------- */

static void
test_the_table_of_policies (void)
{
  static const struct
  {
    const char *options;
    const char *policy;
  } cases[] = {
    { "{}", "{'network': <'nat'>, 'network-policy': <'allow-all'>, 'allow-icmp': <true>,"
            " 'bandwidth-mbit': <uint32 0>, 'skip-dnat': <false>}" },
    { "{'network-policy': <'deny-all'>}", "{'network-policy': <'deny-all'>}" },
    { "{'network-policy': <'custom'>}",
      "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>}" },
    { "{'allowed-cidrs': <['192.0.2.0/24', '2001:db8::1']>}",
      "{'network-policy': <'custom'>, 'allowed-cidrs': <['192.0.2.0/24', '2001:db8::1/128']>}" },
    { "{'network-policy': <'allow-all'>, 'allowed-domains': <['Example.COM.']>}",
      "{'network-policy': <'custom'>, 'allowed-domains': <['example.com']>}" },
    { "{'denied-cidrs': <['10.0.0.0/8']>}",
      "{'network-policy': <'custom'>, 'allowed-cidrs': <['0.0.0.0/0', '::/0']>,"
      " 'denied-cidrs': <['10.0.0.0/8']>}" },
    { "{'network-policy': <'custom'>, 'denied-cidrs': <['10.0.0.0/8']>}",
      "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>}" },
    { "{'denied-cidrs': <['10.0.0.0/8']>, 'allowed-domains': <['a.b']>}",
      "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>}" },
    { "{'allowed-cidrs': <@as []>, 'denied-cidrs': <@as []>, 'allowed-domains': <@as []>}",
      "{'network-policy': <'allow-all'>}" },
    { "{'network-policy': <'deny-all'>, 'allowed-cidrs': <@as []>}",
      "{'network-policy': <'deny-all'>}" },
    { "{'allowed-cidrs': <['1.2.3.4', '1.2.3.4/32']>, 'allowed-domains': <['a.b', 'A.b.']>}",
      "{'allowed-cidrs': <['1.2.3.4/32']>, 'allowed-domains': <['a.b']>}" },
    { "{'network': <'none'>}",
      "{'network': <'none'>, 'network-policy': <'deny-all'>, 'allow-icmp': <false>}" },
    { "{'published-ports': <['8080:80', '8080:53/udp', '0.0.0.0:9000:9', '[::]:9000:9/tcp']>,"
      " 'skip-dnat': <true>, 'bandwidth-mbit': <uint32 100>, 'allow-icmp': <false>}",
      "{'published-ports': <['127.0.0.1:8080:80/tcp', '127.0.0.1:8080:53/udp',"
      " '0.0.0.0:9000:9/tcp', '[::]:9000:9/tcp']>, 'skip-dnat': <true>,"
      " 'bandwidth-mbit': <uint32 100>, 'allow-icmp': <false>, 'network-policy': <'allow-all'>}" },
    { "{'denied-cidrs': <['198.18.0.0/15', 'fd00::/8']>}",
      "{'denied-cidrs': <['198.18.0.0/15', 'fd00::/8']>}" },
    { "{'allowed-cidrs': <['128.0.0.0/1', 'fc00::/7']>}",
      "{'allowed-cidrs': <['128.0.0.0/1', 'fc00::/7']>}" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VmsanNetPolicy) policy = make (cases[i].options);

      assert_is (policy, cases[i].policy);
    }
}

static void
test_changes_keep_what_they_do_not_name (void)
{
  g_autoptr (VmsanNetPolicy) first =
      make ("{'allowed-cidrs': <['192.0.2.0/24']>, 'denied-cidrs': <['192.0.2.9']>,"
            " 'published-ports': <['8080:80']>, 'allow-icmp': <false>}");
  g_autoptr (VmsanNetPolicy) second = change (first, "{'allowed-domains': <['a.example']>}");
  g_autoptr (VmsanNetPolicy) third = change (second, "{'network-policy': <'custom'>,"
                                                     " 'allowed-cidrs': <@as []>}");
  g_autoptr (VmsanNetPolicy) closed = change (third, "{'network-policy': <'deny-all'>}");
  g_autoptr (VmsanNetPolicy) open = change (third, "{'network-policy': <'allow-all'>}");
  g_autoptr (VmsanNetPolicy) reopened = change (closed, "{'denied-cidrs': <['10.0.0.0/8']>}");
  g_autoptr (VmsanNetPolicy) emptied = change (first, "{'allowed-cidrs': <@as []>}");
  g_autoptr (VmsanNetPolicy) moved = change (first, "{'published-ports': <['8081:80']>}");
  g_autoptr (VmsanNetPolicy) taken_back = change (moved, "{'published-ports': <@as []>}");

  assert_is (second, "{'network-policy': <'custom'>, 'allowed-cidrs': <['192.0.2.0/24']>,"
                     " 'denied-cidrs': <['192.0.2.9/32']>, 'allowed-domains': <['a.example']>,"
                     " 'published-ports': <['127.0.0.1:8080:80/tcp']>, 'allow-icmp': <false>}");
  assert_is (third, "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>,"
                    " 'denied-cidrs': <['192.0.2.9/32']>, 'allowed-domains': <['a.example']>}");
  assert_is (closed, "{'network-policy': <'deny-all'>, 'denied-cidrs': <@as []>,"
                     " 'published-ports': <['127.0.0.1:8080:80/tcp']>}");
  assert_is (open, "{'network-policy': <'allow-all'>, 'allowed-domains': <@as []>}");
  /* What was closed is not opened by a list of what stays closed. */
  assert_is (reopened, "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>}");
  assert_is (emptied, "{'network-policy': <'custom'>, 'allowed-cidrs': <@as []>,"
                      " 'denied-cidrs': <['192.0.2.9/32']>}");
  assert_is (moved, "{'network-policy': <'custom'>, 'allowed-cidrs': <['192.0.2.0/24']>,"
                    " 'published-ports': <['127.0.0.1:8081:80/tcp']>}");
  assert_is (taken_back, "{'network-policy': <'custom'>, 'published-ports': <@as []>}");
  assert_is (first, "{'allowed-cidrs': <['192.0.2.0/24']>, 'allowed-domains': <@as []>,"
                    " 'published-ports': <['127.0.0.1:8080:80/tcp']>}");
}

static void
test_a_record_reads_back_as_the_same (void)
{
  static const char *const texts[] = {
    "{}",
    "{'network': <'none'>}",
    "{'network-policy': <'deny-all'>, 'published-ports': <['[2001:db8::1]:8080:80/udp']>}",
    "{'network-policy': <'custom'>, 'denied-cidrs': <['10.0.0.0/8']>}",
    "{'denied-cidrs': <['10.0.0.0/8']>, 'skip-dnat': <true>, 'bandwidth-mbit': <uint32 7>}",
    "{'allowed-domains': <['*.example.com', 'example.com', '_x.y-z']>}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (VmsanNetPolicy) policy = make (texts[i]);
      g_autoptr (GVariant) options = g_variant_ref_sink (vmsan_net_policy_to_variant (policy));
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanNetPolicy) again = vmsan_net_policy_parse (options, NULL, NULL, &error);
      g_autoptr (VmsanNetPolicy) other = make ("{'bandwidth-mbit': <uint32 8>}");

      g_assert_no_error (error);
      g_assert_true (vmsan_net_policy_equal (policy, again));
      g_assert_false (vmsan_net_policy_equal (policy, other));
      g_assert_cmpuint (g_variant_n_children (options), ==, 9);
      g_assert_true (vmsan_options_check (options, vmsan_net_policy_options, NULL));
    }
}

static void
test_policies_that_differ_are_not_equal (void)
{
  static const char *const texts[] = {
    "{}",
    "{'network': <'none'>}",
    "{'network-policy': <'deny-all'>}",
    "{'network-policy': <'custom'>}",
    "{'allow-icmp': <false>}",
    "{'skip-dnat': <true>}",
    "{'bandwidth-mbit': <uint32 1>}",
    "{'allowed-cidrs': <['1.0.0.0/8']>}",
    "{'allowed-cidrs': <['1.0.0.0/9']>}",
    "{'allowed-cidrs': <['::/8']>}",
    "{'network-policy': <'custom'>, 'denied-cidrs': <['1.0.0.0/8']>}",
    "{'allowed-domains': <['a.b']>}",
    "{'allowed-domains': <['*.a.b']>}",
    "{'published-ports': <['8080:80']>}",
    "{'published-ports': <['8080:80/udp']>}",
    "{'published-ports': <['8080:81']>}",
    "{'published-ports': <['8081:80']>}",
    "{'published-ports': <['127.0.0.2:8080:80']>}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (texts); j++)
      {
        g_autoptr (VmsanNetPolicy) a = make (texts[i]);
        g_autoptr (VmsanNetPolicy) b = make (texts[j]);

        if (vmsan_net_policy_equal (a, b) != (i == j))
          g_error ("%s and %s", texts[i], texts[j]);
      }
}

static void
test_live_options_are_those_that_can_change (void)
{
  guint n_live = 0, n_all = 0;

  for (const VmsanOption *option = vmsan_net_policy_live_options; option->key != NULL; option++)
    {
      g_assert_cmpstr (option->key, !=, "network");
      n_live++;
    }
  for (const VmsanOption *option = vmsan_net_policy_options; option->key != NULL; option++)
    n_all++;
  g_assert_cmpuint (n_live + 1, ==, n_all);
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void
test_what_is_wrong_is_refused_by_option_value_and_rule (void)
{
  static const struct
  {
    const char *options;
    const char *value;
    const char *rule;
  } cases[] = {
    { "{'network': <'bridge'>}", "bridge", "nat, none" },
    { "{'network': <''>}", "Option “network”", "nat, none" },
    { "{'network-policy': <'allow'>}", "“allow”", "allow-all, deny-all, custom" },
    { "{'allowed-cidrs': <['192.0.2.1/24']>}", "Option “allowed-cidrs”: “192.0.2.1/24”",
      "prefix length" },
    { "{'denied-cidrs': <['1.2.3.4', '2001:db8::1/64']>}", "Option “denied-cidrs”", "2001:db8::1" },
    { "{'denied-cidrs': <['10.0.0.0/33']>}", "10.0.0.0/33", "0 to 32" },
    { "{'allowed-cidrs': <['example.com']>}", "example.com", "no IP address" },
    { "{'allowed-cidrs': <['198.18.0.0/16']>}", "198.18.0.0/16", "overlaps the pool" },
    { "{'allowed-cidrs': <['198.18.0.1']>}", "198.18.0.1", "overlaps the pool" },
    { "{'allowed-cidrs': <['198.18.0.0/15']>}", "198.18.0.0/15", "overlaps the pool" },
    { "{'allowed-cidrs': <['198.0.0.0/8']>}", "198.0.0.0/8", "overlaps the pool" },
    { "{'denied-cidrs': <['198.18.7.0/24']>}", "198.18.7.0/24", "overlaps the pool" },
    { "{'denied-cidrs': <['198.18.0.0/16']>}", "198.18.0.0/16", "overlaps the pool" },
    { "{'allowed-cidrs': <['fd12:3456:789a::/48']>}", "fd12:3456:789a::/48", "overlaps the pool" },
    { "{'allowed-cidrs': <['192.0.0.0/24']>}", "192.0.0.0/24", "link inside" },
    { "{'allowed-cidrs': <['fd76:6d73:616e::1']>}", "fd76:6d73:616e::1", "link inside" },
    { "{'network-policy': <'deny-all'>, 'allowed-cidrs': <['1.2.3.4']>}", "deny-all", "custom" },
    { "{'network-policy': <'deny-all'>, 'denied-cidrs': <['1.2.3.4']>}", "deny-all", "custom" },
    { "{'network-policy': <'deny-all'>, 'allowed-domains': <['a.b']>}", "deny-all", "custom" },
    { "{'network': <'none'>, 'network-policy': <'allow-all'>}", "network-policy", "none" },
    { "{'network': <'none'>, 'allowed-domains': <['a.b']>}", "allowed-domains", "none" },
    { "{'network': <'none'>, 'published-ports': <['8080:80']>}", "published-ports", "none" },
    { "{'network': <'none'>, 'bandwidth-mbit': <uint32 1>}", "bandwidth-mbit", "none" },
    { "{'network': <'none'>, 'allow-icmp': <true>}", "allow-icmp", "none" },
    { "{'network': <'none'>, 'skip-dnat': <true>}", "skip-dnat", "none" },
    { "{'bandwidth-mbit': <uint32 1000001>}", "bandwidth-mbit", "1000000" },
    { "{'published-ports': <['8080:80', '0.0.0.0:8080:81']>}", "0.0.0.0:8080:81",
      "same host port" },
    { "{'published-ports': <['8080:80', '8080:80']>}", "8080:80", "same host port" },
    { "{'published-ports': <['[::]:8080:80', '[2001:db8::1]:8080:80']>}", "[2001:db8::1]:8080:80",
      "same host port" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_refused_after (NULL, cases[i].options, cases[i].value, cases[i].rule);
}

static void
test_ports_that_are_none_are_refused (void)
{
  static const char *const cases[][2] = {
    { "", "form" },
    { "80", "form" },
    { "8080:", "1 to 65535" },
    { ":80", "1 to 65535" },
    { ":", "1 to 65535" },
    { "8080:0", "1 to 65535" },
    { "0:80", "1 to 65535" },
    { "65536:80", "1 to 65535" },
    { "8080:65536", "1 to 65535" },
    { "8080:4294967376", "1 to 65535" },
    { "+8080:80", "1 to 65535" },
    { "08080:80", "1 to 65535" },
    { "8080: 80", "1 to 65535" },
    { "8080:80-90", "1 to 65535" },
    { "8080-8090:80", "1 to 65535" },
    { "8080:80/sctp", "form" },
    { "8080:80/", "form" },
    { "8080:80/TCP", "form" },
    { "8080:80/tcp/udp", "form" },
    { "localhost:8080:80", "address" },
    { ":8080:80", "address" },
    { "127.1:8080:80", "address" },
    { "1.2.3.0/24:8080:80", "form" },
    { "2001:db8::1:8080:80", "form" },
    { "[127.0.0.1]:8080:80", "form" },
    { "[]:8080:80", "form" },
    { "[::1:8080:80", "form" },
    { "::1]:8080:80", "form" },
    { "[fe80::1%eth0]:8080:80", "address" },
    { "[fe80::1]:8080:80", "link-local" },
    { "[ff02::1]:8080:80", "multicast" },
    { "224.0.0.1:8080:80", "multicast" },
    { "255.255.255.255:8080:80", "reserved" },
    { "[::1]:8080:80", "loopback" },
    { "198.18.0.1:8080:80", "pool" },
    { "[fd12:3456:789a::1]:8080:80", "pool" },
    { "8080:80\n", "1 to 65535" },
    { "8080:80 accept", "1 to 65535" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *text = g_strdup_printf ("{'published-ports': <['%s']>}", cases[i][0]);

      assert_refused_after (NULL, text, "Option “published-ports”", cases[i][1]);
    }
}

static void
assert_may (const VmsanNetPolicy *policy, const VmsanNetPolicy *old, uid_t caller, gboolean may)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (vmsan_net_policy_check_caller (policy, old, caller, &error), ==, may);
  if (may)
    {
      g_assert_no_error (error);
      return;
    }
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "only root"));
}

static void
test_low_ports_are_for_root_to_publish (void)
{
  g_autoptr (VmsanNetPolicy) high = make ("{'published-ports': <['1024:80', '8080:22']>}");
  g_autoptr (VmsanNetPolicy) low = make ("{'published-ports': <['1023:80']>}");
  g_autoptr (VmsanNetPolicy) more = make ("{'published-ports': <['1023:80', '8080:22']>}");
  g_autoptr (VmsanNetPolicy) other = make ("{'published-ports': <['0.0.0.0:1023:80']>}");

  assert_may (high, NULL, 1000, TRUE);
  assert_may (low, NULL, 1000, FALSE);
  assert_may (low, NULL, 0, TRUE);
  assert_may (low, high, 1000, FALSE);
  assert_may (more, low, 1000, TRUE);
  assert_may (other, low, 1000, FALSE);
}

static void
test_ipv6_ports_need_ipv6_machines (void)
{
  g_autoptr (GVariant) options = parse_text ("{'published-ports': <['[::]:8080:80']>}");
  g_autoptr (GError) error = NULL;
  VmsanNetPools pools4;

  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", "", &pools4, NULL));
  g_assert_null (vmsan_net_policy_parse (options, NULL, &pools4, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "IPv6Pool"));
}

static void
test_a_machine_without_a_network_gets_no_policy (void)
{
  g_autoptr (VmsanNetPolicy) none = make ("{'network': <'none'>}");
  g_autoptr (VmsanNetPolicy) same = change (none, "{'network-policy': <'deny-all'>}");

  g_assert_true (vmsan_net_policy_equal (none, same));
  assert_refused_after (none, "{'network-policy': <'allow-all'>}", "network-policy", "none");
  assert_refused_after (none, "{'allowed-cidrs': <['1.2.3.4']>}", "allowed-cidrs", "none");
}

static char *
list_of (const char *key, guint n, const char *format)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "{'%s': <[", key);
  for (guint i = 0; i < n; i++)
    {
      g_string_append (text, i > 0 ? ", '" : "'");
      g_string_append_printf (text, "10.%u.%u.0", i / 256, i % 256);
      g_string_append (text, format);
      g_string_append_c (text, '\'');
    }
  g_string_append (text, "]>}");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
test_lists_have_a_longest_length (void)
{
  g_autofree char *most = list_of ("denied-cidrs", VMSAN_NET_MAX_CIDRS, "/24");
  g_autofree char *cidrs = list_of ("denied-cidrs", VMSAN_NET_MAX_CIDRS + 1, "/24");
  g_autofree char *domains = list_of ("allowed-domains", VMSAN_NET_MAX_DOMAINS + 1, ".com");
  g_autofree char *ports = list_of ("published-ports", VMSAN_NET_MAX_PORTS + 1, ":8080:80");
  g_autoptr (VmsanNetPolicy) policy = make (most);

  g_assert_cmpuint (policy->denied_cidrs->len, ==, VMSAN_NET_MAX_CIDRS);
  assert_refused_after (NULL, cidrs, "denied-cidrs", "1024");
  assert_refused_after (NULL, domains, "allowed-domains", "256");
  assert_refused_after (NULL, ports, "published-ports", "64");
}

static void
test_domains_that_are_none_are_refused (void)
{
  g_autofree char *label64 = g_strnfill (64, 'a');
  g_autofree char *label63 = g_strnfill (63, 'a');
  g_autofree char *name254 =
      g_strconcat (label63, ".", label63, ".", label63, ".", label63 + 2, ".", NULL);
  g_autofree char *longest =
      g_strconcat (label63, ".", label63, ".", label63, ".", label63 + 2, NULL);
  g_autofree char *too_long = g_strconcat ("b", longest, NULL);
  g_autofree char *huge = g_strnfill (1 << 20, 'a');
  const char *cases[] = {
    "",           ".",     "..",     "a..b",  ".a.b",   "a.b..",       "*",
    "*.",         "*.*.a", "a.*.b",  "*a.b",  "a*.b",   "**.a",        "a b",
    "a.b/c",      "a/b",   "a#b",    "a,b",   "a;b",    "a\nb",        "a\"b",
    "a{b",        "-a.b",  "a-.b",   "a.-b",  "a.b-",   "exämple.de",  "1.2.3.4",
    "10.0.0.0/8", "a.1",   "::1",    "[::1]", "a.b:80", "https://a.b", "*.1.2.3.4",
    "\xff.com",   label64, too_long, huge,    "a.b\t",  " a.b",        "1",
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      if (vmsan_net_domain_parse (cases[i], &error) != NULL)
        g_error ("“%.80s” is accepted", cases[i]);
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_cmpuint (strlen (error->message), <, 600);
    }
  {
    g_autoptr (GError) error = NULL;
    g_autofree char *accepted = vmsan_net_domain_parse (name254, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (accepted, ==, longest);
  }
}

/* ---- Names --------------------------------------------------------------------------------- */

static void
test_the_verdict_table_for_names (void)
{
  static const struct
  {
    const char *name;
    gboolean allowed;
  } cases[] = {
    { "example.com", TRUE },
    { "example.com.", TRUE },
    { "EXAMPLE.com", TRUE },
    { "ExAmPlE.CoM.", TRUE },
    { "example.com..", FALSE },
    { "notexample.com", FALSE },
    { "not-example.com", FALSE },
    { "example.com.evil.test", FALSE },
    { "example.comx", FALSE },
    { "www.example.com", FALSE },
    { "com", FALSE },
    { "example", FALSE },
    { "", FALSE },
    { ".", FALSE },
    { ".example.com", FALSE },
    { "a.wild.test", TRUE },
    { "A.B.Wild.Test.", TRUE },
    { "a.b.c.d.wild.test", TRUE },
    { "wild.test", FALSE },
    { "wild.test.", FALSE },
    { ".wild.test", FALSE },
    { "a..wild.test", FALSE },
    { "awild.test", FALSE },
    { "a.wild.test.evil.test", FALSE },
    { "*.wild.test", TRUE }, /* a name like any other, below wild.test */
    { "_dmarc.wild.test", TRUE },
    { "both.test", TRUE },
    { "a.both.test", TRUE },
  };
  g_autoptr (VmsanNetPolicy) policy =
      make ("{'allowed-domains': <['example.com', '*.Wild.test', 'both.test', '*.both.test']>}");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    if (vmsan_net_policy_allows_name (policy, cases[i].name) != cases[i].allowed)
      g_error ("“%s” is %s", cases[i].name, cases[i].allowed ? "refused" : "allowed");
}

static void
test_which_policy_resolves_what (void)
{
  static const struct
  {
    const char *options;
    VmsanNetNames names;
  } cases[] = {
    { "{}", VMSAN_NET_NAMES_ALL },
    { "{'network': <'none'>}", VMSAN_NET_NAMES_NONE },
    { "{'network-policy': <'deny-all'>}", VMSAN_NET_NAMES_NONE },
    { "{'network-policy': <'custom'>}", VMSAN_NET_NAMES_NONE },
    { "{'allowed-cidrs': <['1.2.3.4', '0.0.0.0/1', '2000::/3']>}", VMSAN_NET_NAMES_NONE },
    { "{'allowed-cidrs': <['::/0']>}", VMSAN_NET_NAMES_ALL },
    { "{'denied-cidrs': <['10.0.0.0/8']>}", VMSAN_NET_NAMES_ALL },
    { "{'allowed-cidrs': <['0.0.0.0/0']>, 'allowed-domains': <['a.b']>}", VMSAN_NET_NAMES_LISTED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (VmsanNetPolicy) policy = make (cases[i].options);
      gboolean all = cases[i].names == VMSAN_NET_NAMES_ALL;

      g_assert_cmpint (vmsan_net_policy_get_names (policy), ==, cases[i].names);
      g_assert_cmpint (vmsan_net_policy_allows_name (policy, "other.test"), ==, all);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", "fd12:3456:789a::/48", &pools, NULL));
  g_test_add_func ("/net/policy/the-table-of-policies", test_the_table_of_policies);
  g_test_add_func ("/net/policy/changes-keep-what-they-do-not-name",
                   test_changes_keep_what_they_do_not_name);
  g_test_add_func ("/net/policy/a-record-reads-back-as-the-same",
                   test_a_record_reads_back_as_the_same);
  g_test_add_func ("/net/policy/policies-that-differ-are-not-equal",
                   test_policies_that_differ_are_not_equal);
  g_test_add_func ("/net/policy/live-options-are-those-that-can-change",
                   test_live_options_are_those_that_can_change);
  g_test_add_func ("/net/policy/what-is-wrong-is-refused-by-option-value-and-rule",
                   test_what_is_wrong_is_refused_by_option_value_and_rule);
  g_test_add_func ("/net/policy/ports-that-are-none-are-refused",
                   test_ports_that_are_none_are_refused);
  g_test_add_func ("/net/policy/low-ports-are-for-root-to-publish",
                   test_low_ports_are_for_root_to_publish);
  g_test_add_func ("/net/policy/ipv6-ports-need-ipv6-machines", test_ipv6_ports_need_ipv6_machines);
  g_test_add_func ("/net/policy/a-machine-without-a-network-gets-no-policy",
                   test_a_machine_without_a_network_gets_no_policy);
  g_test_add_func ("/net/policy/lists-have-a-longest-length", test_lists_have_a_longest_length);
  g_test_add_func ("/net/policy/domains-that-are-none-are-refused",
                   test_domains_that_are_none_are_refused);
  g_test_add_func ("/net/policy/the-verdict-table-for-names", test_the_verdict_table_for_names);
  g_test_add_func ("/net/policy/which-policy-resolves-what", test_which_policy_resolves_what);
  return g_test_run ();
}
