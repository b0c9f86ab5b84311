/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The text of a machine's rules. Pure: what goes in are numbers, parsed addresses and constants, so
 * that nothing of a caller's ever reaches nftables as it was written. */

#pragma once

#include "net/net-firewall.h"

#define VMSAN_NET_TABLE "inet vmsan"

/* The table without a policy: whatever fits no rule is dropped, and there are no others yet. */
char *vmsan_net_rules_base (const VmsanNetFirewall *self);

/* What the first policy adds to a base. */
char *vmsan_net_rules_first_policy (const VmsanNetFirewall *self, const VmsanNetPolicy *policy);

/* What is added for a policy, in place of an earlier one. @keep_names: addresses that names were
 * resolved to, and connections to them, stay. */
char *vmsan_net_rules_policy (const VmsanNetFirewall *self,
                              const VmsanNetPolicy *policy,
                              gboolean keep_names);

/* Connections are marked with the policy that let them pass, so that the packets of those that it
 * allows pass with one look, and those that only an earlier one allowed do not pass at all: the
 * upper part is made from the rules, the lower one from the list of domains, for connections that
 * a name has allowed. */
#define VMSAN_NET_MARK_POLICY 0xfffff000u
#define VMSAN_NET_MARK_NAMES  0x00000fffu
