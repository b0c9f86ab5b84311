/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All machines by id, name, owner and uid, so that no look-up or quota depends on their number. */

#pragma once

#include "vm/service-config.h"
#include "vm/vm-request.h"
#include "vm/vm.h"

typedef struct _VmsanVmTable VmsanVmTable;

VmsanVmTable *vmsan_vm_table_new (void);
void vmsan_vm_table_free (VmsanVmTable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanVmTable, vmsan_vm_table_free)

/* The machine's id must be new. Takes a reference. */
void vmsan_vm_table_add (VmsanVmTable *self, VmsanVm *vm);
void vmsan_vm_table_remove (VmsanVmTable *self, VmsanVm *vm);

guint vmsan_vm_table_get_size (VmsanVmTable *self);
VmsanVm *vmsan_vm_table_get (VmsanVmTable *self, const char *id);
VmsanVm *vmsan_vm_table_find (VmsanVmTable *self, const char *name, uid_t caller, GError **error);

/* The first behind @after (NULL: of all) in order of ids, or NULL. */
VmsanVm *vmsan_vm_table_next (VmsanVmTable *self, const char *after);

/* The same for all of them, until @visit returns FALSE; it must not add nor remove any. */
void vmsan_vm_table_visit (VmsanVmTable *self,
                           const char *after,
                           gboolean (*visit) (VmsanVm *vm, gpointer user_data),
                           gpointer user_data);

/* LIMIT_EXCEEDED, with what is used and allowed, or EXISTS for a name that the owner has already.
 */
gboolean vmsan_vm_table_check_room (VmsanVmTable *self,
                                    const VmsanVmRequest *request,
                                    const VmsanConfig *config,
                                    GError **error);

/* An id that no machine has, (transfer full). */
char *vmsan_vm_table_new_id (VmsanVmTable *self);

/* A uid for a new machine's monitor, not used soon again after its machine is gone; 0 when none is
 * left. */
uid_t vmsan_vm_table_new_uid (VmsanVmTable *self, const VmsanConfig *config);
