/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ranges, what policies say about addresses, and the text that becomes of it. What it does to
 * packets is shown elsewhere. */

#include "net/net-host-rules.h"
#include "net/net-reach.h"
#include "net/net-resolvers.h"
#include "net/net-rules.h"
#include "sys/error.h"

#include <string.h>

static VmsanNetPools pools;

static VmsanNetPrefix
parse (const char *text)
{
  VmsanNetPrefix prefix = { 0 };

  if (!vmsan_net_prefix_parse (text, &prefix, NULL))
    g_error ("“%s” is no prefix", text);
  return prefix;
}

static VmsanNetPolicy *
make_policy (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) options = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);
  VmsanNetPolicy *policy;

  g_assert_no_error (error);
  policy = vmsan_net_policy_parse (options, NULL, &pools, &error);
  g_assert_no_error (error);
  return policy;
}

/* ---- Ranges -------------------------------------------------------------------------------- */

static GArray *
make_ranges (const char *text, int family)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  g_autoptr (GArray) prefixes = g_array_new (FALSE, FALSE, sizeof (VmsanNetPrefix));

  for (guint i = 0; words[i] != NULL; i++)
    {
      VmsanNetPrefix prefix;

      if (*words[i] == '\0')
        continue;
      prefix = parse (words[i]);
      g_array_append_val (prefixes, prefix);
    }
  return vmsan_net_ranges_new (prefixes, family);
}

