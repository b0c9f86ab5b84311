/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no command waits for QEMU in the main loop, and none for ever. */

#include "vmm/qemu/qemu-control.h"

#include "sys/source.h"
#include "vmm/monitor-socket.h"
#include "vmm/qemu/qemu-spawn.h"
#include "vmm/qemu/qmp.h"

#include <string.h>

/* A host that starts many machines at once can keep QEMU from answering for long. */
#define OPEN_DEADLINE_MS    30000
#define COMMAND_DEADLINE_MS 10000

/* A command that waits for the connection. */
typedef struct
{
  GTask *task; /* its name is the command, its data the arguments */
  GSource *cancelled;
} Waiting;

struct _VmsanQemuControl
{
  GObject parent;

  char *runtime_dir;
  VmsanQmp *qmp; /* NULL: not connected */
  gboolean connecting;
  GPtrArray *waiting;     /* Waiting */
  const char *end_reason; /* static */
};

G_DEFINE_FINAL_TYPE (VmsanQemuControl, vmsan_qemu_control, G_TYPE_OBJECT)

/* "reason" of the event SHUTDOWN, and what to tell people. */
static const struct
{
  const char *reason;
  const char *words;
} end_reasons[] = {
  { "guest-shutdown", "The guest powered itself off" },
  { "guest-reset", "The guest restarted or crashed, which ends a machine" },
  { "guest-panic", "The guest crashed" },
  { "host-signal", "QEMU was told to end by a signal" },
  { "host-qmp-quit", "QEMU was told to end" },
  { "host-error", "QEMU ended after an error" },
};

static void
waiting_free (Waiting *self)
{
  vmsan_source_clear (&self->cancelled);
  g_object_unref (self->task);
  g_free (self);
}

/* ---- Control connection -------------------------------------------------------------------- */

static void
on_event (VmsanQmp *qmp, const char *name, JsonObject *data, gpointer user_data)
{
  VmsanQemuControl *self = VMSAN_QEMU_CONTROL (user_data);
  JsonNode *reason = data != NULL ? json_object_get_member (data, "reason") : NULL;

  if (strcmp (name, "SHUTDOWN") != 0 || reason == NULL ||
      json_node_get_value_type (reason) != G_TYPE_STRING)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (end_reasons); i++)
    if (strcmp (json_node_get_string (reason), end_reasons[i].reason) == 0)
      self->end_reason = end_reasons[i].words;
}

static void
drop_connection (VmsanQemuControl *self)
{
  if (self->qmp == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->qmp, self);
  vmsan_qmp_close (self->qmp);
  g_clear_object (&self->qmp);
}

static void
on_closed (VmsanQmp *qmp, const GError *error, gpointer user_data)
{
  g_debug ("%s: %s", VMSAN_QEMU_CONTROL (user_data)->runtime_dir, error->message);
  drop_connection (VMSAN_QEMU_CONTROL (user_data));
}

