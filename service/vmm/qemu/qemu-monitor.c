/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a stream's port is there before anybody connects to it, and no verb blocks. */

#include "vmm/qemu/qemu-monitor.h"

#include "agent/protocol.h"
#include "sys/console-log.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/monitor-socket.h"
#include "vmm/qemu/qemu-arguments.h"
#include "vmm/qemu/qemu-control.h"
#include "vmm/qemu/qemu-spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Of the supervisor. */
#define EXIT_SETUP_FAILED 125
#define EXIT_EXEC_FAILED  127

struct _VmsanQemuMonitor
{
  VmsanMonitor parent;

  char *runtime_dir;
  VmsanQemuControl *control;
  gboolean ports_known;
  gboolean has_port[VMSAN_QEMU_N_STREAMS];
};

G_DEFINE_FINAL_TYPE (VmsanQemuMonitor, vmsan_qemu_monitor, VMSAN_TYPE_MONITOR)

/* ---- Verbs --------------------------------------------------------------------------------- */

static void
on_command_done (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer =
      vmsan_qemu_control_execute_finish (VMSAN_QEMU_CONTROL (source), result, &error);

  if (answer != NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
run_command (VmsanMonitor *monitor,
             const char *command,
             GCancellable *cancellable,
             GAsyncReadyCallback callback,
             gpointer user_data)
{
  VmsanQemuMonitor *self = VMSAN_QEMU_MONITOR (monitor);
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  vmsan_qemu_control_execute_async (self->control, command, NULL, cancellable, on_command_done,
                                    task);
}

static gboolean
command_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, monitor), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
vmsan_qemu_monitor_boot_async (VmsanMonitor *monitor,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  run_command (monitor, "cont", cancellable, callback, user_data);
}

static void
vmsan_qemu_monitor_pause_async (VmsanMonitor *monitor,
                                gboolean paused,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  run_command (monitor, paused ? "stop" : "cont", cancellable, callback, user_data);
}

static void
vmsan_qemu_monitor_power_button_async (VmsanMonitor *monitor,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data)
{
  run_command (monitor, "system_powerdown", cancellable, callback, user_data);
}

/* ---- Streams ------------------------------------------------------------------------------- */

/* A port takes 4 MiB of the guest's memory, as Linux gives all queues of virtio-mmio 1024 entries,
 * each with a page. So only stream 0 has its port from the beginning; others get it when they are
 * first connected to, and keep it. After a restart of the service QEMU is asked which it has. */

/* "port7" gives 7; -1 for anything else. */
static int
parse_port_id (const char *id)
{
  int stream, end = 0;

  if (sscanf (id, VMSAN_QEMU_PORT_ID "%2d%n", &stream, &end) != 1 || id[end] != '\0' ||
      stream < 0 || stream >= VMSAN_QEMU_N_STREAMS)
    return -1;
  return stream;
}

static void
learn_ports (VmsanQemuMonitor *self, JsonNode *answer)
{
  JsonArray *devices = JSON_NODE_HOLDS_ARRAY (answer) ? json_node_get_array (answer) : NULL;

  for (guint i = 0; devices != NULL && i < json_array_get_length (devices); i++)
    {
      JsonNode *device = json_array_get_element (devices, i);
      JsonNode *name = NULL;
      int stream;

      if (JSON_NODE_HOLDS_OBJECT (device))
        name = json_object_get_member (json_node_get_object (device), "name");
      if (name == NULL || json_node_get_value_type (name) != G_TYPE_STRING)
        continue;
      stream = parse_port_id (json_node_get_string (name));
      if (stream >= 0)
        self->has_port[stream] = TRUE;
    }
  self->ports_known = TRUE;
}

/* QEMU's socket is a Unix socket of this host, so connecting to it never waits. */
static void
connect_stream (VmsanQemuMonitor *self, GTask *task)
{
  guint stream = GPOINTER_TO_UINT (g_task_get_task_data (task));
  g_autofree char *name = vmsan_monitor_socket_name_stream (stream);
  g_autoptr (GError) error = NULL;
  int fd;

  if (g_task_return_error_if_cancelled (task))
    return;
  fd = vmsan_monitor_socket_connect (self->runtime_dir, name, &error);
  if (fd >= 0)
    g_task_return_int (task, fd);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
on_port_added (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanQemuMonitor *self = g_task_get_source_object (task);
  guint stream = GPOINTER_TO_UINT (g_task_get_task_data (task));
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer =
      vmsan_qemu_control_execute_finish (VMSAN_QEMU_CONTROL (source), result, &error);

  if (answer == NULL)
    {
      /* It may have been added all the same, by a command that was given up. */
      self->ports_known = FALSE;
      g_prefix_error (&error, "Cannot give the machine a port for stream %u: ", stream);
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  self->has_port[stream] = TRUE;
  connect_stream (self, task);
}

/* Consumes @task. */
static void
add_port (VmsanQemuMonitor *self, GTask *task)
{
  guint stream = GPOINTER_TO_UINT (g_task_get_task_data (task));
  g_autoptr (JsonObject) arguments = vmsan_qemu_arguments_for_port (stream);

  vmsan_qemu_control_execute_async (self->control, "device_add", arguments,
                                    g_task_get_cancellable (task), on_port_added, task);
}

/* Connects, with a port made first if there is none. Consumes @task. */
static void
use_port (VmsanQemuMonitor *self, GTask *task)
{
  guint stream = GPOINTER_TO_UINT (g_task_get_task_data (task));

  if (!self->has_port[stream])
    {
      add_port (self, task);
      return;
    }
  connect_stream (self, task);
  g_object_unref (task);
}

static void
on_ports_listed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanQemuMonitor *self = g_task_get_source_object (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer =
      vmsan_qemu_control_execute_finish (VMSAN_QEMU_CONTROL (source), result, &error);

  if (answer == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  learn_ports (self, answer);
  use_port (self, g_steal_pointer (&task));
}

static void
list_ports (VmsanQemuMonitor *self, GTask *task)
{
  g_autoptr (JsonObject) arguments = json_object_new ();

  /* Where QEMU keeps the devices that have an id. */
  json_object_set_string_member (arguments, "path", "/machine/peripheral");
  vmsan_qemu_control_execute_async (self->control, "qom-list", arguments,
                                    g_task_get_cancellable (task), on_ports_listed, task);
}

static void
vmsan_qemu_monitor_connect_async (VmsanMonitor *monitor,
                                  guint stream,
                                  guint deadline_ms,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  VmsanQemuMonitor *self = VMSAN_QEMU_MONITOR (monitor);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_check_cancellable (task, FALSE); /* a descriptor that is there must not be lost */
  g_task_set_task_data (task, GUINT_TO_POINTER (stream), NULL);
  if (stream >= VMSAN_QEMU_N_STREAMS)
    g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                             "A machine has %d streams, and none with the number %u",
                             VMSAN_QEMU_N_STREAMS, stream);
  else if (stream == 0 || self->has_port[stream])
    connect_stream (self, task);
  else if (self->ports_known)
    add_port (self, g_steal_pointer (&task));
  else
    list_ports (self, g_steal_pointer (&task));
}

static int
vmsan_qemu_monitor_connect_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, monitor), -1);
  return g_task_propagate_int (G_TASK (result), error);
}

