/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Running a program in a guest: the request, and for VM.Run the whole session with bounded output.
 */

#pragma once

#include <gio/gio.h>

#define VMSAN_RUN_STDIN_MAX  (64 * 1024)
#define VMSAN_RUN_OUTPUT_MAX (1024 * 1024)

/* What to run; checked by vmsan_exec_request_new(). */
typedef struct
{
  GBytes *payload;    /* of the EXEC frame */
  GBytes *stdin_data; /* for Run; NULL for none */
  guint64 timeout_ms; /* 0 for none */
} VmsanExecRequest;

/* Makes a request from arguments and the options of org.vmsan.VM.Exec (already checked for names
 * and types; any may be NULL or 0). INVALID_ARGUMENT names the value that is not acceptable. */
VmsanExecRequest *vmsan_exec_request_new (const char *const *argv,
                                          const char *const *env,
                                          const char *cwd,
                                          const char *user,
                                          guint64 timeout_ms,
                                          GBytes *stdin_data,
                                          GError **error);
void vmsan_exec_request_free (VmsanExecRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanExecRequest, vmsan_exec_request_free)

/* Sends the EXEC frame on a stream after its handshake. */
gboolean vmsan_exec_request_send (const VmsanExecRequest *self, int fd, GError **error);

typedef struct
{
  int exit_code;
  int signal_number;
  GByteArray *output; /* standard output */
  GByteArray *errors; /* standard error */
} VmsanRunResult;

void vmsan_run_result_free (VmsanRunResult *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanRunResult, vmsan_run_result_free)

/* Runs @request on @fd (transfer full, after the handshake) to its end. NOT_FOUND when the program
 * is not there, LIMIT_EXCEEDED when it writes too much, TIMED_OUT for its own timeout, which
 * is kept even when the guest does not. Cancelling hangs up. */
void vmsan_agent_run_async (int fd,
                            const VmsanExecRequest *request,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
VmsanRunResult *vmsan_agent_run_finish (GAsyncResult *result, GError **error);
