/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one transaction per call, so that no other machine notices, and nothing of others'
 * tables is ever changed. */

#include "net/net-host-table.h"

#include "net/net-conntrack.h"
#include "net/net-host-rules.h"
#include "net/net-namespace.h"
#include "net/net-netlink.h"
#include "net/net-nft.h"
#include "net/net-rules.h"
#include "sys/error.h"

#include <linux/ip.h>
#include <string.h>

#define HERE -1 /* the service's own namespace is the host's */

/* Loopback addresses pass the links of those machines only that have ports there; the table's first
 * chain keeps them from doing so in the other direction. */
static gboolean
set_localnet (const VmsanNetMember *member, const VmsanNetPolicy *old, GError **error)
{
  gboolean needed = vmsan_net_host_rules_needs_localnet (member->policy);
  const VmsanNetInetSetting setting = { IPV4_DEVCONF_ROUTE_LOCALNET, needed };
  g_autofree char *name = vmsan_net_host_link_name (member->slot);
  g_autoptr (VmsanNetlink) netlink = NULL;
  VmsanNetLink link;

  if (!needed && (old == NULL || !vmsan_net_host_rules_needs_localnet (old)))
    return TRUE;
  netlink = vmsan_netlink_open (error);
  return netlink != NULL && vmsan_netlink_get_link (netlink, name, 0, &link, error) &&
         vmsan_netlink_set_inet (netlink, link.ifindex, &setting, 1, error);
}

gboolean
vmsan_net_host_rebuild (const VmsanNetHost *self,
                        const VmsanNetMember *members,
                        guint n_members,
                        GError **error)
{
  g_autofree char *table = vmsan_net_host_rules_table (self, members, n_members);

  if (!vmsan_net_nft_run (HERE, table, "Making the host's firewall table", error))
    return FALSE;
  for (guint i = 0; i < n_members; i++)
    {
      g_autoptr (GError) local_error = NULL;

      /* A link that is gone must not keep the other machines from theirs. */
      if (!set_localnet (&members[i], NULL, &local_error))
        g_warning ("Ports on the host's loopback will not work: %s", local_error->message);
    }
  return TRUE;
}

static GHashTable *
to_set (char **lines)
{
  GHashTable *set = g_hash_table_new (g_str_hash, g_str_equal);

  for (; *lines != NULL; lines++)
    g_hash_table_add (set, *lines);
  return set;
}

/* "VERB element…" for those of @elements that are not in @others. What stays is not touched: an
 * element that is replaced is not there for a moment, and its port somebody else's. */
static void
append_difference (GString *commands, const char *verb, char **elements, char **others)
{
  g_autoptr (GHashTable) set = to_set (others);

  for (; *elements != NULL; elements++)
    if (**elements != '\0' && !g_hash_table_contains (set, *elements))
      g_string_append_printf (commands, "%s %s\n", verb, *elements);
}

gboolean
vmsan_net_host_add (const VmsanNetHost *self,
                    const VmsanNetMember *member,
                    const VmsanNetPolicy *old,
                    GError **error)
{
  const VmsanNetMember before = { member->slot, old };
  g_autofree char *old_text =
      old != NULL ? vmsan_net_host_rules_member (self, &before, "") : g_strdup ("");
  g_autofree char *new_text = vmsan_net_host_rules_member (self, member, "");
  g_auto (GStrv) old_elements = g_strsplit (old_text, "\n", -1);
  g_auto (GStrv) new_elements = g_strsplit (new_text, "\n", -1);
  g_autoptr (GString) commands = g_string_new (NULL);

  append_difference (commands, "delete", old_elements, new_elements);
  append_difference (commands, "add", new_elements, old_elements);
  return (commands->len == 0 ||
          vmsan_net_nft_run (HERE, commands->str, "Adding a machine to the host's firewall table",
                             error)) &&
         set_localnet (member, old, error);
}

/* ---- Removing ------------------------------------------------------------------------------ */

static gboolean
is_address (JsonNode *node, const VmsanNetSlotAddresses *addresses)
{
  const char *text = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_string (node) : NULL;

  return text != NULL && *text != '\0' &&
         (strcmp (text, addresses->own4) == 0 || strcmp (text, addresses->own6) == 0);
}

/* An element is {"concat": [...]}, or for a map [{"concat": [...]}, {"concat": [...]}]. */
static gboolean
has_address (JsonNode *element, const VmsanNetSlotAddresses *addresses)
{
  JsonArray *parts;

  if (JSON_NODE_HOLDS_OBJECT (element) &&
      json_object_has_member (json_node_get_object (element), "concat"))
    return has_address (json_object_get_member (json_node_get_object (element), "concat"),
                        addresses);
  if (!JSON_NODE_HOLDS_ARRAY (element))
    return is_address (element, addresses);
  parts = json_node_get_array (element);
  for (guint i = 0; i < json_array_get_length (parts); i++)
    if (has_address (json_array_get_element (parts, i), addresses))
      return TRUE;
  return FALSE;
}

