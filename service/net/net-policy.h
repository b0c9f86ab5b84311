/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a machine may reach: the policy as callers give it and as records keep it.
 *
 * Options (of CreateVM and SetNetworkPolicy): "network" (s: "nat" or "none"; CreateVM only),
 * "network-policy" (s: "allow-all", "deny-all", "custom"), "allowed-cidrs", "denied-cidrs",
 * "allowed-domains" (as), "allow-icmp" (b, default true), "published-ports" (as:
 * "[ADDRESS:]PORT:GUEST-PORT[/tcp|udp]"), "bandwidth-mbit" (u; 0: no limit), "skip-dnat" (b).
 *
 * Custom allows what is listed, and denied beats allowed. A list given with allow-all, or without a
 * policy, makes it custom; with denied addresses alone, it allows all others, which then are listed
 * as "0.0.0.0/0" and "::/0". Lists with deny-all are refused. Naming allow-all or deny-all later
 * begins with empty lists; otherwise what is not named stays. */

#pragma once

#include "net/net-port.h"
#include "sys/options.h"

#include <gio/gio.h>

#define VMSAN_NET_MAX_CIDRS   1024
#define VMSAN_NET_MAX_DOMAINS 256
#define VMSAN_NET_MAX_PORTS   64

typedef enum
{
  VMSAN_NET_ALLOW_ALL,
  VMSAN_NET_DENY_ALL,
  VMSAN_NET_CUSTOM,
} VmsanNetPolicyKind;

/* Immutable, reference-counted. */
typedef struct
{
  gboolean has_network; /* FALSE: loopback only */
  VmsanNetPolicyKind kind;
  GArray *allowed_cidrs; /* VmsanNetPrefix, both families */
  GArray *denied_cidrs;
  GStrv allowed_domains; /* normalized: lower case, no trailing dot; "*.x" is names below x */
  gboolean allow_icmp;
  GPtrArray *ports; /* VmsanNetPort */
  guint bandwidth_mbit;
  gboolean skip_dnat;
} VmsanNetPolicy;

/* Every option above with its type, ended by a row of NULL; and those that SetNetworkPolicy takes.
 */
extern const VmsanOption vmsan_net_policy_options[];
extern const VmsanOption vmsan_net_policy_live_options[];

/* For a machine without a network. */
VmsanNetPolicy *vmsan_net_policy_new_none (void);

/* @options: a{sv} with checked types, other keys ignored. @old: for SetNetworkPolicy, what is not
 * in @options stays as in it; NULL for CreateVM. @pools: which lists must not name; NULL for a
 * record, which was checked when it was written. INVALID_ARGUMENT names option, value and rule. */
VmsanNetPolicy *vmsan_net_policy_parse (GVariant *options,
                                        const VmsanNetPolicy *old,
                                        const VmsanNetPools *pools,
                                        GError **error);

/* Refuses host ports that @caller may not publish, unless @old (nullable) has them already.
 * INVALID_ARGUMENT. */
gboolean vmsan_net_policy_check_caller (const VmsanNetPolicy *self,
                                        const VmsanNetPolicy *old,
                                        uid_t caller,
                                        GError **error);

/* Every option with its value, for records, details and the signal. (transfer floating) a{sv} */
GVariant *vmsan_net_policy_to_variant (const VmsanNetPolicy *self);

const char *vmsan_net_policy_kind_to_string (VmsanNetPolicyKind kind);
gboolean vmsan_net_policy_equal (const VmsanNetPolicy *a, const VmsanNetPolicy *b);

VmsanNetPolicy *vmsan_net_policy_ref (const VmsanNetPolicy *self);
void vmsan_net_policy_unref (VmsanNetPolicy *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetPolicy, vmsan_net_policy_unref)

/* Which names a machine can resolve.
 *
 * @VMSAN_NET_NAMES_NONE: none: deny-all, and custom with a few addresses only, as a resolver that
 *   answers everything would carry data to anywhere
 * @VMSAN_NET_NAMES_ALL: all: allow-all, and custom with all addresses of a family allowed
 * @VMSAN_NET_NAMES_LISTED: those in allowed_domains, with a dnsmasq of the machine's own */
typedef enum
{
  VMSAN_NET_NAMES_NONE,
  VMSAN_NET_NAMES_ALL,
  VMSAN_NET_NAMES_LISTED,
} VmsanNetNames;

VmsanNetNames vmsan_net_policy_get_names (const VmsanNetPolicy *self);

/* The verdict table for names: whether @name (any case, trailing dot or not) is allowed. */
gboolean vmsan_net_policy_allows_name (const VmsanNetPolicy *self, const char *name);
