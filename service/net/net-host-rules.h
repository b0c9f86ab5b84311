/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The text of the host's table. Pure; made of numbers, parsed addresses and constants only. */

#pragma once

#include "net/net-host-table.h"

/* The whole table in place of any earlier one. */
char *vmsan_net_host_rules_table (const VmsanNetHost *self,
                                  const VmsanNetMember *members,
                                  guint n_members);

/* "VERB element …" for everything that a machine has in the table, VERB being "add" or "delete". */
char *vmsan_net_host_rules_member (const VmsanNetHost *self,
                                   const VmsanNetMember *member,
                                   const char *verb);

/* The names of all its sets, maps and base chains; ended by NULL. */
extern const char *const vmsan_net_host_sets[];
extern const char *const vmsan_net_host_base_chains[];

/* Whether a machine has ports on the host's IPv4 loopback, and so needs route_localnet. */
gboolean vmsan_net_host_rules_needs_localnet (const VmsanNetPolicy *policy);
