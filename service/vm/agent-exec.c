/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an exit code is the program's own; everything else is an error. */

#include "vm/agent-exec.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"
#include "vm/agent-frames.h"

#include <glib-unix.h>

/* What a guest may take beyond a program's timeout to end it and to say so. */
#define TIMEOUT_GRACE_MS 5000

/* ---- The request --------------------------------------------------------------------------- */

void
vmsan_exec_request_free (VmsanExecRequest *self)
{
  g_bytes_unref (self->payload);
  g_clear_pointer (&self->stdin_data, g_bytes_unref);
  g_free (self);
}

static gboolean
append_text (GByteArray *payload, guint16 tag, const char *text, GError **error)
{
  gsize length = strlen (text);
  gsize used = payload->len;

  if (length > VMSAN_FRAME_PAYLOAD_MAX || used + 8 + length > VMSAN_FRAME_PAYLOAD_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Arguments and environment are longer than %u bytes; pass the data on standard "
                   "input instead",
                   VMSAN_FRAME_PAYLOAD_MAX);
      return FALSE;
    }
  g_byte_array_set_size (payload, used + 8 + length);
  return vmsan_field_append (payload->data, payload->len, &used, tag, text, length);
}

static gboolean
append_list (GByteArray *payload, guint16 tag, const char *const *list, GError **error)
{
  if (g_strv_length ((GStrv) list) > VMSAN_ARGS_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "More than %u arguments or environment entries", VMSAN_ARGS_MAX);
      return FALSE;
    }
  for (guint i = 0; list[i] != NULL; i++)
    {
      if (tag == VMSAN_FIELD_ENV && (list[i][0] == '=' || strchr (list[i], '=') == NULL))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "Environment entry %u is not NAME=VALUE", i + 1);
          return FALSE;
        }
      if (!append_text (payload, tag, list[i], error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
check_request (const char *const *argv, const char *cwd, GBytes *stdin_data, GError **error)
{
  const char *problem = NULL;

  if (argv[0] == NULL || argv[0][0] == '\0')
    problem = "There is no program to run: give it as the first argument";
  else if (cwd != NULL && cwd[0] != '/')
    problem = "“cwd” must be an absolute path";
  else if (stdin_data != NULL && g_bytes_get_size (stdin_data) > VMSAN_RUN_STDIN_MAX)
    problem = "“stdin” is longer than 64 KiB: use Exec";

  if (problem != NULL)
    g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, problem);
  return problem == NULL;
}

VmsanExecRequest *
vmsan_exec_request_new (const char *const *argv,
                        const char *const *env,
                        const char *cwd,
                        const char *user,
                        guint64 timeout_ms,
                        GBytes *stdin_data,
                        GError **error)
{
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  VmsanExecRequest *self;

  if (!check_request (argv, cwd, stdin_data, error) ||
      !append_list (payload, VMSAN_FIELD_ARG, argv, error) ||
      (env != NULL && !append_list (payload, VMSAN_FIELD_ENV, env, error)) ||
      (cwd != NULL && !append_text (payload, VMSAN_FIELD_CWD, cwd, error)) ||
      (user != NULL && !append_text (payload, VMSAN_FIELD_USER, user, error)))
    return NULL;
  if (timeout_ms > 0)
    {
      gsize used = payload->len;

      g_byte_array_set_size (payload, used + 8 + sizeof timeout_ms);
      vmsan_field_append (payload->data, payload->len, &used, VMSAN_FIELD_TIMEOUT_MS, &timeout_ms,
                          sizeof timeout_ms);
    }
  if (payload->len > VMSAN_FRAME_PAYLOAD_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Arguments and environment are too long");
      return NULL;
    }

  self = g_new0 (VmsanExecRequest, 1);
  self->payload = g_byte_array_free_to_bytes (g_steal_pointer (&payload));
  self->stdin_data = stdin_data != NULL ? g_bytes_ref (stdin_data) : NULL;
  self->timeout_ms = timeout_ms;
  return self;
}

gboolean
vmsan_exec_request_send (const VmsanExecRequest *self, int fd, GError **error)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (self->payload, &size);

  return vmsan_frame_send (fd, VMSAN_FRAME_EXEC, data, size, error);
}

