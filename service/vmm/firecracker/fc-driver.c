/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: all that blocks is done in a worker; on failure no process is left. */

#include "vmm/firecracker/fc-driver.h"

#include "sys/error.h"
#include "vmm/firecracker/fc-jail.h"
#include "vmm/firecracker/fc-monitor.h"
#include "vmm/firecracker/fc-probe.h"

/* Firecracker itself is a few MiB; the rest is for its copy in the jail, and for page tables. */
#define MEMORY_OVERHEAD_MIB 64

struct _VmsanFcDriver
{
  VmsanVmm parent;

  char *supervisor;
  VmsanFcProbe *probe;
};

G_DEFINE_FINAL_TYPE (VmsanFcDriver, vmsan_fc_driver, VMSAN_TYPE_VMM)

/* ---- Probe --------------------------------------------------------------------------------- */

static void
probe_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  VmsanFcDriver *self = source;

  g_task_return_pointer (task, vmsan_fc_probe_run (self->probe, NULL),
                         (GDestroyNotify) vmsan_vmm_probe_free);
}

static void
vmsan_fc_driver_probe_async (VmsanVmm *vmm,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (vmm, cancellable, callback, user_data);

  g_task_run_in_thread (task, probe_in_thread);
}

static VmsanVmmProbe *
vmsan_fc_driver_probe_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vmm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Spawn --------------------------------------------------------------------------------- */

static VmsanFcMonitor *
spawn (VmsanFcDriver *self, const VmsanVmmSpec *spec, GError **error)
{
  g_autofree char *directory = NULL;
  g_autoptr (VmsanVmmProbe) probe = vmsan_fc_probe_run (self->probe, &directory);
  g_autofree char *firecracker = NULL;
  g_autofree char *jailer = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  VmsanFcMonitor *monitor;
  VmsanFcPrograms programs = { .supervisor = self->supervisor };

  if (!probe->available)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE, probe->reason);
      return NULL;
    }
  programs.firecracker = firecracker = g_build_filename (directory, "firecracker", NULL);
  programs.jailer = jailer = g_build_filename (directory, "jailer", NULL);
  process = vmsan_fc_jail_spawn (&programs, spec, error);
  if (process == NULL)
    return NULL;
  monitor = vmsan_fc_monitor_new (spec->runtime_dir, process, error);
  if (monitor == NULL)
    vmsan_process_kill (process, SIGKILL, NULL);
  return monitor;
}

static void
spawn_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  g_autoptr (GError) error = NULL;
  VmsanFcMonitor *monitor;

  if (g_task_return_error_if_cancelled (task))
    return;
  monitor = spawn (source, task_data, &error);
  if (monitor != NULL)
    g_task_return_pointer (task, monitor, g_object_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
on_set_up (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;

  if (vmsan_fc_monitor_set_up_finish (VMSAN_FC_MONITOR (source), result, &error))
    g_task_return_pointer (task, g_object_ref (source), g_object_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
on_spawned (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanFcMonitor) monitor = g_task_propagate_pointer (G_TASK (result), &error);

  if (monitor == NULL)
    {
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }
  vmsan_fc_monitor_set_up_async (monitor, g_task_get_task_data (task),
                                 g_task_get_cancellable (task), on_set_up, g_object_ref (task));
}

static void
vmsan_fc_driver_spawn_async (VmsanVmm *vmm,
                             const VmsanVmmSpec *spec,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (vmm, cancellable, callback, user_data);
  g_autoptr (GTask) spawning = g_task_new (vmm, cancellable, on_spawned, g_object_ref (task));

  g_task_set_check_cancellable (task, FALSE);
  /* A monitor that is there already must be heard of, to be ended. */
  g_task_set_check_cancellable (spawning, FALSE);
  g_task_set_task_data (task, vmsan_vmm_spec_copy (spec), (GDestroyNotify) vmsan_vmm_spec_free);
  g_task_set_task_data (spawning, vmsan_vmm_spec_copy (spec), (GDestroyNotify) vmsan_vmm_spec_free);
  g_task_run_in_thread (spawning, spawn_in_thread);
}

static VmsanMonitor *
vmsan_fc_driver_spawn_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vmm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Adopt --------------------------------------------------------------------------------- */

static VmsanMonitor *
vmsan_fc_driver_adopt (VmsanVmm *vmm,
                       const char *runtime_dir,
                       VmsanProcess *process,
                       GError **error)
{
  g_autoptr (VmsanFcMonitor) monitor = vmsan_fc_monitor_new (runtime_dir, process, error);

  if (monitor == NULL || !vmsan_fc_monitor_reconnect (monitor, error))
    return NULL;
  return VMSAN_MONITOR (g_steal_pointer (&monitor));
}

/* ---- Snapshots ----------------------------------------------------------------------------- */

static gboolean
vmsan_fc_driver_check_snapshot (VmsanVmm *vmm, const VmsanSnapshotMeta *meta, GError **error)
{
  VmsanFcDriver *self = VMSAN_FC_DRIVER (vmm);
  g_autoptr (VmsanVmmProbe) probe = vmsan_fc_probe_run (self->probe, NULL);
  VmsanFcVersion version;
  guint format;

  if (!probe->available)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE, probe->reason);
      return FALSE;
    }
  if (!vmsan_fc_version_parse (probe->version, &version, error))
    return FALSE;
  format = vmsan_fc_version_get_snapshot_format (&version);
  /* Of a release too new to know, only the very same is sure to read it. */
  if (format != 0 ? format == meta->format : g_str_equal (probe->version, meta->version))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
               "The snapshot was made by Firecracker %s (format %u) and cannot be read by %s "
               "(format %u), which is installed; install a release of the same format",
               meta->version, meta->format, probe->version, format);
  return FALSE;
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_fc_driver_finalize (GObject *object)
{
  VmsanFcDriver *self = VMSAN_FC_DRIVER (object);

  vmsan_fc_probe_free (self->probe);
  g_free (self->supervisor);
  G_OBJECT_CLASS (vmsan_fc_driver_parent_class)->finalize (object);
}

static void
vmsan_fc_driver_class_init (VmsanFcDriverClass *klass)
{
  VmsanVmmClass *vmm_class = VMSAN_VMM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = vmsan_fc_driver_finalize;
  vmm_class->name = "firecracker";
  vmm_class->memory_overhead_mib = MEMORY_OVERHEAD_MIB;
  vmm_class->opens_tap = TRUE;
  vmm_class->needs_elf_kernel = TRUE;
  vmm_class->probe_async = vmsan_fc_driver_probe_async;
  vmm_class->probe_finish = vmsan_fc_driver_probe_finish;
  vmm_class->spawn_async = vmsan_fc_driver_spawn_async;
  vmm_class->spawn_finish = vmsan_fc_driver_spawn_finish;
  vmm_class->adopt = vmsan_fc_driver_adopt;
  vmm_class->check_snapshot = vmsan_fc_driver_check_snapshot;
}

static void
vmsan_fc_driver_init (VmsanFcDriver *self)
{
}

VmsanVmm *
vmsan_fc_driver_new (const char *directories, const char *kvm_device, const char *libexec_directory)
{
  VmsanFcDriver *self = g_object_new (VMSAN_TYPE_FC_DRIVER, NULL);
  g_auto (GStrv) list = g_strsplit (directories, ":", -1);

  self->supervisor = g_build_filename (libexec_directory, "vmsan-supervisor", NULL);
  self->probe = vmsan_fc_probe_new ((const char *const *) list, kvm_device);
  return VMSAN_VMM (self);
}
