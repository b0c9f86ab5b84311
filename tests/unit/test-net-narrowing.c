/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is accepted as narrower lets nothing through that was not let through before: by examples,
 * and by random pairs of policies against the verdict on single connections and names, which is
 * made in another way than the comparison. */

#include "net/net-narrowing.h"
#include "net/net-reach.h"
#include "sys/error.h"

#include <string.h>

static VmsanNetPools pools;

static VmsanNetPolicy *
make (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) options = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);
  VmsanNetPolicy *policy;

  g_assert_no_error (error);
  policy = vmsan_net_policy_parse (options, NULL, &pools, &error);
  g_assert_no_error (error);
  return policy;
}

/* ---- Examples ------------------------------------------------------------------------------ */

typedef struct
{
  const char *wide;
  const char *narrow;
  const char *more; /* what @narrow would have more of; NULL when it is narrower */
} Example;

static const Example examples[] = {
  { "{}", "{}", NULL },
  { "{}", "{'network-policy': <'deny-all'>}", NULL },
  { "{}", "{'network': <'none'>}", NULL },
  { "{}", "{'denied-cidrs': <['10.0.0.0/8']>}", NULL },
  { "{}", "{'allowed-cidrs': <['192.0.2.0/24']>}", NULL },
  { "{}", "{'allowed-domains': <['a.test']>}", NULL },
  { "{}", "{'allow-icmp': <false>}", NULL },
  { "{}", "{'bandwidth-mbit': <uint32 10>}", NULL },
  { "{}", "{'skip-dnat': <true>}", NULL },
  { "{}", "{'allowed-cidrs': <['169.254.169.254']>}", "more addresses" },
  { "{}", "{'allowed-cidrs': <['127.0.0.1']>}", "more addresses" },
  { "{}", "{'published-ports': <['8080:80']>}", "more ports" },
  { "{'skip-dnat': <true>}", "{}", "more ports" },
  { "{'published-ports': <['8080:80']>}", "{}", NULL },
  { "{'network': <'none'>}", "{}", "a network" },
  { "{'network-policy': <'deny-all'>}", "{}", "more addresses" },
  { "{'allow-icmp': <false>}", "{}", "pings" },
  { "{'bandwidth-mbit': <uint32 10>}", "{'bandwidth-mbit': <uint32 10>}", NULL },
  { "{'bandwidth-mbit': <uint32 10>}", "{'bandwidth-mbit': <uint32 11>}", "bandwidth" },
  { "{'bandwidth-mbit': <uint32 10>}", "{}", "bandwidth" },
  { "{'denied-cidrs': <['10.0.0.0/8']>}", "{'denied-cidrs': <['10.0.0.0/9', '10.128.0.0/9']>}",
    NULL },
  { "{'denied-cidrs': <['10.0.0.0/8']>}", "{'denied-cidrs': <['10.0.0.0/9']>}", "more addresses" },
  { "{'denied-cidrs': <['1.2.3.4']>}", "{'denied-cidrs': <['1.2.3.5']>}", "more addresses" },
  /* Nothing is denied, but custom drops what goes to other resolvers. */
  { "{'allowed-cidrs': <['0.0.0.0/0', '::/0']>}", "{}", "name servers" },
  { "{'allowed-cidrs': <['192.0.2.0/24']>}", "{'allowed-cidrs': <['192.0.2.128/25']>}", NULL },
  { "{'allowed-cidrs': <['192.0.2.0/25', '192.0.2.128/25']>}",
    "{'allowed-cidrs': <['192.0.2.0/24']>}", NULL },
  { "{'allowed-cidrs': <['192.0.2.0/24']>}", "{'allowed-cidrs': <['192.0.2.0/23']>}",
    "more addresses" },
  { "{'allowed-cidrs': <['192.0.2.0/24']>}",
    "{'allowed-cidrs': <['192.0.2.0/24', '2001:db8::/32']>}", "more addresses" },
  { "{'allowed-domains': <['*.test']>}", "{'allowed-domains': <['a.test', '*.b.test']>}", NULL },
  { "{'allowed-domains': <['*.test']>}", "{'allowed-domains': <['test']>}", "by names" },
  { "{'allowed-domains': <['a.test']>}", "{'allowed-domains': <['*.a.test']>}", "by names" },
  { "{'allowed-domains': <['a.test']>}", "{'allowed-domains': <['a.test', 'b.test']>}",
    "by names" },
  { "{'allowed-domains': <['a.test']>}",
    "{'allowed-domains': <['a.test']>, 'denied-cidrs': <['1.2.3.4']>}", NULL },
  { "{'allowed-domains': <['a.test']>, 'denied-cidrs': <['1.2.3.4']>}",
    "{'allowed-domains': <['a.test']>}", "by names" },
  /* Nothing comes through now, but would with another list of denied ones, and no list. */
  { "{}", "{'allowed-cidrs': <['127.0.0.1']>, 'denied-cidrs': <['127.0.0.1']>}", "denied now" },
  { "{'allowed-cidrs': <['192.0.2.0/24']>}",
    "{'allowed-cidrs': <['192.0.2.0/23']>, 'denied-cidrs': <['192.0.3.0/24']>}", "denied now" },
  { "{'allowed-cidrs': <['192.0.2.0/24']>, 'denied-cidrs': <['10.0.0.0/8']>}",
    "{'allowed-cidrs': <['192.0.2.0/24']>}", "fewer" },
  { "{'allowed-cidrs': <['192.0.2.0/24']>, 'denied-cidrs': <['10.0.0.0/8']>}",
    "{'network-policy': <'deny-all'>}", NULL },
  /* All addresses were allowed, but not to ask for other names. */
  { "{'allowed-cidrs': <['0.0.0.0/0', '::/0']>, 'allowed-domains': <['a.test']>}",
    "{'allowed-cidrs': <['0.0.0.0/0', '::/0']>, 'allowed-domains': <['b.test']>}", "questions" },
  { "{'allowed-cidrs': <['0.0.0.0/0', '::/0']>, 'allowed-domains': <['a.test']>}",
    "{'allowed-cidrs': <['0.0.0.0/0', '::/0']>}", "questions" },
};