/* ---- Run ----------------------------------------------------------------------------------- */

typedef struct
{
  int fd;
  GBytes *stdin_data; /* nullable */
  gboolean started;
  VmsanFrameReader reader;
  VmsanRunResult *result;
  GSource *readable;
  GSource *deadline;
  GSource *cancelled;
} Run;

static void
run_free (Run *self)
{
  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  vmsan_fd_close (&self->fd);
  vmsan_frame_reader_clear (&self->reader);
  g_clear_pointer (&self->stdin_data, g_bytes_unref);
  g_clear_pointer (&self->result, vmsan_run_result_free);
  g_free (self);
}

void
vmsan_run_result_free (VmsanRunResult *self)
{
  g_byte_array_unref (self->output);
  g_byte_array_unref (self->errors);
  g_free (self);
}

/* Ends the session with @error or the result; what is left in the guest is hung up. Sources hold
 * the task; destroying them on the way out lets it go. */
static void
finish (GTask *task, GError *error)
{
  Run *self = g_task_get_task_data (task);
  g_autoptr (GTask) keep = g_object_ref (task);

  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  vmsan_fd_close (&self->fd);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, g_steal_pointer (&self->result),
                           (GDestroyNotify) vmsan_run_result_free);
}

static GError *
malformed (void)
{
  return g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                      "The guest's agent sent a malformed message");
}

static GError *
on_started (Run *self)
{
  GError *error = NULL;
  gsize size = 0;
  gconstpointer data;

  self->started = TRUE;
  if (self->stdin_data != NULL)
    {
      /* Its 64 KiB are below the first credit, and fit one frame. */
      data = g_bytes_get_data (self->stdin_data, &size);
      if (size > 0 && !vmsan_frame_send (self->fd, VMSAN_FRAME_STDIN, data, size, &error))
        return error;
    }
  vmsan_frame_send (self->fd, VMSAN_FRAME_STDIN_EOF, NULL, 0, &error);
  return error;
}

static GError *
on_exec_failed (const guint8 *payload, gsize length)
{
  VmsanFieldReader reader;
  VmsanField field;
  guint32 code = 0;
  g_autofree char *message = g_strdup ("no reason given");
  int more;

  vmsan_field_reader_init (&reader, payload, length);
  while ((more = vmsan_field_reader_next (&reader, &field)) > 0)
    {
      if (field.tag == VMSAN_FIELD_CODE && !vmsan_field_get_u32 (&field, &code))
        return malformed ();
      if (field.tag == VMSAN_FIELD_MESSAGE)
        {
          g_free (message);
          message = vmsan_frame_field_to_text (&field);
        }
    }
  if (more < 0)
    return malformed ();
  return g_error_new (VMSAN_ERROR,
                      code == VMSAN_EXEC_NOT_FOUND      ? VMSAN_ERROR_NOT_FOUND
                      : code == VMSAN_EXEC_NO_RESOURCES ? VMSAN_ERROR_LIMIT_EXCEEDED
                                                        : VMSAN_ERROR_GUEST_FAILED,
                      "The guest cannot run the program: %s", message);
}

static GError *
on_output (Run *self, GByteArray *target, const guint8 *payload, gsize length)
{
  if (self->result->output->len + self->result->errors->len + length > VMSAN_RUN_OUTPUT_MAX)
    return g_error_new (VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                        "The program wrote more than 1 MiB and was ended; use Exec for more "
                        "output");
  g_byte_array_append (target, payload, length);
  return NULL;
}

static GError *
on_exited (Run *self, const guint8 *payload, gsize length)
{
  VmsanExited exited;

  if (length != sizeof exited)
    return malformed ();
  memcpy (&exited, payload, sizeof exited);
  if (exited.exit_code > 255 || exited.signal_number > 64 || exited.timed_out > 1 ||
      (exited.exit_code > 0 && exited.signal_number > 0))
    return malformed ();
  if (exited.timed_out)
    return g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                        "The program ran longer than its timeout and was killed");
  self->result->exit_code =
      exited.signal_number > 0 ? 128 + exited.signal_number : exited.exit_code;
  self->result->signal_number = exited.signal_number;
  return NULL;
}

