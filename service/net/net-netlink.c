/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: when a function returns TRUE the kernel has done it. */

#include "net/net-netlink.h"

#include "sys/error.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>

/* A list of something that changes meanwhile may have to be asked for again. */
#define MAX_DUMPS 10

typedef struct nl_addr NlAddr;
typedef struct nl_cache NlCache;
typedef struct rtnl_addr RtnlAddr;
typedef struct rtnl_link RtnlLink;
typedef struct rtnl_neigh RtnlNeigh;
typedef struct rtnl_route RtnlRoute;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (NlAddr, nl_addr_put)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (NlCache, nl_cache_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RtnlAddr, rtnl_addr_put)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RtnlLink, rtnl_link_put)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RtnlNeigh, rtnl_neigh_put)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RtnlRoute, rtnl_route_put)

gboolean
vmsan_netlink_set_error (GError **error, int code, const char *format, ...)
{
  g_autofree char *what = NULL;
  VmsanError kind = VMSAN_ERROR_FAILED;
  va_list args;

  code = ABS (code);
  if (code == NLE_EXIST)
    kind = VMSAN_ERROR_EXISTS;
  else if (code == NLE_NODEV || code == NLE_OBJ_NOTFOUND)
    kind = VMSAN_ERROR_NOT_FOUND;
  else if (code == NLE_OPNOTSUPP)
    kind = VMSAN_ERROR_UNAVAILABLE;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, VMSAN_ERROR, kind, "%s: %s", what, nl_geterror (code));
  return FALSE;
}

VmsanNetlink *
vmsan_netlink_open (GError **error)
{
  g_autoptr (VmsanNetlink) self = nl_socket_alloc ();
  int code;

  if (self == NULL)
    g_error ("Out of memory for a netlink socket");
  code = nl_connect (self, NETLINK_ROUTE);
  if (code < 0)
    {
      vmsan_netlink_set_error (error, code, "Opening a netlink socket failed");
      return NULL;
    }
  return g_steal_pointer (&self);
}

void
vmsan_netlink_free (VmsanNetlink *self)
{
  nl_socket_free (self);
}

int
vmsan_netlink_send (VmsanNetlink *self, struct nl_msg *message)
{
  /* Frees the message. */
  return nl_send_sync (self, message);
}

/* Texts come from our own tables and arithmetic, so one that does not parse is a mistake here. */
static NlAddr *
parse_address (const char *text, int family)
{
  NlAddr *address = NULL;

  if (nl_addr_parse (text, family, &address) < 0)
    g_error ("“%s” is no address", text);
  return address;
}

/* ---- Links --------------------------------------------------------------------------------- */

static void
describe (RtnlLink *link, VmsanNetLink *description)
{
  const char *type = rtnl_link_get_type (link);
  const char *name = rtnl_link_get_name (link);

  description->ifindex = rtnl_link_get_ifindex (link);
  g_strlcpy (description->name, name != NULL ? name : "", sizeof description->name);
  description->group = rtnl_link_get_group (link);
  description->mtu = rtnl_link_get_mtu (link);
  description->is_veth = g_strcmp0 (type, "veth") == 0;
  description->is_up = (rtnl_link_get_flags (link) & IFF_UP) != 0;
}

gboolean
vmsan_netlink_get_link (
    VmsanNetlink *self, const char *name, int ifindex, VmsanNetLink *link, GError **error)
{
  g_autoptr (RtnlLink) found = NULL;
  int code = rtnl_link_get_kernel (self, name != NULL ? 0 : ifindex, name, &found);

  if (code < 0 && name != NULL)
    return vmsan_netlink_set_error (error, code, "Looking for link “%s” failed", name);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Looking for link %d failed", ifindex);
  describe (found, link);
  return TRUE;
}

