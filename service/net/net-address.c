/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is accepted means the same to netlink, to nft and to whoever wrote it; anything
 * that could be read in two ways is refused by name. */

#include "net/net-address.h"

#include "net/net-refusal.h"

#include <arpa/inet.h>
#include <string.h>

/* Two bits of each pool address are the place within a slot. */
#define SLOT_BITS    2
#define SLOT_HOST    1
#define SLOT_OWN     2
#define LONGEST_TEXT (INET6_ADDRSTRLEN + 4)

static guint
family_bits (int family)
{
  return family == AF_INET ? 32 : 128;
}

/* Decimal digits only: strtoul() would take signs, spaces and, of "08", an octal 0. */
static gboolean
parse_length (const char *text, guint max, guint *length)
{
  guint value = 0;

  if (*text == '\0' || strlen (text) > 3 || (text[0] == '0' && text[1] != '\0'))
    return FALSE;
  for (const char *p = text; *p != '\0'; p++)
    {
      if (!g_ascii_isdigit (*p))
        return FALSE;
      value = value * 10 + (*p - '0');
    }
  *length = value;
  return value <= max;
}

static gboolean
has_host_bits (const VmsanNetPrefix *prefix)
{
  for (guint bit = prefix->prefix_length; bit < family_bits (prefix->family); bit++)
    {
      if (prefix->bytes[bit / 8] & (0x80 >> (bit % 8)))
        return TRUE;
    }
  return FALSE;
}

/* ::ffff:0:0/96 never is on the wire (RFC 4291, 2.5.5.2): a rule with it would match nothing, while
 * its writer believes that the IPv4 address is meant. */
static gboolean
is_mapped (const VmsanNetPrefix *prefix)
{
  static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };

  return prefix->family == AF_INET6 && memcmp (prefix->bytes, mapped, sizeof mapped) == 0;
}

gboolean
vmsan_net_prefix_parse (const char *text, VmsanNetPrefix *prefix, GError **error)
{
  g_autofree char *address = NULL;
  VmsanNetPrefix parsed = { 0 };
  const char *slash;

  g_return_val_if_fail (text != NULL && prefix != NULL, FALSE);

  if (strlen (text) > LONGEST_TEXT)
    return vmsan_net_refuse (error, text, "is no IP address or prefix");
  if (strchr (text, '%') != NULL)
    return vmsan_net_refuse (error, text, "has a scope (“%”); give the address without");

  slash = strchr (text, '/');
  address = slash != NULL ? g_strndup (text, slash - text) : g_strdup (text);
  /* inet_pton() takes only the whole dotted form, without leading zeros. */
  if (inet_pton (AF_INET, address, parsed.bytes) == 1)
    parsed.family = AF_INET;
  else if (inet_pton (AF_INET6, address, parsed.bytes) == 1)
    parsed.family = AF_INET6;
  else
    return vmsan_net_refuse (error, text, "is no IP address or prefix");

  parsed.prefix_length = family_bits (parsed.family);
  if (slash != NULL && !parse_length (slash + 1, parsed.prefix_length, &parsed.prefix_length))
    return vmsan_net_refuse (error, text,
                             parsed.family == AF_INET ? "has a prefix length that is not 0 to 32"
                                                      : "has a prefix length that is not 0 to 128");
  if (has_host_bits (&parsed))
    return vmsan_net_refuse (error, text, "has bits set after its prefix length; set them to 0");
  if (is_mapped (&parsed))
    return vmsan_net_refuse (error, text,
                             "is an IPv4 address mapped into IPv6; give the IPv4 address");

  *prefix = parsed;
  return TRUE;
}

char *
vmsan_net_prefix_to_string (const VmsanNetPrefix *prefix)
{
  char address[INET6_ADDRSTRLEN];

  inet_ntop (prefix->family, prefix->bytes, address, sizeof address);
  return g_strdup_printf ("%s/%u", address, prefix->prefix_length);
}

static gboolean
equal_up_to (const VmsanNetPrefix *a, const VmsanNetPrefix *b, guint length)
{
  guint rest = length % 8;

  if (a->family != b->family || memcmp (a->bytes, b->bytes, length / 8) != 0)
    return FALSE;
  return rest == 0 || ((a->bytes[length / 8] ^ b->bytes[length / 8]) >> (8 - rest)) == 0;
}

gboolean
vmsan_net_prefix_overlaps (const VmsanNetPrefix *a, const VmsanNetPrefix *b)
{
  return equal_up_to (a, b, MIN (a->prefix_length, b->prefix_length));
}

