/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no rule matches anything but machines' links, machines' addresses and published ports;
 * all other traffic of the host passes as if the table were not there. */

#include "net/net-host-rules.h"

#include "net/net-namespace.h"
#include "net/net-reach.h"
#include "net/net-resolvers.h"
#include "net/net-rules.h"

#include <string.h>

const char *const vmsan_net_host_sets[] = { "members4",   "members6",   "reach4",
                                            "reach6",     "ports4",     "ports6",
                                            "any_ports4", "any_ports6", NULL };
const char *const vmsan_net_host_base_chains[] = { "raw",    "dstnat",  "output_dstnat",
                                                   "srcnat", "forward", "input",
                                                   NULL };

/* ---- The table ----------------------------------------------------------------------------- */

/* reach: whom of the host's own addresses a machine may talk to, because its policy names exactly
 * that. any_ports: published at all of the host's addresses. */
static const char sets[] =
    "set members4 { type ipv4_addr . ifname; }\n"
    "set members6 { type ipv6_addr . ifname; }\n"
    "set reach4 { type ipv4_addr . ipv4_addr; }\n"
    "set reach6 { type ipv6_addr . ipv6_addr; }\n"
    "map ports4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }\n"
    "map ports6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }\n"
    "map any_ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
    "map any_ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }\n";

/* Loopback addresses come from no link: on one that has route_localnet, so that what a program of
 * the host sends there can leave by it, a machine could reach the host's own services, and
 * everybody on a network, the ports that are published for the host alone. */
static const char raw[] = "chain raw {\n"
                          "type filter hook prerouting priority raw; policy accept;\n"
                          "iifname != \"vmsan*\" accept\n"
                          "ip daddr 127.0.0.0/8 drop\n"
                          "ip saddr . iifname @members4 accept\n"
                          "ip6 saddr . iifname @members6 accept\n"
                          "drop\n"
                          "}\n";

/* Anybody may publish a port at any address, as the host may get it later. While it is somebody
 * else's, what the host sends or passes on to it is theirs. */
static const char destinations[] = "chain to_ports {\n"
                                   "meta l4proto != { tcp, udp } return\n"
                                   "ip6 daddr ::1 return\n"
                                   "fib daddr type != local return\n"
                                   "dnat ip to meta l4proto . ip daddr . th dport map @ports4\n"
                                   "dnat ip6 to meta l4proto . ip6 daddr . th dport map @ports6\n"
                                   "dnat ip to meta l4proto . th dport map @any_ports4\n"
                                   "dnat ip6 to meta l4proto . th dport map @any_ports6\n"
                                   "}\n"
                                   "chain dstnat {\n"
                                   "type nat hook prerouting priority dstnat; policy accept;\n"
                                   "ip daddr 127.0.0.0/8 return\n"
                                   "jump to_ports\n"
                                   "}\n"
                                   "chain output_dstnat {\n"
                                   "type nat hook output priority -100; policy accept;\n"
                                   "jump to_ports\n"
                                   "}\n";

/* A machine answers to an address that it can reach by its link: not to the host's loopback, nor
 * to that of another machine, which its namespace takes for a forged one. */
static void
add_sources (GString *text, const VmsanNetPools *pools)
{
  g_autofree char *pool4 = vmsan_net_prefix_to_string (&pools->pool4);
  g_autofree char *pool6 = vmsan_net_prefix_to_string (&pools->pool6);

  g_string_append_printf (
      text,
      "chain srcnat {\n"
      "type nat hook postrouting priority srcnat; policy accept;\n"
      "oifname \"vmsan*\" ip saddr { 127.0.0.0/8, %s } ct status dnat masquerade\n"
      "oifname != \"vmsan*\" ip saddr %s masquerade\n",
      pool4, pool4);
  if (pools->has_pool6)
    g_string_append_printf (text,
                            "oifname \"vmsan*\" ip6 saddr %s ct status dnat masquerade\n"
                            "oifname != \"vmsan*\" ip6 saddr %s masquerade\n",
                            pool6, pool6);
  g_string_append (text, "}\n");
}

/* A host that forwarded nothing before there were machines is no router for anybody else. */
static void
add_forward (GString *text, const VmsanNetHost *host)
{
  g_string_append (text, "chain forward {\n"
                         "type filter hook forward priority filter; policy accept;\n");
  for (guint i = 0; host->opened_links != NULL && host->opened_links[i] != NULL; i++)
    g_string_append_printf (text,
                            "iifname \"%s\" oifname != \"vmsan*\" ct state != { established, "
                            "related } drop\n",
                            host->opened_links[i]);
  if (host->opened_ipv6)
    g_string_append (text, "meta nfproto ipv6 iifname != \"vmsan*\" oifname != \"vmsan*\" drop\n");
  g_string_append (text, "oifname != \"vmsan*\" accept\n"
                         "ct state established,related accept\n"
                         "ct status dnat iifname != \"vmsan*\" accept\n"
                         "ct status dnat ip saddr . ct original ip daddr @reach4 accept\n"
                         "ct status dnat ip6 saddr . ct original ip6 daddr @reach6 accept\n"
                         "drop\n"
                         "}\n");
}

