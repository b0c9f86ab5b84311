/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is denied is in nothing that is allowed. */

#include "net/net-reach.h"

#include "sys/error.h"

/* Where clouds tell a machine who it is, and with which rights: those of the host. */
static const char *const metadata[] = {
  "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16",
  "192.0.0.192",     "fd00:ec2::254", "fd00:ec2::23",   "fd20:ce::254",    NULL,
};

/* Of local use, or carrying an IPv4 address within, which would go round the lists of IPv4:
 * NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380) and compatible addresses. */
static const char *const special[] = {
  "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16",  "224.0.0.0/3",     "::/8",
  "fe80::/10", "fec0::/10",   "ff00::/8",        "64:ff9b::/96",    "64:ff9b:1::/48",
  "2002::/16", "2001::/32",   VMSAN_NET_INSIDE4, VMSAN_NET_INSIDE6, NULL,
};

/* Names of the world do not lead into anybody's own network (RFC 1918, 6598, 4193). */
static const char *const private[] = {
  "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", NULL,
};

/* Public resolvers that speak DNS over HTTPS. Who wants to hide questions has other ways; this
 * keeps programs that prefer such a resolver by themselves on the machine's own. */
/* clang-format off */
static const char *const doh[] = {
  "1.0.0.1", "1.0.0.2", "1.0.0.3", "1.1.1.1", "1.1.1.2", "1.1.1.3", "8.8.4.4", "8.8.8.8",
  "9.9.9.9", "9.9.9.10", "9.9.9.11", "9.9.9.12", "45.90.28.0/22", "76.76.2.0/24",
  "76.76.10.0/24", "94.140.14.0/24", "94.140.15.0/24", "146.112.41.2", "146.112.41.3",
  "149.112.112.0/24", "185.222.222.222", "185.228.168.0/24", "185.228.169.0/24",
  "193.110.81.0/24", "194.242.2.0/24", "208.67.220.0/24", "208.67.222.0/24", "45.11.45.11",
  "2001:4860:4860::8844", "2001:4860:4860::8888", "2001:4860:4860::64", "2001:4860:4860::6464",
  "2606:1a40::/32", "2606:4700:4700::/48", "2620:0:cc0::/44", "2620:119:35::/48",
  "2620:119:53::/48", "2620:fe::/48", "2a07:a8c0::/29", "2a07:e340::/29", "2a0d:2a00:1::/48",
  "2a0d:2a00:2::/48", "2a10:50c0::/32", "2a09::", "2a11::", NULL,
};
/* clang-format on */

static VmsanNetPrefix
parse (const char *text)
{
  VmsanNetPrefix prefix;

  if (!vmsan_net_prefix_parse (text, &prefix, NULL))
    g_error ("A table of addresses has “%s”", text);
  return prefix;
}

typedef GArray Ranges;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ranges, g_array_unref)

static GArray *
new_prefixes (void)
{
  return g_array_new (FALSE, FALSE, sizeof (VmsanNetPrefix));
}

static void
add_table (GArray *prefixes, const char *const *table)
{
  for (; *table != NULL; table++)
    {
      VmsanNetPrefix prefix = parse (*table);

      g_array_append_val (prefixes, prefix);
    }
}

static gboolean
is_listed (GArray *list, const VmsanNetPrefix *prefix)
{
  for (guint i = 0; i < list->len; i++)
    {
      const VmsanNetPrefix *entry = &g_array_index (list, VmsanNetPrefix, i);

      if (entry->prefix_length == prefix->prefix_length &&
          vmsan_net_prefix_contains (entry, prefix))
        return TRUE;
    }
  return FALSE;
}

static void
add_metadata (GArray *prefixes, const VmsanNetPolicy *policy)
{
  g_autoptr (GArray) all = new_prefixes ();

  add_table (all, metadata);
  for (guint i = 0; i < all->len; i++)
    if (!is_listed (policy->allowed_cidrs, &g_array_index (all, VmsanNetPrefix, i)))
      g_array_append_val (prefixes, g_array_index (all, VmsanNetPrefix, i));
}

static GArray *
list_special (const VmsanNetPools *pools)
{
  GArray *prefixes = new_prefixes ();

  add_table (prefixes, special);
  g_array_append_val (prefixes, pools->pool4);
  if (pools->has_pool6)
    g_array_append_val (prefixes, pools->pool6);
  return prefixes;
}

static GArray *
list_named (const VmsanNetPolicy *policy, GArray *specials)
{
  GArray *prefixes = new_prefixes ();

  for (guint i = 0; i < policy->allowed_cidrs->len; i++)
    {
      const VmsanNetPrefix *entry = &g_array_index (policy->allowed_cidrs, VmsanNetPrefix, i);
      gboolean within = FALSE;

      for (guint j = 0; j < specials->len && !within; j++)
        within = vmsan_net_prefix_contains (&g_array_index (specials, VmsanNetPrefix, j), entry);
      if (within)
        g_array_append_vals (prefixes, entry, 1);
    }
  return prefixes;
}