static void
test_differences_by_example (void)
{
  static const struct
  {
    int family;
    const char *a;
    const char *b;
    const char *result;
  } cases[] = {
    { AF_INET, "", "", "" },
    { AF_INET, "10.0.0.0/8", "", "10.0.0.0-10.255.255.255" },
    { AF_INET, "", "10.0.0.0/8", "" },
    { AF_INET, "1.2.3.4", "", "1.2.3.4" },
    { AF_INET, "10.0.0.0/8", "10.0.0.0/8", "" },
    { AF_INET, "10.0.0.0/8", "0.0.0.0/0", "" },
    { AF_INET, "0.0.0.0/0", "10.0.0.0/8", "0.0.0.0-9.255.255.255, 11.0.0.0-255.255.255.255" },
    { AF_INET, "0.0.0.0/0", "0.0.0.0 255.255.255.255", "0.0.0.1-255.255.255.254" },
    { AF_INET, "1.0.0.0/24 1.0.1.0/24", "", "1.0.0.0-1.0.1.255" },
    { AF_INET, "1.0.1.0/24 1.0.0.0/23 1.0.0.7", "", "1.0.0.0-1.0.1.255" },
    { AF_INET, "1.0.0.0/24 1.0.2.0/24", "1.0.0.128/25 1.0.1.0/24 1.0.2.0/25",
      "1.0.0.0-1.0.0.127, 1.0.2.128-1.0.2.255" },
    { AF_INET, "1.0.0.0/30", "1.0.0.1 1.0.0.3", "1.0.0.0, 1.0.0.2" },
    { AF_INET, "1.0.0.0/24 ::/0", "::/0", "1.0.0.0-1.0.0.255" },
    { AF_INET6, "::/0", "", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    { AF_INET6, "::/0", "::/1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
      "8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe" },
    { AF_INET6, "2600::/16", "2600:1::/32",
      "2600::-2600:0:ffff:ffff:ffff:ffff:ffff:ffff, "
      "2600:2::-2600:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GArray) a = make_ranges (cases[i].a, cases[i].family);
      g_autoptr (GArray) b = make_ranges (cases[i].b, cases[i].family);
      g_autoptr (GArray) difference = vmsan_net_ranges_subtract (a, b, cases[i].family);
      g_autofree char *text = vmsan_net_ranges_to_string (difference, cases[i].family);

      g_assert_cmpstr (text, ==, cases[i].result);
    }
}

/* Prefixes of the last byte of an address in @place, as bits. */
static GArray *
random_prefixes (int family, guint8 place, gboolean member[256])
{
  GArray *prefixes = g_array_new (FALSE, FALSE, sizeof (VmsanNetPrefix));
  guint n = g_test_rand_int_range (0, 8);
  guint whole = family == AF_INET ? 32 : 128;

  memset (member, 0, 256 * sizeof member[0]);
  for (guint i = 0; i < n; i++)
    {
      guint length = g_test_rand_int_range (0, 9);
      guint first = g_test_rand_int_range (0, 256) & ~(0xffu >> length) & 0xff;
      VmsanNetPrefix prefix = { .family = family, .prefix_length = whole - 8 + length };

      memset (prefix.bytes, place, whole / 8);
      prefix.bytes[whole / 8 - 1] = first;
      g_array_append_val (prefixes, prefix);
      for (guint j = first; j < first + (1u << (8 - length)); j++)
        member[j] = TRUE;
    }
  return prefixes;
}

static void
test_differences_against_counting (void)
{
  static const int families[] = { AF_INET, AF_INET6 };
  static const guint8 places[] = { 0, 7, 0xff };

  for (guint round = 0; round < 3000; round++)
    {
      int family = families[round % 2];
      guint8 place = places[round % 3];
      guint size = family == AF_INET ? 4 : 16;
      gboolean in_a[256], in_b[256];
      g_autoptr (GArray) prefixes_a = random_prefixes (family, place, in_a);
      g_autoptr (GArray) prefixes_b = random_prefixes (family, place, in_b);
      g_autoptr (GArray) a = vmsan_net_ranges_new (prefixes_a, family);
      g_autoptr (GArray) b = vmsan_net_ranges_new (prefixes_b, family);
      g_autoptr (GArray) difference = vmsan_net_ranges_subtract (a, b, family);

      for (guint i = 0; i < 256; i++)
        {
          VmsanNetPrefix address = { .family = family, .prefix_length = size * 8 };

          memset (address.bytes, place, size);
          address.bytes[size - 1] = i;
          g_assert_cmpint (vmsan_net_ranges_contain (a, &address), ==, in_a[i]);
          g_assert_cmpint (vmsan_net_ranges_contain (difference, &address), ==,
                           in_a[i] && !in_b[i]);
        }
      for (guint i = 1; i < difference->len; i++)
        g_assert_cmpint (memcmp (g_array_index (difference, VmsanNetRange, i - 1).last,
                                 g_array_index (difference, VmsanNetRange, i).first, 16),
                         <, 0);
    }
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

static gboolean
any (const char *const *list, const VmsanNetPrefix *address)
{
  for (; *list != NULL; list++)
    {
      VmsanNetPrefix prefix = parse (*list);

      if (vmsan_net_prefix_contains (&prefix, address))
        return TRUE;
    }
  return FALSE;
}

static gboolean
any_of (GArray *list, const VmsanNetPrefix *address)
{
  for (guint i = 0; i < list->len; i++)
    if (vmsan_net_prefix_contains (&g_array_index (list, VmsanNetPrefix, i), address))
      return TRUE;
  return FALSE;
}

static gboolean
is_named (const VmsanNetPolicy *policy, const char *const *specials, const VmsanNetPrefix *address)
{
  for (guint i = 0; i < policy->allowed_cidrs->len; i++)
    {
      const VmsanNetPrefix *entry = &g_array_index (policy->allowed_cidrs, VmsanNetPrefix, i);

      if (!vmsan_net_prefix_contains (entry, address))
        continue;
      for (guint j = 0; specials[j] != NULL; j++)
        {
          VmsanNetPrefix special = parse (specials[j]);

          if (vmsan_net_prefix_contains (&special, entry))
            return TRUE;
        }
    }
  return FALSE;
}

static gboolean
has_exactly (GArray *list, const VmsanNetPrefix *address)
{
  for (guint i = 0; i < list->len; i++)
    if (g_array_index (list, VmsanNetPrefix, i).prefix_length == address->prefix_length &&
        vmsan_net_prefix_contains (&g_array_index (list, VmsanNetPrefix, i), address))
      return TRUE;
  return FALSE;
}

/* The order of the design, step by step, as slowly as can be. */
static VmsanNetVerdict
judge_slowly (const VmsanNetPolicy *policy, const VmsanNetPrefix *to, int protocol, guint16 port)
{
  static const char *const metadata[] = { "169.254.169.254", "fd00:ec2::254", NULL };
  static const char *const specials[] = {
    "127.0.0.0/8", "169.254.0.0/16",      "224.0.0.0/4", "fe80::/10", "ff00::/8", "198.18.0.0/16",
    "::1",         "fd12:3456:789a::/64", NULL
  };
  static const char *const doh[] = { "1.1.1.1", "9.9.9.9", "8.8.8.8", "2606:4700:4700::1111",
                                     NULL };
  static const char *const private[] = { "10.0.0.0/8", "192.168.0.0/16", "fc00::/7", NULL };
  gboolean has_ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;

  if (policy->kind == VMSAN_NET_DENY_ALL || any_of (policy->denied_cidrs, to))
    return VMSAN_NET_FORBIDDEN;
  if (any (metadata, to) && !has_exactly (policy->allowed_cidrs, to))
    return VMSAN_NET_FORBIDDEN;
  if (any (specials, to) && !is_named (policy, specials, to))
    return VMSAN_NET_FORBIDDEN;
  if (policy->kind == VMSAN_NET_CUSTOM && has_ports &&
      (port == 53 || port == 853 || (port == 443 && any (doh, to))))
    return VMSAN_NET_FORBIDDEN;
  if (!has_ports && !policy->allow_icmp)
    return VMSAN_NET_FORBIDDEN;
  if (policy->kind == VMSAN_NET_ALLOW_ALL || any_of (policy->allowed_cidrs, to))
    return VMSAN_NET_ALLOWED;
  if (policy->allowed_domains[0] != NULL && !any (private, to) && !any (specials, to) &&
      !any (metadata, to))
    return VMSAN_NET_BY_NAME;
  return VMSAN_NET_FORBIDDEN;
}

static void
append_random_list (GString *options, const char *key)
{
  static const char *const cidrs[] = {
    "0.0.0.0/0",      "::/0",        "1.0.0.0/8",      "1.1.0.0/16",     "1.1.1.1",
    "169.254.0.0/16", "128.0.0.0/1", "169.254.1.0/24", "10.0.0.0/8",     "169.254.169.254",
    "fd00:ec2::254",  "fe80::/16",   "fc00::/7",       "2606:4700::/32", "127.0.0.0/8",
    "224.0.0.0/4",    "8.8.8.8",     "fe80::/10",      "8.0.0.0/7",      "2600::/12",
  };
  guint n = g_test_rand_int_range (0, 5);

  g_string_append_printf (options, ", '%s': <@as [", key);
  for (guint i = 0; i < n; i++)
    g_string_append_printf (options, "%s'%s'", i > 0 ? ", " : "",
                            cidrs[g_test_rand_int_range (0, G_N_ELEMENTS (cidrs))]);
  g_string_append (options, "]>");
}

static void
test_verdicts_against_the_order_of_the_design (void)
{
  static const char *const addresses[] = {
    "1.1.1.1",
    "1.1.2.2",
    "1.2.3.4",
    "8.8.8.8",
    "9.9.9.9",
    "10.1.1.1",
    "127.0.0.1",
    "169.254.1.1",
    "169.254.9.9",
    "192.168.1.1",
    "200.0.0.1",
    "224.0.0.1",
    "169.254.169.254",
    "198.18.0.1",
    "198.19.0.1",
    "::1",
    "2606:4700:4700::1111",
    "2606:4700::1",
    "fd00:ec2::254",
    "fd00::1",
    "fe80::1",
    "ff02::1",
    "2a00::1",
    "fd12:3456:789a::1",
  };
  static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
  static const guint16 ports[] = { 80, 53, 853, 443 };

  for (guint round = 0; round < 1500; round++)
    {
      g_autoptr (GString) options = g_string_new ("{'allow-icmp': <");
      g_autoptr (VmsanNetPolicy) policy = NULL;
      g_autoptr (VmsanNetReach) reach = NULL;

      g_string_append (options, g_test_rand_bit () ? "true>" : "false>");
      if (round % 10 > 0)
        {
          g_string_append (options, ", 'network-policy': <'custom'>");
          append_random_list (options, "allowed-cidrs");
          append_random_list (options, "denied-cidrs");
          if (g_test_rand_bit ())
            g_string_append (options, ", 'allowed-domains': <['a.b']>");
        }
      else if (g_test_rand_bit ())
        g_string_append (options, ", 'network-policy': <'deny-all'>");
      g_string_append (options, "}");
      policy = make_policy (options->str);
      reach = vmsan_net_reach_new (policy, &pools);
      for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
        {
          VmsanNetPrefix to = parse (addresses[i]);
          int protocol = protocols[g_test_rand_int_range (0, 3)];
          guint16 port = protocol == IPPROTO_ICMP ? 0 : ports[g_test_rand_int_range (0, 4)];
          VmsanNetVerdict verdict = vmsan_net_reach_judge (reach, &to, protocol, port);

          if (verdict != judge_slowly (policy, &to, protocol, port))
            g_error ("%s, %s protocol %d port %u: %d", options->str, addresses[i], protocol, port,
                     verdict);
        }
    }
}

/* ---- Text ---------------------------------------------------------------------------------- */

static guint32
find_mark (const char *rules)
{
  const char *rule = strstr (rules, "inet vmsan pass ct mark set 0x");

  g_assert_nonnull (rule);
  return g_ascii_strtoull (strstr (rule, "0x"), NULL, 16);
}

static void
test_a_mark_is_a_policys_own (void)
{
  static const char *const texts[] = {
    "{}",
    "{'network-policy': <'deny-all'>}",
    "{'network-policy': <'custom'>}",
    "{'allow-icmp': <false>}",
    "{'allowed-cidrs': <['1.0.0.0/8']>}",
    "{'allowed-cidrs': <['1.0.0.0/8', '2.0.0.0/8']>}",
    "{'allowed-domains': <['a.b']>}",
  };
  VmsanNetFirewall firewall = { .pools = &pools, .slot = 7 };
  g_autoptr (GHashTable) marks = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr (VmsanNetPolicy) policy = make_policy (texts[i]);
      g_autofree char *rules = vmsan_net_rules_policy (&firewall, policy, FALSE);
      g_autofree char *again = vmsan_net_rules_policy (&firewall, policy, FALSE);
      g_autofree char *kept = vmsan_net_rules_policy (&firewall, policy, TRUE);
      g_autofree char *first = vmsan_net_rules_first_policy (&firewall, policy);
      guint32 mark = find_mark (rules);

      g_assert_cmpstr (rules, ==, again);
      g_assert_true (g_str_has_suffix (rules, first));
      g_assert_null (strstr (first, "flush"));
      g_assert_cmpuint (mark & VMSAN_NET_MARK_NAMES, ==, 0);
      g_assert_cmpuint (mark, !=, 0);
      g_assert_cmpuint (find_mark (kept), ==, mark);
      if (!g_hash_table_add (marks, GUINT_TO_POINTER (mark)))
        g_error ("%s has the mark of another", texts[i]);
    }
}

/* Whatever callers write, only this comes to nftables. */
static void
test_nothing_of_a_callers_text_reaches_nftables (void)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                " \n{}().,:;=!&-_@/\"*[]";
  VmsanNetFirewall firewall = { .pools = &pools, .slot = 7, .resolver_uid = 4711 };
  g_autoptr (VmsanNetPolicy) policy = make_policy (
      "{'allowed-domains': <['example.com', '*.evil.test']>, 'allowed-cidrs': <['1.2.3.4']>,"
      " 'published-ports': <['[2001:db8::1]:8080:80']>}");
  const VmsanNetHost host = { &pools, NULL };
  const VmsanNetMember member = { 7, policy };
  g_autofree char *base = vmsan_net_rules_base (&firewall);
  g_autofree char *rules = vmsan_net_rules_policy (&firewall, policy, FALSE);
  g_autofree char *table = vmsan_net_host_rules_table (&host, &member, 1);
  const char *texts[] = { base, rules, table };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_assert_cmpuint (strspn (texts[i], allowed), ==, strlen (texts[i]));
      g_assert_null (strstr (texts[i], "example"));
      g_assert_null (strstr (texts[i], "evil"));
    }
}

