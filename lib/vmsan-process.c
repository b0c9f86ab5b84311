/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: an exit code or signal is what the guest reported; when the connection ended before
 * that, waiting fails. */

#include "config.h"

#include "vmsan-process.h"

#include "vmsan-error.h"
#include "vmsan-session-streams.h"
#include "vmsan-session.h"

#include <glib/gi18n-lib.h>

/**
 * VmsanProcess:
 *
 * A program that runs in a guest, made by [method@VM.exec].
 *
 * Its input and outputs are ordinary streams, for blocking and for asynchronous use. The guest is
 * held back while nobody reads: an output keeps about 256 KiB, then the connection is not read any
 * more, and waiting does not end. So read both outputs, or close the one that does not matter,
 * which throws its content away.
 *
 * A process and its streams belong to the thread and the main context that were current when it
 * was made. When the process and all its streams are gone, or after [method@Process.hang_up], the
 * connection is closed and the program in the guest gets `SIGHUP`.
 */
struct _VmsanProcess
{
  GObject parent;

  VmsanSession *session;
  GSource *pump;
  GQueue waiting; /* of Wait */

  GOutputStream *input;
  GInputStream *outputs[VMSAN_N_OUTPUTS];
};

typedef struct
{
  VmsanProcess *process; /* the task holds the reference */
  GTask *task;
  VmsanSessionPredicate until;
  GSource *cancelled;
} Wait;

enum
{
  PROP_0,
  PROP_PID,
  PROP_STDIN,
  PROP_STDOUT,
  PROP_STDERR,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (VmsanProcess, vmsan_process, G_TYPE_OBJECT)

static gboolean
is_started (VmsanSession *session, gpointer user_data)
{
  return vmsan_session_is_started (session) || vmsan_session_is_over (session);
}

static gboolean
is_over (VmsanSession *session, gpointer user_data)
{
  return vmsan_session_is_over (session);
}

/* What a wait for @until means now that it holds. */
static gboolean
check (VmsanProcess *self, VmsanSessionPredicate until, GError **error)
{
  const GError *failure = vmsan_session_get_failure (self->session);

  if (failure == NULL || (until == is_started && vmsan_session_is_started (self->session)))
    return TRUE;
  if (error != NULL)
    *error = g_error_copy (failure);
  return FALSE;
}

static void
wait_free (Wait *wait)
{
  if (wait->cancelled != NULL)
    {
      g_source_destroy (wait->cancelled);
      g_source_unref (wait->cancelled);
    }
  g_object_unref (wait->task);
  g_free (wait);
}

static void
wait_return (Wait *wait)
{
  GError *error = NULL;

  if (check (wait->process, wait->until, &error))
    g_task_return_boolean (wait->task, TRUE);
  else
    g_task_return_error (wait->task, error);
  wait_free (wait);
}

static void
session_changed (gpointer user_data)
{
  g_autoptr (VmsanProcess) self = g_object_ref (VMSAN_PROCESS (user_data));
  GList *next;

  for (GList *l = self->waiting.head; l != NULL; l = next)
    {
      Wait *wait = l->data;

      next = l->next;
      if (!wait->until (self->session, NULL))
        continue;
      g_queue_delete_link (&self->waiting, l);
      wait_return (wait);
      /* The callback may have changed the queue. */
      next = self->waiting.head;
    }
}

static gboolean
wait_cancelled (GCancellable *cancellable, gpointer user_data)
{
  Wait *wait = user_data;

  g_queue_remove (&wait->process->waiting, wait);
  g_task_return_error_if_cancelled (wait->task);
  wait_free (wait);
  return G_SOURCE_REMOVE;
}

static void
wait_begin (VmsanProcess *self,
            VmsanSessionPredicate until,
            gpointer tag,
            GCancellable *cancellable,
            GAsyncReadyCallback callback,
            gpointer user_data)
{
  Wait *wait = g_new0 (Wait, 1);

  wait->process = self;
  wait->until = until;
  wait->task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (wait->task, tag);
  if (until (self->session, NULL))
    {
      wait_return (wait);
      return;
    }
  if (cancellable != NULL)
    {
      wait->cancelled = g_cancellable_source_new (cancellable);
      g_source_set_static_name (wait->cancelled, "vmsan process wait");
      g_source_set_callback (wait->cancelled, G_SOURCE_FUNC (wait_cancelled), wait, NULL);
      g_source_attach (wait->cancelled, g_task_get_context (wait->task));
    }
  g_queue_push_tail (&self->waiting, wait);
}

static gboolean
wait_blocking (VmsanProcess *self,
               VmsanSessionPredicate until,
               GCancellable *cancellable,
               GError **error)
{
  return vmsan_session_wait (self->session, until, NULL, cancellable, error) &&
         check (self, until, error);
}

/* Open streams keep the session, and with it the program, alive; a process that nobody holds does
 * not. */
static void
vmsan_process_finalize (GObject *object)
{
  VmsanProcess *self = VMSAN_PROCESS (object);

  g_assert (g_queue_is_empty (&self->waiting));
  g_source_destroy (self->pump);
  g_source_unref (self->pump);
  vmsan_session_set_notify (self->session, NULL, NULL);
  g_clear_object (&self->input);
  for (guint i = 0; i < VMSAN_N_OUTPUTS; i++)
    g_clear_object (&self->outputs[i]);
  vmsan_session_unref (self->session);
  G_OBJECT_CLASS (vmsan_process_parent_class)->finalize (object);
}

static void
vmsan_process_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  VmsanProcess *self = VMSAN_PROCESS (object);

