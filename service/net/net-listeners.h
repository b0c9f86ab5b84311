/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Programs of the host that have a port: they listen on it over TCP, or are bound to it over UDP.
 * The kernel is asked for its list (sock_diag(7)), so that nothing is bound only to see. */

#pragma once

#include "net/net-port.h"

/* EXISTS, naming the port, when a program has one of @ports that is not in @but (nullable), both of
 * VmsanNetPort. Looks into the caller's network namespace; blocks. */
gboolean vmsan_net_listeners_check (const GPtrArray *ports, const GPtrArray *but, GError **error);
