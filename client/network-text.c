/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what the service says is shown, also what this program does not know of. */

#include "config.h"

#include "network-text.h"

#include "pairs.h"

#include <glib/gi18n.h>
#include <string.h>

static char *
describe_plain (GVariant *value)
{
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  return g_variant_print (value, FALSE);
}

static char *
describe_icmp (GVariant *value)
{
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return describe_plain (value);
  return g_strdup (g_variant_get_boolean (value) ? _ ("follows the policy") : _ ("dropped"));
}

static char *
describe_bandwidth (GVariant *value)
{
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return describe_plain (value);
  if (g_variant_get_uint32 (value) == 0)
    return g_strdup (_ ("no limit"));
  return g_strdup_printf (_ ("%u Mbit/s"), g_variant_get_uint32 (value));
}

static char *
describe_skip_dnat (GVariant *value)
{
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return describe_plain (value);
  return g_strdup (g_variant_get_boolean (value) ? _ ("left to others") : "");
}

/* In the order of the lines. */
static const struct
{
  const char *key;
  const char *title;
  char *(*describe) (GVariant *value);
} rows[] = {
  { "network", N_ ("Network"), describe_plain },
  { "address", N_ ("Address"), describe_plain },
  { "address6", N_ ("IPv6 address"), describe_plain },
  { "network-policy", N_ ("Policy"), describe_plain },
  { "allowed-domains", N_ ("Allowed names"), describe_plain },
  { "allowed-cidrs", N_ ("Allowed CIDRs"), describe_plain },
  { "denied-cidrs", N_ ("Denied CIDRs"), describe_plain },
  { "allow-icmp", N_ ("ICMP"), describe_icmp },
  { "published-ports", N_ ("Published ports"), describe_plain },
  { "skip-dnat", N_ ("Port routing"), describe_skip_dnat },
  { "bandwidth-mbit", N_ ("Bandwidth"), describe_bandwidth },
  { "conflicts", N_ ("Dropped by"), describe_plain },
};

static gboolean
is_known (const char *key)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (strcmp (rows[i].key, key) == 0)
      return TRUE;
  return FALSE;
}

static void
append (GString *text,
        const char *title,
        GVariant *value,
        char *(*describe) (GVariant *value),
        gboolean colourful)
{
  g_autofree const char **list = NULL;
  g_autofree char *one = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY))
    {
      list = g_variant_get_strv (value, NULL);
      pairs_append_list (text, title, list, colourful);
      return;
    }
  one = describe (value);
  pairs_append (text, title, one, colourful);
}

void
network_text_append (GString *text, GVariant *network, gboolean colourful)
{
  GVariantIter iter;
  const char *kind = "";
  const char *key;
  GVariant *value;

  g_variant_lookup (network, "network", "&s", &kind);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GVariant) known = g_variant_lookup_value (network, rows[i].key, NULL);

      /* What could be reached through it says nothing about a network that is not there. */
      if (known != NULL && (i == 0 || strcmp (kind, "none") != 0))
        append (text, _ (rows[i].title), known, rows[i].describe, colourful);
    }
  g_variant_iter_init (&iter, network);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    if (!is_known (key))
      append (text, key, value, describe_plain, colourful);
}
