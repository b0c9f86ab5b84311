/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Addresses and prefixes of both families, and where machines get theirs.
 *
 * Each machine has a slot. Slot N owns four addresses of the IPv4 pool, network + 4N to + 4N+3: the
 * second is the host's end of its link, the third its own; likewise in the IPv6 prefix, where there
 * is one. */

#pragma once

#include <glib.h>
#include <netinet/in.h>

typedef struct
{
  int family; /* AF_INET or AF_INET6 */
  guint8 bytes[16];
  guint prefix_length;
} VmsanNetPrefix;

/* Parses "192.0.2.0/24" or "2001:db8::/32"; an address alone is a prefix of its whole length.
 * INVALID_ARGUMENT names the value and the rule: host bits, a wrong length, no address. */
gboolean vmsan_net_prefix_parse (const char *text, VmsanNetPrefix *prefix, GError **error);
char *vmsan_net_prefix_to_string (const VmsanNetPrefix *prefix);
gboolean vmsan_net_prefix_overlaps (const VmsanNetPrefix *a, const VmsanNetPrefix *b);
gboolean vmsan_net_prefix_contains (const VmsanNetPrefix *outer, const VmsanNetPrefix *inner);

typedef struct
{
  VmsanNetPrefix pool4; /* IPv4, /8 to /28 */
  gboolean has_pool6;
  VmsanNetPrefix pool6; /* IPv6, /32 to /112 */
} VmsanNetPools;

/* Both texts as in the configuration; @pool6 may be empty. */
gboolean
vmsan_net_pools_parse (const char *pool4, const char *pool6, VmsanNetPools *pools, GError **error);
guint vmsan_net_pools_get_n_slots (const VmsanNetPools *pools);

/* The prefix lengths of a slot's link: its four addresses. */
#define VMSAN_NET_SLOT_PREFIX4 30
#define VMSAN_NET_SLOT_PREFIX6 126

/* Addresses of a slot as text, for netlink and nft. */
typedef struct
{
  char host4[INET_ADDRSTRLEN];
  char own4[INET_ADDRSTRLEN];
  char host6[INET6_ADDRSTRLEN]; /* empty without an IPv6 pool */
  char own6[INET6_ADDRSTRLEN];
} VmsanNetSlotAddresses;

void vmsan_net_pools_get_addresses (const VmsanNetPools *pools,
                                    guint slot,
                                    VmsanNetSlotAddresses *addresses);

/* The link inside a machine's namespace: the same for every machine, so that what has booted once
 * can be copied. 192.0.0.0/29 is reserved for a host's own use (RFC 7335), so no network that a
 * guest may want to reach has it. */
#define VMSAN_NET_TAP_NAME    "tap0"
#define VMSAN_NET_UPLINK_NAME "up0"
#define VMSAN_NET_GATEWAY4    "192.0.0.1"
#define VMSAN_NET_GUEST4      "192.0.0.2"
#define VMSAN_NET_PREFIX4     29
#define VMSAN_NET_GATEWAY6    "fd76:6d73:616e::1"
#define VMSAN_NET_GUEST6      "fd76:6d73:616e::2"
#define VMSAN_NET_PREFIX6     64
#define VMSAN_NET_INSIDE4     "192.0.0.0/29"
#define VMSAN_NET_INSIDE6     "fd76:6d73:616e::/64"
#define VMSAN_NET_GATEWAY_MAC "02:76:6d:73:00:01"
#define VMSAN_NET_GUEST_MAC   "02:76:6d:73:00:02"

/* The link-local address that a kernel makes of the guest's MAC (RFC 4291, appendix A). */
#define VMSAN_NET_GUEST_LOCAL6 "fe80::76:6dff:fe73:2"
