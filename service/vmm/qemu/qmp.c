/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing that QEMU sends can make the service crash, wait, or grow without bound. */

#include "vmm/qemu/qmp.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"
#include "vmm/qemu/qmp-message.h"

#include <sys/socket.h>

/* Read at most this much in one turn of the main loop, so that one QEMU cannot starve the rest. */
#define READ_CHUNK 65536
/* Events come a few in a machine's life; QEMU itself limits those that a guest can cause. */
#define EVENTS_PER_SECOND_MAX 1000
/* Sent and neither answered nor given up by QEMU; more means that it does not answer at all. */
#define COMMANDS_MAX 64

typedef struct
{
  GTask *task; /* NULL when it was given up; its answer is dropped */
  GSource *deadline;
  GSource *cancelled;
} Command;

struct _VmsanQmp
{
  GObject parent;

  int fd; /* -1 once closed */
  GMainContext *context;
  GSource *readable;
  GSource *writable;
  GByteArray *input;
  GByteArray *output;
  gsize scanned; /* of the input, without a line's end */

  GTask *opening; /* until negotiated */
  GSource *opening_deadline;
  GSource *opening_cancelled;
  guint deadline_ms;
  gboolean greeted;

  GHashTable *commands; /* id -> Command */
  gint64 last_id;
  gint64 second; /* of the events counted */
  guint n_events;
};

G_DEFINE_FINAL_TYPE (VmsanQmp, vmsan_qmp, G_TYPE_OBJECT)

enum
{
  SIGNAL_EVENT,
  SIGNAL_CLOSED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

/* ---- Small helpers ------------------------------------------------------------------------- */

static void
command_release (Command *command)
{
  vmsan_source_clear (&command->deadline);
  vmsan_source_clear (&command->cancelled);
}

static void
command_free (Command *command)
{
  command_release (command);
  g_clear_object (&command->task);
  g_free (command);
}

/* ---- The end ------------------------------------------------------------------------------- */

static void
release_opening (VmsanQmp *self)
{
  vmsan_source_clear (&self->opening_deadline);
  vmsan_source_clear (&self->opening_cancelled);
}

static void
release_connection (VmsanQmp *self)
{
  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->writable);
  release_opening (self);
  vmsan_fd_close (&self->fd);
}

/* Fails everything under way with @reason. The caller holds a reference: callbacks may drop
 * theirs. */
static void
end_with (VmsanQmp *self, const GError *reason)
{
  g_autoptr (GHashTable) commands = g_steal_pointer (&self->commands);
  g_autoptr (GTask) opening = g_steal_pointer (&self->opening);
  GHashTableIter iter;
  gpointer value;

  release_connection (self);
  self->commands =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, (GDestroyNotify) command_free);
  g_hash_table_iter_init (&iter, commands);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Command *command = value;

      command_release (command);
      if (command->task != NULL)
        g_task_return_error (command->task, g_error_copy (reason));
    }
  if (opening != NULL)
    g_task_return_error (opening, g_error_copy (reason));
}

static void
fail (VmsanQmp *self, GError *reason)
{
  g_autoptr (GError) owned = reason;

  if (self->fd < 0)
    return;
  end_with (self, owned);
  g_signal_emit (self, signals[SIGNAL_CLOSED], 0, owned);
}

static void G_GNUC_PRINTF (2, 3) fail_protocol (VmsanQmp *self, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  fail (self, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                           "QEMU broke its control protocol: %s; the connection was closed", what));
}

/* ---- Messages ------------------------------------------------------------------------------ */

static void
on_capabilities (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanQmp *self = VMSAN_QMP (source);
  g_autoptr (GTask) opening = g_steal_pointer (&self->opening);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = vmsan_qmp_execute_finish (self, result, &error);

  release_opening (self);
  if (opening == NULL)
    return;
  if (answer != NULL)
    g_task_return_pointer (opening, g_object_ref (self), g_object_unref);
  else
    g_task_return_error (opening, g_steal_pointer (&error));
}

