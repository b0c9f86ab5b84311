/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the end of a monitor is noticed at once, and cleaned up after, whatever else goes on. */

#include "vm/vm-private.h"

#include "agent/protocol.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"
#include "vm/agent-handshake.h"
#include "vm/vm-operation.h"

#define CONTROL_STREAM 0
#define STOP_AGAIN_MS  10000 /* after a stop at the time limit that failed */

/* ---- The monitor's end --------------------------------------------------------------------- */

static void
on_buried (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (!vmsan_vm_bury_finish (VMSAN_VM (source), result, &error))
    g_warning ("Cleaning up after machine %s failed: %s", VMSAN_VM (source)->record->id,
               error->message);
}

void
vmsan_vm_check_monitor (VmsanVm *self)
{
  if (self->monitor_ended && !self->gone && vmsan_vm_check_verb (self, VMSAN_VERB_BURY, NULL))
    vmsan_vm_bury_async (self, self->monitor_exit, self->monitor_status == 0 ? "guest" : "crash",
                         on_buried, NULL);
}

static void
on_monitor_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (VmsanVm) self = user_data;
  int status = -1;

  /* Cancelled when it was dropped; what ended in that moment is not this machine's any more. */
  if (!vmsan_process_wait_finish (VMSAN_PROCESS (source), result, &status, NULL) ||
      self->monitor == NULL || vmsan_monitor_get_process (self->monitor) != VMSAN_PROCESS (source))
    return;

  self->monitor_ended = TRUE;
  self->monitor_status = status;
  g_free (self->monitor_exit);
  self->monitor_exit = vmsan_monitor_describe_exit (self->monitor, status);

  /* A start is hurried along, and nobody is asked any more whether it may be stopped. Whatever else
   * is under way looks again when it ends. */
  vmsan_operation_abort (self, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                                            self->in_review ? "Machine %s ended meanwhile: %s"
                                                            : "Machine %s did not boot: %s",
                                            self->record->id, self->monitor_exit));
  vmsan_vm_check_monitor (self);
}

void
vmsan_vm_take_monitor (VmsanVm *self, VmsanMonitor *monitor)
{
  vmsan_vm_drop_monitor (self);
  self->monitor = monitor;
  self->monitor_watch = g_cancellable_new ();
  vmsan_process_wait_async (vmsan_monitor_get_process (monitor), self->monitor_watch,
                            on_monitor_ended, g_object_ref (self));
}

void
vmsan_vm_drop_monitor (VmsanVm *self)
{
  if (self->monitor_watch != NULL)
    g_cancellable_cancel (self->monitor_watch);
  g_clear_object (&self->monitor_watch);
  g_clear_object (&self->control);
  g_clear_object (&self->monitor);
  vmsan_source_clear (&self->refresh_again);
  self->refresh_delay_s = 0;
  self->monitor_ended = FALSE;
  g_clear_pointer (&self->monitor_exit, g_free);
  self->busy_streams = 0;
  self->opening_streams = 0;
}

/* ---- The control session ------------------------------------------------------------------- */

/* The guest's list is the truth, also about an end that we never heard of. */
static void
on_streams_listed (VmsanAgentControl *control, VmsanVm *self)
{
  self->busy_streams = 0;
}

static void
on_stream_busy (VmsanAgentControl *control, guint stream, VmsanVm *self)
{
  if (stream < VMSAN_MAX_STREAMS)
    self->busy_streams |= (guint64) 1 << stream;
}

static void
on_stream_ended (VmsanAgentControl *control, guint stream, VmsanVm *self)
{
  if (stream < VMSAN_MAX_STREAMS)
    self->busy_streams &= ~((guint64) 1 << stream);
}

static void
on_control_closed (VmsanAgentControl *control, const char *message, VmsanVm *self)
{
  g_debug ("Machine %s: control session ended: %s", self->record->id, message);
}

typedef struct
{
  VmsanMonitor *monitor;
  int fd;
  guint8 token[VMSAN_TOKEN_SIZE];
  guint deadline_ms;
} Opening;

static void
opening_free (Opening *self)
{
  g_object_unref (self->monitor);
  vmsan_fd_close (&self->fd);
  g_free (self);
}