gboolean
vmsan_net_prefix_contains (const VmsanNetPrefix *outer, const VmsanNetPrefix *inner)
{
  return outer->prefix_length <= inner->prefix_length &&
         equal_up_to (outer, inner, outer->prefix_length);
}

/* ---- Pools --------------------------------------------------------------------------------- */

typedef struct
{
  const char *prefix;
  const char *use;
} Reserved;

/* What cannot be the address of a link, and what the machines' namespaces use inside. */
static const Reserved reserved[] = {
  { "0.0.0.0/8", "“this network”" },      { "127.0.0.0/8", "loopback" },
  { "169.254.0.0/16", "link-local" },     { VMSAN_NET_INSIDE4, "the link inside each machine" },
  { "224.0.0.0/4", "multicast" },         { "240.0.0.0/4", "reserved" },
  { "::/8", "loopback and mapped IPv4" }, { VMSAN_NET_INSIDE6, "the link inside each machine" },
  { "fe80::/10", "link-local" },          { "ff00::/8", "multicast" },
};

static gboolean
check_not_reserved (const char *text, const VmsanNetPrefix *pool, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (reserved); i++)
    {
      VmsanNetPrefix taken;

      if (!vmsan_net_prefix_parse (reserved[i].prefix, &taken, error))
        return FALSE;
      if (vmsan_net_prefix_overlaps (pool, &taken))
        {
          g_autofree char *rule =
              g_strdup_printf ("overlaps %s, which is for %s; machines' addresses need another",
                               reserved[i].prefix, reserved[i].use);

          return vmsan_net_refuse (error, text, rule);
        }
    }
  return TRUE;
}

static gboolean
parse_pool (const char *text,
            int family,
            guint shortest,
            guint longest,
            VmsanNetPrefix *pool,
            GError **error)
{
  if (!vmsan_net_prefix_parse (text, pool, error))
    return FALSE;
  if (pool->family != family || pool->prefix_length < shortest || pool->prefix_length > longest)
    {
      g_autofree char *rule =
          g_strdup_printf ("is no pool for %s addresses, which is a prefix of /%u to /%u",
                           family == AF_INET ? "IPv4" : "IPv6", shortest, longest);

      return vmsan_net_refuse (error, text, rule);
    }
  return check_not_reserved (text, pool, error);
}

gboolean
vmsan_net_pools_parse (const char *pool4, const char *pool6, VmsanNetPools *pools, GError **error)
{
  VmsanNetPools parsed = { 0 };

  g_return_val_if_fail (pool4 != NULL && pools != NULL, FALSE);

  if (!parse_pool (pool4, AF_INET, 8, 28, &parsed.pool4, error))
    return FALSE;
  parsed.has_pool6 = pool6 != NULL && *pool6 != '\0';
  if (parsed.has_pool6 && !parse_pool (pool6, AF_INET6, 32, 112, &parsed.pool6, error))
    return FALSE;
  *pools = parsed;
  return TRUE;
}

guint
vmsan_net_pools_get_n_slots (const VmsanNetPools *pools)
{
  guint bits = 32 - pools->pool4.prefix_length;

  /* 32 bits hold every slot number that IPv4 allows, so a longer host part of IPv6 is no matter. */
  if (pools->has_pool6)
    bits = MIN (bits, 128 - pools->pool6.prefix_length);
  return 1u << (bits - SLOT_BITS);
}

/* The pool's host part is all zero, and a slot's number fits into it. */
static void
format_address (const VmsanNetPrefix *pool, guint slot, guint place, char *text, socklen_t size)
{
  guint8 bytes[16];
  guint n = family_bits (pool->family) / 8;
  guint32 low = (slot << SLOT_BITS) | place;

  memcpy (bytes, pool->bytes, sizeof bytes);
  for (guint i = 0; i < 4; i++)
    bytes[n - 1 - i] |= low >> (8 * i);
  inet_ntop (pool->family, bytes, text, size);
}

void
vmsan_net_pools_get_addresses (const VmsanNetPools *pools,
                               guint slot,
                               VmsanNetSlotAddresses *addresses)
{
  memset (addresses, 0, sizeof *addresses);
  g_return_if_fail (slot < vmsan_net_pools_get_n_slots (pools));

  format_address (&pools->pool4, slot, SLOT_HOST, addresses->host4, sizeof addresses->host4);
  format_address (&pools->pool4, slot, SLOT_OWN, addresses->own4, sizeof addresses->own4);
  if (!pools->has_pool6)
    return;
  format_address (&pools->pool6, slot, SLOT_HOST, addresses->host6, sizeof addresses->host6);
  format_address (&pools->pool6, slot, SLOT_OWN, addresses->own6, sizeof addresses->own6);
}