  switch (id)
    {
    case PROP_PID:
      g_value_set_uint (value, vmsan_process_get_pid (self));
      break;
    case PROP_STDIN:
      g_value_set_object (value, self->input);
      break;
    case PROP_STDOUT:
      g_value_set_object (value, self->outputs[VMSAN_OUTPUT_STDOUT]);
      break;
    case PROP_STDERR:
      g_value_set_object (value, self->outputs[VMSAN_OUTPUT_STDERR]);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
vmsan_process_class_init (VmsanProcessClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = vmsan_process_finalize;
  object_class->get_property = vmsan_process_get_property;

  /**
   * VmsanProcess:pid:
   *
   * Process id in the guest; 0 until it has started.
   */
  props[PROP_PID] = g_param_spec_uint ("pid", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /**
   * VmsanProcess:stdin:
   *
   * Where the program's input is written to.
   */
  props[PROP_STDIN] = g_param_spec_object ("stdin", NULL, NULL, G_TYPE_OUTPUT_STREAM, flags);
  /**
   * VmsanProcess:stdout:
   *
   * Where the program's output is read from.
   */
  props[PROP_STDOUT] = g_param_spec_object ("stdout", NULL, NULL, G_TYPE_INPUT_STREAM, flags);
  /**
   * VmsanProcess:stderr:
   *
   * Where the program's error output is read from.
   */
  props[PROP_STDERR] = g_param_spec_object ("stderr", NULL, NULL, G_TYPE_INPUT_STREAM, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
vmsan_process_init (VmsanProcess *self)
{
  g_queue_init (&self->waiting);
}

/**
 * vmsan_process_new_for_fd:
 * @fd: a connected socket on which an exec session was requested; it is taken over
 *
 * Makes a process from what the D-Bus method `org.vmsan.VM.Exec` returns. [method@VM.exec] does it.
 *
 * Returns: (transfer full): a process, which may not have started yet
 */
VmsanProcess *
vmsan_process_new_for_fd (int fd)
{
  VmsanProcess *self;

  g_return_val_if_fail (fd >= 0, NULL);

  self = g_object_new (VMSAN_TYPE_PROCESS, NULL);
  self->session = vmsan_session_new (fd);
  vmsan_session_set_notify (self->session, session_changed, self);
  self->input = vmsan_session_output_new (self->session);
  for (guint i = 0; i < VMSAN_N_OUTPUTS; i++)
    self->outputs[i] = vmsan_session_input_new (self->session, (VmsanOutput) i);
  self->pump = vmsan_session_create_source (self->session, NULL, NULL, TRUE);
  g_source_attach (self->pump, g_main_context_get_thread_default ());
  return self;
}

/**
 * vmsan_process_wait_started:
 * @process: a process
 * @cancellable: (nullable): to give up waiting
 * @callback: (scope async): called when the program has started or could not
 * @user_data: for @callback
 *
 * Waits until the program runs. [method@VM.exec] has done that.
 */
void
vmsan_process_wait_started (VmsanProcess *process,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_PROCESS (process));
  wait_begin (process, is_started, vmsan_process_wait_started, cancellable, callback, user_data);
}

/**
 * vmsan_process_wait_started_finish:
 * @process: a process
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when the program has started; else @error is set, in #VmsanProcessError when the
 *   guest could not start it
 */
gboolean
vmsan_process_wait_started_finish (VmsanProcess *process, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, process), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_process_wait_started_sync:
 * @process: a process
 * @cancellable: (nullable): to give up waiting
 * @error: return location for an error
 *
 * Waits until the program runs, without a main loop.
 *
 * Returns: %TRUE when the program has started
 */
gboolean
vmsan_process_wait_started_sync (VmsanProcess *process, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  return wait_blocking (process, is_started, cancellable, error);
}

/**
 * vmsan_process_get_pid:
 * @process: a process
 *
 * Returns: its process id in the guest, or 0 when it has not started
 */
guint
vmsan_process_get_pid (VmsanProcess *process)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), 0);
  return vmsan_session_get_pid (process->session);
}

/**
 * vmsan_process_get_stdin:
 * @process: a process
 *
 * Closing the stream is the end of the program's input.
 *
 * Returns: (transfer none): the stream to write input to
 */
GOutputStream *
vmsan_process_get_stdin (VmsanProcess *process)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), NULL);
  return process->input;
}

/**
 * vmsan_process_get_stdout:
 * @process: a process
 *
 * Reading fails, rather than ends, when the connection was lost before the output ended.
 *
 * Returns: (transfer none): the stream to read output from
 */
