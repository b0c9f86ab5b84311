/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one text, one meaning, and no address at which nothing could be reached. */

#include "net/net-port.h"

#include "net/net-refusal.h"

#include <string.h>

#define LOOPBACK     "127.0.0.1"
#define LONGEST_TEXT (INET6_ADDRSTRLEN + 20)

static gboolean
parse_number (const char *text, guint16 *number)
{
  guint value = 0;

  if (*text == '\0' || *text == '0' || strlen (text) > 5)
    return FALSE;
  for (const char *p = text; *p != '\0'; p++)
    {
      if (!g_ascii_isdigit (*p))
        return FALSE;
      value = value * 10 + (*p - '0');
    }
  *number = value;
  return value <= G_MAXUINT16;
}

/* Cuts "/tcp" or "/udp" off @text. */
static gboolean
cut_protocol (char *text, gboolean *udp)
{
  char *slash = strchr (text, '/');

  *udp = FALSE;
  if (slash == NULL)
    return TRUE;
  *slash = '\0';
  *udp = strcmp (slash + 1, "udp") == 0;
  return *udp || strcmp (slash + 1, "tcp") == 0;
}

/* Splits at the last two colons; brackets, which IPv6 must have, are taken off. */
static gboolean
split (char *text, const char **address, const char **host_port, const char **guest_port)
{
  char *colon = strrchr (text, ':');
  char *before;

  if (colon == NULL)
    return FALSE;
  *colon = '\0';
  *guest_port = colon + 1;
  before = strrchr (text, ':');
  *address = LOOPBACK;
  *host_port = text;
  if (before == NULL)
    return TRUE;
  *before = '\0';
  *host_port = before + 1;
  *address = text;
  if (*text != '[')
    return strchr (text, ':') == NULL;
  if (before == text || before[-1] != ']')
    return FALSE;
  before[-1] = '\0';
  *address = text + 1;
  return strchr (*address, ':') != NULL;
}

static gboolean
overlaps (const VmsanNetPrefix *address, const char *text)
{
  VmsanNetPrefix prefix;

  return vmsan_net_prefix_parse (text, &prefix, NULL) &&
         vmsan_net_prefix_overlaps (address, &prefix);
}

static gboolean
is_wildcard (const VmsanNetPrefix *address)
{
  static const guint8 none[16];

  return memcmp (address->bytes, none, sizeof none) == 0;
}

/* Why the host cannot have @address, or NULL. */
static const char *
find_fault (const VmsanNetPrefix *address, const VmsanNetPools *pools)
{
  if (overlaps (address, "224.0.0.0/3") || overlaps (address, "ff00::/8"))
    return "has a multicast or reserved address";
  if (overlaps (address, "fe80::/10"))
    return "has a link-local address, which says nothing without its link";
  if (overlaps (address, "::1"))
    return "has the IPv6 loopback address, from which nothing can be passed on (RFC 4291, 2.5.3); "
           "publish at 127.0.0.1";
  if (pools == NULL)
    return NULL;
  if (vmsan_net_prefix_overlaps (address, &pools->pool4) ||
      (pools->has_pool6 && vmsan_net_prefix_overlaps (address, &pools->pool6)))
    return "has an address of the pool for machines";
  if (address->family == AF_INET6 && !pools->has_pool6)
    return "has an IPv6 address, but machines have none here: no IPv6Pool is configured";
  return NULL;
}

VmsanNetPort *
vmsan_net_port_parse (const char *text, const VmsanNetPools *pools, GError **error)
{
  g_autofree char *copy = g_strndup (text, LONGEST_TEXT + 1);
  g_autoptr (VmsanNetPort) self = g_new0 (VmsanNetPort, 1);
  const char *address_text, *host_port, *guest_port;
  VmsanNetPrefix address = { 0 };
  const char *fault = NULL;

  if (strlen (copy) > LONGEST_TEXT || !cut_protocol (copy, &self->udp) ||
      !split (copy, &address_text, &host_port, &guest_port))
    fault = "is not of the form [ADDRESS:]PORT:GUEST-PORT[/tcp|/udp]";
  else if (strchr (address_text, '/') != NULL ||
           !vmsan_net_prefix_parse (address_text, &address, NULL))
    fault = "has an address that is none; its form is [ADDRESS:]PORT:GUEST-PORT[/tcp|/udp], with "
            "an IPv6 address in brackets";
  else if (!parse_number (host_port, &self->host_port) ||
           !parse_number (guest_port, &self->guest_port))
    fault = "has a port that is not 1 to 65535";
  else
    fault = find_fault (&address, pools);
  if (fault != NULL)
    {
      vmsan_net_refuse (error, text, fault);
      return NULL;
    }
  self->host_address = vmsan_net_prefix_to_string (&address);
  *strchr (self->host_address, '/') = '\0';
  return g_steal_pointer (&self);
}

char *
vmsan_net_port_to_string (const VmsanNetPort *self)
{
  gboolean v6 = strchr (self->host_address, ':') != NULL;

  return g_strdup_printf ("%s%s%s:%u:%u/%s", v6 ? "[" : "", self->host_address, v6 ? "]" : "",
                          self->host_port, self->guest_port, self->udp ? "udp" : "tcp");
}

gboolean
vmsan_net_port_equal (const VmsanNetPort *a, const VmsanNetPort *b)
{
  return strcmp (a->host_address, b->host_address) == 0 && a->host_port == b->host_port &&
         a->guest_port == b->guest_port && a->udp == b->udp;
}

gboolean
vmsan_net_port_is_everywhere (const VmsanNetPort *self)
{
  VmsanNetPrefix address;

  return vmsan_net_prefix_parse (self->host_address, &address, NULL) && is_wildcard (&address);
}

gboolean
vmsan_net_port_collides (const VmsanNetPort *a, const VmsanNetPort *b)
{
  VmsanNetPrefix address_a, address_b;

  if (a->host_port != b->host_port || a->udp != b->udp ||
      !vmsan_net_prefix_parse (a->host_address, &address_a, NULL) ||
      !vmsan_net_prefix_parse (b->host_address, &address_b, NULL) ||
      address_a.family != address_b.family)
    return FALSE;
  return is_wildcard (&address_a) || is_wildcard (&address_b) ||
         vmsan_net_prefix_overlaps (&address_a, &address_b);
}

void
vmsan_net_port_free (VmsanNetPort *self)
{
  g_free (self->host_address);
  g_free (self);
}
