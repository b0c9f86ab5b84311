/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no verb blocks, each ends by a deadline, and who ends early says why. */

#include "vmm/firecracker/fc-monitor.h"

#include "agent/protocol.h"
#include "sys/console-log.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"
#include "vmm/firecracker/fc-api.h"
#include "vmm/firecracker/fc-jail.h"
#include "vmm/firecracker/fc-setup.h"
#include "vmm/firecracker/fc-socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* From the jailer's start to the API; far more than it takes on a busy host. */
#define API_DEADLINE_MS  10000
#define CALL_DEADLINE_MS 10000
/* All of the guest's memory goes to a disk. */
#define SNAPSHOT_DEADLINE_MS (10 * 60 * 1000)
/* Of the guest's kernel, to say whether somebody listens. */
#define CONNECT_DEADLINE_MS 5000

/* A guest that boots has no agent yet, and nothing tells when it has: so it is asked again, less
 * and less often. One that stops listening later must not keep anybody waiting for ever. */
#define RETRY_FIRST_MS 5
#define RETRY_MAX_MS   100

/* In the runtime directory, for the next run of the service. */
#define VERSION_FILE     "firecracker.version"
#define VERSION_SIZE_MAX 64

#define LAST_WORDS_MAX 300
/* From a lost connection to the end of the process. */
#define END_GRACE_MS 300

/* Of the supervisor. */
#define EXIT_SETUP_FAILED 125
#define EXIT_EXEC_FAILED  127

struct _VmsanFcMonitor
{
  VmsanMonitor parent;

  char *runtime_dir;
  int runtime_dir_fd;
  int run_fd; /* the jail's /run */
  uid_t uid;  /* whose that is */
  VmsanFcApi *api;
  VmsanFcVersion version;
  gboolean restored; /* its machine goes on from a snapshot, and is paused until then */
};

G_DEFINE_FINAL_TYPE (VmsanFcMonitor, vmsan_fc_monitor, VMSAN_TYPE_MONITOR)

static gboolean
open_api (VmsanFcMonitor *self, GError **error)
{
  self->api = vmsan_fc_api_open (self->run_fd, VMSAN_FC_API_SOCKET, error);
  return self->api != NULL;
}

/* ---- Verbs --------------------------------------------------------------------------------- */

static void
on_called (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = vmsan_fc_api_send_finish (VMSAN_FC_API (source), result, &error);

  if (answer != NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

/* Consumes @request. */
static void
call (VmsanMonitor *monitor,
      VmsanFcRequest *request,
      guint deadline_ms,
      GCancellable *cancellable,
      GAsyncReadyCallback callback,
      gpointer user_data)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (monitor);
  g_autoptr (VmsanFcRequest) owned = request;
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  vmsan_fc_api_send_async (self->api, request, deadline_ms, cancellable, on_called, task);
}

static gboolean
call_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, monitor), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
vmsan_fc_monitor_boot_async (VmsanMonitor *monitor,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (monitor);
  VmsanFcRequest *request = self->restored ? vmsan_fc_request_new_set_paused (FALSE)
                                           : vmsan_fc_request_new_action (VMSAN_FC_START);

  call (monitor, request, CALL_DEADLINE_MS, cancellable, callback, user_data);
}

static void
vmsan_fc_monitor_pause_async (VmsanMonitor *monitor,
                              gboolean paused,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (monitor);

  if (paused && vmsan_fc_version_loses_vsock (&self->version))
    {
      g_task_report_new_error (
          self, callback, user_data, vmsan_fc_monitor_pause_async, VMSAN_ERROR,
          VMSAN_ERROR_NOT_SUPPORTED,
          "A machine of Firecracker %u.%u.%u that was paused cannot be reached "
          "any more when it goes on, so it is not paused; install a later "
          "release",
          self->version.major, self->version.minor, self->version.patch);
      return;
    }
  call (monitor, vmsan_fc_request_new_set_paused (paused), CALL_DEADLINE_MS, cancellable, callback,
        user_data);
}

static void
vmsan_fc_monitor_power_button_async (VmsanMonitor *monitor,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data)
{
  call (monitor, vmsan_fc_request_new_action (VMSAN_FC_CTRL_ALT_DEL), CALL_DEADLINE_MS, cancellable,
        callback, user_data);
}

