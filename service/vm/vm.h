/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One machine. Only this and the other files of vm/ change its state.
 *
 * Verbs that change it are operations: one at a time, BUSY for a second one. "actor" says who
 * caused it, for the hook signals. Everything runs on the main context and completes there. */

#pragma once

#include "vm/agent-exec.h"
#include "vm/vm-record.h"

#include <gio/gio.h>

#define VMSAN_TYPE_VM (vmsan_vm_get_type ())
G_DECLARE_FINAL_TYPE (VmsanVm, vmsan_vm, VMSAN, VM, GObject)

/**
 * VmsanVm::changed: what vmsan_vm_get_record() returns is new
 */

/* What is known of it; replaced, never changed, so copy what must outlast the main loop's turn. */
const VmsanVmRecord *vmsan_vm_get_record (VmsanVm *self);

/* WRONG_STATE or BUSY when @verb cannot be done now; nothing changes. */
gboolean vmsan_vm_check_verb (VmsanVm *self, VmsanVerb verb, GError **error);

/* Boots a stopped machine; done when its agent answers. */
void vmsan_vm_start_async (VmsanVm *self,
                           const char *actor,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data);
gboolean vmsan_vm_start_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Stops a machine. Gives "graceful" or "forced" (static). @deadline_ms is for the guest; 0 kills
 * at once. */
void vmsan_vm_stop_async (VmsanVm *self,
                          guint deadline_ms,
                          const char *actor,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
const char *vmsan_vm_stop_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Removes a machine with its disk. With @force in any state: what is under way is cancelled and
 * waited for, what runs is killed, what is missing is not missed. */
void vmsan_vm_remove_async (VmsanVm *self,
                            gboolean force,
                            const char *actor,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
gboolean vmsan_vm_remove_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Changes when a running machine is stopped: @timeout_ms from now, 0 for never. */
void vmsan_vm_set_timeout_async (VmsanVm *self,
                                 guint64 timeout_ms,
                                 const char *actor,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean vmsan_vm_set_timeout_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Puts @policy in force, at once where the machine runs, and keeps it. On failure the old one is.
 */
void vmsan_vm_set_network_policy_async (VmsanVm *self,
                                        VmsanNetPolicy *policy,
                                        const char *actor,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data);
gboolean vmsan_vm_set_network_policy_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Opens a session with the guest's agent and sends @request on it. Returns the connected
 * descriptor (transfer full), or -1. */
void vmsan_vm_exec_async (VmsanVm *self,
                          const VmsanExecRequest *request,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
int vmsan_vm_exec_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Runs a program to its end, with bounded output. (transfer full) */
void vmsan_vm_run_async (VmsanVm *self,
                         const VmsanExecRequest *request,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data);
VmsanRunResult *vmsan_vm_run_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* a{sv} for org.vmsan.VM.GetDetails, floating. Reads the end of the console log. */
GVariant *vmsan_vm_get_details (VmsanVm *self);
