/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: callers never see which driver they talk to. A verb that a driver does not have is
 * NOT_SUPPORTED, said by this file and nowhere else. */

#include "vmm/vmm.h"

#include "agent/protocol.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <sys/wait.h>

typedef struct
{
  VmsanProcess *process;
  const char *acceleration; /* interned */
} VmsanMonitorPrivate;

G_DEFINE_ABSTRACT_TYPE (VmsanVmm, vmsan_vmm, G_TYPE_OBJECT)
G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (VmsanMonitor, vmsan_monitor, G_TYPE_OBJECT)

void
vmsan_vmm_probe_free (VmsanVmmProbe *probe)
{
  if (probe == NULL)
    return;
  g_free (probe->version);
  g_free (probe->reason);
  g_free (probe);
}

VmsanVmmProbe *
vmsan_vmm_probe_copy (const VmsanVmmProbe *probe)
{
  VmsanVmmProbe *copy = g_new0 (VmsanVmmProbe, 1);

  copy->available = probe->available;
  copy->acceleration = probe->acceleration;
  copy->version = g_strdup (probe->version);
  copy->reason = g_strdup (probe->reason);
  return copy;
}

/* ---- What is to be run --------------------------------------------------------------------- */

/* Members that most machines do not need, where 0 is none. */
static const gsize optional_fds[] = {
  G_STRUCT_OFFSET (VmsanVmmSpec, namespace_fd),    G_STRUCT_OFFSET (VmsanVmmSpec, tap_fd),
  G_STRUCT_OFFSET (VmsanVmmSpec, snapshot_dir_fd), G_STRUCT_OFFSET (VmsanVmmSpec, state_fd),
  G_STRUCT_OFFSET (VmsanVmmSpec, memory_fd),
};

void
vmsan_vmm_spec_free (VmsanVmmSpec *spec)
{
  g_free ((char *) spec->id);
  g_free ((char *) spec->runtime_dir);
  g_free ((char *) spec->image_format);
  g_free ((char *) spec->mac);
  for (guint i = 0; i < G_N_ELEMENTS (optional_fds); i++)
    {
      int *fd = G_STRUCT_MEMBER_P (spec, optional_fds[i]);

      if (*fd > 0)
        vmsan_fd_close (fd);
    }
  vmsan_fd_close (&spec->runtime_dir_fd);
  vmsan_fd_close (&spec->image_fd);
  vmsan_fd_close (&spec->disk_fd);
  vmsan_fd_close (&spec->kernel_fd);
  vmsan_fd_close (&spec->initramfs_fd);
  g_clear_pointer (&spec->cgroup, vmsan_cgroup_unref);
  g_free (spec);
}

VmsanVmmSpec *
vmsan_vmm_spec_copy (const VmsanVmmSpec *spec)
{
  VmsanVmmSpec *copy = g_memdup2 (spec, sizeof *spec);

  copy->id = g_strdup (spec->id);
  copy->runtime_dir = g_strdup (spec->runtime_dir);
  copy->image_format = g_strdup (spec->image_format);
  copy->mac = g_strdup (spec->mac);
  for (guint i = 0; i < G_N_ELEMENTS (optional_fds); i++)
    {
      int *fd = G_STRUCT_MEMBER_P (copy, optional_fds[i]);

      if (*fd > 0)
        *fd = fcntl (*fd, F_DUPFD_CLOEXEC, 3);
    }
  copy->runtime_dir_fd = fcntl (spec->runtime_dir_fd, F_DUPFD_CLOEXEC, 0);
  copy->image_fd = fcntl (spec->image_fd, F_DUPFD_CLOEXEC, 0);
  copy->disk_fd = fcntl (spec->disk_fd, F_DUPFD_CLOEXEC, 0);
  copy->kernel_fd = fcntl (spec->kernel_fd, F_DUPFD_CLOEXEC, 0);
  copy->initramfs_fd = fcntl (spec->initramfs_fd, F_DUPFD_CLOEXEC, 0);
  copy->cgroup = spec->cgroup != NULL ? vmsan_cgroup_ref (spec->cgroup) : NULL;
  return copy;
}

/* ---- Driver -------------------------------------------------------------------------------- */

static void
vmsan_vmm_class_init (VmsanVmmClass *klass)
{
}

static void
vmsan_vmm_init (VmsanVmm *self)
{
}

const char *
vmsan_vmm_get_name (VmsanVmm *self)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), NULL);
  return VMSAN_VMM_GET_CLASS (self)->name;
}

guint
vmsan_vmm_get_n_streams (VmsanVmm *self, guint memory_mib)
{
  VmsanVmmClass *klass;

  g_return_val_if_fail (VMSAN_IS_VMM (self), 0);
  klass = VMSAN_VMM_GET_CLASS (self);
  if (klass->n_streams == 0 || klass->stream_mib == 0)
    return klass->n_streams;
  return CLAMP (memory_mib / 4 / klass->stream_mib, 2, klass->n_streams);
}

