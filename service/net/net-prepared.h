/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A network that waits for its machine: a namespace with all links, and with a firewall that lets
 * nothing pass. Nobody has used it yet; once used, it is deleted, never given to another.
 *
 * Its namespace is named after its slot, and otherwise while it is being made, so that what bears
 * the name is whole. All calls block: worker thread. */

#pragma once

#include "net/net-namespace.h"

/* No machine's id has a "-". */
#define VMSAN_NET_PREPARED_PREFIX "vmsan-prepared-"
#define VMSAN_NET_MAKING_PREFIX   "vmsan-making-"

typedef struct _VmsanNetPrepared VmsanNetPrepared;

/* @setup: borrowed for as long as it lives. On failure nothing is left. */
VmsanNetPrepared *vmsan_net_prepared_make (const VmsanNetSetup *setup, guint slot, GError **error);

guint vmsan_net_prepared_get_slot (const VmsanNetPrepared *self);
const char *vmsan_net_prepared_get_name (const VmsanNetPrepared *self);

/* Gives it the name of a machine's, and opens it. -1 when it is not as it was made: it lies open to
 * the host's administrator and his programs. Only its name may be gone, or another's. Then, as at
 * any time before, it is to be deleted under its own name and slot. */
int vmsan_net_prepared_hand_over (VmsanNetPrepared *self, const char *name, GError **error);

/* Frees what is known of it; the network stays. */
void vmsan_net_prepared_free (VmsanNetPrepared *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetPrepared, vmsan_net_prepared_free)
