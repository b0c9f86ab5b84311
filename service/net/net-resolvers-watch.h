/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Tells when the host's lists of name servers may have changed: resolv.conf, whatever it is a link
 * to, and that of systemd-resolved. */

#pragma once

#include <glib.h>

typedef struct _VmsanNetResolversWatch VmsanNetResolversWatch;

/* @changed: on the main context, a moment after the last of several changes. */
VmsanNetResolversWatch *vmsan_net_resolvers_watch_new (void (*changed) (gpointer data),
                                                       gpointer data);
void vmsan_net_resolvers_watch_free (VmsanNetResolversWatch *self);