guint
vmsan_vmm_get_memory_overhead_mib (VmsanVmm *self)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), 0);
  return VMSAN_VMM_GET_CLASS (self)->memory_overhead_mib;
}

gboolean
vmsan_vmm_opens_tap (VmsanVmm *self)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), FALSE);
  return VMSAN_VMM_GET_CLASS (self)->opens_tap;
}

gboolean
vmsan_vmm_needs_elf_kernel (VmsanVmm *self)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), FALSE);
  return VMSAN_VMM_GET_CLASS (self)->needs_elf_kernel;
}

void
vmsan_vmm_probe_async (VmsanVmm *self,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VMM (self));
  VMSAN_VMM_GET_CLASS (self)->probe_async (self, cancellable, callback, user_data);
}

VmsanVmmProbe *
vmsan_vmm_probe_finish (VmsanVmm *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), NULL);
  return VMSAN_VMM_GET_CLASS (self)->probe_finish (self, result, error);
}

void
vmsan_vmm_spawn_async (VmsanVmm *self,
                       const VmsanVmmSpec *spec,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_VMM (self));
  g_return_if_fail (spec != NULL);
  VMSAN_VMM_GET_CLASS (self)->spawn_async (self, spec, cancellable, callback, user_data);
}

VmsanMonitor *
vmsan_vmm_spawn_finish (VmsanVmm *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), NULL);
  return VMSAN_VMM_GET_CLASS (self)->spawn_finish (self, result, error);
}

gboolean
vmsan_vmm_check_snapshot (VmsanVmm *self, const VmsanSnapshotMeta *meta, GError **error)
{
  VmsanVmmClass *klass;

  g_return_val_if_fail (VMSAN_IS_VMM (self), FALSE);
  klass = VMSAN_VMM_GET_CLASS (self);
  if (!g_str_equal (meta->driver, klass->name) || klass->check_snapshot == NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                   "The snapshot is one of the driver “%s”, and cannot be restored by “%s”",
                   meta->driver, klass->name);
      return FALSE;
    }
  return klass->check_snapshot (self, meta, error);
}

VmsanMonitor *
vmsan_vmm_adopt (VmsanVmm *self, const char *runtime_dir, VmsanProcess *process, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_VMM (self), NULL);
  g_return_val_if_fail (runtime_dir != NULL, NULL);
  g_return_val_if_fail (VMSAN_IS_PROCESS (process), NULL);
  return VMSAN_VMM_GET_CLASS (self)->adopt (self, runtime_dir, process, error);
}

/* ---- Monitor ------------------------------------------------------------------------------- */

static void
vmsan_monitor_dispose (GObject *object)
{
  VmsanMonitorPrivate *priv = vmsan_monitor_get_instance_private (VMSAN_MONITOR (object));

  g_clear_object (&priv->process);
  G_OBJECT_CLASS (vmsan_monitor_parent_class)->dispose (object);
}

static char *
vmsan_monitor_real_describe_exit (VmsanMonitor *self, int wait_status)
{
  if (wait_status < 0)
    return g_strdup ("The monitor ended while the service was not running; its exit code is lost");
  if (WIFSIGNALED (wait_status))
    return g_strdup_printf ("The monitor was killed by signal %d (%s)", WTERMSIG (wait_status),
                            g_strsignal (WTERMSIG (wait_status)));
  return g_strdup_printf ("The monitor ended with exit code %d", WEXITSTATUS (wait_status));
}

static guint
vmsan_monitor_real_shutdown_action (VmsanMonitor *self)
{
  return VMSAN_SHUTDOWN_POWER_OFF;
}

static void
vmsan_monitor_class_init (VmsanMonitorClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = vmsan_monitor_dispose;
  klass->describe_exit = vmsan_monitor_real_describe_exit;
  klass->shutdown_action = vmsan_monitor_real_shutdown_action;
}

static void
vmsan_monitor_init (VmsanMonitor *self)
{
}

/* Answers for a driver without the verb; the matching finish knows it by the tag. */
static void
report_not_supported (VmsanMonitor *self,
                      const char *verb,
                      gpointer tag,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_task_report_new_error (self, callback, user_data, tag, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                           "The virtual machine monitor cannot %s a machine", verb);
}

VmsanProcess *
vmsan_monitor_get_process (VmsanMonitor *self)
{
  VmsanMonitorPrivate *priv = vmsan_monitor_get_instance_private (self);

  g_return_val_if_fail (VMSAN_IS_MONITOR (self), NULL);
  return priv->process;
}

const char *
vmsan_monitor_get_acceleration (VmsanMonitor *self)
{
  VmsanMonitorPrivate *priv = vmsan_monitor_get_instance_private (self);

  g_return_val_if_fail (VMSAN_IS_MONITOR (self), NULL);
  return priv->acceleration != NULL ? priv->acceleration : "emulation";
}