static void
vmsan_fc_monitor_snapshot_async (VmsanMonitor *monitor,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  GError *error = NULL;
  VmsanFcRequest *request =
      vmsan_fc_request_new_snapshot_create (VMSAN_FC_SNAPSHOT_PATH VMSAN_SNAPSHOT_STATE,
                                            VMSAN_FC_SNAPSHOT_PATH VMSAN_SNAPSHOT_MEMORY, FALSE,
                                            &error);

  if (request != NULL)
    call (monitor, request, SNAPSHOT_DEADLINE_MS, cancellable, callback, user_data);
  else
    g_task_report_error (monitor, callback, user_data, vmsan_fc_monitor_snapshot_async, error);
}

static gboolean
vmsan_fc_monitor_snapshot_finish (VmsanMonitor *monitor,
                                  GAsyncResult *result,
                                  VmsanSnapshotMeta *meta,
                                  GError **error)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (monitor);

  if (!call_finish (monitor, result, error))
    return FALSE;
  meta->driver = g_strdup ("firecracker");
  meta->version =
      g_strdup_printf ("%u.%u.%u", self->version.major, self->version.minor, self->version.patch);
  meta->format = vmsan_fc_version_get_snapshot_format (&self->version);
  return TRUE;
}

static guint
vmsan_fc_monitor_shutdown_action (VmsanMonitor *monitor)
{
  return VMSAN_SHUTDOWN_REBOOT;
}

/* ---- Streams ------------------------------------------------------------------------------- */

typedef struct
{
  guint delay_ms;
  gint64 deadline_us; /* monotonic */
  GSource *again;
} Connecting;

static void
connecting_free (Connecting *self)
{
  vmsan_source_clear (&self->again);
  g_free (self);
}

static void try_connecting (GTask *task);

static gboolean
on_again (gpointer user_data)
{
  try_connecting (user_data);
  return G_SOURCE_REMOVE;
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  Connecting *connecting = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  int fd = vmsan_fc_vsock_connect_finish (result, &error);

  if (fd >= 0)
    {
      g_task_return_int (task, fd);
      return;
    }
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND) ||
      vmsan_process_has_ended (vmsan_monitor_get_process (VMSAN_MONITOR (self))))
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  if (g_get_monotonic_time () >= connecting->deadline_us)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                               "The guest's agent did not answer in time: %s", error->message);
      return;
    }
  vmsan_source_clear (&connecting->again);
  connecting->again = g_timeout_source_new (connecting->delay_ms);
  connecting->delay_ms = MIN (2 * connecting->delay_ms, RETRY_MAX_MS);
  g_source_set_callback (connecting->again, on_again, g_object_ref (task), g_object_unref);
  g_source_attach (connecting->again, g_task_get_context (task));
}

static void
try_connecting (GTask *task)
{
  VmsanFcMonitor *self = g_task_get_source_object (task);

  vmsan_fc_vsock_connect_async (self->run_fd, VMSAN_FC_VSOCK_SOCKET, self->uid, VMSAN_VSOCK_PORT,
                                CONNECT_DEADLINE_MS, g_task_get_cancellable (task), on_connected,
                                g_object_ref (task));
}

/* A stream is a connection, and the handshake says which session it is for. */
static void
vmsan_fc_monitor_connect_async (VmsanMonitor *monitor,
                                guint stream,
                                guint deadline_ms,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (monitor, cancellable, callback, user_data);
  Connecting *connecting = g_new0 (Connecting, 1);

  connecting->delay_ms = RETRY_FIRST_MS;
  connecting->deadline_us = g_get_monotonic_time () + deadline_ms * G_GINT64_CONSTANT (1000);
  g_task_set_check_cancellable (task, FALSE); /* a descriptor that is there must not be lost */
  g_task_set_task_data (task, connecting, (GDestroyNotify) connecting_free);
  try_connecting (task);
}

static int
vmsan_fc_monitor_connect_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, monitor), -1);
  return g_task_propagate_int (G_TASK (result), error);
}

/* ---- The end ------------------------------------------------------------------------------- */

