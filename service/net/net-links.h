/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The links of a machine's network: a veth pair between the host and its namespace, and its tap.
 *
 * Links on the host are ours if they are veth links, are named "vmsan" and a slot, and belong to
 * our group; no other is ever changed or deleted. */

#pragma once

#include "net/net-address.h"
#include "net/net-netlink.h"

/* Group numbers are the administrator's to give (ip-link(8)); these are unlikely to be given. */
#define VMSAN_NET_LINK_GROUP    0x766d736e
#define VMSAN_NET_DELETED_GROUP 0x766d7364

/* MACs of the two ends of a slot's pair. */
typedef struct
{
  char host[18];
  char own[18];
} VmsanNetSlotMacs;

void vmsan_net_links_get_macs (guint slot, VmsanNetSlotMacs *macs);

/* @proc_fd: see net-sysctl.h. The IPv6 settings of the calling thread's namespace; they stay those
 * of it in every other. @fd becomes -1 if the kernel has no IPv6 and none is needed. */
gboolean vmsan_net_links_open_conf6 (int proc_fd, gboolean has_ipv6, int *fd, GError **error);

/* What concerns the whole namespace, and what links are born with. In it, before the links. */
gboolean vmsan_net_links_set_defaults (int proc_fd, gboolean has_ipv6, GError **error);

/* Makes the pair from the host's side. A left-over of ours in the slot is replaced; EXISTS if a
 * link of somebody else has the name. */
gboolean vmsan_net_links_add_pair (
    VmsanNetlink *host, guint slot, int namespace_fd, guint mtu, GError **error);

/* Makes tap0, which stays without a process. In the namespace. */
gboolean vmsan_net_links_add_tap (GError **error);

/* Addresses, routes and neighbours; everything is up. */
gboolean vmsan_net_links_configure_inside (
    VmsanNetlink *inside, const VmsanNetPools *pools, guint slot, guint mtu, GError **error);

/* The host's end. @host_conf6: the host's IPv6 settings, as above. */
gboolean vmsan_net_links_configure_host (
    VmsanNetlink *host, int host_conf6, const VmsanNetPools *pools, guint slot, GError **error);

/* Whether the links of @slot are up and lead to each other and on, as they do when they have been
 * configured with @mtu; the error says what does not. */
gboolean vmsan_net_links_check (VmsanNetlink *host,
                                VmsanNetlink *inside,
                                const VmsanNetPools *pools,
                                guint slot,
                                guint mtu,
                                GError **error);

/* Deletes the pairs of @slots, all at once; what is gone or not ours is passed over. */
gboolean vmsan_net_links_delete (VmsanNetlink *host, const guint *slots, guint n, GError **error);

/* Slots whose link is on the host, guint. (transfer full) */
GArray *vmsan_net_links_list (VmsanNetlink *host, GError **error);

/* Opens the device that makes taps, and asks it for tap0. The caller is in the namespace. */
int vmsan_net_links_open_tap (GError **error);