void
vmsan_monitor_boot_async (VmsanMonitor *self,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_MONITOR (self));
  VMSAN_MONITOR_GET_CLASS (self)->boot_async (self, cancellable, callback, user_data);
}

gboolean
vmsan_monitor_boot_finish (VmsanMonitor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), FALSE);
  return VMSAN_MONITOR_GET_CLASS (self)->boot_finish (self, result, error);
}

void
vmsan_monitor_pause_async (VmsanMonitor *self,
                           gboolean paused,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  VmsanMonitorClass *klass = VMSAN_MONITOR_GET_CLASS (self);

  g_return_if_fail (VMSAN_IS_MONITOR (self));
  if (klass->pause_async == NULL)
    report_not_supported (self, paused ? "pause" : "resume", vmsan_monitor_pause_async, callback,
                          user_data);
  else
    klass->pause_async (self, paused, cancellable, callback, user_data);
}

gboolean
vmsan_monitor_pause_finish (VmsanMonitor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), FALSE);
  if (g_async_result_is_tagged (result, vmsan_monitor_pause_async))
    return g_task_propagate_boolean (G_TASK (result), error);
  return VMSAN_MONITOR_GET_CLASS (self)->pause_finish (self, result, error);
}

void
vmsan_monitor_snapshot_async (VmsanMonitor *self,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_MONITOR (self));
  if (VMSAN_MONITOR_GET_CLASS (self)->snapshot_async != NULL)
    VMSAN_MONITOR_GET_CLASS (self)->snapshot_async (self, cancellable, callback, user_data);
  else
    g_task_report_new_error (self, callback, user_data, vmsan_monitor_snapshot_async, VMSAN_ERROR,
                             VMSAN_ERROR_NOT_SUPPORTED,
                             "This machine's driver cannot make snapshots; Firecracker can");
}

gboolean
vmsan_monitor_snapshot_finish (VmsanMonitor *self,
                               GAsyncResult *result,
                               VmsanSnapshotMeta *meta,
                               GError **error)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), FALSE);
  if (g_async_result_is_tagged (result, vmsan_monitor_snapshot_async))
    return g_task_propagate_boolean (G_TASK (result), error);
  return VMSAN_MONITOR_GET_CLASS (self)->snapshot_finish (self, result, meta, error);
}

void
vmsan_monitor_connect_async (VmsanMonitor *self,
                             guint stream,
                             guint deadline_ms,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_MONITOR (self));
  VMSAN_MONITOR_GET_CLASS (self)->connect_async (self, stream, deadline_ms, cancellable, callback,
                                                 user_data);
}

int
vmsan_monitor_connect_finish (VmsanMonitor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), -1);
  return VMSAN_MONITOR_GET_CLASS (self)->connect_finish (self, result, error);
}

void
vmsan_monitor_power_button_async (VmsanMonitor *self,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  VmsanMonitorClass *klass = VMSAN_MONITOR_GET_CLASS (self);

  g_return_if_fail (VMSAN_IS_MONITOR (self));
  if (klass->power_button_async == NULL)
    report_not_supported (self, "press the power button of", vmsan_monitor_power_button_async,
                          callback, user_data);
  else
    klass->power_button_async (self, cancellable, callback, user_data);
}

gboolean
vmsan_monitor_power_button_finish (VmsanMonitor *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), FALSE);
  if (g_async_result_is_tagged (result, vmsan_monitor_power_button_async))
    return g_task_propagate_boolean (G_TASK (result), error);
  return VMSAN_MONITOR_GET_CLASS (self)->power_button_finish (self, result, error);
}

char *
vmsan_monitor_describe_exit (VmsanMonitor *self, int wait_status)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), NULL);
  return VMSAN_MONITOR_GET_CLASS (self)->describe_exit (self, wait_status);
}

guint
vmsan_monitor_get_shutdown_action (VmsanMonitor *self)
{
  g_return_val_if_fail (VMSAN_IS_MONITOR (self), 0);
  return VMSAN_MONITOR_GET_CLASS (self)->shutdown_action (self);
}

void
vmsan_monitor_set_process (VmsanMonitor *self, VmsanProcess *process)
{
  VmsanMonitorPrivate *priv = vmsan_monitor_get_instance_private (self);

  g_return_if_fail (VMSAN_IS_MONITOR (self));
  g_set_object (&priv->process, process);
}

void
vmsan_monitor_set_acceleration (VmsanMonitor *self, const char *acceleration)
{
  VmsanMonitorPrivate *priv = vmsan_monitor_get_instance_private (self);

  g_return_if_fail (VMSAN_IS_MONITOR (self));
  priv->acceleration = g_intern_string (acceleration);
}