const char *
vmsan_fc_monitor_explain_exit (int exit_code)
{
  switch (exit_code)
    {
    case 0:
      return "the machine ended";
    case 1:
      return "an error of its own";
    case 148:
      return "it made a system call that its seccomp filter forbids";
    case 149:
      return "it could not reach memory that it has mapped (SIGBUS); the disk may be full";
    case 150:
      return "it used memory that it does not have (SIGSEGV)";
    case 151:
      return "a file would have become larger than it may (SIGXFSZ)";
    case 152:
      return "its configuration is wrong";
    case 153:
      return "its arguments are wrong";
    case 157:
      return "the processor does not know an instruction of it (SIGILL)";
    case EXIT_SETUP_FAILED:
    case EXIT_EXEC_FAILED:
      return "its jailer could not be started";
    default:
      return NULL;
    }
}

static char *
vmsan_fc_monitor_describe_exit (VmsanMonitor *monitor, int wait_status)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (monitor);
  const char *meaning;
  int exit_code;

  vmsan_console_log_read_status (self->runtime_dir_fd, VMSAN_FC_STATUS_FILE, &wait_status, NULL);
  if (wait_status < 0)
    return g_strdup ("Firecracker was killed together with its supervisor; by what is not known");
  if (WIFSIGNALED (wait_status))
    return g_strdup_printf ("Firecracker was killed by signal %d (%s)%s", WTERMSIG (wait_status),
                            g_strsignal (WTERMSIG (wait_status)),
                            WTERMSIG (wait_status) == SIGKILL
                                ? ": somebody ended it, or its memory limit was exceeded"
                                : "");
  exit_code = WEXITSTATUS (wait_status);
  meaning = vmsan_fc_monitor_explain_exit (exit_code);
  if (exit_code == 0)
    return g_strdup ("The machine ended (exit code 0)");
  return g_strdup_printf ("Firecracker failed with exit code %d%s%s; its last words are in the "
                          "console log",
                          exit_code, meaning != NULL ? ": " : "", meaning != NULL ? meaning : "");
}

/* ---- Setting up ---------------------------------------------------------------------------- */

typedef struct
{
  VmsanVmmSpec *spec;
  GCancellable *stop; /* of all that is under way */
  GSource *caller;    /* nullable; cancels the above when the caller cancels */
  guint n_pending;
  GError *error;  /* the first */
  GSource *grace; /* until it is killed */
  gboolean killed;
} SetUp;

static void
set_up_free (SetUp *self)
{
  vmsan_source_clear (&self->caller);
  vmsan_source_clear (&self->grace);
  vmsan_vmm_spec_free (self->spec);
  g_object_unref (self->stop);
  g_clear_error (&self->error);
  g_free (self);
}

/* What Firecracker or the jailer printed last, for a message. */
static char *
read_last_words (VmsanFcMonitor *self)
{
  g_autofree char *tail = vmsan_console_log_read_tail (self->runtime_dir_fd, VMSAN_VMM_CONSOLE_FILE,
                                                       LAST_WORDS_MAX, NULL, NULL);
  g_autofree char *valid = g_utf8_make_valid (tail != NULL ? tail : "", -1);

  for (char *p = valid; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      *p = ' ';
  return g_strdup (g_strstrip (valid));
}

static void
on_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  SetUp *set_up = g_task_get_task_data (task);

  vmsan_process_wait_finish (VMSAN_PROCESS (source), result, NULL, NULL);
  vmsan_source_clear (&set_up->grace);
  if (!set_up->killed)
    {
      g_autofree char *words = read_last_words (self);

      g_clear_error (&set_up->error);
      set_up->error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                                   "Firecracker ended before its machine was made%s%s",
                                   *words != '\0' ? "; its last words: " : "", words);
    }
  g_task_return_error (task, g_steal_pointer (&set_up->error));
}

static gboolean
on_grace_over (gpointer user_data)
{
  GTask *task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  SetUp *set_up = g_task_get_task_data (task);

  set_up->killed = TRUE;
  vmsan_process_kill (vmsan_monitor_get_process (VMSAN_MONITOR (self)), SIGKILL, NULL);
  return G_SOURCE_REMOVE;
}

/* Nothing is under way any more. One that is about to end by itself may do so: why it ended says
 * more than that a call was not answered. */