/* Takes away what no list opens: what is denied, metadata, and special addresses but the named. */
static GArray *
without_closed (const GArray *ranges,
                const VmsanNetPolicy *policy,
                const VmsanNetPools *pools,
                int family)
{
  g_autoptr (GArray) specials = list_special (pools);
  g_autoptr (GArray) named = list_named (policy, specials);
  g_autoptr (GArray) closed = new_prefixes ();
  g_autoptr (Ranges) special_ranges = vmsan_net_ranges_new (specials, family);
  g_autoptr (Ranges) named_ranges = vmsan_net_ranges_new (named, family);
  g_autoptr (Ranges) unnamed = vmsan_net_ranges_subtract (special_ranges, named_ranges, family);
  g_autoptr (Ranges) closed_ranges = NULL;
  g_autoptr (Ranges) rest = NULL;

  g_array_append_vals (closed, policy->denied_cidrs->data, policy->denied_cidrs->len);
  add_metadata (closed, policy);
  closed_ranges = vmsan_net_ranges_new (closed, family);
  rest = vmsan_net_ranges_subtract (ranges, closed_ranges, family);
  return vmsan_net_ranges_subtract (rest, unnamed, family);
}

static GArray *
make_allowed (const VmsanNetPolicy *policy, const VmsanNetPools *pools, int family)
{
  const VmsanNetPrefix everything = { .family = family };
  g_autoptr (GArray) prefixes = new_prefixes ();
  g_autoptr (Ranges) ranges = NULL;

  if (policy->kind == VMSAN_NET_ALLOW_ALL)
    g_array_append_val (prefixes, everything);
  else if (policy->kind == VMSAN_NET_CUSTOM)
    g_array_append_vals (prefixes, policy->allowed_cidrs->data, policy->allowed_cidrs->len);
  ranges = vmsan_net_ranges_new (prefixes, family);
  return without_closed (ranges, policy, pools, family);
}

/* No name leads to a special address, named or not. */
static GArray *
make_nameable (const VmsanNetPolicy *policy, const VmsanNetPools *pools, int family)
{
  const VmsanNetPrefix everything = { .family = family };
  g_autoptr (GArray) prefixes = new_prefixes ();
  g_autoptr (GArray) local = list_special (pools);
  g_autoptr (Ranges) all = NULL;
  g_autoptr (Ranges) local_ranges = NULL;
  g_autoptr (Ranges) public = NULL;

  if (policy->allowed_domains[0] != NULL)
    g_array_append_val (prefixes, everything);
  add_table (local, private);
  add_table (local, metadata);
  all = vmsan_net_ranges_new (prefixes, family);
  local_ranges = vmsan_net_ranges_new (local, family);
  public = vmsan_net_ranges_subtract (all, local_ranges, family);
  return without_closed (public, policy, pools, family);
}

/* ---- Reach --------------------------------------------------------------------------------- */

struct _VmsanNetReach
{
  VmsanNetPolicy *policy;
  GArray *allowed[2]; /* IPv4, IPv6; of VmsanNetRange */
  GArray *nameable[2];
  GArray *doh[2];
};

GArray *
vmsan_net_reach_list_doh (int family)
{
  g_autoptr (GArray) prefixes = new_prefixes ();

  add_table (prefixes, doh);
  return vmsan_net_ranges_new (prefixes, family);
}

VmsanNetReach *
vmsan_net_reach_new (const VmsanNetPolicy *policy, const VmsanNetPools *pools)
{
  static const int families[] = { AF_INET, AF_INET6 };
  VmsanNetReach *self = g_new0 (VmsanNetReach, 1);

  self->policy = vmsan_net_policy_ref (policy);
  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    {
      self->allowed[i] = make_allowed (policy, pools, families[i]);
      self->nameable[i] = make_nameable (policy, pools, families[i]);
      self->doh[i] = vmsan_net_reach_list_doh (families[i]);
    }
  return self;
}

void
vmsan_net_reach_free (VmsanNetReach *self)
{
  vmsan_net_policy_unref (self->policy);
  for (guint i = 0; i < G_N_ELEMENTS (self->allowed); i++)
    {
      g_array_unref (self->allowed[i]);
      g_array_unref (self->nameable[i]);
      g_array_unref (self->doh[i]);
    }
  g_free (self);
}

const GArray *
vmsan_net_reach_get_allowed (const VmsanNetReach *self, int family)
{
  return self->allowed[family == AF_INET6];
}

const GArray *
vmsan_net_reach_get_nameable (const VmsanNetReach *self, int family)
{
  return self->nameable[family == AF_INET6];
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

static gboolean
is_foreign_resolver (const VmsanNetReach *self,
                     const VmsanNetPrefix *address,
                     int protocol,
                     guint16 port)
{
  if (self->policy->kind != VMSAN_NET_CUSTOM ||
      (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
    return FALSE;
  return port == VMSAN_NET_PORT_DNS || port == VMSAN_NET_PORT_DOT ||
         (port == VMSAN_NET_PORT_HTTPS &&
          vmsan_net_ranges_contain (self->doh[address->family == AF_INET6], address));
}

VmsanNetVerdict
vmsan_net_reach_judge (const VmsanNetReach *self,
                       const VmsanNetPrefix *destination,
                       int protocol,
                       guint16 port)
{
  gboolean icmp = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
  guint family = destination->family == AF_INET6;

  if (!self->policy->has_network || is_foreign_resolver (self, destination, protocol, port) ||
      (icmp && !self->policy->allow_icmp))
    return VMSAN_NET_FORBIDDEN;
  if (vmsan_net_ranges_contain (self->allowed[family], destination))
    return VMSAN_NET_ALLOWED;
  if (vmsan_net_ranges_contain (self->nameable[family], destination))
    return VMSAN_NET_BY_NAME;
  return VMSAN_NET_FORBIDDEN;
}