GArray *
vmsan_netlink_list_links (VmsanNetlink *self, GError **error)
{
  g_autoptr (GArray) links = g_array_new (FALSE, FALSE, sizeof (VmsanNetLink));
  g_autoptr (NlCache) cache = NULL;
  int code = rtnl_link_alloc_cache (self, AF_UNSPEC, &cache);

  if (code < 0)
    {
      vmsan_netlink_set_error (error, code, "Listing links failed");
      return NULL;
    }
  for (struct nl_object *o = nl_cache_get_first (cache); o != NULL; o = nl_cache_get_next (o))
    {
      VmsanNetLink link;

      describe ((RtnlLink *) o, &link);
      g_array_append_val (links, link);
    }
  return g_steal_pointer (&links);
}

static void
set_mac (RtnlLink *link, const char *mac)
{
  g_autoptr (NlAddr) address = parse_address (mac, AF_LLC);

  rtnl_link_set_addr (link, address);
}

gboolean
vmsan_netlink_add_veth (VmsanNetlink *self, const VmsanNetVeth *veth, GError **error)
{
  g_autoptr (RtnlLink) link = rtnl_link_veth_alloc ();
  RtnlLink *peer = rtnl_link_veth_get_peer (link);
  int code;

  rtnl_link_set_name (link, veth->name);
  rtnl_link_set_mtu (link, veth->mtu);
  rtnl_link_set_group (link, veth->group);
  set_mac (link, veth->mac);
  rtnl_link_set_name (peer, veth->peer_name);
  rtnl_link_set_mtu (peer, veth->mtu);
  rtnl_link_set_ns_fd (peer, veth->peer_namespace_fd);
  set_mac (peer, veth->peer_mac);
  code = rtnl_link_add (self, link, NLM_F_CREATE | NLM_F_EXCL);
  rtnl_link_put (peer);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Making the pair of links “%s” and “%s” failed",
                                    veth->name, veth->peer_name);
  return TRUE;
}

static gboolean
change (VmsanNetlink *self, int ifindex, RtnlLink *changes, const char *what, GError **error)
{
  g_autoptr (RtnlLink) link = rtnl_link_alloc ();
  int code;

  rtnl_link_set_ifindex (link, ifindex);
  code = rtnl_link_change (self, link, changes, 0);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "%s link %d failed", what, ifindex);
  return TRUE;
}

gboolean
vmsan_netlink_set_up (VmsanNetlink *self, int ifindex, GError **error)
{
  g_autoptr (RtnlLink) changes = rtnl_link_alloc ();

  rtnl_link_set_flags (changes, IFF_UP);
  return change (self, ifindex, changes, "Setting up", error);
}

gboolean
vmsan_netlink_set_ethernet (
    VmsanNetlink *self, int ifindex, const char *mac, guint mtu, GError **error)
{
  g_autoptr (RtnlLink) changes = rtnl_link_alloc ();

  set_mac (changes, mac);
  rtnl_link_set_mtu (changes, mtu);
  rtnl_link_set_flags (changes, IFF_UP);
  return change (self, ifindex, changes, "Setting MAC and MTU of", error);
}

gboolean
vmsan_netlink_set_inet (VmsanNetlink *self,
                        int ifindex,
                        const VmsanNetInetSetting *settings,
                        guint n_settings,
                        GError **error)
{
  g_autoptr (RtnlLink) changes = rtnl_link_alloc ();

  for (guint i = 0; i < n_settings; i++)
    rtnl_link_inet_set_conf (changes, settings[i].key, settings[i].value);
  return change (self, ifindex, changes, "Configuring", error);
}

gboolean
vmsan_netlink_delete_link (VmsanNetlink *self, int ifindex, GError **error)
{
  g_autoptr (RtnlLink) link = rtnl_link_alloc ();
  int code;

  rtnl_link_set_ifindex (link, ifindex);
  code = rtnl_link_delete (self, link);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Deleting link %d failed", ifindex);
  return TRUE;
}