/* The name server that machines' resolvers ask may be on the host. */
static void
add_input (GString *text, const GArray *resolvers)
{
  g_string_append (text, "chain input {\n"
                         "type filter hook input priority filter; policy accept;\n"
                         "iifname != \"vmsan*\" accept\n"
                         "ct state established,related accept\n"
                         "ip saddr . ip daddr @reach4 accept\n"
                         "ip6 saddr . ip6 daddr @reach6 accept\n");
  for (guint i = 0; resolvers != NULL && i < resolvers->len; i++)
    {
      const VmsanNetResolver *resolver = &g_array_index (resolvers, VmsanNetResolver, i);

      g_string_append_printf (text, "%s daddr %s meta l4proto { tcp, udp } th dport %u accept\n",
                              resolver->family == AF_INET ? "ip" : "ip6", resolver->address,
                              resolver->port);
    }
  g_string_append (text, "drop\n"
                         "}\n");
}

/* ---- A machine ----------------------------------------------------------------------------- */

typedef struct
{
  GString *text;
  const char *verb;
} Elements;

static void G_GNUC_PRINTF (3, 4)
    add_element (Elements *self, const char *set, const char *format, ...)
{
  va_list args;

  g_string_append_printf (self->text, "%s element " VMSAN_NET_TABLE " %s { ", self->verb, set);
  va_start (args, format);
  g_string_append_vprintf (self->text, format, args);
  va_end (args);
  g_string_append (self->text, " }\n");
}

static void
add_membership (Elements *self, const VmsanNetSlotAddresses *addresses, guint slot)
{
  g_autofree char *link = vmsan_net_host_link_name (slot);

  add_element (self, "members4", "%s . \"%s\"", addresses->own4, link);
  if (addresses->own6[0] != '\0')
    add_element (self, "members6", "%s . \"%s\"", addresses->own6, link);
}

/* Single addresses that are allowed may be the host's; which it has can change at any time. */
static void
add_reach (Elements *self,
           const VmsanNetHost *host,
           const VmsanNetSlotAddresses *addresses,
           const VmsanNetPolicy *policy)
{
  g_autoptr (VmsanNetReach) reach = vmsan_net_reach_new (policy, host->pools);

  for (guint i = 0; i < policy->allowed_cidrs->len; i++)
    {
      const VmsanNetPrefix *entry = &g_array_index (policy->allowed_cidrs, VmsanNetPrefix, i);
      gboolean v4 = entry->family == AF_INET;
      g_autofree char *address = vmsan_net_prefix_to_string (entry);

      if (entry->prefix_length != (v4 ? 32 : 128) || (!v4 && addresses->own6[0] == '\0') ||
          vmsan_net_reach_judge (reach, entry, IPPROTO_TCP, 0) != VMSAN_NET_ALLOWED)
        continue;
      *strchr (address, '/') = '\0';
      add_element (self, v4 ? "reach4" : "reach6", "%s . %s",
                   v4 ? addresses->own4 : addresses->own6, address);
    }
}

static void
add_ports (Elements *self, const VmsanNetSlotAddresses *addresses, const VmsanNetPolicy *policy)
{
  for (guint i = 0; !policy->skip_dnat && i < policy->ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (policy->ports, i);
      gboolean v4 = strchr (port->host_address, ':') == NULL;
      const char *own = v4 ? addresses->own4 : addresses->own6;
      const char *protocol = port->udp ? "udp" : "tcp";

      if (*own == '\0')
        continue;
      if (vmsan_net_port_is_everywhere (port))
        add_element (self, v4 ? "any_ports4" : "any_ports6", "%s . %u : %s . %u", protocol,
                     port->host_port, own, port->guest_port);
      else
        add_element (self, v4 ? "ports4" : "ports6", "%s . %s . %u : %s . %u", protocol,
                     port->host_address, port->host_port, own, port->guest_port);
    }
}

char *
vmsan_net_host_rules_member (const VmsanNetHost *self,
                             const VmsanNetMember *member,
                             const char *verb)
{
  Elements elements = { g_string_new (NULL), verb };
  VmsanNetSlotAddresses addresses;

  vmsan_net_pools_get_addresses (self->pools, member->slot, &addresses);
  add_membership (&elements, &addresses, member->slot);
  add_reach (&elements, self, &addresses, member->policy);
  add_ports (&elements, &addresses, member->policy);
  return g_string_free (elements.text, FALSE);
}

char *
vmsan_net_host_rules_table (const VmsanNetHost *self,
                            const VmsanNetMember *members,
                            guint n_members)
{
  /* Adding what may be there already makes the deletion of what may not be there possible. */
  GString *text = g_string_new ("add table " VMSAN_NET_TABLE "\n"
                                "delete table " VMSAN_NET_TABLE "\n"
                                "table " VMSAN_NET_TABLE " {\n");

  g_string_append (text, sets);
  g_string_append (text, raw);
  g_string_append (text, destinations);
  add_sources (text, self->pools);
  add_forward (text, self);
  add_input (text, self->resolvers);
  g_string_append (text, "}\n");
  for (guint i = 0; i < n_members; i++)
    {
      g_autofree char *elements = vmsan_net_host_rules_member (self, &members[i], "add");

      g_string_append (text, elements);
    }
  return g_string_free (text, FALSE);
}

gboolean
vmsan_net_host_rules_needs_localnet (const VmsanNetPolicy *policy)
{
  for (guint i = 0; !policy->skip_dnat && i < policy->ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (policy->ports, i);

      if (g_str_has_prefix (port->host_address, "127.") ||
          (vmsan_net_port_is_everywhere (port) && strchr (port->host_address, ':') == NULL))
        return TRUE;
    }
  return FALSE;
}
