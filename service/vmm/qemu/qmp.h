/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connection to QEMU's machine protocol: commands with answers, and events.
 *
 * The guest may have taken over its QEMU, so what comes from there is hostile: every message is
 * bounded before it is parsed, and the first one that is not what the protocol allows closes the
 * connection for good. All commands then under way fail with that reason. */

#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* A longer line is refused. */
#define VMSAN_QMP_LINE_MAX (1u << 20)

#define VMSAN_TYPE_QMP (vmsan_qmp_get_type ())
G_DECLARE_FINAL_TYPE (VmsanQmp, vmsan_qmp, VMSAN, QMP, GObject)

/**
 * VmsanQmp::event: (const char *name, JsonObject *data) @data is NULL when the event has none
 * VmsanQmp::closed: (const GError *error) once, when the connection is lost or refused; never for
 *   vmsan_qmp_close()
 */

/* Waits for the greeting and negotiates. @fd: connected socket (transfer full). */
void vmsan_qmp_open_async (int fd,
                           guint deadline_ms,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data);
VmsanQmp *vmsan_qmp_open_finish (GAsyncResult *result, GError **error);

/* Runs @command. @arguments: nullable, borrowed. A command that was cancelled or ran out of time
 * may still be carried out; its late answer is dropped. */
void vmsan_qmp_execute_async (VmsanQmp *self,
                              const char *command,
                              JsonObject *arguments,
                              guint deadline_ms,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data);

/* What the command returned (transfer full). VMM_FAILED with QEMU's words when it refused,
 * NOT_SUPPORTED when it does not know the command, TIMED_OUT after the deadline. */
JsonNode *vmsan_qmp_execute_finish (VmsanQmp *self, GAsyncResult *result, GError **error);

gboolean vmsan_qmp_is_open (VmsanQmp *self);

/* Handles what has arrived already, without waiting: for a QEMU that has just ended, and whose last
 * events say why. */
void vmsan_qmp_drain (VmsanQmp *self);

/* Ends the connection; commands under way fail. */
void vmsan_qmp_close (VmsanQmp *self);
