/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: every undo is fine with a step that was never done, half done, or whose result somebody
 * deleted by hand. */

#include "vm/vm-steps.h"

#include "agent/protocol.h"
#include "storage/disk.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <fcntl.h>
#include <sys/random.h>

/* How long members of a cgroup may take to die after SIGKILL: only one stuck in the kernel does. */
#define KILL_DEADLINE_MS 10000

/* Threads of a monitor: vCPUs, its main loop, and workers for disk requests. */
#define PIDS_MAX 160

/* Success is no error. */
static void
return_result (GTask *task, GError *error)
{
  if (error == NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
nothing_to_revert (VmsanVm *vm, GTask *task)
{
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

/* ---- Blocking work in a thread ------------------------------------------------------------- */

/* What a thread may use: it must not touch the machine, which belongs to the main context. */
typedef struct
{
  VmsanManagedRoot *root;
  char *path;
  guint size_mib;
  char *cgroup_parent;
  char *cgroup_name;
} Work;

static void
work_free (Work *work)
{
  vmsan_managed_root_unref (work->root);
  g_free (work->path);
  g_free (work->cgroup_parent);
  g_free (work->cgroup_name);
  g_free (work);
}

static void
on_worked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  g_task_propagate_boolean (G_TASK (result), &error);
  /* Not whenever the thread comes to it: a root that nobody uses is closed here and now. */
  g_task_set_task_data (G_TASK (result), NULL, NULL);
  return_result (task, error);
}

/* The thread gets a task of its own, without the machine: it may be the last to let its task go.
 * Consumes @task. */
static void
run_in_thread (VmsanVm *vm, GTask *task, VmsanManagedRoot *root, char *path, GTaskThreadFunc func)
{
  g_autoptr (GTask) working = g_task_new (NULL, g_task_get_cancellable (task), on_worked, task);
  Work *work = g_new0 (Work, 1);

  work->root = vmsan_managed_root_ref (root);
  work->path = path;
  work->size_mib = vm->record->disk_mib;
  work->cgroup_parent = g_strdup (vm->context->config->cgroup_parent);
  work->cgroup_name = g_strdup (vm->record->id);
  g_task_set_task_data (working, work, (GDestroyNotify) work_free);
  g_task_set_check_cancellable (working, FALSE);
  g_task_run_in_thread (working, func);
}

static void
delete_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  vmsan_managed_root_delete (work->root, work->path, &error);
  return_result (task, error);
}

/* ---- directory, disk ----------------------------------------------------------------------- */

static char *
machine_path (VmsanVm *vm, const char *file)
{
  return g_build_filename ("vms", vm->record->id, file, NULL);
}

static void
apply_directory (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  g_autofree char *path = machine_path (vm, NULL);
  GError *error = NULL;

  vmsan_managed_root_make_dir (vm->context->state_root, path, 0700, &error);
  return_result (task, error);
}

static void
revert_directory (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, task, vm->context->state_root, machine_path (vm, NULL), delete_in_thread);
}

static void
create_disk_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  vmsan_disk_create (work->root, work->path, work->size_mib, cancellable, &error);
  return_result (task, error);
}

static void
apply_disk (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, task, vm->context->state_root, machine_path (vm, "disk"),
                 create_disk_in_thread);
}

static void
revert_disk (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, task, vm->context->state_root, machine_path (vm, "disk"), delete_in_thread);
}

/* ---- runtime directory --------------------------------------------------------------------- */

static void
apply_runtime (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  GError *error = NULL;

  vmsan_managed_root_make_dir (vm->context->runtime_root, vm->record->id, 0700, &error);
  return_result (task, error);
}

static void
revert_runtime (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, task, vm->context->runtime_root, g_strdup (vm->record->id), delete_in_thread);
}

/* ---- cgroup -------------------------------------------------------------------------------- */