/* Handles a frame; @done is set at the last one. */
static GError *
handle_frame (Run *self, guint8 type, const guint8 *payload, gsize length, gboolean *done)
{
  /* First whether the program started, once; the rest only of one that did. */
  if ((type == VMSAN_FRAME_STARTED || type == VMSAN_FRAME_EXEC_FAILED) == self->started)
    return malformed ();
  switch (type)
    {
    case VMSAN_FRAME_STARTED:
      return length == sizeof (guint32) ? on_started (self) : malformed ();
    case VMSAN_FRAME_EXEC_FAILED:
      return on_exec_failed (payload, length);
    case VMSAN_FRAME_STDOUT:
      return on_output (self, self->result->output, payload, length);
    case VMSAN_FRAME_STDERR:
      return on_output (self, self->result->errors, payload, length);
    case VMSAN_FRAME_STDIN_CREDIT:
    case VMSAN_FRAME_STDOUT_EOF:
    case VMSAN_FRAME_STDERR_EOF:
      return NULL;
    case VMSAN_FRAME_EXITED:
      *done = TRUE;
      return on_exited (self, payload, length);
    default:
      return malformed ();
    }
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (user_data);
  Run *self = g_task_get_task_data (task);
  GError *error = NULL;
  guint8 type;
  const guint8 *payload;
  gsize length;
  gboolean done = FALSE;

  switch (vmsan_frame_reader_read (&self->reader, fd, &type, &payload, &length, &error))
    {
    case VMSAN_FRAME_AGAIN:
      return G_SOURCE_CONTINUE;
    case VMSAN_FRAME_COMPLETE:
      error = handle_frame (self, type, payload, length, &done);
      break;
    case VMSAN_FRAME_EOF:
      error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                           "The machine or its agent ended while the program ran");
      break;
    case VMSAN_FRAME_ERROR:
      break;
    }
  if (!done && error == NULL)
    return G_SOURCE_CONTINUE;
  finish (task, error);
  return G_SOURCE_REMOVE;
}

static gboolean
on_deadline (gpointer user_data)
{
  finish (user_data,
          g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                       "The program's timeout passed, and the guest's agent did not end it"));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  finish (user_data, g_error_new (VMSAN_ERROR, VMSAN_ERROR_CANCELLED, "Cancelled"));
  return G_SOURCE_REMOVE;
}

void
vmsan_agent_run_async (int fd,
                       const VmsanExecRequest *request,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  Run *self = g_new0 (Run, 1);
  GError *error = NULL;

  g_task_set_source_tag (task, vmsan_agent_run_async);
  g_task_set_task_data (task, self, (GDestroyNotify) run_free);
  self->fd = fd;
  self->stdin_data = request->stdin_data != NULL ? g_bytes_ref (request->stdin_data) : NULL;
  self->result = g_new0 (VmsanRunResult, 1);
  self->result->output = g_byte_array_new ();
  self->result->errors = g_byte_array_new ();

  if (!vmsan_exec_request_send (request, fd, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  self->readable = g_unix_fd_source_new (fd, G_IO_IN);
  g_task_attach_source (task, self->readable, G_SOURCE_FUNC (on_readable));
  /* One that no timer can hold, of 49 days, is none. */
  if (request->timeout_ms > 0 && request->timeout_ms < G_MAXUINT - TIMEOUT_GRACE_MS)
    {
      self->deadline = g_timeout_source_new (request->timeout_ms + TIMEOUT_GRACE_MS);
      g_task_attach_source (task, self->deadline, on_deadline);
    }
  if (cancellable != NULL)
    {
      self->cancelled = g_cancellable_source_new (cancellable);
      g_task_attach_source (task, self->cancelled, G_SOURCE_FUNC (on_cancelled));
    }
}

VmsanRunResult *
vmsan_agent_run_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
