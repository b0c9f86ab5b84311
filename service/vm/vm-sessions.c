/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a caller gets a stream that is its own, authenticated, and at the first byte of its
 * session; the token never leaves the service. */

#include "vm/vm-private.h"

#include "agent/protocol.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-handshake.h"

/* An agent that is alive answers within a guest's scheduling delay; one that hangs must not keep
 * its caller waiting. */
#define HANDSHAKE_DEADLINE_MS 10000

typedef struct
{
  VmsanMonitor *monitor; /* whose stream it is; the machine may have another one by now */
  int fd;
  guint stream;
  gboolean counted; /* the stream is marked busy */
} Session;

static void
session_free (Session *self)
{
  g_clear_object (&self->monitor);
  vmsan_fd_close (&self->fd);
  g_free (self);
}

/* A machine whose monitor has just been found gone still shows as running for a moment. */
static gboolean
has_monitor (VmsanVm *self, GError **error)
{
  if (self->monitor != NULL && !self->monitor_ended)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "Machine %s has ended",
               self->record->id);
  return FALSE;
}

/* A stream that is free, and marks it; 1 where the driver does not count them. */
static gboolean
take_stream (VmsanVm *self, Session *session, GError **error)
{
  guint n = vmsan_vmm_get_n_streams (vmsan_vm_find_vmm (self->context, self->record->driver),
                                     self->record->memory_mib);

  session->stream = 1;
  if (n == 0)
    return TRUE;
  n = MIN (n, VMSAN_MAX_STREAMS);
  for (guint i = 1; i < n; i++)
    if (((self->busy_streams | self->opening_streams) & (guint64) 1 << i) == 0)
      {
        self->opening_streams |= (guint64) 1 << i;
        session->stream = i;
        session->counted = TRUE;
        return TRUE;
      }
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "Machine %s already runs %u commands, which is all that it can with its memory: end "
               "one and try again",
               self->record->id, n - 1);
  return FALSE;
}

/* The session has begun, or may have, when @busy. */
static void
stop_opening (VmsanVm *self, const Session *session, gboolean busy)
{
  guint64 bit = (guint64) 1 << session->stream;

  if (!session->counted || self->monitor != session->monitor)
    return;
  self->opening_streams &= ~bit;
  if (busy)
    self->busy_streams |= bit;
}

static void
on_handshake (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = g_task_get_source_object (task);
  Session *session = g_task_get_task_data (task);
  GError *error = NULL;

  stop_opening (self, session, TRUE);
  if (vmsan_agent_handshake_finish (result, &error))
    {
      g_task_return_int (task, g_steal_fd (&session->fd));
      return;
    }
  /* The stream stays marked until the agent says that it is free: what hangs there may still read
   * what we sent. It says so by itself, or in the answer to this. */
  if (self->control != NULL && self->monitor == session->monitor)
    vmsan_agent_control_list (self->control, NULL);
  g_prefix_error (&error, "Machine %s: ", self->record->id);
  g_task_return_error (task, error);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = g_task_get_source_object (task);
  Session *session = g_task_get_task_data (task);
  GError *error = NULL;

  session->fd = vmsan_monitor_connect_finish (VMSAN_MONITOR (source), result, &error);
  if (session->fd < 0)
    {
      stop_opening (self, session, FALSE);
      g_task_return_error (task, error);
      return;
    }
  vmsan_agent_handshake_async (session->fd, VMSAN_SESSION_CALLER, self->record->token,
                               HANDSHAKE_DEADLINE_MS, g_task_get_cancellable (task), on_handshake,
                               g_object_ref (task));
}

/* Completes @task with the descriptor as an int. */
static void
open_stream (VmsanVm *self, GTask *task)
{
  g_autoptr (GTask) owned = task;
  Session *session = g_new0 (Session, 1);
  GError *error = NULL;

  session->fd = -1;
  g_task_set_check_cancellable (task, FALSE); /* a descriptor that is there must not be lost */
  g_task_set_task_data (task, session, (GDestroyNotify) session_free);
  if (!vmsan_vm_check_verb (self, VMSAN_VERB_EXEC, &error) || !has_monitor (self, &error) ||
      !take_stream (self, session, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  session->monitor = g_object_ref (self->monitor);
  vmsan_monitor_connect_async (self->monitor, session->stream, HANDSHAKE_DEADLINE_MS,
                               g_task_get_cancellable (task), on_connected, g_object_ref (task));
}

/* ---- Exec ---------------------------------------------------------------------------------- */

static VmsanExecRequest *
copy_request (const VmsanExecRequest *request)
{
  VmsanExecRequest *copy = g_new0 (VmsanExecRequest, 1);

  copy->payload = g_bytes_ref (request->payload);
  copy->stdin_data = request->stdin_data != NULL ? g_bytes_ref (request->stdin_data) : NULL;
  copy->timeout_ms = request->timeout_ms;
  return copy;
}

static void
on_exec_stream (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  const VmsanExecRequest *request = g_task_get_task_data (task);
  GError *error = NULL;
  vmsan_autofd int fd = g_task_propagate_int (G_TASK (result), &error);

  if (fd < 0 || !vmsan_exec_request_send (request, fd, &error))
    g_task_return_error (task, error);
  else
    g_task_return_int (task, g_steal_fd (&fd));
}

void
vmsan_vm_exec_async (VmsanVm *self,
                     const VmsanExecRequest *request,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, copy_request (request), (GDestroyNotify) vmsan_exec_request_free);
  open_stream (self, g_task_new (self, cancellable, on_exec_stream, g_steal_pointer (&task)));
}

int
vmsan_vm_exec_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_int (G_TASK (result), error);
}

/* ---- Run ----------------------------------------------------------------------------------- */

static void
on_run_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;
  VmsanRunResult *run = vmsan_agent_run_finish (result, &error);

  if (run == NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, run, (GDestroyNotify) vmsan_run_result_free);
}

static void
on_run_stream (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  const VmsanExecRequest *request = g_task_get_task_data (task);
  GError *error = NULL;
  int fd = g_task_propagate_int (G_TASK (result), &error);

  if (fd < 0)
    g_task_return_error (task, error);
  else
    vmsan_agent_run_async (fd, request, g_task_get_cancellable (task), on_run_ended,
                           g_object_ref (task));
}

void
vmsan_vm_run_async (VmsanVm *self,
                    const VmsanExecRequest *request,
                    GCancellable *cancellable,
                    GAsyncReadyCallback callback,
                    gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_task_data (task, copy_request (request), (GDestroyNotify) vmsan_exec_request_free);
  open_stream (self, g_task_new (self, cancellable, on_run_stream, g_steal_pointer (&task)));
}

VmsanRunResult *
vmsan_vm_run_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