gboolean
vmsan_netlink_set_group (VmsanNetlink *self, int ifindex, guint group, GError **error)
{
  g_autoptr (RtnlLink) changes = rtnl_link_alloc ();

  rtnl_link_set_group (changes, group);
  return change (self, ifindex, changes, "Setting the group of", error);
}

gboolean
vmsan_netlink_delete_group (VmsanNetlink *self, guint group, GError **error)
{
  struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
  struct nl_msg *message = nlmsg_alloc_simple (RTM_DELLINK, 0);
  int code;

  /* Neither an index nor a name: the group says which. libnl has no call for that. */
  if (message == NULL || nlmsg_append (message, &header, sizeof header, NLMSG_ALIGNTO) < 0 ||
      nla_put_u32 (message, IFLA_GROUP, group) < 0)
    g_error ("Out of memory for a netlink message");
  code = vmsan_netlink_send (self, message);
  if (code < 0 && code != -NLE_NODEV)
    return vmsan_netlink_set_error (error, code, "Deleting the links of group %#x failed", group);
  return TRUE;
}

/* ---- Addresses, routes, neighbours --------------------------------------------------------- */

gboolean
vmsan_netlink_add_address (
    VmsanNetlink *self, int ifindex, const char *address, guint prefix_length, GError **error)
{
  g_autoptr (NlAddr) local = parse_address (address, AF_UNSPEC);
  g_autoptr (RtnlAddr) entry = rtnl_addr_alloc ();
  int code;

  nl_addr_set_prefixlen (local, prefix_length);
  rtnl_addr_set_ifindex (entry, ifindex);
  rtnl_addr_set_local (entry, local);
  if (nl_addr_get_family (local) == AF_INET6)
    rtnl_addr_set_flags (entry, IFA_F_NODAD);
  code = rtnl_addr_add (self, entry, NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Giving link %d address “%s/%u” failed", ifindex,
                                    address, prefix_length);
  return TRUE;
}

gboolean
vmsan_netlink_add_route (
    VmsanNetlink *self, const char *destination, const char *gateway, int ifindex, GError **error)
{
  g_autoptr (NlAddr) to = parse_address (destination, AF_UNSPEC);
  g_autoptr (NlAddr) via = parse_address (gateway, AF_UNSPEC);
  g_autoptr (RtnlRoute) route = rtnl_route_alloc ();
  struct rtnl_nexthop *hop = rtnl_route_nh_alloc ();
  int code;

  rtnl_route_set_family (route, nl_addr_get_family (to));
  rtnl_route_set_dst (route, to);
  rtnl_route_nh_set_ifindex (hop, ifindex);
  rtnl_route_nh_set_gateway (hop, via);
  /* The route takes it. */
  rtnl_route_add_nexthop (route, hop);
  code = rtnl_route_add (self, route, NLM_F_CREATE | NLM_F_EXCL);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Adding a route to “%s” by “%s” failed",
                                    destination, gateway);
  return TRUE;
}

gboolean
vmsan_netlink_add_neighbour (
    VmsanNetlink *self, int ifindex, const char *address, const char *mac, GError **error)
{
  g_autoptr (NlAddr) at = parse_address (address, AF_UNSPEC);
  g_autoptr (NlAddr) card = parse_address (mac, AF_LLC);
  g_autoptr (RtnlNeigh) neighbour = rtnl_neigh_alloc ();
  int code;

  rtnl_neigh_set_ifindex (neighbour, ifindex);
  rtnl_neigh_set_dst (neighbour, at);
  rtnl_neigh_set_lladdr (neighbour, card);
  rtnl_neigh_set_state (neighbour, NUD_PERMANENT);
  code = rtnl_neigh_add (self, neighbour, NLM_F_CREATE | NLM_F_REPLACE);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Adding neighbour “%s” to link %d failed", address,
                                    ifindex);
  return TRUE;
}

