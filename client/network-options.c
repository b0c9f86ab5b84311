/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what is given reaches the service as it is, or nothing does. */

#include "config.h"

#include "network-options.h"

#include "units.h"

#include <glib/gi18n.h>
#include <string.h>

static gboolean
refuse (GError **error, const char *message)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, message);
  return FALSE;
}

static gboolean
check_policy (const char *policy, GError **error)
{
  static const char *const policies[] = { "allow-all", "deny-all", "custom", NULL };

  if (policy == NULL || g_strv_contains (policies, policy))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not a network policy: there are allow-all, deny-all and custom"),
               policy);
  return FALSE;
}

/* An option that something else makes meaningless is a mistake. */
static gboolean
check_together (const NetworkOptions *options, GError **error)
{
  gboolean lists = options->allowed_domains != NULL || options->allowed_cidrs != NULL ||
                   options->denied_cidrs != NULL;

  if (options->icmp && options->no_icmp)
    return refuse (error, _ ("--icmp and --no-icmp exclude each other"));
  if (options->none && (options->policy != NULL || lists || options->ports != NULL ||
                        options->bandwidth != NULL || options->icmp || options->no_icmp))
    return refuse (error,
                   _ ("--no-network leaves nothing that other network options could change"));
  return TRUE;
}

/* A decimal from 1 to 65535 that ends where the text does. */
static gboolean
is_port (const char *text)
{
  guint64 number;

  return g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT16, &number, NULL) &&
         g_ascii_isdigit (text[0]);
}

static gboolean
has_port_form (const char *text)
{
  g_autofree char *copy = g_strdup (text);
  char *slash = strrchr (copy, '/');
  char *guest, *host;

  if (slash != NULL && strcmp (slash, "/tcp") != 0 && strcmp (slash, "/udp") != 0)
    return FALSE;
  if (slash != NULL)
    *slash = '\0';
  guest = strrchr (copy, ':');
  if (guest == NULL)
    return FALSE;
  *guest = '\0';
  host = strrchr (copy, ':');
  if (host != NULL)
    *host = '\0';
  return is_port (guest + 1) && is_port (host != NULL ? host + 1 : copy) &&
         (host == NULL || copy[0] != '\0');
}

static gboolean
check_ports (char **ports, GError **error)
{
  for (gsize i = 0; ports != NULL && ports[i] != NULL; i++)
    if (ports[i][0] != '\0' && !has_port_form (ports[i]))
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                     _ ("“%s” is not a port to publish: write [ADDRESS:]PORT:GUEST-PORT with ports "
                        "from 1 to 65535, and /udp behind it for UDP"),
                     ports[i]);
        return FALSE;
      }
  return TRUE;
}

/* @what: is in the list, for the message. */
static gboolean
add_list (GVariantDict *dict, const char *key, char **values, const char *what, GError **error)
{
  static const char *const none[] = { NULL };
  gsize n = values != NULL ? g_strv_length (values) : 0;
  gboolean empties = n == 1 && values[0][0] == '\0';

  if (n == 0)
    return TRUE;
  if (!empties && g_strv_contains ((const char *const *) values, ""))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _ ("An empty text empties the list of %s, so it can only be given alone"), what);
      return FALSE;
    }
  g_variant_dict_insert_value (dict, key,
                               g_variant_new_strv (empties ? none : (const char *const *) values,
                                                   -1));
  return TRUE;
}

gboolean
network_options_fill (const NetworkOptions *options, GVariantDict *dict, GError **error)
{
  guint32 mbit;

  if (!check_policy (options->policy, error) || !check_together (options, error) ||
      !check_ports (options->ports, error) ||
      !add_list (dict, "allowed-domains", options->allowed_domains, _ ("allowed names"), error) ||
      !add_list (dict, "allowed-cidrs", options->allowed_cidrs, _ ("allowed addresses"), error) ||
      !add_list (dict, "denied-cidrs", options->denied_cidrs, _ ("denied addresses"), error) ||
      !add_list (dict, "published-ports", options->ports, _ ("published ports"), error))
    return FALSE;
  if (options->bandwidth != NULL)
    {
      if (!units_parse_mbit (options->bandwidth, &mbit, error))
        return FALSE;
      g_variant_dict_insert (dict, "bandwidth-mbit", "u", mbit);
    }
  if (options->none)
    g_variant_dict_insert (dict, "network", "s", "none");
  if (options->policy != NULL)
    g_variant_dict_insert (dict, "network-policy", "s", options->policy);
  if (options->icmp || options->no_icmp)
    g_variant_dict_insert (dict, "allow-icmp", "b", options->icmp);
  return TRUE;
}

void
network_options_clear (NetworkOptions *options)
{
  g_free (options->policy);
  g_strfreev (options->allowed_domains);
  g_strfreev (options->allowed_cidrs);
  g_strfreev (options->denied_cidrs);
  g_strfreev (options->ports);
  g_free (options->bandwidth);
}
