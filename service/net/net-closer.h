/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Closes what takes long to be closed, by and by.
 *
 * After rules were deleted in a namespace, the kernel closes no netfilter socket there, and lets
 * nobody else change rules, until no packet can be at the old rules any more: some ten
 * milliseconds, for which nobody has to wait.
 *
 * A thread starts with the namespaces of the one that starts it, and those of GLib's pools serve
 * everybody afterwards: so nothing may be handed over here, or to any pool, from inside another
 * namespace. */

#pragma once

#include <glib.h>

/* Calls @close with @object soon, in another thread; at once when too many wait already. */
void vmsan_net_close_later (gpointer object, GDestroyNotify close);
