/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Work inside a namespace.
 *
 * A thread's namespaces are its own, and threads of GLib's pools are used again: one that could not
 * go back would do the next machine's work in this one's network. So nobody ever goes back: what
 * must run inside gets a thread that ends with it. A thread costs less than 0.1 ms. Nor may such a
 * thread start others, which would begin where it is, nor use a pool that does. */

#pragma once

#include <glib.h>

typedef gboolean (*VmsanNetInsideFunc) (gpointer data, GError **error);

/* Calls @func in a thread of its own, which may change its namespaces, and waits for it. */
gboolean vmsan_net_inside_thread (VmsanNetInsideFunc func, gpointer data, GError **error);

/* Calls @func in the network namespace @namespace_fd, and waits for it. Sockets that it opens stay
 * in that namespace and may be used afterwards, everywhere. */
gboolean
vmsan_net_inside_run (int namespace_fd, VmsanNetInsideFunc func, gpointer data, GError **error);