static void
give_up (VmsanFcMonitor *self, GTask *task)
{
  SetUp *set_up = g_task_get_task_data (task);

  g_cancellable_cancel (set_up->stop);
  set_up->grace = g_timeout_source_new (END_GRACE_MS);
  g_source_set_callback (set_up->grace, on_grace_over, task, NULL);
  g_source_attach (set_up->grace, g_task_get_context (task));
  vmsan_process_wait_async (vmsan_monitor_get_process (VMSAN_MONITOR (self)), NULL, on_ended,
                            g_object_ref (task));
}

/* Consumes @error, which is kept when it is the first. */
static void
note_failure (SetUp *set_up, GError *error)
{
  if (set_up->error == NULL)
    set_up->error = error;
  else
    g_error_free (error);
  g_cancellable_cancel (set_up->stop);
}

static void
on_configured (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  SetUp *set_up = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = vmsan_fc_api_send_finish (VMSAN_FC_API (source), result, &error);

  if (answer == NULL)
    note_failure (set_up, g_steal_pointer (&error));
  if (--set_up->n_pending > 0)
    return;
  if (set_up->error != NULL)
    {
      give_up (self, task);
      return;
    }
  g_cancellable_cancel (set_up->stop); /* who waits for an early end need not any more */
  g_task_return_boolean (task, TRUE);
}

/* All at once: they wait in the connection's queue, so that Firecracker never waits for us. */
static void
configure (VmsanFcMonitor *self, GTask *task)
{
  SetUp *set_up = g_task_get_task_data (task);
  g_autoptr (GPtrArray) requests =
      vmsan_fc_setup_build (set_up->spec, &self->version, &set_up->error);

  if (requests == NULL)
    {
      give_up (self, task);
      return;
    }
  set_up->n_pending = requests->len;
  for (guint i = 0; i < requests->len; i++)
    vmsan_fc_api_send_async (self->api, g_ptr_array_index (requests, i), CALL_DEADLINE_MS,
                             set_up->stop, on_configured, g_object_ref (task));
}

static gboolean
note_version (VmsanFcMonitor *self, GError **error)
{
  g_autofree char *text =
      g_strdup_printf ("%u.%u.%u", self->version.major, self->version.minor, self->version.patch);

  return vmsan_fd_write_file_at (self->runtime_dir_fd, VERSION_FILE, text, strlen (text), 0600,
                                 error);
}

static void
on_version (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  SetUp *set_up = g_task_get_task_data (task);

  if (vmsan_fc_api_ask_version_finish (VMSAN_FC_API (source), result, &self->version,
                                       &set_up->error) &&
      note_version (self, &set_up->error))
    configure (self, task);
  else
    give_up (self, task);
}

static void
on_api_there (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcMonitor *self = g_task_get_source_object (task);
  SetUp *set_up = g_task_get_task_data (task);
  vmsan_autofd int fd = vmsan_fc_socket_wait_finish (result, &set_up->error);

  if (fd < 0 || !open_api (self, &set_up->error))
    {
      give_up (self, task);
      return;
    }
  vmsan_fc_api_ask_version_async (self->api, CALL_DEADLINE_MS, set_up->stop, on_version,
                                  g_object_ref (task));
}

/* Whatever is under way then fails. */
static void
on_ended_early (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  SetUp *set_up = g_task_get_task_data (task);

  if (vmsan_process_wait_finish (VMSAN_PROCESS (source), result, NULL, NULL))
    g_cancellable_cancel (set_up->stop);
}

static gboolean
on_caller_cancelled (GCancellable *caller, gpointer stop)
{
  g_cancellable_cancel (stop);
  return G_SOURCE_REMOVE;
}

void
vmsan_fc_monitor_set_up_async (VmsanFcMonitor *self,
                               const VmsanVmmSpec *spec,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  SetUp *set_up = g_new0 (SetUp, 1);

  self->restored = spec->state_fd > 0;
  set_up->spec = vmsan_vmm_spec_copy (spec);
  set_up->stop = g_cancellable_new ();
  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, set_up, (GDestroyNotify) set_up_free);
  if (cancellable != NULL)
    {
      set_up->caller = g_cancellable_source_new (cancellable);
      g_source_set_callback (set_up->caller, G_SOURCE_FUNC (on_caller_cancelled),
                             g_object_ref (set_up->stop), g_object_unref);
      g_source_attach (set_up->caller, g_task_get_context (task));
    }
  vmsan_process_wait_async (vmsan_monitor_get_process (VMSAN_MONITOR (self)), set_up->stop,
                            on_ended_early, g_object_ref (task));
  self->uid = spec->uid;
  self->run_fd = vmsan_fc_jail_open_run (vmsan_monitor_get_process (VMSAN_MONITOR (self)), spec->id,
                                         &set_up->error);
  if (self->run_fd < 0)
    give_up (self, task); /* it may have ended at once, and then is asked why */
  else
    vmsan_fc_socket_wait_async (self->run_fd, VMSAN_FC_API_SOCKET, self->uid, API_DEADLINE_MS,
                                set_up->stop, on_api_there, g_object_ref (task));
}