static guint
vmsan_qemu_monitor_shutdown_action (VmsanMonitor *monitor)
{
  return VMSAN_SHUTDOWN_POWER_OFF;
}

/* ---- The end ------------------------------------------------------------------------------- */

/* The status of QEMU itself, which its supervisor kept: its own tells the number of a signal only
 * as an exit code. FALSE when there is none: the supervisor was killed with it. */
static gboolean
read_recorded_status (VmsanQemuMonitor *self, int *wait_status)
{
  vmsan_autofd int dir_fd = open (self->runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

  return dir_fd >= 0 &&
         vmsan_console_log_read_status (dir_fd, VMSAN_QEMU_STATUS_FILE, wait_status, NULL);
}

static char *
describe_signal (int signal_number)
{
  const char *hint = "";

  if (signal_number == SIGSYS)
    hint = ": it made a system call that its sandbox forbids";
  else if (signal_number == SIGKILL)
    hint = ": somebody ended it, or its memory limit was exceeded";
  return g_strdup_printf ("QEMU was killed by signal %d (%s)%s", signal_number,
                          g_strsignal (signal_number), hint);
}

static char *
vmsan_qemu_monitor_describe_exit (VmsanMonitor *monitor, int wait_status)
{
  VmsanQemuMonitor *self = VMSAN_QEMU_MONITOR (monitor);
  const char *reason = vmsan_qemu_control_get_end_reason (self->control);
  int exit_code;

  read_recorded_status (self, &wait_status);
  if (wait_status < 0)
    return g_strdup ("QEMU was killed together with its supervisor; by what is not known");
  if (WIFSIGNALED (wait_status))
    return describe_signal (WTERMSIG (wait_status));
  exit_code = WEXITSTATUS (wait_status);
  if (exit_code == EXIT_SETUP_FAILED || exit_code == EXIT_EXEC_FAILED)
    return g_strdup_printf ("QEMU could not be started (exit code %d)", exit_code);
  if (exit_code == 0)
    return g_strdup_printf ("%s (exit code 0)", reason != NULL ? reason : "The machine ended");
  return g_strdup_printf ("QEMU failed with exit code %d; its last words are in the console log",
                          exit_code);
}

static void
vmsan_qemu_monitor_finalize (GObject *object)
{
  VmsanQemuMonitor *self = VMSAN_QEMU_MONITOR (object);

  g_clear_object (&self->control);
  g_free (self->runtime_dir);
  G_OBJECT_CLASS (vmsan_qemu_monitor_parent_class)->finalize (object);
}

static void
vmsan_qemu_monitor_class_init (VmsanQemuMonitorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  VmsanMonitorClass *monitor_class = VMSAN_MONITOR_CLASS (klass);

  object_class->finalize = vmsan_qemu_monitor_finalize;
  monitor_class->boot_async = vmsan_qemu_monitor_boot_async;
  monitor_class->boot_finish = command_finish;
  monitor_class->pause_async = vmsan_qemu_monitor_pause_async;
  monitor_class->pause_finish = command_finish;
  monitor_class->connect_async = vmsan_qemu_monitor_connect_async;
  monitor_class->connect_finish = vmsan_qemu_monitor_connect_finish;
  monitor_class->power_button_async = vmsan_qemu_monitor_power_button_async;
  monitor_class->power_button_finish = command_finish;
  monitor_class->describe_exit = vmsan_qemu_monitor_describe_exit;
  monitor_class->shutdown_action = vmsan_qemu_monitor_shutdown_action;
}

static void
vmsan_qemu_monitor_init (VmsanQemuMonitor *self)
{
}

static VmsanQemuMonitor *
create (const char *runtime_dir, VmsanProcess *process, const char *acceleration)
{
  VmsanQemuMonitor *self = g_object_new (VMSAN_TYPE_QEMU_MONITOR, NULL);

  self->runtime_dir = g_strdup (runtime_dir);
  self->control = vmsan_qemu_control_new (runtime_dir);
  vmsan_monitor_set_process (VMSAN_MONITOR (self), process);
  vmsan_monitor_set_acceleration (VMSAN_MONITOR (self), acceleration);
  return self;
}

VmsanMonitor *
vmsan_qemu_monitor_new (const char *runtime_dir, VmsanProcess *process, const char *acceleration)
{
  VmsanQemuMonitor *self = create (runtime_dir, process, acceleration);

  self->ports_known = TRUE;
  return VMSAN_MONITOR (self);
}

VmsanMonitor *
vmsan_qemu_monitor_adopt (const char *runtime_dir, VmsanProcess *process, const char *acceleration)
{
  VmsanQemuMonitor *self = create (runtime_dir, process, acceleration);

  vmsan_qemu_control_connect (self->control);
  return VMSAN_MONITOR (self);
}
