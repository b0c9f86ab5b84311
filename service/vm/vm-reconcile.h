/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Making the machine and the records agree again after the service was away. */

#pragma once

#include "vm/vm-private.h"

/* Looks after each of @vms (element-type VmsanVm): one whose monitor runs is taken over, one whose
 * monitor is gone is cleaned up after, an interrupted operation is ended. Then clears away cgroups,
 * runtime directories and machines' directories that belong to none. Problems are warned of. */
void vmsan_vm_reconcile_async (const VmsanVmContext *context,
                               GPtrArray *vms,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean vmsan_vm_reconcile_finish (GAsyncResult *result, GError **error);