static void
apply_cgroup (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  VmsanVmm *vmm = vmsan_vm_find_vmm (vm->context, vm->record->driver);
  VmsanCgroupLimits limits = { .pids_max = PIDS_MAX };
  g_autoptr (VmsanCgroup) cgroup = NULL;
  GError *error = NULL;

  if (vmm == NULL)
    {
      /* A record may be older than the service's idea of drivers. */
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                               "Machine %s needs the driver “%s”, which this service does not have",
                               vm->record->id, vm->record->driver);
      return;
    }
  if (vm->record->weakened & VMSAN_WEAKENED_CGROUP)
    limits.pids_max = 0;
  else
    {
      limits.memory_max_bytes =
          ((guint64) vm->record->memory_mib + vmsan_vmm_get_memory_overhead_mib (vmm)) << 20;
      /* One CPU's worth beside the vCPUs, or the monitor's own threads would starve them. */
      limits.cpu_percent = 100 * (vm->record->vcpus + 1);
    }
  cgroup =
      vmsan_cgroup_create (vm->context->config->cgroup_parent, vm->record->id, &limits, &error);
  return_result (task, error);
}

static void
destroy_cgroup_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  vmsan_cgroup_destroy (work->cgroup_parent, work->cgroup_name, &error);
  return_result (task, error);
}

static void
revert_cgroup (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, task, vm->context->runtime_root, NULL, destroy_cgroup_in_thread);
}

/* ---- network ------------------------------------------------------------------------------- */

static void
on_network_set_up (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  GError *error = NULL;

  vm->network_up = vmsan_net_manager_set_up_finish (VMSAN_NET_MANAGER (source), result, &error);
  if (vm->network_up)
    vmsan_vm_emit_hook (vm, VMSAN_HOOK_NETWORK_AFTER_SETUP, "", vmsan_operation_get_actor (vm));
  return_result (task, error);
}