/* Its key as text; FALSE for what nftables would not take as it is. */
static gboolean
append_key (GString *text, JsonNode *element)
{
  JsonNode *key = JSON_NODE_HOLDS_ARRAY (element)
                      ? json_array_get_element (json_node_get_array (element), 0)
                      : element;
  JsonArray *parts = JSON_NODE_HOLDS_OBJECT (key)
                         ? json_object_get_array_member (json_node_get_object (key), "concat")
                         : NULL;

  for (guint i = 0; parts != NULL && i < json_array_get_length (parts); i++)
    {
      JsonNode *part = json_array_get_element (parts, i);

      if (!JSON_NODE_HOLDS_VALUE (part))
        return FALSE;
      if (i > 0)
        g_string_append (text, " . ");
      if (json_node_get_value_type (part) == G_TYPE_INT64)
        g_string_append_printf (text, "%" G_GINT64_FORMAT, json_node_get_int (part));
      else if (strspn (json_node_get_string (part), "0123456789abcdefghijklmnopqrstuvwxyz.:") ==
               strlen (json_node_get_string (part)))
        g_string_append_printf (text,
                                strstr (json_node_get_string (part), "vmsan") ? "\"%s\"" : "%s",
                                json_node_get_string (part));
      else
        return FALSE;
    }
  return parts != NULL;
}

/* Commands that delete every element with an address of @addresses from what "list table" gave. */
static char *
make_removal (JsonNode *answer, const VmsanNetSlotAddresses *addresses)
{
  GString *commands = g_string_new (NULL);
  JsonArray *objects = json_object_get_array_member (json_node_get_object (answer), "nftables");

  for (guint i = 0; objects != NULL && i < json_array_get_length (objects); i++)
    {
      JsonObject *object = json_array_get_object_element (objects, i);
      JsonObject *set = NULL;
      JsonArray *elements;

      if (json_object_has_member (object, "set"))
        set = json_object_get_object_member (object, "set");
      else if (json_object_has_member (object, "map"))
        set = json_object_get_object_member (object, "map");
      if (set == NULL || !json_object_has_member (set, "elem") ||
          !g_strv_contains (vmsan_net_host_sets, json_object_get_string_member (set, "name")))
        continue;
      elements = json_object_get_array_member (set, "elem");
      for (guint j = 0; j < json_array_get_length (elements); j++)
        {
          g_autoptr (GString) key = g_string_new (NULL);

          if (has_address (json_array_get_element (elements, j), addresses) &&
              append_key (key, json_array_get_element (elements, j)))
            g_string_append_printf (commands, "delete element " VMSAN_NET_TABLE " %s { %s }\n",
                                    json_object_get_string_member (set, "name"), key->str);
        }
    }
  return g_string_free (commands, FALSE);
}

/* Whatever there is of the slot, as the table tells. */
static gboolean
remove_by_scan (const VmsanNetHost *self, guint slot, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (JsonNode) answer =
      vmsan_net_nft_list (HERE, "list table " VMSAN_NET_TABLE, "Reading the host's firewall table",
                          &local_error);
  g_autofree char *commands = NULL;
  VmsanNetSlotAddresses addresses;

  if (g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return TRUE;
  if (answer == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  vmsan_net_pools_get_addresses (self->pools, slot, &addresses);
  commands = make_removal (answer, &addresses);
  return *commands == '\0' ||
         vmsan_net_nft_run (HERE, commands, "Removing a machine from the host's firewall table",
                            error);
}

/* The next machine with these addresses must not get what was meant for this one. */
static gboolean
forget_connections (const VmsanNetHost *self, guint slot, GError **error)
{
  VmsanNetSlotAddresses addresses;
  const char *const own[] = { addresses.own4, addresses.own6, NULL };

  vmsan_net_pools_get_addresses (self->pools, slot, &addresses);
  return vmsan_net_conntrack_forget_addresses (own, error);
}

gboolean
vmsan_net_host_remove (const VmsanNetHost *self,
                       guint slot,
                       const VmsanNetPolicy *policy,
                       GError **error)
{
  const VmsanNetMember member = { slot, policy };
  g_autofree char *commands =
      policy != NULL ? vmsan_net_host_rules_member (self, &member, "delete") : NULL;

  if ((commands == NULL || !vmsan_net_nft_run (HERE, commands, "Removing a machine", NULL)) &&
      !remove_by_scan (self, slot, error))
    return FALSE;
  return forget_connections (self, slot, error);
}

gboolean
vmsan_net_host_delete_table (GError **error)
{
  return vmsan_net_nft_run (HERE,
                            "add table " VMSAN_NET_TABLE "\n"
                            "delete table " VMSAN_NET_TABLE "\n",
                            "Deleting the host's firewall table", error);
}

/* ---- Looking ------------------------------------------------------------------------------- */

gboolean
vmsan_net_host_is_complete (gboolean *complete, GError **error)
{
  g_autoptr (JsonNode) answer =
      vmsan_net_nft_list (HERE, "list chains inet", "Looking for the host's firewall table", error);
  JsonArray *objects;
  guint n = 0;

  if (answer == NULL)
    return FALSE;
  objects = json_object_get_array_member (json_node_get_object (answer), "nftables");
  for (guint i = 0; i < json_array_get_length (objects); i++)
    {
      JsonObject *object = json_array_get_object_element (objects, i);
      JsonObject *chain = json_object_has_member (object, "chain")
                              ? json_object_get_object_member (object, "chain")
                              : NULL;

      if (chain != NULL && json_object_has_member (chain, "hook") &&
          strcmp (json_object_get_string_member (chain, "table"), "vmsan") == 0 &&
          g_strv_contains (vmsan_net_host_base_chains,
                           json_object_get_string_member (chain, "name")))
        n++;
    }
  *complete = n == g_strv_length ((char **) vmsan_net_host_base_chains);
  return TRUE;
}
