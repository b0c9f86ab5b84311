/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the same links inside for every machine, nothing that a guest says changes where its
 * packets go, and on the host only our own links are touched. */

#include "net/net-links.h"

#include "net/net-namespace.h"
#include "net/net-sysctl.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <string.h>
#include <sys/ioctl.h>

#define TUN_DEVICE  "/dev/net/tun"
#define LINK_PREFIX "vmsan"

/* Reserved for documentation (RFC 5737, RFC 3849), so on no network that is anywhere near. */
#define OUTSIDE4 "192.0.2.1"
#define OUTSIDE6 "2001:db8::1"

char *
vmsan_net_host_link_name (guint slot)
{
  return g_strdup_printf (LINK_PREFIX "%u", slot);
}

void
vmsan_net_links_get_macs (guint slot, VmsanNetSlotMacs *macs)
{
  guint high = (slot >> 16) & 0xff;
  guint middle = (slot >> 8) & 0xff;
  guint low = slot & 0xff;

  /* Locally administered (the 2 in 02): no manufacturer has them. */
  g_snprintf (macs->host, sizeof macs->host, "02:76:6d:%02x:%02x:%02x", high, middle, low);
  g_snprintf (macs->own, sizeof macs->own, "02:76:6e:%02x:%02x:%02x", high, middle, low);
}

/* ---- Settings ------------------------------------------------------------------------------ */

typedef struct
{
  const char *path;
  const char *value;
} Setting;

/* A link's own settings count together with those of "all", which begin as a copy of the host's,
 * where the administrator may have set anything (ip-sysctl). Of rp_filter and arp_ignore the
 * greater counts; what is 0 here is on when either is. */
static const Setting all4[] = {
  { "all/accept_local", "0" },   { "all/arp_accept", "0" },     { "all/arp_ignore", "1" },
  { "all/proxy_arp", "0" },      { "all/route_localnet", "0" }, { "all/rp_filter", "1" },
  { "all/send_redirects", "0" },
};

/* Of both ends of the pair and of the tap. Whether a packet is forwarded is decided by the link
 * that it comes in by; nothing else of the namespace or the host has to be a router. */
static const VmsanNetInetSetting link4[] = {
  { IPV4_DEVCONF_ACCEPT_LOCAL, 0 },        { IPV4_DEVCONF_ACCEPT_REDIRECTS, 0 },
  { IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0 }, { IPV4_DEVCONF_ARP_ACCEPT, 0 },
  { IPV4_DEVCONF_ARP_IGNORE, 1 },          { IPV4_DEVCONF_FORWARDING, 1 },
  { IPV4_DEVCONF_PROXY_ARP, 0 },           { IPV4_DEVCONF_ROUTE_LOCALNET, 0 },
  { IPV4_DEVCONF_RP_FILTER, 1 },           { IPV4_DEVCONF_SEND_REDIRECTS, 0 },
};

/* IPv6 looks at "all" for forwarding only; links copy "default", which is not the host's. No link
 * makes an address of its own: with permanent neighbours none is needed. */
static const Setting inside6[] = {
  { "default/addr_gen_mode", "1" },
  { "default/accept_ra", "0" },
  { "default/accept_redirects", "0" },
  { "all/forwarding", "1" },
};

/* How many errors the kernel sends is limited, for each receiver and for the whole host, by type of
 * error. A namespace sends "unreachable" to its guest alone, when a question to the gateway is
 * refused: one that is not sent lets the guest wait for long, and one that is counted is missing to
 * the host. So all but those (3 of ICMP, RFC 792; 1 of ICMPv6, RFC 4443) stay limited. */
static const Setting errors4[] = {
  { "icmp_ratemask", "6160" }, /* bits 4, 11 and 12 */
};

static const Setting errors6[] = {
  { "icmp/ratemask", "0,3-127" },
};

static const Setting inside_no_6[] = {
  { "all/disable_ipv6", "1" },
  { "default/disable_ipv6", "1" },
};

/* Kernels before 6.17 have no force_forwarding; see net-uplink.c. */
static const Setting host6[] = {
  { "addr_gen_mode", "1" },
  { "accept_ra", "0" },
  { "accept_redirects", "0" },
  { "force_forwarding", "1" },
};

static const Setting host_no_6[] = {
  { "disable_ipv6", "1" },
};

