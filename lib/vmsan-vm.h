/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One virtual machine of the service. */

#pragma once

#include "vmsan-process.h"

G_BEGIN_DECLS

#define VMSAN_TYPE_VM (vmsan_vm_get_type ())
VMSAN_PUBLIC
G_DECLARE_FINAL_TYPE (VmsanVM, vmsan_vm, VMSAN, VM, GObject)

VMSAN_PUBLIC const char *vmsan_vm_get_object_path (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_id (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_name (VmsanVM *vm);
VMSAN_PUBLIC guint vmsan_vm_get_owner (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_state (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_state_reason (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_driver (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_acceleration (VmsanVM *vm);
VMSAN_PUBLIC guint vmsan_vm_get_vcpus (VmsanVM *vm);
VMSAN_PUBLIC guint vmsan_vm_get_memory_mib (VmsanVM *vm);
VMSAN_PUBLIC guint vmsan_vm_get_disk_mib (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_image_path (VmsanVM *vm);
VMSAN_PUBLIC const char *vmsan_vm_get_kernel_path (VmsanVM *vm);
VMSAN_PUBLIC gint64 vmsan_vm_get_created_at (VmsanVM *vm);
VMSAN_PUBLIC gint64 vmsan_vm_get_timeout_at (VmsanVM *vm);
VMSAN_PUBLIC gboolean vmsan_vm_get_removed (VmsanVM *vm);

VMSAN_PUBLIC void vmsan_vm_start (VmsanVM *vm,
                                  GVariant *options,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_vm_start_finish (VmsanVM *vm, GAsyncResult *result, GError **error);
VMSAN_PUBLIC gboolean vmsan_vm_start_sync (VmsanVM *vm,
                                           GVariant *options,
                                           GCancellable *cancellable,
                                           GError **error);

VMSAN_PUBLIC void vmsan_vm_stop (VmsanVM *vm,
                                 GVariant *options,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
VMSAN_PUBLIC char *vmsan_vm_stop_finish (VmsanVM *vm, GAsyncResult *result, GError **error);
VMSAN_PUBLIC char *
vmsan_vm_stop_sync (VmsanVM *vm, GVariant *options, GCancellable *cancellable, GError **error);

VMSAN_PUBLIC void vmsan_vm_remove (VmsanVM *vm,
                                   GVariant *options,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_vm_remove_finish (VmsanVM *vm, GAsyncResult *result, GError **error);
VMSAN_PUBLIC gboolean vmsan_vm_remove_sync (VmsanVM *vm,
                                            GVariant *options,
                                            GCancellable *cancellable,
                                            GError **error);

VMSAN_PUBLIC void vmsan_vm_set_timeout (VmsanVM *vm,
                                        guint64 timeout_ms,
                                        GCancellable *cancellable,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_vm_set_timeout_finish (VmsanVM *vm,
                                                   GAsyncResult *result,
                                                   GError **error);
VMSAN_PUBLIC gboolean vmsan_vm_set_timeout_sync (VmsanVM *vm,
                                                 guint64 timeout_ms,
                                                 GCancellable *cancellable,
                                                 GError **error);

VMSAN_PUBLIC void vmsan_vm_set_network_policy (VmsanVM *vm,
                                               GVariant *options,
                                               GCancellable *cancellable,
                                               GAsyncReadyCallback callback,
                                               gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_vm_set_network_policy_finish (VmsanVM *vm,
                                                          GAsyncResult *result,
                                                          GError **error);
VMSAN_PUBLIC gboolean vmsan_vm_set_network_policy_sync (VmsanVM *vm,
                                                        GVariant *options,
                                                        GCancellable *cancellable,
                                                        GError **error);

VMSAN_PUBLIC void vmsan_vm_exec (VmsanVM *vm,
                                 const char *const *argv,
                                 GVariant *options,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
VMSAN_PUBLIC VmsanProcess *vmsan_vm_exec_finish (VmsanVM *vm, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanProcess *vmsan_vm_exec_sync (VmsanVM *vm,
                                               const char *const *argv,
                                               GVariant *options,
                                               GCancellable *cancellable,
                                               GError **error);

VMSAN_PUBLIC void vmsan_vm_run (VmsanVM *vm,
                                const char *const *argv,
                                GVariant *options,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_vm_run_finish (VmsanVM *vm,
                                           GAsyncResult *result,
                                           int *exit_code,
                                           int *signal_number,
                                           char **output,
                                           char **error_output,
                                           GError **error);
VMSAN_PUBLIC gboolean vmsan_vm_run_sync (VmsanVM *vm,
                                         const char *const *argv,
                                         GVariant *options,
                                         GCancellable *cancellable,
                                         int *exit_code,
                                         int *signal_number,
                                         char **output,
                                         char **error_output,
                                         GError **error);

VMSAN_PUBLIC void vmsan_vm_get_details (VmsanVM *vm,
                                        GCancellable *cancellable,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data);
VMSAN_PUBLIC GVariant *
vmsan_vm_get_details_finish (VmsanVM *vm, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GVariant *
vmsan_vm_get_details_sync (VmsanVM *vm, GCancellable *cancellable, GError **error);

G_END_DECLS