static void
apply_network (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  const VmsanVmContext *context = vm->context;
  const VmsanVmRecord *record = vm->record;
  g_autoptr (VmsanNetMachine) machine = NULL;
  GError *error = NULL;

  if (!record->network->has_network)
    {
      g_task_return_boolean (task, TRUE);
      return;
    }
  machine = vmsan_vm_describe_network (vm, &error);
  if (machine == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_net_manager_set_up_async (context->networks, machine, on_network_set_up,
                                  g_object_ref (task));
}

static void
on_network_taken_down (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  GError *error = NULL;

  if (vmsan_net_manager_take_down_finish (VMSAN_NET_MANAGER (source), result, &error) &&
      vm->network_up)
    {
      vm->network_up = FALSE;
      vmsan_vm_emit_hook (vm, VMSAN_HOOK_NETWORK_AFTER_TEARDOWN, "",
                          vmsan_operation_get_actor (vm));
    }
  return_result (task, error);
}

static void
revert_network (VmsanVm *vm, GTask *task)
{
  if (vm->record->slot != VMSAN_VM_NO_SLOT)
    vmsan_net_manager_take_down_async (vm->context->networks, vm->record->id, vm->record->slot,
                                       on_network_taken_down, task);
  else
    nothing_to_revert (vm, task);
}

/* ---- monitor ------------------------------------------------------------------------------- */

/* Everything that vmsan_vmm_spawn_async() is given, kept until it is done. */
typedef struct
{
  VmsanVmmSpec spec;
  char *id;
  char *runtime_dir;
  char *kernel_id;
  char *image_id;
  char *agent_path;
  char *disk_path;
  gboolean needs_elf_kernel;
  VmsanContent *image;
  VmsanContent *kernel;
  VmsanContentStore *images;
  VmsanContentStore *kernels;
  VmsanManagedRoot *state_root;
  VmsanManagedRoot *runtime_root;
  VmsanCgroup *cgroup;
  VmsanNetManager *networks; /* NULL for a machine without a network */
  gboolean opens_tap;        /* the driver does it */
} Launch;

static void
launch_free (Launch *self)
{
  if (self->spec.namespace_fd > 0)
    vmsan_fd_close (&self->spec.namespace_fd);
  if (self->spec.tap_fd > 0)
    vmsan_fd_close (&self->spec.tap_fd);
  g_clear_object (&self->networks);
  vmsan_fd_close (&self->spec.runtime_dir_fd);
  vmsan_fd_close (&self->spec.image_fd);
  vmsan_fd_close (&self->spec.disk_fd);
  vmsan_fd_close (&self->spec.kernel_fd);
  vmsan_fd_close (&self->spec.initramfs_fd);
  g_free (self->id);
  g_free (self->runtime_dir);
  g_free (self->kernel_id);
  g_free (self->image_id);
  g_free (self->agent_path);
  g_free (self->disk_path);
  g_clear_pointer (&self->image, vmsan_content_unref);
  g_clear_pointer (&self->kernel, vmsan_content_unref);
  g_clear_object (&self->images);
  g_clear_object (&self->kernels);
  g_clear_pointer (&self->state_root, vmsan_managed_root_unref);
  g_clear_pointer (&self->runtime_root, vmsan_managed_root_unref);
  g_clear_pointer (&self->cgroup, vmsan_cgroup_unref);
  g_free (self);
}

static Launch *
launch_new (VmsanVm *vm, GError **error)
{
  const VmsanVmContext *context = vm->context;
  const VmsanVmRecord *record = vm->record;
  Launch *self = g_new0 (Launch, 1);

  self->spec.runtime_dir_fd = self->spec.image_fd = self->spec.disk_fd = -1;
  self->spec.kernel_fd = self->spec.initramfs_fd = -1;
  self->id = g_strdup (record->id);
  self->runtime_dir =
      g_build_filename (vmsan_managed_root_get_path (context->runtime_root), record->id, NULL);
  self->kernel_id = g_strdup (record->kernel_id);
  self->image_id = g_strdup (record->image_id);
  self->agent_path = g_strdup (context->agent_path);
  self->disk_path = machine_path (vm, "disk");
  self->images = g_object_ref (context->images);
  self->kernels = g_object_ref (context->kernels);
  self->state_root = vmsan_managed_root_ref (context->state_root);
  self->runtime_root = vmsan_managed_root_ref (context->runtime_root);
  if (record->network->has_network)
    self->networks = g_object_ref (context->networks);
  self->opens_tap = vmsan_vmm_opens_tap (vmsan_vm_find_vmm (context, record->driver));
  self->spec.mac = record->network->has_network ? VMSAN_NET_GUEST_MAC : NULL;
  self->spec.id = self->id;
  self->spec.runtime_dir = self->runtime_dir;
  self->spec.vcpus = record->vcpus;
  self->spec.memory_mib = record->memory_mib;
  self->spec.uid = record->uid;
  self->spec.weakened = record->weakened;
  self->spec.console_max_bytes = (guint64) context->config->console_max_kib << 10;

  self->image = vmsan_content_store_find (context->images, record->image_id, error);
  if (self->image != NULL)
    self->kernel = vmsan_content_store_find (context->kernels, record->kernel_id, error);
  if (self->kernel != NULL)
    self->cgroup = vmsan_cgroup_open (context->config->cgroup_parent, record->id, error);
  if (self->cgroup == NULL)
    {
      launch_free (self);
      return NULL;
    }
  self->spec.image_format = self->image->format;
  self->needs_elf_kernel = vmsan_vmm_needs_elf_kernel (vmsan_vm_find_vmm (context, record->driver));
  self->spec.kernel_is_elf = self->needs_elf_kernel || g_str_equal (self->kernel->format, "elf");
  self->spec.cgroup = self->cgroup;
  return self;
}

/* Opens all files; packing an initramfs may take a moment, so in a thread. */
static void
open_files_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Launch *self = data;
  VmsanVmmSpec *spec = &self->spec;
  GError *error = NULL;

  spec->runtime_dir_fd =
      vmsan_managed_root_open_at (self->runtime_root, self->id, O_RDONLY | O_DIRECTORY, 0, &error);
  if (error == NULL)
    spec->image_fd = vmsan_content_store_open_content (self->images, self->image_id, &error);
  if (error == NULL)
    spec->disk_fd =
        vmsan_managed_root_open_at (self->state_root, self->disk_path, O_RDWR, 0, &error);
  if (error == NULL)
    spec->kernel_fd =
        self->needs_elf_kernel
            ? vmsan_content_store_open_elf (self->kernels, self->kernel_id, &error)
            : vmsan_content_store_open_content (self->kernels, self->kernel_id, &error);
  if (error == NULL)
    spec->initramfs_fd = vmsan_content_store_open_initramfs (self->kernels, self->kernel_id,
                                                             self->agent_path, &error);
  if (error == NULL && self->networks != NULL)
    vmsan_net_manager_open (self->networks, self->id, &spec->namespace_fd,
                            self->opens_tap ? NULL : &spec->tap_fd, &error);
  return_result (task, error);
}

