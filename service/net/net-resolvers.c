/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a name server that is handed out can be reached from a machine's namespace. */

#include "net/net-resolvers.h"

#include "net/net-refusal.h"

#include <string.h>

#define MAX_RESOLVERS 3 /* as many as resolv.conf(5) has */
#define DNS_PORT      53

static gboolean
overlaps (const VmsanNetPrefix *address, const char *text)
{
  VmsanNetPrefix prefix;

  return vmsan_net_prefix_parse (text, &prefix, NULL) &&
         vmsan_net_prefix_overlaps (address, &prefix);
}

/* A namespace has a loopback and links of its own. */
static gboolean
is_local (const VmsanNetPrefix *address)
{
  return overlaps (address, "127.0.0.0/8") || overlaps (address, "::1") ||
         overlaps (address, "fe80::/10") || overlaps (address, "0.0.0.0/8") ||
         overlaps (address, "::");
}

static gboolean
parse_address (const char *text, VmsanNetPrefix *address)
{
  return strchr (text, '/') == NULL && vmsan_net_prefix_parse (text, address, NULL);
}

static void
add (GArray *resolvers, const VmsanNetPrefix *address, guint16 port)
{
  g_autofree char *text = vmsan_net_prefix_to_string (address);
  VmsanNetResolver resolver = { .family = address->family, .port = port };

  *strchr (text, '/') = '\0';
  g_strlcpy (resolver.address, text, sizeof resolver.address);
  g_array_append_val (resolvers, resolver);
}

/* Adds what machines can reach; TRUE when there was something that they cannot. */
static gboolean
add_all (GArray *resolvers, const char *conf)
{
  g_auto (GStrv) lines = g_strsplit (conf != NULL ? conf : "", "\n", -1);
  gboolean some_local = FALSE;

  for (guint i = 0; lines[i] != NULL && resolvers->len < MAX_RESOLVERS; i++)
    {
      g_auto (GStrv) words = g_strsplit_set (g_strstrip (lines[i]), " \t", -1);
      const char *last = NULL;
      VmsanNetPrefix address;

      if (words[0] == NULL || strcmp (words[0], "nameserver") != 0)
        continue;
      for (guint j = 1; words[j] != NULL && last == NULL; j++)
        if (*words[j] != '\0')
          last = words[j];
      if (last == NULL)
        continue;
      /* A scope is a link of the host. */
      if (!parse_address (last, &address) || is_local (&address))
        some_local = TRUE;
      else
        add (resolvers, &address, DNS_PORT);
    }
  return some_local;
}

GArray *
vmsan_net_resolvers_parse (const char *resolv_conf, const char *resolved_conf, char **why)
{
  GArray *resolvers = g_array_new (FALSE, TRUE, sizeof (VmsanNetResolver));
  gboolean some_local = add_all (resolvers, resolv_conf);

  if (resolvers->len == 0 && some_local)
    add_all (resolvers, resolved_conf);
  if (resolvers->len > 0)
    return resolvers;
  if (some_local)
    *why = g_strdup (VMSAN_NET_RESOLV_CONF
                     " has only name servers on this host's own loopback or links, "
                     "which machines cannot reach; set Resolver in vmsand.conf");
  else
    *why = g_strdup (VMSAN_NET_RESOLV_CONF " has no name server; set Resolver in vmsand.conf");
  return resolvers;
}

static gboolean
parse_port (const char *text, guint16 *port)
{
  guint64 value;

  if (!g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT16, &value, NULL))
    return FALSE;
  *port = value;
  return TRUE;
}

static GArray *
parse_configured (const char *configured, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (configured, "#", 2);
  VmsanNetPrefix address;
  guint16 port = DNS_PORT;
  const char *rule = NULL;
  GArray *resolvers;

  if (!parse_address (parts[0], &address) || (parts[1] != NULL && !parse_port (parts[1], &port)))
    rule = "is not ADDRESS or ADDRESS#PORT";
  else if (is_local (&address))
    rule = "is on this host's loopback or link, which machines cannot reach; let the name server "
           "listen on another address of this host, and give that";
  if (rule != NULL)
    {
      vmsan_net_refuse (error, configured, rule);
      g_prefix_error (error, "Resolver in vmsand.conf: ");
      return NULL;
    }
  resolvers = g_array_new (FALSE, TRUE, sizeof (VmsanNetResolver));
  add (resolvers, &address, port);
  return resolvers;
}

GArray *
vmsan_net_resolvers_find (const char *configured, char **why, GError **error)
{
  g_autofree char *resolv_conf = NULL;
  g_autofree char *resolved_conf = NULL;

  if (configured != NULL && *configured != '\0')
    return parse_configured (configured, error);
  g_file_get_contents (VMSAN_NET_RESOLV_CONF, &resolv_conf, NULL, NULL);
  g_file_get_contents (VMSAN_NET_RESOLVED_CONF, &resolved_conf, NULL, NULL);
  return vmsan_net_resolvers_parse (resolv_conf, resolved_conf, why);
}