static gboolean
apply (int directory_fd, const Setting *settings, guint n, GError **error)
{
  for (guint i = 0; i < n; i++)
    {
      if (!vmsan_net_sysctl_write (directory_fd, settings[i].path, settings[i].value, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_net_links_open_conf6 (int proc_fd, gboolean has_ipv6, int *fd, GError **error)
{
  g_autoptr (GError) local_error = NULL;

  *fd = vmsan_net_sysctl_open (proc_fd, "ipv6/conf", &local_error);
  if (*fd >= 0)
    return TRUE;
  if (!g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  if (!has_ipv6)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "Machines are to have IPv6 addresses, but the kernel has no IPv6; "
               "configure no IPv6 pool");
  return FALSE;
}

static gboolean
apply_in (int proc_fd, const char *directory, const Setting *settings, guint n, GError **error)
{
  vmsan_autofd int directory_fd = vmsan_net_sysctl_open (proc_fd, directory, error);

  return directory_fd >= 0 && apply (directory_fd, settings, n, error);
}

gboolean
vmsan_net_links_set_defaults (int proc_fd, gboolean has_ipv6, GError **error)
{
  vmsan_autofd int conf6 = -1;

  if (!apply_in (proc_fd, "ipv4/conf", all4, G_N_ELEMENTS (all4), error) ||
      !apply_in (proc_fd, "ipv4", errors4, G_N_ELEMENTS (errors4), error) ||
      !vmsan_net_links_open_conf6 (proc_fd, has_ipv6, &conf6, error))
    return FALSE;
  if (has_ipv6)
    return apply (conf6, inside6, G_N_ELEMENTS (inside6), error) &&
           apply_in (proc_fd, "ipv6", errors6, G_N_ELEMENTS (errors6), error);
  return conf6 < 0 || apply (conf6, inside_no_6, G_N_ELEMENTS (inside_no_6), error);
}

/* Netlink can set a link's settings for IPv4, but not for IPv6. @conf6: the host's. */
static gboolean
set_host_ipv6 (int conf6, const char *link, gboolean has_ipv6, GError **error)
{
  const Setting *settings = has_ipv6 ? host6 : host_no_6;
  guint n = has_ipv6 ? G_N_ELEMENTS (host6) : G_N_ELEMENTS (host_no_6);

  for (guint i = 0; i < n && conf6 >= 0; i++)
    {
      g_autofree char *path = g_build_filename (link, settings[i].path, NULL);
      g_autoptr (GError) local_error = NULL;

      if (!vmsan_net_sysctl_write (conf6, path, settings[i].value, &local_error) &&
          !g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
    }
  return TRUE;
}

/* ---- The pair ------------------------------------------------------------------------------ */

static gboolean
parse_slot (const char *name, guint *slot)
{
  guint64 value;

  if (!g_str_has_prefix (name, LINK_PREFIX) ||
      !g_ascii_string_to_unsigned (name + strlen (LINK_PREFIX), 10, 0, G_MAXUINT, &value, NULL))
    return FALSE;
  *slot = value;
  return TRUE;
}

static gboolean
is_ours (const VmsanNetLink *link)
{
  guint slot;

  return link->is_veth && parse_slot (link->name, &slot) &&
         (link->group == VMSAN_NET_LINK_GROUP || link->group == VMSAN_NET_DELETED_GROUP);
}

static gboolean
delete_left_over (VmsanNetlink *host, const char *name, GError **error)
{
  VmsanNetLink link;

  if (!vmsan_netlink_get_link (host, name, 0, &link, error))
    return FALSE;
  if (is_ours (&link))
    return vmsan_netlink_delete_link (host, link.ifindex, error);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
               "A link “%s” exists that is not vmsan's; rename it or delete it", name);
  return FALSE;
}

gboolean
vmsan_net_links_add_pair (
    VmsanNetlink *host, guint slot, int namespace_fd, guint mtu, GError **error)
{
  g_autofree char *name = vmsan_net_host_link_name (slot);
  g_autoptr (GError) local_error = NULL;
  VmsanNetSlotMacs macs;
  VmsanNetVeth veth = {
    .name = name,
    .mac = macs.host,
    .peer_name = VMSAN_NET_UPLINK_NAME,
    .peer_mac = macs.own,
    .peer_namespace_fd = namespace_fd,
    .mtu = mtu,
    .group = VMSAN_NET_LINK_GROUP,
  };

  vmsan_net_links_get_macs (slot, &macs);
  if (vmsan_netlink_add_veth (host, &veth, &local_error))
    return TRUE;
  if (!g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_EXISTS))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  return delete_left_over (host, name, error) && vmsan_netlink_add_veth (host, &veth, error);
}

/* ---- The tap ------------------------------------------------------------------------------- */

int
vmsan_net_links_open_tap (GError **error)
{
  vmsan_autofd int fd = open (TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  struct ifreq request = { .ifr_name = VMSAN_NET_TAP_NAME,
                           .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

  if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "There is no %s, so machines can have no network; load the kernel module “tun”",
                   TUN_DEVICE);
      return -1;
    }
  if (fd < 0 || ioctl (fd, TUNSETIFF, &request) < 0)
    {
      int saved_errno = errno;

      if (saved_errno == EBUSY)
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                     "The machine's tap is in use by another process");
      else
        vmsan_error_set_errno (error, saved_errno, "Opening tap “%s” failed", VMSAN_NET_TAP_NAME);
      return -1;
    }
  return g_steal_fd (&fd);
}

gboolean
vmsan_net_links_add_tap (GError **error)
{
  vmsan_autofd int fd = vmsan_net_links_open_tap (error);

  if (fd < 0)
    return FALSE;
  if (ioctl (fd, TUNSETPERSIST, 1) < 0)
    return vmsan_error_set_errno (error, errno, "Making tap “%s” persistent failed",
                                  VMSAN_NET_TAP_NAME);
  return TRUE;
}

/* ---- Configuration ------------------------------------------------------------------------- */

static gboolean
configure_uplink (VmsanNetlink *inside,
                  const VmsanNetSlotAddresses *addresses,
                  const VmsanNetSlotMacs *macs,
                  GError **error)
{
  gboolean has_ipv6 = addresses->own6[0] != '\0';
  VmsanNetLink up;

  if (!vmsan_netlink_get_link (inside, VMSAN_NET_UPLINK_NAME, 0, &up, error) ||
      !vmsan_netlink_set_inet (inside, up.ifindex, link4, G_N_ELEMENTS (link4), error) ||
      !vmsan_netlink_set_up (inside, up.ifindex, error) ||
      !vmsan_netlink_add_address (inside, up.ifindex, addresses->own4, VMSAN_NET_SLOT_PREFIX4,
                                  error) ||
      !vmsan_netlink_add_neighbour (inside, up.ifindex, addresses->host4, macs->host, error) ||
      !vmsan_netlink_add_route (inside, "0.0.0.0/0", addresses->host4, up.ifindex, error))
    return FALSE;
  if (!has_ipv6)
    return TRUE;
  return vmsan_netlink_add_address (inside, up.ifindex, addresses->own6, VMSAN_NET_SLOT_PREFIX6,
                                    error) &&
         vmsan_netlink_add_neighbour (inside, up.ifindex, addresses->host6, macs->host, error) &&
         vmsan_netlink_add_route (inside, "::/0", addresses->host6, up.ifindex, error);
}

/* With a permanent neighbour, nothing that a guest says by ARP or neighbour discovery moves its
 * address to another card, and none of its silences makes the kernel ask. */
static gboolean
configure_tap (VmsanNetlink *inside, gboolean has_ipv6, guint mtu, GError **error)
{
  VmsanNetLink tap;

  if (!vmsan_netlink_get_link (inside, VMSAN_NET_TAP_NAME, 0, &tap, error) ||
      !vmsan_netlink_set_inet (inside, tap.ifindex, link4, G_N_ELEMENTS (link4), error) ||
      !vmsan_netlink_set_ethernet (inside, tap.ifindex, VMSAN_NET_GATEWAY_MAC, mtu, error) ||
      !vmsan_netlink_add_address (inside, tap.ifindex, VMSAN_NET_GATEWAY4, VMSAN_NET_PREFIX4,
                                  error) ||
      !vmsan_netlink_add_neighbour (inside, tap.ifindex, VMSAN_NET_GUEST4, VMSAN_NET_GUEST_MAC,
                                    error))
    return FALSE;
  if (!has_ipv6)
    return TRUE;
  return vmsan_netlink_add_address (inside, tap.ifindex, VMSAN_NET_GATEWAY6, VMSAN_NET_PREFIX6,
                                    error) &&
         vmsan_netlink_add_neighbour (inside, tap.ifindex, VMSAN_NET_GUEST6, VMSAN_NET_GUEST_MAC,
                                      error);
}

gboolean
vmsan_net_links_configure_inside (
    VmsanNetlink *inside, const VmsanNetPools *pools, guint slot, guint mtu, GError **error)
{
  VmsanNetSlotAddresses addresses;
  VmsanNetSlotMacs macs;
  VmsanNetLink lo;

  vmsan_net_pools_get_addresses (pools, slot, &addresses);
  vmsan_net_links_get_macs (slot, &macs);
  return vmsan_netlink_get_link (inside, "lo", 0, &lo, error) &&
         vmsan_netlink_set_up (inside, lo.ifindex, error) &&
         configure_uplink (inside, &addresses, &macs, error) &&
         configure_tap (inside, pools->has_pool6, mtu, error);
}

gboolean
vmsan_net_links_configure_host (
    VmsanNetlink *host, int host_conf6, const VmsanNetPools *pools, guint slot, GError **error)
{
  g_autofree char *name = vmsan_net_host_link_name (slot);
  VmsanNetSlotAddresses addresses;
  VmsanNetSlotMacs macs;
  VmsanNetLink link;

  vmsan_net_pools_get_addresses (pools, slot, &addresses);
  vmsan_net_links_get_macs (slot, &macs);
  if (!vmsan_netlink_get_link (host, name, 0, &link, error) ||
      !vmsan_netlink_set_inet (host, link.ifindex, link4, G_N_ELEMENTS (link4), error) ||
      !set_host_ipv6 (host_conf6, name, pools->has_pool6, error) ||
      !vmsan_netlink_set_up (host, link.ifindex, error) ||
      !vmsan_netlink_add_address (host, link.ifindex, addresses.host4, VMSAN_NET_SLOT_PREFIX4,
                                  error) ||
      !vmsan_netlink_add_neighbour (host, link.ifindex, addresses.own4, macs.own, error))
    return FALSE;
  if (!pools->has_pool6)
    return TRUE;
  return vmsan_netlink_add_address (host, link.ifindex, addresses.host6, VMSAN_NET_SLOT_PREFIX6,
                                    error) &&
         vmsan_netlink_add_neighbour (host, link.ifindex, addresses.own6, macs.own, error);
}

/* ---- Checking ------------------------------------------------------------------------------ */

static gboolean
check_up (VmsanNetlink *netlink, const char *name, guint mtu, VmsanNetLink *link, GError **error)
{
  if (!vmsan_netlink_get_link (netlink, name, 0, link, error))
    return FALSE;
  if (link->is_up && link->mtu == mtu)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "Link “%s” is %s with an MTU of %u", name,
               link->is_up ? "up" : "down", link->mtu);
  return FALSE;
}

static gboolean
check_route (VmsanNetlink *netlink, const char *address, const VmsanNetLink *link, GError **error)
{
  VmsanNetRoute route;

  if (*address == '\0' ||
      (vmsan_netlink_look_up_route (netlink, address, &route) && route.ifindex == link->ifindex))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "Nothing goes to %s by link “%s”", address,
               link->name);
  return FALSE;
}