static void
on_spawned (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  VmsanVmRecord *draft = vmsan_operation_get_draft (vm);
  VmsanMonitor *monitor;
  VmsanProcess *process;
  GError *error = NULL;

  monitor = vmsan_vmm_spawn_finish (VMSAN_VMM (source), result, &error);
  if (monitor == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  process = vmsan_monitor_get_process (monitor);
  draft->pid = vmsan_process_get_pid (process);
  draft->start_time = vmsan_process_get_start_time (process);
  vmsan_vm_record_set_text (&draft->acceleration, vmsan_monitor_get_acceleration (monitor));
  vmsan_vm_record_set_text (&draft->boot_id, vm->context->boot_id);
  vmsan_vm_take_monitor (vm, monitor);
  g_task_return_boolean (task, TRUE);
}

static void
on_files_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  Launch *launch = g_task_get_task_data (task);
  VmsanVmm *vmm = vmsan_vm_find_vmm (vm->context, vm->record->driver);
  GCancellable *cancellable = g_task_get_cancellable (task);
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_vmm_spawn_async (vmm, &launch->spec, cancellable, on_spawned, g_steal_pointer (&task));
}

static void
apply_monitor (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  g_autoptr (GTask) opening = NULL;
  VmsanVmRecord *draft = vmsan_operation_get_draft (vm);
  Launch *launch;
  GError *error = NULL;

  if (getrandom (draft->token, sizeof draft->token, 0) != sizeof draft->token)
    {
      vmsan_error_set_errno (&error, errno, "No random numbers");
      g_task_return_error (task, error);
      return;
    }
  launch = launch_new (vm, &error);
  if (launch == NULL)
    {
      g_prefix_error (&error, "Starting machine %s: ", vm->record->id);
      g_task_return_error (task, error);
      return;
    }
  g_task_set_task_data (task, launch, (GDestroyNotify) launch_free);

  opening = g_task_new (NULL, NULL, on_files_opened, g_steal_pointer (&owned));
  g_task_set_task_data (opening, launch, NULL);
  g_task_run_in_thread (opening, open_files_in_thread);
}

static void
kill_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;
  g_autoptr (VmsanCgroup) cgroup =
      vmsan_cgroup_open (work->cgroup_parent, work->cgroup_name, &error);

  if (cgroup != NULL)
    vmsan_cgroup_kill (cgroup, KILL_DEADLINE_MS, &error);
  else if (g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    g_clear_error (&error);
  return_result (task, error);
}

static void
on_killed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = VMSAN_VM (source);
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_vm_drop_monitor (vm);
  vmsan_vm_record_clear_run (vmsan_operation_get_draft (vm));
  g_task_return_boolean (task, TRUE);
}

static void
revert_monitor (VmsanVm *vm, GTask *task)
{
  run_in_thread (vm, g_task_new (vm, NULL, on_killed, task), vm->context->runtime_root, NULL,
                 kill_in_thread);
}

/* ---- guest --------------------------------------------------------------------------------- */

/* How long the end of a monitor may lag behind the end of its sockets. */
#define EXIT_LAG_MS 1000

#define LAST_WORDS_BYTES 400

typedef struct
{
  GTask *task;
  GError *error;
  GCancellable *waiting;
  GSource *deadline;
} BootFailure;

/* The console goes with the machine, so its end is told with the error, but to the caller only. */
static void
tell_last_words (VmsanVm *vm)
{
  g_autofree char *console = vmsan_vm_read_console (vm, LAST_WORDS_BYTES);

  if (console == NULL || g_strstrip (console)[0] == '\0')
    return;
  g_strdelimit (console, "\n\t", ' ');
  vmsan_operation_tell_caller (vm, g_strdup_printf ("the console ends with “%s”", console));
}

static void
on_boot_failure_settled (GObject *source, GAsyncResult *result, gpointer user_data)
{
  BootFailure *failure = user_data;
  g_autoptr (GTask) task = failure->task;
  VmsanVm *vm = g_task_get_source_object (task);
  GError *error = failure->error;
  int status;

  if (vmsan_process_wait_finish (VMSAN_PROCESS (source), result, &status, NULL))
    {
      g_autofree char *exit = vmsan_monitor_describe_exit (vm->monitor, status);

      g_error_free (error);
      error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "Machine %s did not boot: %s",
                           vm->record->id, exit);
    }
  tell_last_words (vm);
  g_task_return_error (task, error);
  vmsan_source_clear (&failure->deadline);
  g_object_unref (failure->waiting);
  g_free (failure);
}

