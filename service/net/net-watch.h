/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Hears from the kernel, over netlink, that somebody has changed something, and says so a moment
 * later, once for the many messages that one change can be. */

#pragma once

#include <glib.h>
#include <linux/netlink.h>

typedef struct
{
  int protocol;   /* NETLINK_ROUTE, … */
  guint32 groups; /* bit N: the group N + 1 of the protocol */
  /* Whether a message is of interest; NULL: each is. */
  gboolean (*matches) (const struct nlmsghdr *message);
  void (*changed) (gpointer data); /* on the main context */
  gpointer data;
} VmsanNetWatchSpec;

#define VMSAN_NET_WATCH_GROUP(group) (1u << ((group) -1))

typedef struct _VmsanNetWatch VmsanNetWatch;

VmsanNetWatch *vmsan_net_watch_new (const VmsanNetWatchSpec *spec, GError **error);
void vmsan_net_watch_free (VmsanNetWatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetWatch, vmsan_net_watch_free)
