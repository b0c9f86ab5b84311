/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Connections that the kernel tracks, seen and forgotten over ctnetlink. */

#pragma once

#include "net/net-address.h"

typedef struct
{
  VmsanNetPrefix source; /* as the first packet had them */
  VmsanNetPrefix destination;
  VmsanNetPrefix answerer; /* whom it reached, after translation */
  int protocol;            /* IPPROTO_ */
  guint16 port;            /* where it wanted to go; 0 without */
} VmsanNetConnection;

typedef gboolean (*VmsanNetConnectionFunc) (const VmsanNetConnection *connection, gpointer data);

/* Makes the namespace @namespace_fd, or the caller's own for -1, forget all connections for which
 * @forget returns TRUE. Returns how many, or -1. One that ends by itself in between is fine. */
int vmsan_net_conntrack_forget (int namespace_fd,
                                VmsanNetConnectionFunc forget,
                                gpointer data,
                                GError **error);

/* Makes the caller's own namespace forget all that come from one of @addresses or are answered by
 * it; an empty one is left out. */
gboolean vmsan_net_conntrack_forget_addresses (const char *const *addresses, GError **error);
