/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sets of addresses of one family, as sorted ranges that neither overlap nor touch. */

#pragma once

#include "net/net-address.h"

typedef struct
{
  guint8 first[16]; /* IPv4: in the first four bytes, as in VmsanNetPrefix; the rest is 0 */
  guint8 last[16];
} VmsanNetRange;

/* Of the prefixes of @family in @prefixes. (transfer full) of VmsanNetRange */
GArray *vmsan_net_ranges_new (const GArray *prefixes, int family);

/* What is in @a and not in @b. (transfer full) */
GArray *vmsan_net_ranges_subtract (const GArray *a, const GArray *b, int family);

/* @address: whole, and of the same family */
gboolean vmsan_net_ranges_contain (const GArray *ranges, const VmsanNetPrefix *address);

/* "192.0.2.1, 198.51.100.0-198.51.100.99": elements of a set of nftables. (transfer full) */
char *vmsan_net_ranges_to_string (const GArray *ranges, int family);
