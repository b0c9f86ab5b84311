/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the host becomes as little of a router as its kernel allows, keeps what it has learnt
 * from its own routers, and can be set back.
 *
 * What the kernel asks (ip-sysctl; ip_route_input_slow() and ip6_forward()):
 * - IPv4: the setting "forwarding" of the link that a packet comes in by. Not "ip_forward", which
 *   would set it for every link, and reset other settings with it.
 * - IPv6: since 6.17 "force_forwarding" of the incoming link; before, only "all/forwarding". That
 *   makes every link a router's, and a router's link believes no router advertisement and loses
 *   its default route, unless its "accept_ra" is 2. */

#include "net/net-uplink.h"

#include "net/net-namespace.h"
#include "net/net-sysctl.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/socket.h>

#define DEFAULT_MTU 1500

/* An address of a.root-servers.net in each family: as much in the middle of the world as any. It
 * is looked up in the routing table, and nothing is sent there. */
#define WORLD4 "198.41.0.4"
#define WORLD6 "2001:503:ba3e::2:30"

static guint
get_mtu_towards (VmsanNetlink *host, const char *address)
{
  VmsanNetRoute route;
  VmsanNetLink link;

  if (!vmsan_netlink_look_up_route (host, address, &route))
    return G_MAXUINT;
  if (route.mtu > 0)
    return route.mtu;
  return vmsan_netlink_get_link (host, NULL, route.ifindex, &link, NULL) ? link.mtu : G_MAXUINT;
}

guint
vmsan_net_uplink_get_mtu (VmsanNetlink *host)
{
  guint mtu = MIN (get_mtu_towards (host, WORLD4), get_mtu_towards (host, WORLD6));

  return mtu == G_MAXUINT ? DEFAULT_MTU : CLAMP (mtu, VMSAN_NET_MIN_MTU, VMSAN_NET_MAX_MTU);
}

VmsanNetIpv6Forwarding
vmsan_net_uplink_get_ipv6_forwarding (gboolean has_pool6)
{
  if (!has_pool6)
    return VMSAN_NET_IPV6_OFF;
  return access ("/proc/sys/net/ipv6/conf/all/force_forwarding", F_OK) == 0
             ? VMSAN_NET_IPV6_PER_LINK
             : VMSAN_NET_IPV6_GLOBAL;
}

/* ---- Planning ------------------------------------------------------------------------------ */

static int
open_settings (GError **error)
{
  vmsan_autofd int proc_fd = vmsan_net_sysctl_mount (error);

  return proc_fd < 0 ? -1 : vmsan_net_sysctl_open (proc_fd, ".", error);
}

/* A link's name can be nearly anything. One that a path, a record or a rule could take for
 * something else stays as it is, and with it the machines' way by it. */
static gboolean
is_plain (const char *name)
{
  return strspn (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-@") == strlen (name) &&
         strstr (name, "..") == NULL;
}

/* Adds @path to @changes if its value is @from. Links come and go: one that is gone is fine. */
static gboolean
plan (int settings, GPtrArray *changes, const char *path, const char *from, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autofree char *now = vmsan_net_sysctl_read (settings, path, &local_error);

  if (now == NULL && !g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  if (g_strcmp0 (now, from) == 0)
    g_ptr_array_add (changes, g_strdup_printf ("%s=%s", path, from));
  return TRUE;
}

static gboolean
plan_links (VmsanNetlink *host, int settings, GPtrArray *changes, int family, GError **error)
{
  g_autoptr (GArray) links = vmsan_netlink_list_default_links (host, family, error);

  if (links == NULL)
    return FALSE;
  for (guint i = 0; i < links->len; i++)
    {
      g_autofree char *path = NULL;
      VmsanNetLink link;

      if (!vmsan_netlink_get_link (host, NULL, g_array_index (links, int, i), &link, NULL) ||
          !is_plain (link.name))
        continue;
      path = family == AF_INET ? g_strdup_printf ("ipv4/conf/%s/forwarding", link.name)
                               : g_strdup_printf ("ipv6/conf/%s/force_forwarding", link.name);
      if (!plan (settings, changes, path, "0", error))
        return FALSE;
    }
  return TRUE;
}

/* First the links, "default" for those to come among them: at the moment the host becomes a router,
 * the kernel drops the default routes of all links that would not listen any more. */
static gboolean
plan_host (int settings, GPtrArray *changes, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/sys/net/ipv6/conf", 0, error);
  const char *name;

  if (dir == NULL)
    return FALSE;
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("ipv6/conf/%s/accept_ra", name);

      if (!g_str_equal (name, "all") && !g_str_equal (name, "lo") && is_plain (name) &&
          !plan (settings, changes, path, "1", error))
        return FALSE;
    }
  return plan (settings, changes, "ipv6/conf/all/forwarding", "0", error);
}

GStrv
vmsan_net_uplink_plan (VmsanNetlink *host, VmsanNetIpv6Forwarding ipv6, GError **error)
{
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func (g_free);
  vmsan_autofd int settings = open_settings (error);

  if (settings < 0 || !plan_links (host, settings, changes, AF_INET, error) ||
      (ipv6 == VMSAN_NET_IPV6_PER_LINK && !plan_links (host, settings, changes, AF_INET6, error)) ||
      (ipv6 == VMSAN_NET_IPV6_GLOBAL && !plan_host (settings, changes, error)))
    return NULL;
  g_ptr_array_add (changes, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&changes), FALSE);
}