static void
test_examples (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (examples); i++)
    {
      g_autoptr (VmsanNetPolicy) wide = make (examples[i].wide);
      g_autoptr (VmsanNetPolicy) narrow = make (examples[i].narrow);
      g_autoptr (GError) error = NULL;
      gboolean accepted = vmsan_net_policy_check_narrowing (narrow, wide, &pools, &error);

      if (accepted != (examples[i].more == NULL))
        g_error ("%s after %s is %s", examples[i].narrow, examples[i].wide,
                 accepted ? "accepted" : error->message);
      if (accepted)
        continue;
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
      if (strstr (error->message, examples[i].more) == NULL)
        g_error ("%s after %s: %s", examples[i].narrow, examples[i].wide, error->message);
    }
}

/* ---- Random policies ----------------------------------------------------------------------- */

/* Few values of many kinds, so that they meet. */
static const char *const cidrs[] = {
  "0.0.0.0/0",
  "::/0",
  "0.0.0.0/1",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "192.168.1.0/24",
  "1.1.1.1",
  "1.1.1.0/24",
  "8.8.8.8",
  "192.0.2.0/24",
  "192.0.2.128/25",
  "192.0.2.7",
  "2000::/3",
  "2001:db8::/32",
  "fc00::/7",
  "169.254.0.0/16",
  "169.254.169.254",
  "127.0.0.1",
  "127.0.0.0/8",
  "fe80::1",
  "64:ff9b::/96",
  "100.100.100.200",
  "2001:4860:4860::8888",
};
static const char *const domains[] = {
  "a.test", "*.a.test", "b.a.test", "*.b.a.test", "*.test", "c.example", "*.example",
};
static const char *const addresses[] = {
  "1.1.1.1",
  "1.1.1.9",
  "8.8.8.8",
  "9.9.9.9",
  "10.0.0.1",
  "10.1.2.3",
  "127.0.0.1",
  "127.0.0.2",
  "192.0.2.7",
  "192.0.2.8",
  "192.0.2.200",
  "192.168.1.1",
  "169.254.169.254",
  "169.254.1.1",
  "100.100.100.200",
  "100.64.0.1",
  "198.18.0.5",
  "192.0.0.9",
  "203.0.113.1",
  "224.0.0.1",
  "2001:db8::1",
  "2001:4860:4860::8888",
  "2a02::1",
  "fc00::1",
  "fe80::1",
  "64:ff9b::a00:1",
  "::1",
  "fd12:3456:789a::5",
  "fd00:ec2::254",
  "ff02::1",
};
static const char *const names[] = {
  "a.test", "x.a.test",  "b.a.test",    "y.b.a.test", "test",
  "z.test", "c.example", "d.c.example", "other",
};
static const struct
{
  int protocol;
  guint16 port;
} kinds[] = {
  { IPPROTO_TCP, 80 },  { IPPROTO_TCP, 443 }, { IPPROTO_UDP, 53 },
  { IPPROTO_TCP, 853 }, { IPPROTO_ICMP, 0 },  { IPPROTO_ICMPV6, 0 },
};

