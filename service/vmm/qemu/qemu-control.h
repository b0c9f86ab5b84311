/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Control of one QEMU: a QMP connection that is made when it is needed, and anew when it was lost,
 * so that an adopted machine is like any other. It also hears why the machine ends. */

#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#define VMSAN_TYPE_QEMU_CONTROL (vmsan_qemu_control_get_type ())
G_DECLARE_FINAL_TYPE (VmsanQemuControl, vmsan_qemu_control, VMSAN, QEMU_CONTROL, GObject)

VmsanQemuControl *vmsan_qemu_control_new (const char *runtime_dir);

/* Connects now rather than at the first command; a failure shows at that. */
void vmsan_qemu_control_connect (VmsanQemuControl *self);

/* As vmsan_qmp_execute_async(). @arguments: nullable, borrowed. */
void vmsan_qemu_control_execute_async (VmsanQemuControl *self,
                                       const char *command,
                                       JsonObject *arguments,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
JsonNode *
vmsan_qemu_control_execute_finish (VmsanQemuControl *self, GAsyncResult *result, GError **error);

/* Why the machine has ended, in words, or NULL when QEMU did not say. */
const char *vmsan_qemu_control_get_end_reason (VmsanQemuControl *self);