/* ---- Changing ------------------------------------------------------------------------------ */

typedef struct
{
  char *path;
  const char *old_value;
  const char *new_value;
} Change;

static void
change_clear (Change *change)
{
  g_free (change->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Change, change_clear)

/* The records that changes are kept in could be damaged, so nothing but what is planned above is
 * taken from them. */
static gboolean
parse (const char *text, Change *change, GError **error)
{
  const char *equals = strrchr (text, '=');
  const char *name;

  *change = (Change){ NULL, NULL, "1" };
  if (equals != NULL)
    change->path = g_strndup (text, equals - text);
  name = change->path != NULL ? strrchr (change->path, '/') : NULL;
  if (name != NULL && g_str_equal (name, "/accept_ra") && g_str_equal (equals, "=1"))
    {
      change->old_value = "1";
      change->new_value = "2";
    }
  else if (name != NULL && g_str_equal (equals, "=0") &&
           (g_str_equal (name, "/forwarding") || g_str_equal (name, "/force_forwarding")))
    change->old_value = "0";

  if (change->old_value != NULL && strstr (change->path, "..") == NULL &&
      (g_str_has_prefix (change->path, "ipv4/conf/") ||
       g_str_has_prefix (change->path, "ipv6/conf/")))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "“%s” is no change of a network setting",
               text);
  return FALSE;
}

/* Sets what is @from to @to; what is something else was set by somebody else. */
static gboolean
set (int settings, const char *path, const char *from, const char *to, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autofree char *now = vmsan_net_sysctl_read (settings, path, &local_error);

  if (g_strcmp0 (now, from) == 0)
    vmsan_net_sysctl_write (settings, path, to, &local_error);
  if (local_error == NULL || g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

gboolean
vmsan_net_uplink_apply (const char *const *changes, GError **error)
{
  vmsan_autofd int settings = open_settings (error);

  if (settings < 0)
    return FALSE;
  for (guint i = 0; changes[i] != NULL; i++)
    {
      g_auto (Change) change = { NULL };

      if (!parse (changes[i], &change, error) ||
          !set (settings, change.path, change.old_value, change.new_value, error))
        {
          vmsan_net_uplink_restore (changes, NULL);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
is_router4 (int settings)
{
  g_autofree char *value = vmsan_net_sysctl_read (settings, "ipv4/ip_forward", NULL);

  return g_strcmp0 (value, "1") == 0;
}

static gboolean
restore_one (int settings, const char *text, GError **error)
{
  g_auto (Change) change = { NULL };

  if (!parse (text, &change, error))
    return FALSE;
  if (g_str_has_prefix (change.path, "ipv4/") && is_router4 (settings))
    return TRUE;
  return set (settings, change.path, change.new_value, change.old_value, error);
}

gboolean
vmsan_net_uplink_restore (const char *const *changes, GError **error)
{
  vmsan_autofd int settings = open_settings (error);
  gboolean done = settings >= 0;

  /* In reverse: a host is no router any more before its links stop to listen to routers. One that
   * fails must not keep the others. */
  for (guint i = g_strv_length ((GStrv) changes); i > 0 && settings >= 0; i--)
    {
      if (!restore_one (settings, changes[i - 1], done ? error : NULL))
        done = FALSE;
    }
  return done;
}
