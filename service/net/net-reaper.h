/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Deletes namespaces and links of networks that nobody uses any more, in a thread of its own: one
 * batch at a time, of all that wait when it begins. A batch costs little more than one. */

#pragma once

#include "net/net-namespace.h"

typedef struct _VmsanNetReaper VmsanNetReaper;

/* To be called in the service's own namespaces, as threads start where the one is that starts
 * them. */
VmsanNetReaper *vmsan_net_reaper_new (const VmsanNetSetup *setup);

/* Called in the reaper's thread; @error says what is left, NULL that nothing is. */
typedef void (*VmsanNetReapedFunc) (const GError *error, gpointer data);

/* Deletes namespace @name and the link of @slot; what is gone is fine. Until @reaped is called the
 * slot must not be used again. From any thread. */
void vmsan_net_reaper_add (
    VmsanNetReaper *self, const char *name, guint slot, VmsanNetReapedFunc reaped, gpointer data);

/* Waits until nothing waits, but not for longer than @deadline_ms: then FALSE. Names and links that
 * are left show the service's next run what is to be deleted. */
gboolean vmsan_net_reaper_drain (VmsanNetReaper *self, guint deadline_ms);

/* What waits is deleted all the same, for as long as the process lives. */
void vmsan_net_reaper_free (VmsanNetReaper *self);