static gboolean
on_exit_lag (gpointer user_data)
{
  g_cancellable_cancel (user_data);
  return G_SOURCE_REMOVE;
}

/* A monitor that ends makes its sockets end first: wait a moment to tell it from a guest that
 * fails, which are different things to look after. */
static void
return_guest_error (GTask *task, VmsanVm *vm, GError *error)
{
  BootFailure *failure = g_new0 (BootFailure, 1);

  failure->task = g_object_ref (task);
  failure->error = error;
  failure->waiting = g_cancellable_new ();
  failure->deadline = g_timeout_source_new (
      vm->monitor_ended || g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED)
          ? EXIT_LAG_MS
          : 0);
  g_source_set_callback (failure->deadline, on_exit_lag, g_object_ref (failure->waiting),
                         g_object_unref);
  g_source_attach (failure->deadline, NULL);
  vmsan_process_wait_async (vmsan_monitor_get_process (vm->monitor), failure->waiting,
                            on_boot_failure_settled, failure);
}

static void
on_configured (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  VmsanVmRecord *draft = vmsan_operation_get_draft (vm);
  GError *error = NULL;

  if (!vmsan_agent_control_configure_finish (VMSAN_AGENT_CONTROL (source), result, &draft->boot_ms,
                                             &error))
    {
      return_guest_error (task, vm, error);
      return;
    }
  if (draft->timeout_ms > 0)
    draft->timeout_at_us = g_get_real_time () + (gint64) draft->timeout_ms * 1000;
  g_task_return_boolean (task, TRUE);
}

static void
on_control_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = VMSAN_VM (source);
  VmsanGuestConfiguration configuration = {
    .hostname = vm->record->hostname,
    .init = vm->record->init,
    .has_network = vm->record->network->has_network,
    .has_ipv6 = vmsan_net_manager_get_pools (vm->context->networks)->has_pool6,
  };
  GError *error = NULL;

  if (!vmsan_vm_open_control_finish (vm, result, &error))
    {
      return_guest_error (task, vm, error);
      return;
    }
  vmsan_agent_control_configure_async (vm->control, &configuration,
                                       vm->context->config->start_deadline_ms,
                                       g_task_get_cancellable (task), on_configured,
                                       g_object_ref (task));
}

static void
on_booted (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  GError *error = NULL;

  if (!vmsan_monitor_boot_finish (VMSAN_MONITOR (source), result, &error))
    {
      return_guest_error (task, vm, error);
      return;
    }
  vmsan_vm_open_control_async (vm, vmsan_operation_get_draft (vm)->token,
                               vm->context->config->start_deadline_ms,
                               g_task_get_cancellable (task), on_control_opened,
                               g_object_ref (task));
}

static void
apply_guest (VmsanVm *vm, GTask *task)
{
  vmsan_monitor_boot_async (vm->monitor, g_task_get_cancellable (task), on_booted, task);
}

static const VmsanStep directory_step = { "directory", apply_directory, revert_directory };
static const VmsanStep disk_step = { "disk", apply_disk, revert_disk };
static const VmsanStep runtime_step = { "runtime", apply_runtime, revert_runtime };
static const VmsanStep cgroup_step = { "cgroup", apply_cgroup, revert_cgroup };
static const VmsanStep network_step = { "network", apply_network, revert_network };
static const VmsanStep monitor_step = { "monitor", apply_monitor, revert_monitor };
static const VmsanStep guest_step = { "guest", apply_guest, nothing_to_revert };

const VmsanStep *const vmsan_create_steps[] = { &directory_step, &disk_step, NULL };

const VmsanStep *const vmsan_run_steps[] = { &runtime_step, &cgroup_step, &network_step,
                                             &monitor_step, &guest_step,  NULL };

const VmsanStep *const vmsan_all_steps[] = { &directory_step, &disk_step,    &runtime_step,
                                             &cgroup_step,    &network_step, &monitor_step,
                                             &guest_step,     NULL };