gboolean
vmsan_net_links_check (VmsanNetlink *host,
                       VmsanNetlink *inside,
                       const VmsanNetPools *pools,
                       guint slot,
                       guint mtu,
                       GError **error)
{
  g_autofree char *name = vmsan_net_host_link_name (slot);
  VmsanNetSlotAddresses addresses;
  VmsanNetLink link, up, tap;

  vmsan_net_pools_get_addresses (pools, slot, &addresses);
  if (!check_up (host, name, mtu, &link, error) ||
      !check_up (inside, VMSAN_NET_UPLINK_NAME, mtu, &up, error) ||
      !check_up (inside, VMSAN_NET_TAP_NAME, mtu, &tap, error))
    return FALSE;
  if (!is_ours (&link))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS, "Link “%s” is not vmsan's", name);
      return FALSE;
    }
  return check_route (host, addresses.own4, &link, error) &&
         check_route (host, addresses.own6, &link, error) &&
         check_route (inside, OUTSIDE4, &up, error) &&
         check_route (inside, pools->has_pool6 ? OUTSIDE6 : "", &up, error) &&
         check_route (inside, VMSAN_NET_GUEST4, &tap, error) &&
         check_route (inside, pools->has_pool6 ? VMSAN_NET_GUEST6 : "", &tap, error);
}