static void
test_each_base_chain_of_the_machine_drops (void)
{
  VmsanNetFirewall firewall = { .pools = &pools, .slot = 7 };
  g_autofree char *base = vmsan_net_rules_base (&firewall);
  static const char *const hooks[] = { "forward", "input", "output" };

  for (guint i = 0; i < G_N_ELEMENTS (hooks); i++)
    {
      g_autofree char *chain =
          g_strdup_printf ("chain %s {\ntype filter hook %s priority filter; policy drop;\n",
                           hooks[i], hooks[i]);

      g_assert_nonnull (strstr (base, chain));
    }
}

/* ---- Resolvers ----------------------------------------------------------------------------- */

static char *
describe (GArray *resolvers)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < resolvers->len; i++)
    {
      const VmsanNetResolver *resolver = &g_array_index (resolvers, VmsanNetResolver, i);

      g_assert_cmpint (resolver->family, ==,
                       strchr (resolver->address, ':') != NULL ? AF_INET6 : AF_INET);
      g_string_append_printf (text, "%s%s#%u", i > 0 ? " " : "", resolver->address, resolver->port);
    }
  return g_string_free (text, FALSE);
}

static void
test_the_hosts_name_servers (void)
{
  static const struct
  {
    const char *resolv_conf;
    const char *resolved_conf;
    const char *found;
    const char *why;
  } cases[] = {
    { "nameserver 9.9.9.9\n", NULL, "9.9.9.9#53", NULL },
    { "# nameserver 1.1.1.1\n\tnameserver\t9.9.9.9  # mine\nsearch x\nnameserver 2620:fe::fe\n",
      NULL, "9.9.9.9#53 2620:fe::fe#53", NULL },
    { "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4", NULL,
      "1.0.0.1#53 1.0.0.2#53 1.0.0.3#53", NULL },
    { "nameserver 127.0.0.53\n", "nameserver 192.168.1.1\n", "192.168.1.1#53", NULL },
    { "nameserver 127.0.0.53\nnameserver 9.9.9.9\n", "nameserver 192.168.1.1\n", "9.9.9.9#53",
      NULL },
    { "nameserver 127.0.0.1\n", NULL, "", "loopback" },
    { "nameserver ::1\nnameserver fe80::1%eth0\n", "nameserver fe80::1%2\n", "", "loopback" },
    { "nameserver\nnameserver x\nservername 9.9.9.9\nnameserver 9.9.9.9/8\n", NULL, "",
      "Resolver" },
    { "", "nameserver 192.168.1.1\n", "", "no name server" },
    { NULL, NULL, "", "no name server" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *why = NULL;
      g_autoptr (GArray) resolvers =
          vmsan_net_resolvers_parse (cases[i].resolv_conf, cases[i].resolved_conf, &why);
      g_autofree char *text = describe (resolvers);

      g_assert_cmpstr (text, ==, cases[i].found);
      if (cases[i].why == NULL)
        g_assert_null (why);
      else
        g_assert_nonnull (strstr (why, cases[i].why));
    }
}

static void
test_a_configured_name_server (void)
{
  static const char *const good[][2] = { { "9.9.9.9", "9.9.9.9#53" },
                                         { "10.0.0.1#5353", "10.0.0.1#5353" },
                                         { "2620:fe::fe#853", "2620:fe::fe#853" } };
  static const char *const bad[] = { "dns.example",     "9.9.9.9#",     "9.9.9.9#0",
                                     "9.9.9.9#65536",   "9.9.9.9#53#1", "9.9.9.0/24",
                                     "127.0.0.1",       "::1#53",       "fe80::1",
                                     "9.9.9.9 1.1.1.1", "#53",          "9.9.9.9#+53" };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *why = NULL;
      g_autoptr (GArray) resolvers = vmsan_net_resolvers_find (good[i][0], &why, &error);
      g_autofree char *text = NULL;

      g_assert_no_error (error);
      text = describe (resolvers);
      g_assert_cmpstr (text, ==, good[i][1]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *why = NULL;

      g_assert_null (vmsan_net_resolvers_find (bad[i], &why, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, bad[i]));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", "fd12:3456:789a::/64", &pools, NULL));
  g_test_add_func ("/net/ranges/differences-by-example", test_differences_by_example);
  g_test_add_func ("/net/ranges/differences-against-counting", test_differences_against_counting);
  g_test_add_func ("/net/reach/verdicts-against-the-order-of-the-design",
                   test_verdicts_against_the_order_of_the_design);
  g_test_add_func ("/net/rules/a-mark-is-a-policys-own", test_a_mark_is_a_policys_own);
  g_test_add_func ("/net/rules/nothing-of-a-callers-text-reaches-nftables",
                   test_nothing_of_a_callers_text_reaches_nftables);
  g_test_add_func ("/net/rules/each-base-chain-of-the-machine-drops",
                   test_each_base_chain_of_the_machine_drops);
  g_test_add_func ("/net/resolvers/the-hosts-name-servers", test_the_hosts_name_servers);
  g_test_add_func ("/net/resolvers/a-configured-name-server", test_a_configured_name_server);
  return g_test_run ();
}
