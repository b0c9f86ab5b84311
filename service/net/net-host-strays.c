/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: whatever form an element has, one that names no machine's address is found. */

#include "net/net-host-strays.h"

#include "net/net-host-rules.h"
#include "net/net-nft.h"
#include "net/net-rules.h"
#include "sys/error.h"

#define HERE -1 /* the service's own namespace is the host's */

void
vmsan_net_host_strays_clear (VmsanNetHostStrays *strays)
{
  g_clear_pointer (&strays->elements, g_strfreev);
  g_clear_pointer (&strays->addresses, g_strfreev);
}

/* All texts and numbers of an element, in order: {"concat": [...]}, for a map a pair of them, and
 * with a comment or a timeout {"elem": {"val": ...}}. */
static void
collect_values (JsonNode *node, GPtrArray *values)
{
  if (JSON_NODE_HOLDS_ARRAY (node))
    {
      JsonArray *array = json_node_get_array (node);

      for (guint i = 0; i < json_array_get_length (array); i++)
        collect_values (json_array_get_element (array, i), values);
    }
  else if (JSON_NODE_HOLDS_OBJECT (node))
    {
      g_autoptr (GList) members = json_object_get_values (json_node_get_object (node));

      for (GList *member = members; member != NULL; member = member->next)
        collect_values (member->data, values);
    }
  else if (JSON_NODE_HOLDS_VALUE (node))
    {
      if (json_node_get_value_type (node) == G_TYPE_STRING)
        g_ptr_array_add (values, json_node_dup_string (node));
      else
        g_ptr_array_add (values, g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node)));
    }
}

static gboolean
is_pool_address (const VmsanNetPools *pools, const char *text)
{
  VmsanNetPrefix address;

  return vmsan_net_prefix_parse (text, &address, NULL) &&
         (vmsan_net_prefix_contains (&pools->pool4, &address) ||
          (pools->has_pool6 && vmsan_net_prefix_contains (&pools->pool6, &address)));
}

typedef struct
{
  const VmsanNetPools *pools;
  GHashTable *own; /* addresses of machines; set */
  GStrvBuilder *elements;
  GStrvBuilder *addresses;
} Search;

static void
look_at_element (Search *self, const char *set, JsonNode *element)
{
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *text = NULL;
  g_autofree char *shown = NULL;

  collect_values (element, values);
  for (guint i = 0; i < values->len; i++)
    if (g_hash_table_contains (self->own, values->pdata[i]))
      return;
  for (guint i = 0; i < values->len; i++)
    if (is_pool_address (self->pools, values->pdata[i]))
      g_strv_builder_add (self->addresses, values->pdata[i]);
  g_ptr_array_add (values, NULL);
  text = g_strjoinv (" . ", (char **) values->pdata);
  shown = g_strdup_printf ("%s %s", set, text);
  g_strv_builder_add (self->elements, shown);
}

static void
look_at_object (Search *self, JsonObject *object)
{
  JsonObject *set = NULL;
  JsonArray *elements;

  if (json_object_has_member (object, "set"))
    set = json_object_get_object_member (object, "set");
  else if (json_object_has_member (object, "map"))
    set = json_object_get_object_member (object, "map");
  if (set == NULL || !json_object_has_member (set, "elem"))
    return;
  elements = json_object_get_array_member (set, "elem");
  for (guint i = 0; i < json_array_get_length (elements); i++)
    look_at_element (self, json_object_get_string_member (set, "name"),
                     json_array_get_element (elements, i));
}

/* The addresses of @members as nftables writes them. */
static GHashTable *
make_own (const VmsanNetPools *pools, const VmsanNetMember *members, guint n_members)
{
  GHashTable *own = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < n_members; i++)
    {
      VmsanNetSlotAddresses addresses;

      vmsan_net_pools_get_addresses (pools, members[i].slot, &addresses);
      g_hash_table_add (own, g_strdup (addresses.own4));
      if (addresses.own6[0] != '\0')
        g_hash_table_add (own, g_strdup (addresses.own6));
    }
  return own;
}

gboolean
vmsan_net_host_strays_find (const VmsanNetHost *self,
                            const VmsanNetMember *members,
                            guint n_members,
                            VmsanNetHostStrays *strays,
                            GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (JsonNode) answer =
      vmsan_net_nft_list (HERE, "list table " VMSAN_NET_TABLE, "Reading the host's firewall table",
                          &local_error);
  g_autoptr (GHashTable) own = make_own (self->pools, members, n_members);
  g_autoptr (GStrvBuilder) elements = g_strv_builder_new ();
  g_autoptr (GStrvBuilder) addresses = g_strv_builder_new ();
  Search search = { self->pools, own, elements, addresses };
  JsonArray *objects;

  strays->has_table = answer != NULL;
  if (answer == NULL && !g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  objects = answer != NULL
                ? json_object_get_array_member (json_node_get_object (answer), "nftables")
                : NULL;
  for (guint i = 0; objects != NULL && i < json_array_get_length (objects); i++)
    look_at_object (&search, json_array_get_object_element (objects, i));
  strays->elements = g_strv_builder_end (elements);
  strays->addresses = g_strv_builder_end (addresses);
  return TRUE;
}
