/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an address is in a difference if and only if it is in the one and not in the other. */

#include "net/net-range.h"

#include <arpa/inet.h>
#include <string.h>

#define RANGE(array, i) (&g_array_index (array, VmsanNetRange, i))

static guint
family_size (int family)
{
  return family == AF_INET ? 4 : 16;
}

static int
compare_addresses (const guint8 *a, const guint8 *b)
{
  return memcmp (a, b, 16);
}

/* The next address; FALSE after the last one. Of IPv4, bytes that are not used stay 0: an overflow
 * into nowhere is the end for it, too. */
static gboolean
increment (guint8 *address, guint size)
{
  for (guint i = size; i-- > 0;)
    if (++address[i] != 0)
      return TRUE;
  return FALSE;
}

static void
decrement (guint8 *address, guint size)
{
  for (guint i = size; i-- > 0;)
    if (address[i]-- != 0)
      return;
}

static VmsanNetRange
make_range (const VmsanNetPrefix *prefix)
{
  VmsanNetRange range;

  memcpy (range.first, prefix->bytes, sizeof range.first);
  memcpy (range.last, prefix->bytes, sizeof range.last);
  for (guint bit = prefix->prefix_length; bit < family_size (prefix->family) * 8; bit++)
    range.last[bit / 8] |= 0x80 >> (bit % 8);
  return range;
}

static int
compare_ranges (gconstpointer a, gconstpointer b)
{
  return compare_addresses (((const VmsanNetRange *) a)->first, ((const VmsanNetRange *) b)->first);
}

/* Whether @next, which does not begin before @range, overlaps or touches it. */
static gboolean
joins (const VmsanNetRange *range, const VmsanNetRange *next, guint size)
{
  guint8 after[16];

  memcpy (after, range->last, sizeof after);
  return !increment (after, size) || compare_addresses (next->first, after) <= 0;
}

GArray *
vmsan_net_ranges_new (const GArray *prefixes, int family)
{
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (VmsanNetRange));
  GArray *ranges = g_array_new (FALSE, FALSE, sizeof (VmsanNetRange));

  for (guint i = 0; i < prefixes->len; i++)
    {
      const VmsanNetPrefix *prefix = &g_array_index (prefixes, VmsanNetPrefix, i);
      VmsanNetRange range = make_range (prefix);

      if (prefix->family == family)
        g_array_append_val (all, range);
    }
  g_array_sort (all, compare_ranges);
  for (guint i = 0; i < all->len; i++)
    {
      VmsanNetRange *last = ranges->len > 0 ? RANGE (ranges, ranges->len - 1) : NULL;

      if (last == NULL || !joins (last, RANGE (all, i), family_size (family)))
        g_array_append_vals (ranges, RANGE (all, i), 1);
      else if (compare_addresses (RANGE (all, i)->last, last->last) > 0)
        memcpy (last->last, RANGE (all, i)->last, sizeof last->last);
    }
  return ranges;
}

GArray *
vmsan_net_ranges_subtract (const GArray *a, const GArray *b, int family)
{
  guint size = family_size (family);
  GArray *difference = g_array_new (FALSE, FALSE, sizeof (VmsanNetRange));
  guint j = 0;

  for (guint i = 0; i < a->len; i++)
    {
      VmsanNetRange rest = *RANGE (a, i);
      gboolean some_left = TRUE;

      while (j < b->len && compare_addresses (RANGE (b, j)->last, rest.first) < 0)
        j++;
      /* The last one that is looked at here may reach into the next of @a, so j stays at it. */
      for (guint k = j; some_left && k < b->len; k++)
        {
          const VmsanNetRange *cut = RANGE (b, k);
          VmsanNetRange before = rest;

          if (compare_addresses (cut->first, rest.last) > 0)
            break;
          memcpy (before.last, cut->first, sizeof before.last);
          if (compare_addresses (cut->first, rest.first) > 0)
            {
              decrement (before.last, size);
              g_array_append_val (difference, before);
            }
          memcpy (rest.first, cut->last, sizeof rest.first);
          some_left = compare_addresses (cut->last, rest.last) < 0 && increment (rest.first, size);
        }
      if (some_left)
        g_array_append_val (difference, rest);
    }
  return difference;
}

gboolean
vmsan_net_ranges_contain (const GArray *ranges, const VmsanNetPrefix *address)
{
  guint low = 0, high = ranges->len;

  /* The last range that does not begin after the address is the only one that can have it. */
  while (low < high)
    {
      guint middle = low + (high - low) / 2;

      if (compare_addresses (RANGE (ranges, middle)->first, address->bytes) <= 0)
        low = middle + 1;
      else
        high = middle;
    }
  return low > 0 && compare_addresses (address->bytes, RANGE (ranges, low - 1)->last) <= 0;
}

char *
vmsan_net_ranges_to_string (const GArray *ranges, int family)
{
  GString *text = g_string_sized_new (ranges->len * 32);

  for (guint i = 0; i < ranges->len; i++)
    {
      const VmsanNetRange *range = RANGE (ranges, i);
      char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];

      inet_ntop (family, range->first, first, sizeof first);
      inet_ntop (family, range->last, last, sizeof last);
      g_string_append (text, i > 0 ? ", " : "");
      g_string_append (text, first);
      if (compare_addresses (range->first, range->last) != 0)
        g_string_append_printf (text, "-%s", last);
    }
  return g_string_free (text, FALSE);
}