/* ---- Deleting and listing ------------------------------------------------------------------ */

/* Puts the slot's link among those to be deleted. What vanishes meanwhile is fine. */
static gboolean
condemn (VmsanNetlink *host, guint slot, guint *n_condemned, GError **error)
{
  g_autofree char *name = vmsan_net_host_link_name (slot);
  g_autoptr (GError) local_error = NULL;
  VmsanNetLink link;

  if (!vmsan_netlink_get_link (host, name, 0, &link, &local_error))
    link.ifindex = 0;
  else if (is_ours (&link) &&
           vmsan_netlink_set_group (host, link.ifindex, VMSAN_NET_DELETED_GROUP, &local_error))
    (*n_condemned)++;
  if (local_error == NULL || g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

gboolean
vmsan_net_links_delete (VmsanNetlink *host, const guint *slots, guint n, GError **error)
{
  guint n_condemned = 0;

  for (guint i = 0; i < n; i++)
    {
      if (!condemn (host, slots[i], &n_condemned, error))
        return FALSE;
    }
  return n_condemned == 0 || vmsan_netlink_delete_group (host, VMSAN_NET_DELETED_GROUP, error);
}

GArray *
vmsan_net_links_list (VmsanNetlink *host, GError **error)
{
  g_autoptr (GArray) slots = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) links = vmsan_netlink_list_links (host, error);

  if (links == NULL)
    return NULL;
  for (guint i = 0; i < links->len; i++)
    {
      const VmsanNetLink *link = &g_array_index (links, VmsanNetLink, i);
      guint slot;

      if (is_ours (link) && parse_slot (link->name, &slot))
        g_array_append_val (slots, slot);
    }
  return g_steal_pointer (&slots);
}
