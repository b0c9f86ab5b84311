/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Prepared networks (net-prepared.h) that wait for machines. A thread of its own makes them, one
 * after the other, whenever there are fewer than there should be.
 *
 * A machine reserves one when it gets its slot, and takes it when its network is set up. Each is
 * given out once; what a service leaves that was killed is deleted by its next run, as all
 * namespaces and links of nobody are. */

#pragma once

#include "net/net-namespace.h"
#include "net/net-reaper.h"
#include "net/net-slots.h"

typedef struct _VmsanNetWarmPool VmsanNetWarmPool;

/* @setup, @slots and @reaper: borrowed for as long as the pool lives. @size: how many wait; 0 for
 * none. */
VmsanNetWarmPool *vmsan_net_warm_pool_new (const VmsanNetSetup *setup,
                                           VmsanNetSlots *slots,
                                           VmsanNetReaper *reaper,
                                           guint size);

/* Begins to fill it. To be called in the service's own namespaces: its thread starts there. */
void vmsan_net_warm_pool_start (VmsanNetWarmPool *self);

/* The slot of a prepared network, which is the caller's from then on; VMSAN_NET_NO_SLOT when none
 * is ready. Does not block. */
guint vmsan_net_warm_pool_reserve (VmsanNetWarmPool *self);

/* Whether the network of @slot was reserved, and neither taken nor given back since. */
gboolean vmsan_net_warm_pool_holds (VmsanNetWarmPool *self, guint slot);

/* Takes the network that was reserved with @slot, as namespace @name, and opens it. -1 when there
 * is none that is as it should be: then nothing is in the way of making one. Blocks. */
int vmsan_net_warm_pool_take (VmsanNetWarmPool *self, guint slot, const char *name);

/* Lets those be replaced that were taken: when their takers have come so far that the work for it
 * is not in their way. Does not block. */
void vmsan_net_warm_pool_refill (VmsanNetWarmPool *self);

/* Gives back a slot, with the network that was reserved with it, if it was not taken; else its link
 * must be gone. Does not block. */
void vmsan_net_warm_pool_give_back (VmsanNetWarmPool *self, guint slot);

/* Fills it no more, and hands what waits to the reaper. Blocks. */
void vmsan_net_warm_pool_stop (VmsanNetWarmPool *self);

/* After it was stopped, if it was started. */
void vmsan_net_warm_pool_free (VmsanNetWarmPool *self);
