/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a policy says about a destination: the ranges that rules are made of, and the verdict on one
 * connection, in this order: denied addresses; cloud metadata, unless an allowed entry is exactly
 * that address; addresses of machines and of local use, unless an allowed entry lies within; under
 * custom, other name servers by DNS, DoT, DoQ and, where known, DoH; ICMP; allowed addresses; and
 * last those that an allowed name led to, if they are public. */

#pragma once

#include "net/net-policy.h"
#include "net/net-range.h"

/* A policy's ranges, made once. */
typedef struct _VmsanNetReach VmsanNetReach;

VmsanNetReach *vmsan_net_reach_new (const VmsanNetPolicy *policy, const VmsanNetPools *pools);
void vmsan_net_reach_free (VmsanNetReach *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetReach, vmsan_net_reach_free)

/* What may be reached whatever has led there, without what is denied; and where an allowed name may
 * lead. Both have nothing in them that is denied, so that a rule which for a moment matches nothing
 * lets nothing through. (transfer none) of VmsanNetRange */
const GArray *vmsan_net_reach_get_allowed (const VmsanNetReach *self, int family);
const GArray *vmsan_net_reach_get_nameable (const VmsanNetReach *self, int family);

/* Well-known public resolvers that speak DoH. (transfer full) of VmsanNetRange */
GArray *vmsan_net_reach_list_doh (int family);

typedef enum
{
  VMSAN_NET_FORBIDDEN,
  VMSAN_NET_ALLOWED,
  VMSAN_NET_BY_NAME, /* allowed if an allowed name led there */
} VmsanNetVerdict;

/* On a connection that the guest opens, by what it sends: @destination is a whole address,
 * @protocol an IPPROTO_ value, @port 0 where there is none. Its own resolver is not asked for. */
VmsanNetVerdict vmsan_net_reach_judge (const VmsanNetReach *self,
                                       const VmsanNetPrefix *destination,
                                       int protocol,
                                       guint16 port);

#define VMSAN_NET_PORT_DNS   53
#define VMSAN_NET_PORT_DOT   853 /* DoT and DoQ */
#define VMSAN_NET_PORT_HTTPS 443