gboolean
vmsan_fc_monitor_set_up_finish (VmsanFcMonitor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
open_run (VmsanFcMonitor *self, GError **error)
{
  g_autofree char *id = g_path_get_basename (self->runtime_dir);
  struct stat st;

  self->run_fd =
      vmsan_fc_jail_open_run (vmsan_monitor_get_process (VMSAN_MONITOR (self)), id, error);
  if (self->run_fd < 0)
    return FALSE;
  if (fstat (self->run_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Cannot examine the jail's /run");
  /* Only the jailer can have given it to somebody. */
  self->uid = st.st_uid;
  return TRUE;
}

gboolean
vmsan_fc_monitor_reconnect (VmsanFcMonitor *self, GError **error)
{
  g_autofree char *text =
      vmsan_fd_read_file_at (self->runtime_dir_fd, VERSION_FILE, VERSION_SIZE_MAX, NULL, error);
  vmsan_autofd int fd = -1;

  if (text == NULL || !vmsan_fc_version_parse (text, &self->version, error) ||
      !open_run (self, error))
    return FALSE;
  fd = vmsan_fc_socket_connect (self->run_fd, VMSAN_FC_API_SOCKET, self->uid, error);
  return fd >= 0 && open_api (self, error);
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_fc_monitor_finalize (GObject *object)
{
  VmsanFcMonitor *self = VMSAN_FC_MONITOR (object);

  g_clear_object (&self->api);
  vmsan_fd_close (&self->runtime_dir_fd);
  vmsan_fd_close (&self->run_fd);
  g_free (self->runtime_dir);
  G_OBJECT_CLASS (vmsan_fc_monitor_parent_class)->finalize (object);
}

static void
vmsan_fc_monitor_class_init (VmsanFcMonitorClass *klass)
{
  VmsanMonitorClass *monitor_class = VMSAN_MONITOR_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = vmsan_fc_monitor_finalize;
  monitor_class->boot_async = vmsan_fc_monitor_boot_async;
  monitor_class->boot_finish = call_finish;
  monitor_class->pause_async = vmsan_fc_monitor_pause_async;
  monitor_class->pause_finish = call_finish;
  monitor_class->connect_async = vmsan_fc_monitor_connect_async;
  monitor_class->connect_finish = vmsan_fc_monitor_connect_finish;
  monitor_class->power_button_async = vmsan_fc_monitor_power_button_async;
  monitor_class->power_button_finish = call_finish;
  monitor_class->snapshot_async = vmsan_fc_monitor_snapshot_async;
  monitor_class->snapshot_finish = vmsan_fc_monitor_snapshot_finish;
  monitor_class->describe_exit = vmsan_fc_monitor_describe_exit;
  monitor_class->shutdown_action = vmsan_fc_monitor_shutdown_action;
}

static void
vmsan_fc_monitor_init (VmsanFcMonitor *self)
{
  self->runtime_dir_fd = -1;
  self->run_fd = -1;
}

VmsanFcMonitor *
vmsan_fc_monitor_new (const char *runtime_dir, VmsanProcess *process, GError **error)
{
  g_autoptr (VmsanFcMonitor) self = g_object_new (VMSAN_TYPE_FC_MONITOR, NULL);

  self->runtime_dir = g_strdup (runtime_dir);
  self->runtime_dir_fd = open (runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->runtime_dir_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot open %s", runtime_dir);
      return NULL;
    }
  vmsan_monitor_set_process (VMSAN_MONITOR (self), process);
  vmsan_monitor_set_acceleration (VMSAN_MONITOR (self), "kvm");
  return g_steal_pointer (&self);
}
