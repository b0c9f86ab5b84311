/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is changed is on record before it is, once, and as long as it can be set back. */

#include "net/net-forwarding.h"

#include "net/net-uplink.h"
#include "sys/fd.h"

#include <string.h>

/* Settings of the host that were changed for machines, with their old values, one a line. */
#define RECORD      "uplink-settings"
#define RECORD_SIZE 65536

GStrv
vmsan_net_forwarding_list_changes (int state_fd)
{
  g_autofree char *text = vmsan_fd_read_file_at (state_fd, RECORD, RECORD_SIZE, NULL, NULL);

  return text != NULL ? g_strsplit (g_strstrip (text), "\n", -1) : g_new0 (char *, 1);
}

/* A link that has gone took its settings with it; one of its name that comes later has its own. */
static gboolean
is_gone (const char *change)
{
  g_auto (GStrv) parts = g_strsplit (change, "=", 2);
  g_autofree char *path = g_build_filename ("/proc/sys/net", parts[0], NULL);

  return access (path, F_OK) < 0;
}

static gboolean
note_changes (int state_fd, const char *const *changes, GError **error)
{
  g_auto (GStrv) before = vmsan_net_forwarding_list_changes (state_fd);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) all = NULL;
  g_autofree char *text = NULL;

  for (guint i = 0; before[i] != NULL; i++)
    if (before[i][0] != '\0' && !g_strv_contains (changes, before[i]) && !is_gone (before[i]))
      g_strv_builder_add (builder, before[i]);
  g_strv_builder_addv (builder, (const char **) changes);
  all = g_strv_builder_end (builder);
  text = g_strjoinv ("\n", all);
  return vmsan_fd_write_file_at (state_fd, RECORD, text, strlen (text), 0600, error);
}

GStrv
vmsan_net_forwarding_prepare (int state_fd, const VmsanNetPools *pools, GError **error)
{
  VmsanNetIpv6Forwarding ipv6 = vmsan_net_uplink_get_ipv6_forwarding (pools->has_pool6);
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  g_auto (GStrv) changes = host != NULL ? vmsan_net_uplink_plan (host, ipv6, error) : NULL;

  if (changes == NULL ||
      (changes[0] != NULL && !note_changes (state_fd, (const char *const *) changes, error)))
    return NULL;
  return g_steal_pointer (&changes);
}

gboolean
vmsan_net_forwarding_enable (const char *const *changes, GError **error)
{
  return vmsan_net_uplink_apply (changes, error);
}

gboolean
vmsan_net_forwarding_restore (int state_fd, GError **error)
{
  g_auto (GStrv) changes = vmsan_net_forwarding_list_changes (state_fd);

  if (changes[0] == NULL || changes[0][0] == '\0')
    return TRUE;
  if (!vmsan_net_uplink_restore ((const char *const *) changes, error))
    return FALSE;
  unlinkat (state_fd, RECORD, 0);
  return TRUE;
}

GStrv
vmsan_net_forwarding_list_links (int state_fd, gboolean *ipv6)
{
  g_auto (GStrv) changes = vmsan_net_forwarding_list_changes (state_fd);
  g_autoptr (GStrvBuilder) links = g_strv_builder_new ();
  g_autofree char *router = NULL;

  *ipv6 = FALSE;
  if (g_file_get_contents ("/proc/sys/net/ipv4/ip_forward", &router, NULL, NULL) &&
      router[0] == '1')
    return g_strv_builder_end (links);
  for (guint i = 0; changes[i] != NULL; i++)
    {
      g_auto (GStrv) parts = g_strsplit (changes[i], "/", 4);

      if (g_strv_length (parts) != 4 || !g_str_equal (parts[1], "conf"))
        continue;
      if (!g_str_equal (parts[2], "all"))
        g_strv_builder_add (links, parts[2]);
      else if (g_str_equal (parts[0], "ipv6"))
        *ipv6 = TRUE;
    }
  return g_strv_builder_end (links);
}
