/* SPDX-License-Identifier: GPL-2.0-or-later */

/* nftables rules of a machine, with libnftables, in one transaction per change.
 *
 * They are in the machine's namespace, in a table inet "vmsan": the namespace has the machine's
 * name, and a table, unlike a namespace, cannot be renamed when a prepared one is taken. Its chains
 * input, forward and output have policy drop; it translates between the slot's address and the
 * guest's. All calls block: worker thread. */

#pragma once

#include "net/net-policy.h"

#include <sys/types.h>

typedef struct
{
  int namespace_fd;
  const VmsanNetPools *pools;
  guint slot;
  const GArray *resolvers; /* of VmsanNetResolver; see net-resolvers.h */
  uid_t resolver_uid;      /* of the machine's dnsmasq, if it has one */
} VmsanNetFirewall;

/* Makes the base of the table, which denies everything, in place of any earlier one. */
gboolean vmsan_net_firewall_prepare (const VmsanNetFirewall *self, GError **error);

/* Puts a policy in force where there never was one since the base was made; half the cost of
 * vmsan_net_firewall_apply(). */
gboolean vmsan_net_firewall_fill (const VmsanNetFirewall *self,
                                  const VmsanNetPolicy *policy,
                                  GError **error);

/* Fills or replaces the policy: one transaction, so that at no moment is the machine without rules,
 * and from then on connections that the new policy forbids pass nothing; then they are forgotten.
 * On failure the old rules stay. @old: the policy in force, or NULL when none is. Addresses of
 * names that were resolved stay allowed only when the list of domains stays the same. */
gboolean vmsan_net_firewall_apply (const VmsanNetFirewall *self,
                                   const VmsanNetPolicy *policy,
                                   const VmsanNetPolicy *old,
                                   GError **error);

/* dnsmasq adds addresses but never renews them, so they are kept in two generations: to be called
 * every VMSAN_NET_NAMES_PERIOD_S for machines with listed names. An address stays allowed for one
 * to two periods after a name was last resolved to it, which is longer than any answer is valid
 * (VMSAN_NET_NAMES_MAX_TTL_S). Late or missed calls only let addresses stay longer. */
#define VMSAN_NET_NAMES_MAX_TTL_S 300
#define VMSAN_NET_NAMES_PERIOD_S  420
gboolean vmsan_net_firewall_age_names (const VmsanNetFirewall *self, GError **error);