static void
handle_greeting (VmsanQmp *self)
{
  self->greeted = TRUE;
  vmsan_qmp_execute_async (self, "qmp_capabilities", NULL, self->deadline_ms, NULL, on_capabilities,
                           NULL);
}

static void
handle_event (VmsanQmp *self, const VmsanQmpMessage *message)
{
  gint64 second = g_get_monotonic_time () / G_USEC_PER_SEC;

  if (second != self->second)
    self->n_events = 0;
  self->second = second;
  if (++self->n_events > EVENTS_PER_SECOND_MAX)
    fail_protocol (self, "it sends too many events");
  else
    g_signal_emit (self, signals[SIGNAL_EVENT], 0, message->name, message->data);
}

static GError *
error_from_refusal (GTask *task, const VmsanQmpMessage *refusal)
{
  VmsanError code = strcmp (refusal->name, "CommandNotFound") == 0 ? VMSAN_ERROR_NOT_SUPPORTED
                                                                   : VMSAN_ERROR_VMM_FAILED;

  return g_error_new (VMSAN_ERROR, code, "QEMU refused the command %s: %s", g_task_get_name (task),
                      refusal->reason);
}

static void
handle_answer (VmsanQmp *self, VmsanQmpMessage *message)
{
  Command *command = g_hash_table_lookup (self->commands, &message->id);
  g_autoptr (GTask) task = NULL;

  if (command == NULL)
    {
      fail_protocol (self, "an answer belongs to no command");
      return;
    }
  task = g_steal_pointer (&command->task);
  g_hash_table_remove (self->commands, &message->id);
  if (task == NULL)
    return;
  if (message->type == VMSAN_QMP_RESULT)
    g_task_return_pointer (task, g_steal_pointer (&message->result),
                           (GDestroyNotify) json_node_unref);
  else
    g_task_return_error (task, error_from_refusal (task, message));
}

static void
handle_line (VmsanQmp *self, const char *line, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanQmpMessage) message = vmsan_qmp_message_parse (line, length, &error);

  if (message == NULL)
    fail_protocol (self, "%s", error->message);
  else if ((message->type == VMSAN_QMP_GREETING) == self->greeted)
    fail_protocol (self, "its greeting is not the first message");
  else if (message->type == VMSAN_QMP_GREETING)
    handle_greeting (self);
  else if (message->type == VMSAN_QMP_EVENT)
    handle_event (self, message);
  else
    handle_answer (self, message);
}

/* ---- Input and output ---------------------------------------------------------------------- */

static void
handle_lines (VmsanQmp *self, const char *lines, gsize size)
{
  const char *end;

  for (const char *line = lines; self->fd >= 0 && line < lines + size; line = end + 1)
    {
      end = memchr (line, '\n', lines + size - line);
      if (end > line && !(end == line + 1 && line[0] == '\r'))
        handle_line (self, line, end - line);
    }
}

/* Takes all whole lines off the input at once: one by one, moving the rest each time, a chunk of
 * short ones would hold up everybody. */
static void
handle_input (VmsanQmp *self)
{
  const guint8 *unseen = self->input->data + self->scanned;
  const guint8 *last = memrchr (unseen, '\n', self->input->len - self->scanned);

  if (last != NULL)
    {
      gsize size = last + 1 - self->input->data;
      g_autofree char *lines = g_memdup2 (self->input->data, size);

      g_byte_array_remove_range (self->input, 0, size);
      self->scanned = self->input->len;
      handle_lines (self, lines, size);
    }
  self->scanned = self->input->len;
  if (self->input->len > VMSAN_QMP_LINE_MAX)
    fail_protocol (self, "a message is longer than %u bytes", VMSAN_QMP_LINE_MAX);
}