static void
add_some (GVariantDict *options, const char *key, const char *const *values, guint n_values)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) list = NULL;
  guint n = g_test_rand_int_range (0, 5);

  for (guint i = 0; i < n; i++)
    g_strv_builder_add (builder, values[g_test_rand_int_range (0, n_values)]);
  list = g_strv_builder_end (builder);
  g_variant_dict_insert (options, key, "^as", list);
}

/* @wide: begins with it, so that something narrower comes often enough; or NULL. */
static VmsanNetPolicy *
make_random (const VmsanNetPolicy *wide)
{
  static const char *const policies[] = { "allow-all", "deny-all", "custom" };
  GVariantDict options;
  g_autoptr (GVariant) made = NULL;
  VmsanNetPolicy *policy;

  g_variant_dict_init (&options, NULL);
  if (g_test_rand_int_range (0, 4) == 0)
    g_variant_dict_insert (&options, "network-policy", "s",
                           policies[g_test_rand_int_range (0, G_N_ELEMENTS (policies))]);
  if (g_test_rand_bit ())
    add_some (&options, "allowed-cidrs", cidrs, G_N_ELEMENTS (cidrs));
  if (g_test_rand_bit ())
    add_some (&options, "denied-cidrs", cidrs, G_N_ELEMENTS (cidrs));
  if (g_test_rand_bit ())
    add_some (&options, "allowed-domains", domains, G_N_ELEMENTS (domains));
  if (g_test_rand_int_range (0, 4) == 0)
    g_variant_dict_insert (&options, "allow-icmp", "b", g_test_rand_bit ());
  made = g_variant_ref_sink (g_variant_dict_end (&options));
  policy = vmsan_net_policy_parse (made, wide, &pools, NULL);
  return policy != NULL ? policy : make_random (wide); /* a contradiction */
}

static gboolean
lets_through (const VmsanNetPolicy *policy,
              const VmsanNetReach *reach,
              const VmsanNetPrefix *address,
              guint kind,
              const char *name)
{
  switch (vmsan_net_reach_judge (reach, address, kinds[kind].protocol, kinds[kind].port))
    {
    case VMSAN_NET_ALLOWED:
      return TRUE;
    case VMSAN_NET_BY_NAME:
      return vmsan_net_policy_allows_name (policy, name);
    case VMSAN_NET_FORBIDDEN:
    default:
      return FALSE;
    }
}

/* The first of all that are tried which @narrow lets through and @wide does not, or NULL. */
static char *
find_more (const VmsanNetPolicy *narrow, const VmsanNetPolicy *wide)
{
  g_autoptr (VmsanNetReach) narrow_reach = vmsan_net_reach_new (narrow, &pools);
  g_autoptr (VmsanNetReach) wide_reach = vmsan_net_reach_new (wide, &pools);

  for (guint n = 0; n < G_N_ELEMENTS (names); n++)
    {
      if (vmsan_net_policy_allows_name (narrow, names[n]) &&
          !vmsan_net_policy_allows_name (wide, names[n]))
        return g_strdup_printf ("the question for %s", names[n]);
      for (guint a = 0; a < G_N_ELEMENTS (addresses); a++)
        for (guint k = 0; k < G_N_ELEMENTS (kinds); k++)
          {
            VmsanNetPrefix address;

            g_assert_true (vmsan_net_prefix_parse (addresses[a], &address, NULL));
            if (lets_through (narrow, narrow_reach, &address, k, names[n]) &&
                !lets_through (wide, wide_reach, &address, k, names[n]))
              return g_strdup_printf ("%s by %s (protocol %d, port %u)", addresses[a], names[n],
                                      kinds[k].protocol, kinds[k].port);
          }
    }
  return NULL;
}

