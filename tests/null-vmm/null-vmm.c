/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: spawns, boots, dies and is adopted like a real driver, and fails when ordered to. */

#include "null-vmm.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/monitor-socket.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define STATUS_FILE  "status"
#define AGENT_SOCKET "agent.sock"
#define STATUS_FD    3
#define READY_FD     4
#define AGENT_FD     5

struct _VmsanNullVmm
{
  VmsanVmm parent;

  char *monitor_path;
  char *orders_path; /* nullable */
};

G_DEFINE_TYPE (VmsanNullVmm, vmsan_null_vmm, VMSAN_TYPE_VMM)

#define NULL_TYPE_ELF_VMM (null_elf_vmm_get_type ())
G_DECLARE_FINAL_TYPE (NullElfVmm, null_elf_vmm, NULL, ELF_VMM, VmsanNullVmm)

struct _NullElfVmm
{
  VmsanNullVmm parent;
};

G_DEFINE_FINAL_TYPE (NullElfVmm, null_elf_vmm, VMSAN_TYPE_NULL_VMM)

#define NULL_TYPE_MONITOR (null_monitor_get_type ())
G_DECLARE_FINAL_TYPE (NullMonitor, null_monitor, NULL, MONITOR, VmsanMonitor)

struct _NullMonitor
{
  VmsanMonitor parent;

  char *runtime_dir;
  char *orders_path; /* nullable */
  gboolean has_agent;
  GArray *silent_peers; /* our ends of streams on which nobody answers */
};

G_DEFINE_FINAL_TYPE (NullMonitor, null_monitor, VMSAN_TYPE_MONITOR)

/* ---- Orders -------------------------------------------------------------------------------- */

static GKeyFile *
orders_read (const char *path)
{
  g_autoptr (GKeyFile) orders = g_key_file_new ();

  if (path != NULL)
    g_key_file_load_from_file (orders, path, G_KEY_FILE_NONE, NULL);
  return g_steal_pointer (&orders);
}

static gboolean
orders_has (GKeyFile *orders, const char *key, const char *operation)
{
  g_auto (GStrv) list = g_key_file_get_string_list (orders, "null", key, NULL, NULL);

  return list != NULL && g_strv_contains ((const char *const *) list, operation);
}

static gboolean
task_was_cancelled (GCancellable *cancellable, gpointer user_data)
{
  g_task_return_error_if_cancelled (G_TASK (user_data));
  return G_SOURCE_REMOVE;
}

/* TRUE when the task has been dealt with: it failed, or hangs until it is cancelled. */
static gboolean
orders_apply (const char *path, const char *operation, GTask *task)
{
  g_autoptr (GKeyFile) orders = orders_read (path);
  g_autoptr (GSource) source = NULL;

  if (g_task_return_error_if_cancelled (task))
    return TRUE;
  if (orders_has (orders, "fail", operation))
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                               "The null driver was ordered to fail in %s", operation);
      return TRUE;
    }
  if (!orders_has (orders, "hang", operation))
    return FALSE;
  /* The source keeps the task; without a cancellable it never fires. */
  source = g_cancellable_source_new (g_task_get_cancellable (task));
  g_task_attach_source (task, source, G_SOURCE_FUNC (task_was_cancelled));
  return TRUE;
}

/* ---- Monitor ------------------------------------------------------------------------------- */

static NullMonitor *
null_monitor_new (VmsanNullVmm *vmm, const char *runtime_dir, VmsanProcess *process)
{
  g_autofree char *socket_path = g_build_filename (runtime_dir, AGENT_SOCKET, NULL);
  NullMonitor *self = g_object_new (NULL_TYPE_MONITOR, NULL);

  self->runtime_dir = g_strdup (runtime_dir);
  self->orders_path = g_strdup (vmm->orders_path);
  self->has_agent = g_file_test (socket_path, G_FILE_TEST_EXISTS);
  vmsan_monitor_set_process (VMSAN_MONITOR (self), process);
  vmsan_monitor_set_acceleration (VMSAN_MONITOR (self), "emulation");
  return self;
}

