/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Route netlink: a socket, and the few requests that machines' links need.
 *
 * A socket belongs to the network namespace that it was opened in, whichever thread uses it. Each
 * function is one request that the kernel has carried out, or refused, when it returns. */

#pragma once

#include <glib.h>
#include <net/if.h>
#include <netlink/netlink.h>

typedef struct nl_sock VmsanNetlink;

VmsanNetlink *vmsan_netlink_open (GError **error);
void vmsan_netlink_free (VmsanNetlink *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetlink, vmsan_netlink_free)

/* Sets @error from libnl's code: "FORMAT: text". Always FALSE. */
gboolean vmsan_netlink_set_error (GError **error, int code, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

/* Sends @message (transfer full) and waits for the kernel's verdict: a code of libnl. */
int vmsan_netlink_send (VmsanNetlink *self, struct nl_msg *message);

/* ---- Links --------------------------------------------------------------------------------- */

typedef struct
{
  int ifindex;
  char name[IFNAMSIZ];
  guint group;
  guint mtu;
  gboolean is_veth;
  gboolean is_up;
} VmsanNetLink;

/* By name, or by index where @name is NULL; NOT_FOUND. */
gboolean vmsan_netlink_get_link (
    VmsanNetlink *self, const char *name, int ifindex, VmsanNetLink *link, GError **error);

/* All links of the namespace, VmsanNetLink. (transfer full) */
GArray *vmsan_netlink_list_links (VmsanNetlink *self, GError **error);

typedef struct
{
  const char *name;
  const char *mac;
  const char *peer_name;
  const char *peer_mac;
  int peer_namespace_fd;
  guint mtu;   /* of both */
  guint group; /* of the end that is here */
} VmsanNetVeth;

/* The peer is made in its namespace, so its name is never taken here. EXISTS. */
gboolean vmsan_netlink_add_veth (VmsanNetlink *self, const VmsanNetVeth *veth, GError **error);

gboolean vmsan_netlink_set_up (VmsanNetlink *self, int ifindex, GError **error);

/* MAC, MTU and up, in one request. */
gboolean vmsan_netlink_set_ethernet (
    VmsanNetlink *self, int ifindex, const char *mac, guint mtu, GError **error);

typedef struct
{
  guint key; /* IPV4_DEVCONF_… */
  guint32 value;
} VmsanNetInetSetting;

/* A link's IPv4 settings, as in /proc/sys/net/ipv4/conf/LINK. */
gboolean vmsan_netlink_set_inet (VmsanNetlink *self,
                                 int ifindex,
                                 const VmsanNetInetSetting *settings,
                                 guint n_settings,
                                 GError **error);

gboolean vmsan_netlink_delete_link (VmsanNetlink *self, int ifindex, GError **error);
gboolean vmsan_netlink_set_group (VmsanNetlink *self, int ifindex, guint group, GError **error);

/* Deletes all links of a group at once; none is fine. */
gboolean vmsan_netlink_delete_group (VmsanNetlink *self, guint group, GError **error);

/* ---- Addresses, routes, neighbours --------------------------------------------------------- */

/* Usable at once: without duplicate address detection, as nobody else is on the link. */
gboolean vmsan_netlink_add_address (
    VmsanNetlink *self, int ifindex, const char *address, guint prefix_length, GError **error);

/* @destination: a prefix, "0.0.0.0/0" or "::/0" for the default route. */
gboolean vmsan_netlink_add_route (
    VmsanNetlink *self, const char *destination, const char *gateway, int ifindex, GError **error);

/* A permanent entry: the kernel neither asks for it nor believes anybody who says otherwise. */
gboolean vmsan_netlink_add_neighbour (
    VmsanNetlink *self, int ifindex, const char *address, const char *mac, GError **error);

/* The route that the kernel would take to @address; nothing is sent there. */
typedef struct
{
  int ifindex;
  guint mtu; /* the route's own, or 0 */
} VmsanNetRoute;

/* FALSE when there is none. */
gboolean
vmsan_netlink_look_up_route (VmsanNetlink *self, const char *address, VmsanNetRoute *route);

/* The indexes (int) of all links that default routes of @family lead to, in any table; both halves
 * of a default route, as VPNs add them, count, too. (transfer full) */
GArray *vmsan_netlink_list_default_links (VmsanNetlink *self, int family, GError **error);