static void
on_handshake (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = g_task_get_source_object (task);
  Opening *opening = g_task_get_task_data (task);
  GError *error = NULL;

  if (!vmsan_agent_handshake_finish (result, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  if (self->monitor != opening->monitor)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                               "Machine %s ended meanwhile", self->record->id);
      return;
    }
  g_clear_object (&self->control);
  self->control = vmsan_agent_control_new (g_steal_fd (&opening->fd));
  g_signal_connect_object (self->control, "streams-listed", G_CALLBACK (on_streams_listed), self,
                           0);
  g_signal_connect_object (self->control, "stream-busy", G_CALLBACK (on_stream_busy), self, 0);
  g_signal_connect_object (self->control, "stream-ended", G_CALLBACK (on_stream_ended), self, 0);
  g_signal_connect_object (self->control, "closed", G_CALLBACK (on_control_closed), self, 0);
  g_task_return_boolean (task, TRUE);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Opening *opening = g_task_get_task_data (task);
  GError *error = NULL;

  opening->fd = vmsan_monitor_connect_finish (VMSAN_MONITOR (source), result, &error);
  if (opening->fd < 0)
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_agent_handshake_async (opening->fd, VMSAN_SESSION_CONTROL, opening->token,
                               opening->deadline_ms, g_task_get_cancellable (task), on_handshake,
                               g_object_ref (task));
}

void
vmsan_vm_open_control_async (VmsanVm *self,
                             const guint8 *token,
                             guint deadline_ms,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Opening *opening = g_new0 (Opening, 1);

  opening->fd = -1;
  opening->monitor = g_object_ref (self->monitor);
  memcpy (opening->token, token, sizeof opening->token);
  opening->deadline_ms = deadline_ms;
  g_task_set_task_data (task, opening, (GDestroyNotify) opening_free);
  vmsan_monitor_connect_async (self->monitor, CONTROL_STREAM, deadline_ms, cancellable,
                               on_connected, g_object_ref (task));
}

gboolean
vmsan_vm_open_control_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- The time limit ------------------------------------------------------------------------ */

static gboolean on_timeout (gpointer user_data);

static void
look_again_in (VmsanVm *self, gint64 wait_ms)
{
  vmsan_source_clear (&self->timeout);
  /* Far deadlines are looked at once a day, which also fits what a timeout source can hold. */
  self->timeout = g_timeout_source_new (CLAMP (wait_ms, 1, 24 * 60 * 60 * 1000));
  g_source_set_callback (self->timeout, on_timeout, self, NULL);
  g_source_attach (self->timeout, NULL);
}

static void
on_timeout_stopped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanVm *self = VMSAN_VM (source);
  g_autoptr (GError) error = NULL;

  if (vmsan_vm_stop_finish (self, result, &error) != NULL)
    return;
  g_warning ("Machine %s could not be stopped at its time limit: %s", self->record->id,
             error->message);
  if (!self->gone && self->record->timeout_at_us != 0 &&
      vmsan_vm_state_allows (self->record->state, VMSAN_VERB_STOP, self->record->id, NULL))
    look_again_in (self, STOP_AGAIN_MS);
}

static gboolean
on_timeout (gpointer user_data)
{
  VmsanVm *self = user_data;

  /* The wall clock may have been set back: then it is not yet time. An operation that is under way
   * is a stop, a removal or another change: look again when it should be done. */
  if (g_get_real_time () >= self->record->timeout_at_us && self->operation == NULL)
    vmsan_vm_stop_async (self, self->context->config->stop_deadline_ms, "timeout", NULL,
                         on_timeout_stopped, NULL);
  else
    vmsan_vm_arm_timeout (self);
  return G_SOURCE_REMOVE;
}

void
vmsan_vm_arm_timeout (VmsanVm *self)
{
  gint64 left_ms = (self->record->timeout_at_us - g_get_real_time ()) / 1000 + 1;

  if (self->record->timeout_at_us == 0)
    vmsan_source_clear (&self->timeout);
  else
    look_again_in (self, self->operation != NULL ? MAX (left_ms, 1000) : left_ms);
}
