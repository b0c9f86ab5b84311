/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what no rule says is dropped, in both families and both directions. */

#include "net/net-rules.h"

#include "net/net-reach.h"
#include "net/net-resolvers.h"

#include <string.h>

/* Resolved addresses that are kept; more than any guest needs, and less than would hurt. */
#define MAX_NAMES 65535

/* ---- Base ---------------------------------------------------------------------------------- */

/* Addresses are given by dnsmasq without a timeout. A day is for the case that nobody ages them. */
static void
add_name_sets (GString *text)
{
  static const char *const sets[][2] = {
    { "allowed_names4", "ipv4_addr" },
    { "allowed_names6", "ipv6_addr" },
    { "older_names4", "ipv4_addr" },
    { "older_names6", "ipv6_addr" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
    g_string_append_printf (text, "set %s { type %s; timeout 1d; size %d; }\n", sets[i][0],
                            sets[i][1], MAX_NAMES);
}

static void
add_doh_set (GString *text, const char *name, const char *type, int family)
{
  g_autoptr (GArray) ranges = vmsan_net_reach_list_doh (family);
  g_autofree char *elements = vmsan_net_ranges_to_string (ranges, family);

  g_string_append_printf (text, "set %s { type %s; flags interval; elements = { %s }; }\n", name,
                          type, elements);
}

/* Before anything is tracked: a guest has one MAC and one address of each family, and a link-local
 * one for finding neighbours; from outside nobody has these, nor the address of another machine.
 *
 * The link-local one is the one of its MAC and no other: the kernel remembers whoever solicits, in
 * one table of limited size for all namespaces, and a guest that asks from a thousand addresses
 * would leave the host without room for its own neighbours. */
static void
add_spoofing (GString *text, const VmsanNetPools *pools, const VmsanNetSlotAddresses *addresses)
{
  g_autofree char *pool4 = vmsan_net_prefix_to_string (&pools->pool4);
  g_autofree char *pool6 = vmsan_net_prefix_to_string (&pools->pool6);

  g_string_append (text, "chain from_guest {\n"
                         "ether saddr != " VMSAN_NET_GUEST_MAC " drop\n"
                         "ip saddr " VMSAN_NET_GUEST4 " accept\n"
                         "ip6 saddr " VMSAN_NET_GUEST6 " accept\n"
                         "ip6 saddr { ::, " VMSAN_NET_GUEST_LOCAL6
                         " } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
                         "drop\n"
                         "}\n"
                         "chain from_outside {\n"
                         "ip saddr " VMSAN_NET_INSIDE4 " drop\n"
                         "ip6 saddr " VMSAN_NET_INSIDE6 " drop\n");
  g_string_append_printf (text, "ip saddr %s ip saddr != %s drop\n", pool4, addresses->host4);
  if (pools->has_pool6)
    g_string_append_printf (text, "ip6 saddr %s ip6 saddr != %s drop\n", pool6, addresses->host6);
  g_string_append (text, "}\n"
                         "chain prerouting {\n"
                         "type filter hook prerouting priority raw; policy accept;\n"
                         "iifname " VMSAN_NET_TAP_NAME " goto from_guest\n"
                         "iifname " VMSAN_NET_UPLINK_NAME " goto from_outside\n"
                         "}\n");
}

static void
add_translation (GString *text, const VmsanNetPools *pools, const VmsanNetSlotAddresses *addresses)
{
  g_string_append (text, "chain resolver_nat { }\n"
                         "chain published { }\n"
                         "chain dstnat {\n"
                         "type nat hook prerouting priority dstnat; policy accept;\n"
                         "iifname " VMSAN_NET_TAP_NAME " goto resolver_nat\n"
                         "iifname " VMSAN_NET_UPLINK_NAME " goto published\n"
                         "}\n"
                         "chain srcnat {\n"
                         "type nat hook postrouting priority srcnat; policy accept;\n");
  g_string_append_printf (text,
                          "oifname " VMSAN_NET_UPLINK_NAME " ip saddr " VMSAN_NET_GUEST4
                          " snat ip to %s\n",
                          addresses->own4);
  if (pools->has_pool6)
    g_string_append_printf (text,
                            "oifname " VMSAN_NET_UPLINK_NAME " ip6 saddr " VMSAN_NET_GUEST6
                            " snat ip6 to %s\n",
                            addresses->own6);
  g_string_append (text, "}\n");
}

/* The first ones are filled by a policy. What the namespace
 * itself sends to the guest are answers, and errors about what the guest has sent. */
static const char filters[] =
    "chain pass { }\n"
    "chain pass_name { }\n"
    "chain by_name { }\n"
    "chain outbound { }\n"
    "chain live { }\n"
    "chain resolver_in { }\n"
    "chain resolver_out { }\n"
    "chain forward {\n"
    "type filter hook forward priority filter; policy drop;\n"
    "ct state invalid drop\n"
    "jump live\n"
    "}\n"
    "chain input {\n"
    "type filter hook input priority filter; policy drop;\n"
    "iifname lo accept\n"
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept\n"
    "iifname " VMSAN_NET_UPLINK_NAME " ct state established,related accept\n"
    "iifname " VMSAN_NET_TAP_NAME " jump resolver_in\n"
    "}\n"
    "chain output {\n"
    "type filter hook output priority filter; policy drop;\n"
    "oifname lo accept\n"
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
    "oifname " VMSAN_NET_TAP_NAME " ct state established,related accept\n"
    "oifname " VMSAN_NET_UPLINK_NAME " ct state related accept\n"
    "oifname " VMSAN_NET_UPLINK_NAME " jump resolver_out\n"
    "}\n";

char *
vmsan_net_rules_base (const VmsanNetFirewall *self)
{
  /* Adding what may be there already makes the deletion of what may not be there possible. */
  GString *text = g_string_new ("add table " VMSAN_NET_TABLE "\n"
                                "delete table " VMSAN_NET_TABLE "\n"
                                "table " VMSAN_NET_TABLE " {\n");
  VmsanNetSlotAddresses addresses;

  vmsan_net_pools_get_addresses (self->pools, self->slot, &addresses);
  add_name_sets (text);
  add_doh_set (text, "doh4", "ipv4_addr", AF_INET);
  add_doh_set (text, "doh6", "ipv6_addr", AF_INET6);
  add_spoofing (text, self->pools, &addresses);
  add_translation (text, self->pools, &addresses);
  g_string_append (text, filters);
  g_string_append (text, "}\n");
  return g_string_free (text, FALSE);
}

/* ---- Policy -------------------------------------------------------------------------------- */

/* A connection is judged by where its first packet wanted to go, whichever way this packet goes. */
static const char *
destination_of (int family)
{
  return family == AF_INET ? "ct original ip daddr" : "ct original ip6 daddr";
}

/* "RULE DESTINATION in RANGES REST", if there are any: one look, however many there are. */
static void
add_ranges (GString *text, const char *rule, const GArray *ranges, int family, const char *rest)
{
  g_autofree char *elements = NULL;

  if (ranges->len == 0)
    return;
  elements = vmsan_net_ranges_to_string (ranges, family);
  g_string_append_printf (text, "%s%s { %s } %s\n", rule, destination_of (family), elements, rest);
}

#define OUTBOUND "add rule " VMSAN_NET_TABLE " outbound "
#define BY_NAME  "add rule " VMSAN_NET_TABLE " by_name "

static const VmsanNetResolver *
find_resolver (const GArray *resolvers, int family)
{
  for (guint i = 0; resolvers != NULL && i < resolvers->len; i++)
    if (g_array_index (resolvers, VmsanNetResolver, i).family == family)
      return &g_array_index (resolvers, VmsanNetResolver, i);
  return NULL;
}

/* The guest asks its gateway in any case, so that a change of policy changes nothing inside. */
static void
add_passed_on_resolver (GString *text, const VmsanNetResolver *resolver)
{
  gboolean v4 = resolver->family == AF_INET;
  const char *gateway = v4 ? VMSAN_NET_GATEWAY4 : VMSAN_NET_GATEWAY6;
  static const char *const protocols[] = { "tcp", "udp" };

  for (guint i = 0; i < G_N_ELEMENTS (protocols); i++)
    {
      g_string_append_printf (text,
                              "add rule " VMSAN_NET_TABLE
                              " resolver_nat %s daddr %s %s dport %d dnat %s to %s%s%s:%u\n",
                              v4 ? "ip" : "ip6", gateway, protocols[i], VMSAN_NET_PORT_DNS,
                              v4 ? "ip" : "ip6", v4 ? "" : "[", resolver->address, v4 ? "" : "]",
                              resolver->port);
      g_string_append_printf (text,
                              OUTBOUND "%s %s meta l4proto %s ct original proto-dst %d "
                                       "ct status dnat goto pass\n",
                              destination_of (resolver->family), gateway, protocols[i],
                              VMSAN_NET_PORT_DNS);
    }
}

/* dnsmasq is on the gateway's addresses, and only it may ask others. */
static void
add_own_resolver (GString *text, const VmsanNetFirewall *self)
{
  static const char *const gateways[] = { "ip daddr " VMSAN_NET_GATEWAY4,
                                          "ip6 daddr " VMSAN_NET_GATEWAY6 };
  static const char *const protocols[] = { "tcp", "udp" };

  for (guint i = 0; i < G_N_ELEMENTS (protocols); i++)
    {
      for (guint j = 0; j < G_N_ELEMENTS (gateways); j++)
        g_string_append_printf (text,
                                "add rule " VMSAN_NET_TABLE " resolver_in %s %s dport %d accept\n",
                                gateways[j], protocols[i], VMSAN_NET_PORT_DNS);
      for (guint j = 0; self->resolvers != NULL && j < self->resolvers->len; j++)
        {
          const VmsanNetResolver *resolver = &g_array_index (self->resolvers, VmsanNetResolver, j);

          g_string_append_printf (text,
                                  "add rule " VMSAN_NET_TABLE
                                  " resolver_out meta skuid %u %s daddr %s %s dport %u accept\n",
                                  self->resolver_uid, resolver->family == AF_INET ? "ip" : "ip6",
                                  resolver->address, protocols[i], resolver->port);
        }
    }
}

/* Where there is no resolver, the guest is told at once; otherwise it would wait for long. */
static const char no_resolver[] =
    "add rule " VMSAN_NET_TABLE " resolver_in udp dport 53 reject with icmpx port-unreachable\n"
    "add rule " VMSAN_NET_TABLE " resolver_in tcp dport 53 reject with tcp reset\n";

static void
add_resolver (GString *text, const VmsanNetFirewall *self, const VmsanNetPolicy *policy)
{
  static const int families[] = { AF_INET, AF_INET6 };

  if (vmsan_net_policy_get_names (policy) != VMSAN_NET_NAMES_LISTED)
    g_string_append (text, no_resolver);

  switch (vmsan_net_policy_get_names (policy))
    {
    case VMSAN_NET_NAMES_NONE:
      return;
    case VMSAN_NET_NAMES_LISTED:
      add_own_resolver (text, self);
      return;
    case VMSAN_NET_NAMES_ALL:
      break;
    }
  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    {
      const VmsanNetResolver *resolver = find_resolver (self->resolvers, families[i]);

      if (resolver != NULL)
        add_passed_on_resolver (text, resolver);
    }
}

/* For lists, nothing else speaks DNS, as far as it can be told from ports and addresses. */
static void
add_foreign_resolvers (GString *text)
{
  static const char *const protocols[] = { "tcp", "udp" };
  static const int ports[] = { VMSAN_NET_PORT_DNS, VMSAN_NET_PORT_DOT };

  for (guint i = 0; i < G_N_ELEMENTS (protocols); i++)
    {
      for (guint j = 0; j < G_N_ELEMENTS (ports); j++)
        g_string_append_printf (text, OUTBOUND "meta l4proto %s ct original proto-dst %d drop\n",
                                protocols[i], ports[j]);
      g_string_append_printf (
          text,
          OUTBOUND
          "meta l4proto %s ct original proto-dst %d ct original ip daddr @doh4 drop\n" OUTBOUND
          "meta l4proto %s ct original proto-dst %d ct original ip6 daddr @doh6 drop\n",
          protocols[i], VMSAN_NET_PORT_HTTPS, protocols[i], VMSAN_NET_PORT_HTTPS);
    }
}

/* Of ICMP, a guest begins with echoes; errors go with the connection that they are about. */
static void
add_icmp (GString *text, const VmsanNetPolicy *policy)
{
  if (policy->allow_icmp)
    g_string_append (text, OUTBOUND "ct state new icmp type != echo-request drop\n" OUTBOUND
                                    "ct state new icmpv6 type != echo-request drop\n");
  else
    g_string_append (text,
                     OUTBOUND "meta l4proto icmp drop\n" OUTBOUND "meta l4proto ipv6-icmp drop\n");
}

static void
add_names (GString *text, const VmsanNetReach *reach, guint32 names_mark)
{
  static const char *const sets[][2] = { { "ct original ip daddr", "allowed_names4" },
                                         { "ct original ip daddr", "older_names4" },
                                         { "ct original ip6 daddr", "allowed_names6" },
                                         { "ct original ip6 daddr", "older_names6" } };

  add_ranges (text, OUTBOUND, vmsan_net_reach_get_nameable (reach, AF_INET), AF_INET,
              "goto by_name");
  add_ranges (text, OUTBOUND, vmsan_net_reach_get_nameable (reach, AF_INET6), AF_INET6,
              "goto by_name");
  g_string_append_printf (text, BY_NAME "ct mark & 0x%08x == 0x%08x goto pass_name\n",
                          VMSAN_NET_MARK_NAMES, names_mark);
  for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
    g_string_append_printf (text, BY_NAME "%s @%s goto pass_name\n", sets[i][0], sets[i][1]);
}

/* On some kernels a new set has its elements some moments later than the rule that looks into it
 * is in force. So nothing depends on one for being denied: sets that are new are about what is
 * allowed, and have nothing denied in them; the others are there from the beginning. */
static void
add_outbound (GString *text,
              const VmsanNetFirewall *self,
              const VmsanNetPolicy *policy,
              guint32 names_mark)
{
  g_autoptr (VmsanNetReach) reach = vmsan_net_reach_new (policy, self->pools);

  add_resolver (text, self, policy);
  if (policy->kind == VMSAN_NET_DENY_ALL)
    return;
  if (policy->kind == VMSAN_NET_CUSTOM)
    add_foreign_resolvers (text);
  add_icmp (text, policy);
  add_ranges (text, OUTBOUND, vmsan_net_reach_get_allowed (reach, AF_INET), AF_INET, "goto pass");
  add_ranges (text, OUTBOUND, vmsan_net_reach_get_allowed (reach, AF_INET6), AF_INET6, "goto pass");
  if (policy->allowed_domains[0] != NULL)
    add_names (text, reach, names_mark);
}

/* From outside, nothing comes but to published ports; the lists are about what the guest opens. */
static void
add_published (GString *text, const VmsanNetFirewall *self, const VmsanNetPolicy *policy)
{
  VmsanNetSlotAddresses addresses;

  vmsan_net_pools_get_addresses (self->pools, self->slot, &addresses);
  for (guint i = 0; i < policy->ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (policy->ports, i);
      gboolean v4 = strchr (port->host_address, ':') == NULL;

      g_string_append_printf (text,
                              "add rule " VMSAN_NET_TABLE
                              " published %s daddr %s %s dport %u dnat %s to %s\n",
                              v4 ? "ip" : "ip6", v4 ? addresses.own4 : addresses.own6,
                              port->udp ? "udp" : "tcp", port->guest_port, v4 ? "ip" : "ip6",
                              v4 ? VMSAN_NET_GUEST4 : VMSAN_NET_GUEST6);
    }
}

#define LIVE "add rule " VMSAN_NET_TABLE " live "

/* Not all that was translated once: a port may have been taken back since. */
static void
add_live_port (GString *text, const VmsanNetPort *port, const VmsanNetSlotAddresses *addresses)
{
  gboolean v4 = strchr (port->host_address, ':') == NULL;
  static const char *const ways[] = { "iifname " VMSAN_NET_UPLINK_NAME " ct direction original",
                                      "iifname " VMSAN_NET_TAP_NAME " ct direction reply" };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    g_string_append_printf (text,
                            LIVE "%s ct status dnat meta l4proto %s %s %s "
                                 "ct original proto-dst %u goto pass\n",
                            ways[i], port->udp ? "udp" : "tcp",
                            destination_of (v4 ? AF_INET : AF_INET6),
                            v4 ? addresses->own4 : addresses->own6, port->guest_port);
}

static void
add_live (GString *text,
          const VmsanNetFirewall *self,
          const VmsanNetPolicy *policy,
          guint32 policy_mark,
          guint32 names_mark)
{
  VmsanNetSlotAddresses addresses;

  vmsan_net_pools_get_addresses (self->pools, self->slot, &addresses);
  g_string_append_printf (text,
                          "add rule " VMSAN_NET_TABLE " pass ct mark set 0x%08x accept\n"
                          "add rule " VMSAN_NET_TABLE " pass_name ct mark set 0x%08x accept\n" LIVE
                          "ct mark & 0x%08x == 0x%08x ct state established,related accept\n",
                          policy_mark, policy_mark | names_mark, VMSAN_NET_MARK_POLICY,
                          policy_mark);
  g_string_append (text,
                   LIVE "ct state related drop\n" LIVE "iifname " VMSAN_NET_TAP_NAME
                        " ct direction original goto outbound\n" LIVE
                        "iifname " VMSAN_NET_UPLINK_NAME " ct direction reply goto outbound\n");
  for (guint i = 0; i < policy->ports->len; i++)
    add_live_port (text, g_ptr_array_index (policy->ports, i), &addresses);
}

/* The same text has the same mark, so that what a policy has allowed stays so when it comes again,
 * and a program that has just started knows what an earlier one meant. */
static guint32
make_mark (const char *text, guint32 mask)
{
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  guint32 mark = 0;

  for (const char *p = digest; (mark & mask) == 0 && strlen (p) >= 8; p += 8)
    {
      g_autofree char *word = g_strndup (p, 8);

      mark = (guint32) g_ascii_strtoull (word, NULL, 16);
    }
  return (mark & mask) != 0 ? mark & mask : mask;
}

char *
vmsan_net_rules_first_policy (const VmsanNetFirewall *self, const VmsanNetPolicy *policy)
{
  g_autofree char *domains = g_strjoinv (" ", policy->allowed_domains);
  guint32 names_mark = make_mark (domains, VMSAN_NET_MARK_NAMES);
  GString *text = g_string_new (NULL);

  add_outbound (text, self, policy, names_mark);
  add_published (text, self, policy);
  add_live (text, self, policy, make_mark (text->str, VMSAN_NET_MARK_POLICY), names_mark);
  return g_string_free (text, FALSE);
}

char *
vmsan_net_rules_policy (const VmsanNetFirewall *self,
                        const VmsanNetPolicy *policy,
                        gboolean keep_names)
{
  static const char *const chains[] = { "live",         "outbound",     "by_name",
                                        "pass",         "pass_name",    "resolver_in",
                                        "resolver_out", "resolver_nat", "published" };
  static const char *const sets[] = { "allowed_names4", "allowed_names6", "older_names4",
                                      "older_names6" };
  g_autofree char *rules = vmsan_net_rules_first_policy (self, policy);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (chains); i++)
    g_string_append_printf (text, "flush chain " VMSAN_NET_TABLE " %s\n", chains[i]);
  for (guint i = 0; !keep_names && i < G_N_ELEMENTS (sets); i++)
    g_string_append_printf (text, "flush set " VMSAN_NET_TABLE " %s\n", sets[i]);
  g_string_append (text, rules);
  return g_string_free (text, FALSE);
}
