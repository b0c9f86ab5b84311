/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All machines of the service, with what they are made from and the drivers that run them. */

#pragma once

#include "net/net-manager.h"
#include "storage/content-store.h"
#include "vm/service-config.h"
#include "vm/vm-hook.h"
#include "vm/vm-request.h"
#include "vm/vm-review.h"
#include "vm/vm.h"
#include "vmm/vmm.h"

#define VMSAN_TYPE_VM_MANAGER (vmsan_vm_manager_get_type ())
G_DECLARE_FINAL_TYPE (VmsanVmManager, vmsan_vm_manager, VMSAN, VM_MANAGER, GObject)

/* What a new machine needs at least of the file system of the state directory: the metadata of a
 * private disk. */
#define VMSAN_VM_MIN_FREE_BYTES (64 << 20)

/**
 * VmsanVmManager::hook: (VmsanHookEvent) something happened; valid during the emission
 * VmsanVmManager::vm-added, ::vm-removed: (VmsanVm) a machine came or went
 * VmsanVmManager::vm-changed: (VmsanVm) its record is new
 */

/* Opens directories and stores. @vmms: (element-type VmsanVmm) in order of preference. */
VmsanVmManager *vmsan_vm_manager_new (VmsanConfig *config, GPtrArray *vmms, GError **error);

/* From now on, @reviewer sees what is about to happen; NULL: nobody. */
void
vmsan_vm_manager_set_reviewer (VmsanVmManager *self, const VmsanReviewer *reviewer, gpointer data);

/* Probes the drivers, reads all records, takes over machines that run, ends interrupted
 * operations, and clears away what belongs to no machine. Completes when all of that is done;
 * problems of one machine are reported and do not make it fail. */
void vmsan_vm_manager_load_async (VmsanVmManager *self,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean vmsan_vm_manager_load_finish (VmsanVmManager *self, GAsyncResult *result, GError **error);

/* Lets operations under way end, cancelling those that make something; machines run on. */
void vmsan_vm_manager_quiesce_async (VmsanVmManager *self,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean
vmsan_vm_manager_quiesce_finish (VmsanVmManager *self, GAsyncResult *result, GError **error);

/* Makes a machine, or nothing. Refusals come before anything is changed. @request must live until
 * then. (transfer full) */
void vmsan_vm_manager_create_async (VmsanVmManager *self,
                                    const VmsanVmRequest *request,
                                    const char *actor,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
VmsanVm *
vmsan_vm_manager_create_finish (VmsanVmManager *self, GAsyncResult *result, GError **error);

/* By id; NULL when there is none. (transfer none) */
VmsanVm *vmsan_vm_manager_get (VmsanVmManager *self, const char *id);

/* By id, unambiguous prefix of one (4 characters at least) or name: first @caller's own names, then
 * others'. NOT_FOUND, AMBIGUOUS. (transfer none) */
VmsanVm *
vmsan_vm_manager_find (VmsanVmManager *self, const char *name, uid_t caller, GError **error);

/* Machines behind @after in order of their ids: calls @visit until it returns FALSE. */
typedef gboolean (*VmsanVmVisitor) (VmsanVm *vm, gpointer user_data);
void vmsan_vm_manager_visit (VmsanVmManager *self,
                             const char *after,
                             VmsanVmVisitor visit,
                             gpointer user_data);

guint vmsan_vm_manager_get_n_vms (VmsanVmManager *self);
const VmsanConfig *vmsan_vm_manager_get_config (VmsanVmManager *self);
VmsanManagedRoot *vmsan_vm_manager_get_state_root (VmsanVmManager *self);   /* (transfer none) */
VmsanManagedRoot *vmsan_vm_manager_get_runtime_root (VmsanVmManager *self); /* (transfer none) */
VmsanNetManager *vmsan_vm_manager_get_networks (VmsanVmManager *self);      /* (transfer none) */
VmsanContentStore *vmsan_vm_manager_get_images (VmsanVmManager *self);      /* (transfer none) */
VmsanContentStore *vmsan_vm_manager_get_kernels (VmsanVmManager *self);     /* (transfer none) */

/* Refuses with IN_USE while a machine is made from this image or boots this kernel. */
gboolean vmsan_vm_manager_remove_image (VmsanVmManager *self, const char *id, GError **error);
gboolean vmsan_vm_manager_remove_kernel (VmsanVmManager *self, const char *id, GError **error);

/* a{sa{sv}} for org.vmsan.Manager.Drivers, floating. */
GVariant *vmsan_vm_manager_describe_drivers (VmsanVmManager *self);
