/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what would silently drop machines' packets on the host is named; nothing is changed. */

#include "net/net-host-table.h"

#include "net/net-nft.h"

#include <string.h>

/* Rules of a chain, as "list ruleset" gives them, in order. */
typedef struct
{
  JsonObject *chain;
  JsonArray *last_rule; /* its expressions; borrowed */
  gboolean knows_us;    /* a rule of its table accepts by our links' names */
} Chain;

static const char *
get_text (JsonObject *object, const char *member)
{
  JsonNode *node = json_object_get_member (object, member);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) != G_TYPE_STRING)
    return "";
  return json_node_get_string (node);
}

static gboolean
is_forward_of_others (JsonObject *chain)
{
  const char *family = get_text (chain, "family");
  gboolean ours = strcmp (family, "inet") == 0 && strcmp (get_text (chain, "table"), "vmsan") == 0;

  return !ours && strcmp (get_text (chain, "hook"), "forward") == 0 &&
         (strcmp (family, "ip") == 0 || strcmp (family, "ip6") == 0 ||
          strcmp (family, "inet") == 0);
}

static gboolean
same_table (JsonObject *a, JsonObject *b)
{
  return strcmp (get_text (a, "family"), get_text (b, "family")) == 0 &&
         strcmp (get_text (a, "table"), get_text (b, "table")) == 0;
}

static gboolean
has_statement (JsonArray *expressions, const char *name)
{
  for (guint i = 0; i < json_array_get_length (expressions); i++)
    {
      JsonNode *node = json_array_get_element (expressions, i);

      if (JSON_NODE_HOLDS_OBJECT (node) &&
          json_object_has_member (json_node_get_object (node), name))
        return TRUE;
    }
  return FALSE;
}

/* A rule that has no condition and ends in a drop: firewalld's way to have policy accept. */
static gboolean
drops_everything (JsonArray *expressions)
{
  return expressions != NULL && !has_statement (expressions, "match") &&
         (has_statement (expressions, "drop") || has_statement (expressions, "reject"));
}

/* Somebody has let our links through: then the end of the chain is not reached. */
static gboolean
accepts_our_links (JsonArray *expressions)
{
  g_autoptr (JsonNode) node = json_node_init_array (json_node_alloc (), expressions);
  g_autofree char *text = json_to_string (node, FALSE);

  return strstr (text, "\"vmsan") != NULL && has_statement (expressions, "accept");
}

static void
read_rule (GArray *chains, JsonObject *rule)
{
  JsonNode *node = json_object_get_member (rule, "expr");
  JsonArray *expressions =
      node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  for (guint i = 0; expressions != NULL && i < chains->len; i++)
    {
      Chain *chain = &g_array_index (chains, Chain, i);

      if (!same_table (chain->chain, rule))
        continue;
      if (strcmp (get_text (chain->chain, "name"), get_text (rule, "chain")) == 0)
        chain->last_rule = expressions;
      if (accepts_our_links (expressions))
        chain->knows_us = TRUE;
    }
}

/* Chains come before rules. */
static GArray *
read_chains (JsonArray *objects)
{
  GArray *chains = g_array_new (FALSE, TRUE, sizeof (Chain));

  for (guint i = 0; i < json_array_get_length (objects); i++)
    {
      JsonObject *object = json_array_get_object_element (objects, i);

      if (json_object_has_member (object, "chain"))
        {
          Chain chain = { json_object_get_object_member (object, "chain") };

          if (is_forward_of_others (chain.chain))
            g_array_append_val (chains, chain);
        }
      else if (json_object_has_member (object, "rule"))
        read_rule (chains, json_object_get_object_member (object, "rule"));
    }
  return chains;
}

GStrv
vmsan_net_host_find_conflicts (GError **error)
{
  g_autoptr (JsonNode) answer =
      vmsan_net_nft_list (-1, "list ruleset", "Reading the host's firewall", error);
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  g_autoptr (GArray) chains = NULL;

  if (answer == NULL)
    return NULL;
  chains = read_chains (json_object_get_array_member (json_node_get_object (answer), "nftables"));
  for (guint i = 0; i < chains->len; i++)
    {
      const Chain *chain = &g_array_index (chains, Chain, i);
      g_autofree char *name =
          g_strdup_printf ("%s %s %s", get_text (chain->chain, "family"),
                           get_text (chain->chain, "table"), get_text (chain->chain, "name"));

      if (!chain->knows_us && (strcmp (get_text (chain->chain, "policy"), "drop") == 0 ||
                               drops_everything (chain->last_rule)))
        g_strv_builder_add (names, name);
    }
  return g_strv_builder_end (names);
}