static gboolean
signal_process (NullMonitor *self, int signal_number, GTask *task)
{
  VmsanProcess *process = vmsan_monitor_get_process (VMSAN_MONITOR (self));
  g_autoptr (GError) error = NULL;

  if (vmsan_process_has_ended (process))
    g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                             "The null monitor has ended");
  else if (signal_number != 0 && !vmsan_process_kill (process, signal_number, &error))
    g_task_return_error (task, g_steal_pointer (&error));
  else
    g_task_return_boolean (task, TRUE);
  return TRUE;
}

static void
run_verb (VmsanMonitor *monitor,
          const char *operation,
          int signal_number,
          GCancellable *cancellable,
          GAsyncReadyCallback callback,
          gpointer user_data)
{
  NullMonitor *self = NULL_MONITOR (monitor);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  if (!orders_apply (self->orders_path, operation, task))
    signal_process (self, signal_number, task);
}

static gboolean
verb_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
null_monitor_boot_async (VmsanMonitor *monitor,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  run_verb (monitor, "boot", 0, cancellable, callback, user_data);
}

static void
null_monitor_pause_async (VmsanMonitor *monitor,
                          gboolean paused,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  run_verb (monitor, "pause", paused ? SIGUSR1 : SIGUSR2, cancellable, callback, user_data);
}

static void
null_monitor_power_button_async (VmsanMonitor *monitor,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  run_verb (monitor, "power-button", SIGTERM, cancellable, callback, user_data);
}

/* A stream on which nobody listens: what is written waits. */
static int
connect_to_nobody (NullMonitor *self, GError **error)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
    {
      vmsan_error_set_errno (error, errno, "The null driver cannot make a stream");
      return -1;
    }
  g_array_append_val (self->silent_peers, pair[1]);
  return pair[0];
}

