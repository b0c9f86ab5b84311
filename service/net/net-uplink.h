/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The links by which the host reaches the world: where its default routes lead.
 *
 * Machines' packets leave by them, and the answers come in by them; whether those are forwarded is
 * decided by settings of the host. All functions work in the calling thread's namespace and
 * block. */

#pragma once

#include "net/net-netlink.h"

/* The MTU of the way to the world, the smaller of both families'; 1500 where there is none. */
guint vmsan_net_uplink_get_mtu (VmsanNetlink *host);

typedef enum
{
  VMSAN_NET_IPV6_OFF,      /* no IPv6 pool */
  VMSAN_NET_IPV6_PER_LINK, /* kernels since 6.17 can forward for single links */
  VMSAN_NET_IPV6_GLOBAL,   /* the whole host becomes a router */
} VmsanNetIpv6Forwarding;

/* What this kernel can do for a host whose machines have IPv6 addresses. */
VmsanNetIpv6Forwarding vmsan_net_uplink_get_ipv6_forwarding (gboolean has_pool6);

/* What has to be changed so that packets that come in by an uplink are forwarded: each setting with
 * its present value, as "ipv4/conf/eth0/forwarding=0"; empty when all is as it should be. Again
 * when default routes have changed. To be kept, for restoring, before it is applied. (transfer
 * full) */
GStrv vmsan_net_uplink_plan (VmsanNetlink *host, VmsanNetIpv6Forwarding ipv6, GError **error);

/* Makes the changes. On failure none stays. */
gboolean vmsan_net_uplink_apply (const char *const *changes, GError **error);

/* Sets back what is still as it was set, except where somebody has made the host a router since:
 * then it has to stay one. What was never applied is fine. */
gboolean vmsan_net_uplink_restore (const char *const *changes, GError **error);