/* FALSE when there is nothing to read now, or no connection any more. */
static gboolean
read_chunk (VmsanQmp *self)
{
  guint8 chunk[READ_CHUNK];
  gssize n = recv (self->fd, chunk, sizeof chunk, 0);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return FALSE;
  if (n > 0)
    {
      g_byte_array_append (self->input, chunk, n);
      handle_input (self);
    }
  else
    fail (self, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                             "QEMU closed its control connection%s%s", n < 0 ? ": " : "",
                             n < 0 ? g_strerror (errno) : ""));
  return self->fd >= 0;
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer user_data)
{
  g_autoptr (VmsanQmp) self = g_object_ref (VMSAN_QMP (user_data));

  read_chunk (self);
  return self->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_writable (int fd, GIOCondition condition, gpointer user_data);

static GSource *
watch (VmsanQmp *self, GIOCondition condition, GUnixFDSourceFunc callback)
{
  GSource *source = g_unix_fd_source_new (self->fd, condition);

  g_source_set_callback (source, G_SOURCE_FUNC (callback), self, NULL);
  g_source_attach (source, self->context);
  return source;
}

/* Sends what it can; the rest when there is room. That the peer is gone shows when reading. */
static void
flush_output (VmsanQmp *self)
{
  while (self->output->len > 0)
    {
      gssize n = send (self->fd, self->output->data, self->output->len, MSG_NOSIGNAL);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno != EAGAIN)
        g_byte_array_set_size (self->output, 0);
      else if (n >= 0)
        g_byte_array_remove_range (self->output, 0, n);
      else
        {
          if (self->writable == NULL)
            self->writable = watch (self, G_IO_OUT, on_writable);
          return;
        }
    }
  vmsan_source_clear (&self->writable);
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer user_data)
{
  VmsanQmp *self = VMSAN_QMP (user_data);

  flush_output (self);
  return self->writable != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_qmp_dispose (GObject *object)
{
  vmsan_qmp_close (VMSAN_QMP (object));
  G_OBJECT_CLASS (vmsan_qmp_parent_class)->dispose (object);
}

static void
vmsan_qmp_finalize (GObject *object)
{
  VmsanQmp *self = VMSAN_QMP (object);

  g_byte_array_unref (self->input);
  g_byte_array_unref (self->output);
  g_hash_table_unref (self->commands);
  g_main_context_unref (self->context);
  G_OBJECT_CLASS (vmsan_qmp_parent_class)->finalize (object);
}

static void
vmsan_qmp_class_init (VmsanQmpClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = vmsan_qmp_dispose;
  object_class->finalize = vmsan_qmp_finalize;
  signals[SIGNAL_EVENT] = g_signal_new ("event", VMSAN_TYPE_QMP, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                        NULL, G_TYPE_NONE, 2, G_TYPE_STRING, JSON_TYPE_OBJECT);
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", VMSAN_TYPE_QMP, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                         NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
vmsan_qmp_init (VmsanQmp *self)
{
  self->fd = -1;
  self->context = g_main_context_ref_thread_default ();
  self->input = g_byte_array_new ();
  self->output = g_byte_array_new ();
  self->commands =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, (GDestroyNotify) command_free);
}

static GSource *
watch_deadline (VmsanQmp *self, guint deadline_ms, GSourceFunc callback, gpointer user_data)
{
  GSource *source = g_timeout_source_new (deadline_ms);

  g_source_set_callback (source, callback, user_data, NULL);
  g_source_attach (source, self->context);
  return source;
}

/* NULL when the task cannot be cancelled. */
static GSource *
watch_cancelled (GTask *task, gboolean (*callback) (GCancellable *, gpointer))
{
  GSource *source;

  if (g_task_get_cancellable (task) == NULL)
    return NULL;
  source = g_cancellable_source_new (g_task_get_cancellable (task));
  g_task_attach_source (task, source, G_SOURCE_FUNC (callback));
  return source;
}

static gboolean
on_opening_deadline (gpointer user_data)
{
  g_autoptr (VmsanQmp) self = g_object_ref (VMSAN_QMP (user_data));

  fail (self, g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                           "QEMU did not answer on its control connection within %u ms",
                           self->deadline_ms));
  return G_SOURCE_REMOVE;
}

static gboolean
on_opening_cancelled (GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (VmsanQmp) self = g_object_ref (g_task_get_task_data (G_TASK (user_data)));
  g_autoptr (GError) error = NULL;

  g_cancellable_set_error_if_cancelled (cancellable, &error);
  end_with (self, error);
  return G_SOURCE_REMOVE;
}