static void
on_command_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = vmsan_qmp_execute_finish (VMSAN_QMP (source), result, &error);

  if (answer != NULL)
    g_task_return_pointer (task, g_steal_pointer (&answer), (GDestroyNotify) json_node_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

/* Consumes @task. */
static void
send_command (VmsanQemuControl *self, GTask *task)
{
  vmsan_qmp_execute_async (self->qmp, g_task_get_name (task), g_task_get_task_data (task),
                           COMMAND_DEADLINE_MS, g_task_get_cancellable (task), on_command_done,
                           task);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (VmsanQemuControl) self = user_data;
  g_autoptr (GPtrArray) waiting = g_steal_pointer (&self->waiting);
  g_autoptr (GError) error = NULL;

  self->waiting = g_ptr_array_new_with_free_func ((GDestroyNotify) waiting_free);
  self->connecting = FALSE;
  self->qmp = vmsan_qmp_open_finish (result, &error);
  if (self->qmp != NULL)
    {
      g_signal_connect (self->qmp, "event", G_CALLBACK (on_event), self);
      g_signal_connect (self->qmp, "closed", G_CALLBACK (on_closed), self);
    }
  else
    g_prefix_error (&error, "The machine cannot be controlled: ");
  for (guint i = 0; i < waiting->len; i++)
    {
      GTask *task = ((Waiting *) waiting->pdata[i])->task;

      if (error != NULL)
        g_task_return_error (task, g_error_copy (error));
      else
        send_command (self, g_object_ref (task));
    }
}

/* Connects, unless that is under way. */
static gboolean
connect_qmp (VmsanQemuControl *self, GError **error)
{
  int fd;

  if (self->connecting)
    return TRUE;
  fd = vmsan_monitor_socket_connect (self->runtime_dir, VMSAN_QEMU_QMP_SOCKET, error);
  if (fd < 0)
    return FALSE;
  self->connecting = TRUE;
  vmsan_qmp_open_async (fd, OPEN_DEADLINE_MS, NULL, on_opened, g_object_ref (self));
  return TRUE;
}

static gboolean
on_waiting_cancelled (GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (G_TASK (user_data));
  VmsanQemuControl *self = g_task_get_source_object (task);

  for (guint i = 0; i < self->waiting->len; i++)
    if (((Waiting *) self->waiting->pdata[i])->task == task)
      {
        g_ptr_array_remove_index (self->waiting, i);
        g_task_return_error_if_cancelled (task);
        break;
      }
  return G_SOURCE_REMOVE;
}

/* Sends the task's command as soon as there is a connection. Consumes @task. */
static void
wait_for_connection (VmsanQemuControl *self, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  Waiting *waiting = g_new0 (Waiting, 1);

  waiting->task = task;
  if (cancellable != NULL)
    {
      waiting->cancelled = g_cancellable_source_new (cancellable);
      g_task_attach_source (task, waiting->cancelled, G_SOURCE_FUNC (on_waiting_cancelled));
    }
  g_ptr_array_add (self->waiting, waiting);
}

static void
vmsan_qemu_control_dispose (GObject *object)
{
  drop_connection (VMSAN_QEMU_CONTROL (object));
  G_OBJECT_CLASS (vmsan_qemu_control_parent_class)->dispose (object);
}

static void
vmsan_qemu_control_finalize (GObject *object)
{
  VmsanQemuControl *self = VMSAN_QEMU_CONTROL (object);

  g_ptr_array_unref (self->waiting);
  g_free (self->runtime_dir);
  G_OBJECT_CLASS (vmsan_qemu_control_parent_class)->finalize (object);
}

static void
vmsan_qemu_control_class_init (VmsanQemuControlClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = vmsan_qemu_control_dispose;
  object_class->finalize = vmsan_qemu_control_finalize;
}

static void
vmsan_qemu_control_init (VmsanQemuControl *self)
{
  self->waiting = g_ptr_array_new_with_free_func ((GDestroyNotify) waiting_free);
}

VmsanQemuControl *
vmsan_qemu_control_new (const char *runtime_dir)
{
  VmsanQemuControl *self = g_object_new (VMSAN_TYPE_QEMU_CONTROL, NULL);

  self->runtime_dir = g_strdup (runtime_dir);
  return self;
}

void
vmsan_qemu_control_connect (VmsanQemuControl *self)
{
  g_autoptr (GError) error = NULL;

  if (self->qmp == NULL && !connect_qmp (self, &error))
    g_debug ("%s: %s", self->runtime_dir, error->message);
}

void
vmsan_qemu_control_execute_async (VmsanQemuControl *self,
                                  const char *command,
                                  JsonObject *arguments,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (GError) error = NULL;

  g_task_set_name (task, command);
  if (arguments != NULL)
    g_task_set_task_data (task, json_object_ref (arguments), (GDestroyNotify) json_object_unref);
  if (self->qmp != NULL)
    send_command (self, g_steal_pointer (&task));
  else if (connect_qmp (self, &error))
    wait_for_connection (self, g_steal_pointer (&task));
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

JsonNode *
vmsan_qemu_control_execute_finish (VmsanQemuControl *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

const char *
vmsan_qemu_control_get_end_reason (VmsanQemuControl *self)
{
  g_return_val_if_fail (VMSAN_IS_QEMU_CONTROL (self), NULL);
  if (self->qmp != NULL)
    vmsan_qmp_drain (self->qmp);
  return self->end_reason;
}