static VmsanNetPolicy *
without_denied (const VmsanNetPolicy *policy)
{
  g_autoptr (GVariant) options =
      g_variant_parse (G_VARIANT_TYPE_VARDICT, "{'denied-cidrs': <@as []>}", NULL, NULL, NULL);

  return vmsan_net_policy_parse (options, policy, &pools, NULL);
}

static gboolean
denies (const VmsanNetPolicy *policy, const VmsanNetPrefix *address)
{
  for (guint i = 0; i < policy->denied_cidrs->len; i++)
    if (vmsan_net_prefix_contains (&g_array_index (policy->denied_cidrs, VmsanNetPrefix, i),
                                   address))
      return TRUE;
  return FALSE;
}

/* The same for what would come of a later change of one list, or NULL. */
static char *
find_more_later (const VmsanNetPolicy *narrow, const VmsanNetPolicy *wide)
{
  g_autoptr (VmsanNetPolicy) narrow_listed = without_denied (narrow);
  g_autoptr (VmsanNetPolicy) wide_listed = without_denied (wide);
  char *more = find_more (narrow_listed, wide_listed);

  for (guint a = 0; more == NULL && a < G_N_ELEMENTS (addresses); a++)
    {
      VmsanNetPrefix address;

      g_assert_true (vmsan_net_prefix_parse (addresses[a], &address, NULL));
      if (narrow->kind != VMSAN_NET_DENY_ALL && denies (wide, &address) &&
          !denies (narrow, &address))
        more = g_strdup_printf ("%s, which was denied", addresses[a]);
    }
  return more;
}

static char *
describe (const VmsanNetPolicy *policy)
{
  g_autoptr (GVariant) options = g_variant_ref_sink (vmsan_net_policy_to_variant (policy));

  return g_variant_print (options, FALSE);
}

static void
test_what_is_accepted_allows_nothing_new (void)
{
  guint n_accepted = 0, n_changed = 0, n_refused = 0, n_with_proof = 0;

  for (guint i = 0; i < 1500; i++)
    {
      g_autoptr (VmsanNetPolicy) wide = make_random (NULL);
      g_autoptr (VmsanNetPolicy) narrow = make_random (g_test_rand_bit () ? wide : NULL);
      char *more_now = find_more (narrow, wide);
      g_autofree char *more = more_now != NULL ? more_now : find_more_later (narrow, wide);
      gboolean accepted = vmsan_net_policy_check_narrowing (narrow, wide, &pools, NULL);

      if (accepted && more != NULL)
        {
          g_autofree char *narrow_text = describe (narrow);
          g_autofree char *wide_text = describe (wide);

          g_error ("%s is accepted after %s, but allows %s", narrow_text, wide_text, more);
        }
      n_accepted += accepted;
      n_changed += accepted && !vmsan_net_policy_equal (narrow, wide);
      n_refused += !accepted;
      n_with_proof += !accepted && more != NULL;
    }
  /* It was not all the same answer, and most refusals had a reason among what was tried. */
  g_test_message ("%u accepted, %u of them changed; %u refused, %u of them with a counterexample",
                  n_accepted, n_changed, n_refused, n_with_proof);
  g_assert_cmpuint (n_changed, >, 100);
  g_assert_cmpuint (n_with_proof, >, 100);
  g_assert_cmpuint (n_with_proof * 10, >, n_refused * 8);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", "fd12:3456:789a::/48", &pools, NULL));
  g_test_add_func ("/net/narrowing/examples", test_examples);
  g_test_add_func ("/net/narrowing/what-is-accepted-allows-nothing-new",
                   test_what_is_accepted_allows_nothing_new);
  return g_test_run ();
}
