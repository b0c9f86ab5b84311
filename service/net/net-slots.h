/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which slots of the address pools are in use: by machines, whether they run or not, and by
 * networks that wait for one. From any thread. */

#pragma once

#include <glib.h>

#define VMSAN_NET_NO_SLOT G_MAXUINT32

typedef struct _VmsanNetSlots VmsanNetSlots;

VmsanNetSlots *vmsan_net_slots_new (guint n_slots);

/* One that nobody has, and that was not in use just now, if more than @n_spare are left; or
 * VMSAN_NET_NO_SLOT. */
guint vmsan_net_slots_take (VmsanNetSlots *self, guint n_spare);

/* A certain slot, such as one that is in use already; FALSE when somebody has it. It may lie
 * outside the pools, if these were made smaller. */
gboolean vmsan_net_slots_claim (VmsanNetSlots *self, guint slot);

/* When its link is gone. */
void vmsan_net_slots_release (VmsanNetSlots *self, guint slot);

void vmsan_net_slots_free (VmsanNetSlots *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetSlots, vmsan_net_slots_free)