static int
on_route (struct nl_msg *message, void *data)
{
  g_autoptr (RtnlRoute) route = NULL;
  VmsanNetRoute *found = data;
  uint32_t mtu;

  if (nlmsg_hdr (message)->nlmsg_type != RTM_NEWROUTE ||
      rtnl_route_parse (nlmsg_hdr (message), &route) < 0 || rtnl_route_get_nnexthops (route) < 1)
    return NL_OK;
  found->ifindex = rtnl_route_nh_get_ifindex (rtnl_route_nexthop_n (route, 0));
  found->mtu = rtnl_route_get_metric (route, RTAX_MTU, &mtu) == 0 ? mtu : 0;
  return NL_OK;
}

gboolean
vmsan_netlink_look_up_route (VmsanNetlink *self, const char *address, VmsanNetRoute *route)
{
  g_autoptr (NlAddr) to = parse_address (address, AF_UNSPEC);
  struct rtmsg header = { .rtm_family = nl_addr_get_family (to),
                          .rtm_dst_len = nl_addr_get_prefixlen (to) };
  struct nl_msg *message = nlmsg_alloc_simple (RTM_GETROUTE, 0);

  if (message == NULL || nlmsg_append (message, &header, sizeof header, NLMSG_ALIGNTO) < 0 ||
      nla_put_addr (message, RTA_DST, to) < 0)
    g_error ("Out of memory for a netlink message");
  *route = (VmsanNetRoute){ 0 };
  nl_socket_modify_cb (self, NL_CB_VALID, NL_CB_CUSTOM, on_route, route);
  /* The answer is followed by an acknowledgement, a refusal by nothing. */
  if (nl_send_auto (self, message) >= 0 && nl_recvmsgs_default (self) >= 0)
    nl_wait_for_ack (self);
  nl_socket_modify_cb (self, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
  nlmsg_free (message);
  return route->ifindex > 0;
}

static void
add_links (RtnlRoute *route, GArray *links)
{
  if (rtnl_route_get_type (route) != RTN_UNICAST)
    return;
  for (int i = 0; i < rtnl_route_get_nnexthops (route); i++)
    {
      int ifindex = rtnl_route_nh_get_ifindex (rtnl_route_nexthop_n (route, i));
      gboolean known = ifindex <= 0;

      for (guint k = 0; k < links->len && !known; k++)
        known = g_array_index (links, int, k) == ifindex;
      if (!known)
        g_array_append_val (links, ifindex);
    }
}

/* Each machine has some routes on the host; what is none of those that are looked for is passed
 * over before libnl makes an object of it. */
static int
on_route_of_all (struct nl_msg *message, void *data)
{
  struct nlmsghdr *header = nlmsg_hdr (message);
  g_autoptr (RtnlRoute) route = NULL;

  if (nlmsg_valid_hdr (header, sizeof (struct rtmsg)) &&
      ((struct rtmsg *) nlmsg_data (header))->rtm_dst_len <= 1 &&
      rtnl_route_parse (header, &route) >= 0)
    add_links (route, data);
  return NL_OK;
}

GArray *
vmsan_netlink_list_default_links (VmsanNetlink *self, int family, GError **error)
{
  g_autoptr (GArray) links = g_array_new (FALSE, FALSE, sizeof (int));
  const struct rtmsg header = { .rtm_family = family };
  int code = -NLE_DUMP_INTR;

  nl_socket_modify_cb (self, NL_CB_VALID, NL_CB_CUSTOM, on_route_of_all, links);
  /* Routes may come and go meanwhile; what was seen once counts. */
  for (guint tries = 0; code == -NLE_DUMP_INTR && tries < MAX_DUMPS; tries++)
    {
      code = nl_send_simple (self, RTM_GETROUTE, NLM_F_DUMP, (void *) &header, sizeof header);
      if (code >= 0)
        code = nl_recvmsgs_default (self);
    }
  nl_socket_modify_cb (self, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
  if (code >= 0 || code == -NLE_DUMP_INTR)
    return g_steal_pointer (&links);
  vmsan_netlink_set_error (error, code, "Listing routes failed");
  return NULL;
}
