/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The host's side of all machines: one table inet "vmsan" with fixed base chains, in which a
 * machine is an element of sets and maps. It translates machines' addresses to the host's own, has
 * published ports, and keeps machines from each other and from the host; what a machine may reach
 * beyond is decided in its namespace (net-firewall.h). All calls block: worker thread. */

#pragma once

#include "net/net-policy.h"

typedef struct
{
  const VmsanNetPools *pools;
  const GArray *resolvers; /* of VmsanNetResolver, which may be addresses of the host */

  /* Links by which the host forwards only because of machines: what comes in by them and goes to no
   * machine is not forwarded. NULL for none. */
  const char *const *opened_links;
  gboolean opened_ipv6; /* all links, for IPv6 */
} VmsanNetHost;

typedef struct
{
  guint slot;
  const VmsanNetPolicy *policy;
} VmsanNetMember;

/* Makes or replaces the table with exactly @members; idempotent, one transaction. */
gboolean vmsan_net_host_rebuild (const VmsanNetHost *self,
                                 const VmsanNetMember *members,
                                 guint n_members,
                                 GError **error);

/* Adds a machine, whose link must be there, in place of what it has under @old, or nothing when
 * NULL; one transaction. EXISTS when another has one of its ports; NOT_FOUND when somebody has
 * removed the table: rebuild it. */
gboolean vmsan_net_host_add (const VmsanNetHost *self,
                             const VmsanNetMember *member,
                             const VmsanNetPolicy *old,
                             GError **error);

/* Removes all of a slot, and makes the host forget its connections; what is gone is fine. @policy:
 * the one that it was added with, or NULL to look through the whole table for it. */
gboolean vmsan_net_host_remove (const VmsanNetHost *self,
                                guint slot,
                                const VmsanNetPolicy *policy,
                                GError **error);
gboolean vmsan_net_host_delete_table (GError **error);

/* Whether the table is there, with all its chains: FALSE without error after a flush. */
gboolean vmsan_net_host_is_complete (gboolean *complete, GError **error);

/* Names base chains of others that drop what machines forward (hook forward, policy drop, or a
 * last rule that drops or rejects everything): "ip filter FORWARD". */
GStrv vmsan_net_host_find_conflicts (GError **error);