static void
null_monitor_connect_async (VmsanMonitor *monitor,
                            guint stream,
                            guint deadline_ms,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  NullMonitor *self = NULL_MONITOR (monitor);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (GError) error = NULL;
  int fd;

  g_task_set_check_cancellable (task, FALSE); /* a descriptor that is there must not be lost */
  if (orders_apply (self->orders_path, "connect", task))
    return;
  fd = self->has_agent ? vmsan_monitor_socket_connect (self->runtime_dir, AGENT_SOCKET, &error)
                       : connect_to_nobody (self, &error);
  if (fd >= 0)
    g_task_return_int (task, fd);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static int
null_monitor_connect_finish (VmsanMonitor *monitor, GAsyncResult *result, GError **error)
{
  return g_task_propagate_int (G_TASK (result), error);
}

static char *
null_monitor_describe_exit (VmsanMonitor *monitor, int wait_status)
{
  NullMonitor *self = NULL_MONITOR (monitor);
  g_autofree char *path = g_build_filename (self->runtime_dir, STATUS_FILE, NULL);
  g_autofree char *status = NULL;
  int exit_code;

  if (wait_status < 0 && g_file_get_contents (path, &status, NULL, NULL) &&
      sscanf (status, "exit %d", &exit_code) == 1)
    wait_status = W_EXITCODE (exit_code, 0);
  return VMSAN_MONITOR_CLASS (null_monitor_parent_class)->describe_exit (monitor, wait_status);
}

static void
null_monitor_finalize (GObject *object)
{
  NullMonitor *self = NULL_MONITOR (object);

  for (guint i = 0; i < self->silent_peers->len; i++)
    close (g_array_index (self->silent_peers, int, i));
  g_array_unref (self->silent_peers);
  g_free (self->runtime_dir);
  g_free (self->orders_path);
  G_OBJECT_CLASS (null_monitor_parent_class)->finalize (object);
}

static void
null_monitor_class_init (NullMonitorClass *klass)
{
  VmsanMonitorClass *monitor_class = VMSAN_MONITOR_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = null_monitor_finalize;
  monitor_class->boot_async = null_monitor_boot_async;
  monitor_class->boot_finish = verb_finish;
  monitor_class->pause_async = null_monitor_pause_async;
  monitor_class->pause_finish = verb_finish;
  monitor_class->power_button_async = null_monitor_power_button_async;
  monitor_class->power_button_finish = verb_finish;
  monitor_class->connect_async = null_monitor_connect_async;
  monitor_class->connect_finish = null_monitor_connect_finish;
  monitor_class->describe_exit = null_monitor_describe_exit;
}

static void
null_monitor_init (NullMonitor *self)
{
  self->silent_peers = g_array_new (FALSE, FALSE, sizeof (int));
}

/* ---- Spawn --------------------------------------------------------------------------------- */

/* What the worker needs of the spec, which is only lent. */
typedef struct
{
  char *runtime_dir;
  int runtime_dir_fd;
  uid_t uid;
  VmsanCgroup *cgroup;
  char *monitor_path;
  char *agent_path; /* nullable */
  GPtrArray *argv;
} SpawnData;

static void
spawn_data_free (SpawnData *data)
{
  g_free (data->runtime_dir);
  vmsan_fd_close (&data->runtime_dir_fd);
  vmsan_cgroup_unref (data->cgroup);
  g_free (data->monitor_path);
  g_free (data->agent_path);
  g_ptr_array_unref (data->argv);
  g_free (data);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (SpawnData, spawn_data_free)

static void
add_argument (GPtrArray *argv, GKeyFile *orders, const char *key)
{
  g_autofree char *value = g_key_file_get_string (orders, "null", key, NULL);

  if (value != NULL)
    g_ptr_array_add (argv, g_strdup_printf ("--%s=%s", key, value));
}

static SpawnData *
spawn_data_new (VmsanNullVmm *vmm, const VmsanVmmSpec *spec)
{
  g_autoptr (GKeyFile) orders = orders_read (vmm->orders_path);
  SpawnData *data = g_new0 (SpawnData, 1);

  data->runtime_dir = g_strdup (spec->runtime_dir);
  data->runtime_dir_fd = fcntl (spec->runtime_dir_fd, F_DUPFD_CLOEXEC, 3);
  data->uid = spec->uid;
  data->cgroup = vmsan_cgroup_ref (spec->cgroup);
  data->monitor_path = g_strdup (vmm->monitor_path);
  data->agent_path = g_key_file_get_string (orders, "null", "agent", NULL);
  data->argv = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (data->argv, g_strdup ("/null-monitor"));
  add_argument (data->argv, orders, "die-after-ms");
  add_argument (data->argv, orders, "exit-code");
  if (data->agent_path != NULL)
    {
      g_ptr_array_add (data->argv, g_strdup ("--"));
      g_ptr_array_add (data->argv, g_strdup ("/agent"));
      g_ptr_array_add (data->argv, g_strdup ("--host-socket=fd:" G_STRINGIFY (AGENT_FD)));
    }
  g_ptr_array_add (data->argv, NULL);
  return data;
}

static VmsanProcess *
spawn_process (
    const SpawnData *data, int exec_fd, int status_fd, int ready_fd, int agent_fd, GError **error)
{
  const VmsanBind binds[] = {
    { .source = data->agent_path, .source_fd = -1, .target = "/agent" },
    { .source = "/usr", .source_fd = -1, .target = "/usr" },
    { .source = "/bin", .source_fd = -1, .target = "/bin" },
    { .source = "/lib", .source_fd = -1, .target = "/lib" },
    { .source = "/lib64", .source_fd = -1, .target = "/lib64", .optional = TRUE },
    { .source = "/etc", .source_fd = -1, .target = "/etc" },
    { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
    { .source = "/dev/urandom", .source_fd = -1, .target = "/dev/urandom", .device = TRUE },
  };
  const VmsanSpawnFd fds[] = {
    { status_fd, STATUS_FD },
    { ready_fd, READY_FD },
    { agent_fd, AGENT_FD },
  };
  const VmsanSpawnSpec spec = {
    .argv = (const char *const *) data->argv->pdata,
    .exec_fd = exec_fd,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS,
    .uid = data->uid,
    .gid = data->uid,
    .cgroup = data->cgroup,
    .root_binds = binds,
    .n_root_binds = data->agent_path != NULL ? G_N_ELEMENTS (binds) : 0,
    .fds = fds,
    .n_fds = agent_fd >= 0 ? 3 : 2,
    .new_session = TRUE,
  };

  return vmsan_process_spawn (&spec, error);
}

/* Returns when the monitor waits for signals, or has died. */
static void
wait_until_ready (int ready_fd)
{
  char byte;

  while (read (ready_fd, &byte, 1) < 0 && errno == EINTR)
    ;
}

static VmsanProcess *
start_monitor (const SpawnData *data, GError **error)
{
  g_autoptr (VmsanProcess) process = NULL;
  vmsan_autofd int exec_fd = open (data->monitor_path, O_RDONLY | O_CLOEXEC);
  vmsan_autofd int status_fd = openat (data->runtime_dir_fd, STATUS_FILE,
                                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  vmsan_autofd int agent_fd = -1;
  vmsan_autofd int ready_read_fd = -1;
  vmsan_autofd int ready_write_fd = -1;
  int ready_fds[2];

  if (exec_fd < 0 || status_fd < 0 || pipe2 (ready_fds, O_CLOEXEC) != 0)
    {
      vmsan_error_set_errno (error, errno, "The null driver cannot open its files");
      return NULL;
    }
  ready_read_fd = ready_fds[0];
  ready_write_fd = ready_fds[1];
  if (data->agent_path != NULL &&
      (agent_fd = vmsan_monitor_socket_listen (data->runtime_dir, AGENT_SOCKET, error)) < 0)
    return NULL;
  process = spawn_process (data, exec_fd, status_fd, ready_write_fd, agent_fd, error);
  vmsan_fd_close (&ready_write_fd);
  if (process != NULL)
    wait_until_ready (ready_read_fd);
  return g_steal_pointer (&process);
}

static void
spawn_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  SpawnData *data = task_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = start_monitor (data, &error);

  if (process == NULL)
    g_task_return_error (task, g_steal_pointer (&error));
  else
    g_task_return_pointer (task, null_monitor_new (source, data->runtime_dir, process),
                           g_object_unref);
}

static gboolean
check_kernel (VmsanVmm *vmm, const VmsanVmmSpec *spec, GError **error)
{
  char magic[4];

  if (!vmsan_vmm_needs_elf_kernel (vmm) ||
      (spec->kernel_is_elf && pread (spec->kernel_fd, magic, sizeof magic, 0) == sizeof magic &&
       memcmp (magic, "\177ELF", sizeof magic) == 0))
    return TRUE;
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                       "The null driver did not get the ELF kernel that it needs");
  return FALSE;
}

static void
vmsan_null_vmm_spawn_async (VmsanVmm *vmm,
                            const VmsanVmmSpec *spec,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  VmsanNullVmm *self = VMSAN_NULL_VMM (vmm);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  GError *error = NULL;

  if (orders_apply (self->orders_path, "spawn", task))
    return;
  if (!check_kernel (vmm, spec, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_task_set_task_data (task, spawn_data_new (self, spec), (GDestroyNotify) spawn_data_free);
  g_task_run_in_thread (task, spawn_in_thread);
}

static VmsanMonitor *
vmsan_null_vmm_spawn_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Driver -------------------------------------------------------------------------------- */

static VmsanMonitor *
vmsan_null_vmm_adopt (VmsanVmm *vmm, const char *runtime_dir, VmsanProcess *process, GError **error)
{
  VmsanNullVmm *self = VMSAN_NULL_VMM (vmm);
  g_autoptr (GKeyFile) orders = orders_read (self->orders_path);

  if (orders_has (orders, "fail", "adopt"))
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                           "The null driver was ordered to fail in adopt");
      return NULL;
    }
  return VMSAN_MONITOR (null_monitor_new (self, runtime_dir, process));
}

static void
vmsan_null_vmm_probe_async (VmsanVmm *vmm,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  VmsanNullVmm *self = VMSAN_NULL_VMM (vmm);
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (GKeyFile) orders = orders_read (self->orders_path);
  VmsanVmmProbe *probe = g_new0 (VmsanVmmProbe, 1);

  probe->available = !orders_has (orders, "fail", "probe") &&
                     (!vmsan_vmm_needs_elf_kernel (vmm) ||
                      g_key_file_get_boolean (orders, "null", "elf-driver", NULL));
  probe->acceleration = "emulation";
  probe->version = g_strdup ("0");
  probe->reason = g_strdup (probe->available ? "" : "The null driver was ordered not to work");
  g_task_return_pointer (task, probe, (GDestroyNotify) vmsan_vmm_probe_free);
}

static VmsanVmmProbe *
vmsan_null_vmm_probe_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
vmsan_null_vmm_finalize (GObject *object)
{
  VmsanNullVmm *self = VMSAN_NULL_VMM (object);

  g_free (self->monitor_path);
  g_free (self->orders_path);
  G_OBJECT_CLASS (vmsan_null_vmm_parent_class)->finalize (object);
}

static void
vmsan_null_vmm_class_init (VmsanNullVmmClass *klass)
{
  VmsanVmmClass *vmm_class = VMSAN_VMM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = vmsan_null_vmm_finalize;
  vmm_class->name = "null";
  vmm_class->probe_async = vmsan_null_vmm_probe_async;
  vmm_class->probe_finish = vmsan_null_vmm_probe_finish;
  vmm_class->spawn_async = vmsan_null_vmm_spawn_async;
  vmm_class->spawn_finish = vmsan_null_vmm_spawn_finish;
  vmm_class->adopt = vmsan_null_vmm_adopt;
}

static void
vmsan_null_vmm_init (VmsanNullVmm *self)
{
}

static void
null_elf_vmm_class_init (NullElfVmmClass *klass)
{
  VMSAN_VMM_CLASS (klass)->name = "null-elf";
  VMSAN_VMM_CLASS (klass)->needs_elf_kernel = TRUE;
}

static void
null_elf_vmm_init (NullElfVmm *self)
{
}

static VmsanVmm *
new_driver (GType type, const char *monitor_path, const char *orders_path)
{
  VmsanNullVmm *self = g_object_new (type, NULL);

  self->monitor_path = g_strdup (monitor_path);
  self->orders_path = g_strdup (orders_path);
  return VMSAN_VMM (self);
}

static VmsanVmm *
new_from_environment (GType type)
{
  const char *monitor_path = g_getenv ("VMSAN_NULL_MONITOR");

  return new_driver (type, monitor_path != NULL ? monitor_path : NULL_MONITOR_PATH,
                     g_getenv ("VMSAN_NULL_ORDERS"));
}

VmsanVmm *
vmsan_null_vmm_new (const char *monitor_path, const char *orders_path)
{
  return new_driver (VMSAN_TYPE_NULL_VMM, monitor_path, orders_path);
}

VmsanVmm *
vmsan_null_vmm_new_from_environment (void)
{
  return new_from_environment (VMSAN_TYPE_NULL_VMM);
}

VmsanVmm *
vmsan_null_elf_vmm_new_from_environment (void)
{
  return new_from_environment (NULL_TYPE_ELF_VMM);
}