GInputStream *
vmsan_process_get_stdout (VmsanProcess *process)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), NULL);
  return process->outputs[VMSAN_OUTPUT_STDOUT];
}

/**
 * vmsan_process_get_stderr:
 * @process: a process
 *
 * Returns: (transfer none): the stream to read error output from
 */
GInputStream *
vmsan_process_get_stderr (VmsanProcess *process)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), NULL);
  return process->outputs[VMSAN_OUTPUT_STDERR];
}

/**
 * vmsan_process_send_signal:
 * @process: a process
 * @signal_number: a signal, as the guest numbers it
 * @error: return location for an error
 *
 * Sends a signal to the program's process group. It overtakes input that the program does not
 * read.
 *
 * Returns: %TRUE when it is on its way
 */
gboolean
vmsan_process_send_signal (VmsanProcess *process, int signal_number, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  if (signal_number < 1 || signal_number > 64)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   _ ("There is no signal %d: use a number from 1 to 64"), signal_number);
      return FALSE;
    }
  return vmsan_session_send_signal (process->session, (guint32) signal_number, error);
}

/**
 * vmsan_process_resize:
 * @process: a process
 * @rows: lines of the terminal
 * @columns: characters in a line
 * @error: return location for an error
 *
 * Tells the program's terminal its size.
 *
 * Returns: %TRUE when it is on its way
 */
gboolean
vmsan_process_resize (VmsanProcess *process, guint rows, guint columns, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  return vmsan_session_resize (process->session, (guint16) MIN (rows, G_MAXUINT16),
                               (guint16) MIN (columns, G_MAXUINT16), error);
}

/**
 * vmsan_process_wait:
 * @process: a process
 * @cancellable: (nullable): to give up waiting; the program runs on
 * @callback: (scope async): called when the program has ended, or how it ends cannot be known
 * @user_data: for @callback
 *
 * Waits until the program has ended. Its last output may still wait to be read.
 */
void
vmsan_process_wait (VmsanProcess *process,
                    GCancellable *cancellable,
                    GAsyncReadyCallback callback,
                    gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_PROCESS (process));
  wait_begin (process, is_over, vmsan_process_wait, cancellable, callback, user_data);
}

/**
 * vmsan_process_wait_finish:
 * @process: a process
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when the program has ended and the guest said how; else @error is set, with
 *   %VMSAN_PROCESS_ERROR_CONNECTION_LOST when the connection ended first
 */
gboolean
vmsan_process_wait_finish (VmsanProcess *process, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, process), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_process_wait_sync:
 * @process: a process
 * @cancellable: (nullable): to give up waiting; the program runs on
 * @error: return location for an error
 *
 * Waits until the program has ended, without a main loop. Fails with %G_IO_ERROR_WOULD_BLOCK when
 * that cannot happen because output has to be read first.
 *
 * Returns: %TRUE when the program has ended and the guest said how
 */
gboolean
vmsan_process_wait_sync (VmsanProcess *process, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  return wait_blocking (process, is_over, cancellable, error);
}

/**
 * vmsan_process_has_exited:
 * @process: a process
 *
 * Returns: %TRUE when the guest said how the program ended
 */
gboolean
vmsan_process_has_exited (VmsanProcess *process)
{
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  return vmsan_session_get_exited (process->session) != NULL;
}

/**
 * vmsan_process_get_exit_code:
 * @process: a process
 *
 * Returns: the exit code, 0 to 255, or -1 when the program did not exit by itself or how it ended
 *   is not known
 */
int
vmsan_process_get_exit_code (VmsanProcess *process)
{
  const VmsanExited *exited;

  g_return_val_if_fail (VMSAN_IS_PROCESS (process), -1);
  exited = vmsan_session_get_exited (process->session);
  return exited != NULL && exited->signal_number == 0 ? (int) exited->exit_code : -1;
}

/**
 * vmsan_process_get_term_signal:
 * @process: a process
 *
 * Returns: the number of the signal that ended the program, or 0 when none did
 */
int
vmsan_process_get_term_signal (VmsanProcess *process)
{
  const VmsanExited *exited;

  g_return_val_if_fail (VMSAN_IS_PROCESS (process), 0);
  exited = vmsan_session_get_exited (process->session);
  return exited != NULL ? (int) exited->signal_number : 0;
}

/**
 * vmsan_process_get_timed_out:
 * @process: a process
 *
 * Returns: %TRUE when the program was killed because the time it was given had run out
 */
gboolean
vmsan_process_get_timed_out (VmsanProcess *process)
{
  const VmsanExited *exited;

  g_return_val_if_fail (VMSAN_IS_PROCESS (process), FALSE);
  exited = vmsan_session_get_exited (process->session);
  return exited != NULL && exited->timed_out == 1;
}

/**
 * vmsan_process_hang_up:
 * @process: a process
 *
 * Closes the connection. The program in the guest gets `SIGHUP` and, when it does not end,
 * `SIGKILL`.
 */
void
vmsan_process_hang_up (VmsanProcess *process)
{
  g_return_if_fail (VMSAN_IS_PROCESS (process));
  vmsan_session_hang_up (process->session);
}