void
vmsan_qmp_open_async (int fd,
                      guint deadline_ms,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_autoptr (VmsanQmp) self = g_object_new (VMSAN_TYPE_QMP, NULL);
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);

  self->fd = fd;
  self->deadline_ms = deadline_ms;
  g_task_set_source_tag (task, vmsan_qmp_open_async);
  /* The task keeps the connection, and the connection the task, until it is open or has failed. */
  g_task_set_task_data (task, g_object_ref (self), g_object_unref);
  self->opening = g_object_ref (task);
  self->readable = watch (self, G_IO_IN, on_readable);
  self->opening_deadline = watch_deadline (self, deadline_ms, on_opening_deadline, self);
  self->opening_cancelled = watch_cancelled (task, on_opening_cancelled);
}

VmsanQmp *
vmsan_qmp_open_finish (GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_async_result_is_tagged (result, vmsan_qmp_open_async), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Commands ------------------------------------------------------------------------------ */

/* Gives up waiting, but remembers the id: the answer may still come. (transfer full) */
static GTask *
give_up (Command *command)
{
  GTask *task = g_steal_pointer (&command->task);

  command_release (command);
  return task;
}

static gboolean
on_command_deadline (gpointer user_data)
{
  Command *command = user_data;
  g_autoptr (GTask) task = give_up (command);

  g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                           "QEMU did not answer the command %s in time", g_task_get_name (task));
  return G_SOURCE_REMOVE;
}

static gboolean
on_command_cancelled (GCancellable *cancellable, gpointer user_data)
{
  Command *command = g_task_get_task_data (G_TASK (user_data));
  g_autoptr (GTask) task = give_up (command);

  g_task_return_error_if_cancelled (task);
  return G_SOURCE_REMOVE;
}

void
vmsan_qmp_execute_async (VmsanQmp *self,
                         const char *name,
                         JsonObject *arguments,
                         guint deadline_ms,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autofree char *line = NULL;
  Command *command;

  g_task_set_source_tag (task, vmsan_qmp_execute_async);
  g_task_set_name (task, name);
  if (self->fd < 0 || g_hash_table_size (self->commands) >= COMMANDS_MAX)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                               "The command %s cannot be sent to QEMU: %s", name,
                               self->fd < 0 ? "the connection is closed" : "it does not answer");
      return;
    }
  command = g_new0 (Command, 1);
  command->task = g_object_ref (task);
  g_task_set_task_data (task, command, NULL); /* the table owns it */
  command->deadline = watch_deadline (self, deadline_ms, on_command_deadline, command);
  command->cancelled = watch_cancelled (task, on_command_cancelled);
  self->last_id++;
  g_hash_table_insert (self->commands, g_memdup2 (&self->last_id, sizeof self->last_id), command);

  line = vmsan_qmp_message_format_command (name, arguments, self->last_id);
  g_byte_array_append (self->output, (const guint8 *) line, strlen (line));
  flush_output (self);
}

JsonNode *
vmsan_qmp_execute_finish (VmsanQmp *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

gboolean
vmsan_qmp_is_open (VmsanQmp *self)
{
  g_return_val_if_fail (VMSAN_IS_QMP (self), FALSE);
  return self->fd >= 0 && self->opening == NULL;
}

void
vmsan_qmp_drain (VmsanQmp *self)
{
  g_autoptr (VmsanQmp) kept = g_object_ref (self);

  for (gsize left = VMSAN_QMP_LINE_MAX / READ_CHUNK; left > 0 && self->fd >= 0; left--)
    if (!read_chunk (self))
      return;
}

void
vmsan_qmp_close (VmsanQmp *self)
{
  g_autoptr (GError) error = NULL;

  g_return_if_fail (VMSAN_IS_QMP (self));
  if (self->fd < 0)
    return;
  error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_CANCELLED,
                       "The connection to QEMU was closed by the service");
  end_with (self, error);
}
