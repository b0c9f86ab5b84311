/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that runs in a guest. */

#pragma once

#include "vmsan-macros.h"

G_BEGIN_DECLS

#define VMSAN_TYPE_PROCESS (vmsan_process_get_type ())
VMSAN_PUBLIC
G_DECLARE_FINAL_TYPE (VmsanProcess, vmsan_process, VMSAN, PROCESS, GObject)

VMSAN_PUBLIC VmsanProcess *vmsan_process_new_for_fd (int fd);

VMSAN_PUBLIC void vmsan_process_wait_started (VmsanProcess *process,
                                              GCancellable *cancellable,
                                              GAsyncReadyCallback callback,
                                              gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_process_wait_started_finish (VmsanProcess *process,
                                                         GAsyncResult *result,
                                                         GError **error);
VMSAN_PUBLIC gboolean vmsan_process_wait_started_sync (VmsanProcess *process,
                                                       GCancellable *cancellable,
                                                       GError **error);
VMSAN_PUBLIC guint vmsan_process_get_pid (VmsanProcess *process);

VMSAN_PUBLIC GOutputStream *vmsan_process_get_stdin (VmsanProcess *process);
VMSAN_PUBLIC GInputStream *vmsan_process_get_stdout (VmsanProcess *process);
VMSAN_PUBLIC GInputStream *vmsan_process_get_stderr (VmsanProcess *process);

VMSAN_PUBLIC gboolean vmsan_process_send_signal (VmsanProcess *process,
                                                 int signal_number,
                                                 GError **error);
VMSAN_PUBLIC gboolean vmsan_process_resize (VmsanProcess *process,
                                            guint rows,
                                            guint columns,
                                            GError **error);

VMSAN_PUBLIC void vmsan_process_wait (VmsanProcess *process,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_process_wait_finish (VmsanProcess *process,
                                                 GAsyncResult *result,
                                                 GError **error);
VMSAN_PUBLIC gboolean vmsan_process_wait_sync (VmsanProcess *process,
                                               GCancellable *cancellable,
                                               GError **error);

VMSAN_PUBLIC gboolean vmsan_process_has_exited (VmsanProcess *process);
VMSAN_PUBLIC int vmsan_process_get_exit_code (VmsanProcess *process);
VMSAN_PUBLIC int vmsan_process_get_term_signal (VmsanProcess *process);
VMSAN_PUBLIC gboolean vmsan_process_get_timed_out (VmsanProcess *process);

VMSAN_PUBLIC void vmsan_process_hang_up (VmsanProcess *process);

G_END_DECLS
