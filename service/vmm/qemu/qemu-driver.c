/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: all that blocks is done in a worker; the main loop only starts it and hears of it. */

#include "vmm/qemu/qemu-driver.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/qemu/qemu-arguments.h"
#include "vmm/qemu/qemu-monitor.h"
#include "vmm/qemu/qemu-probe.h"
#include "vmm/qemu/qemu-spawn.h"

#include <fcntl.h>
#include <string.h>

#define KVM_DEVICE "/dev/kvm"
/* QEMU itself, and under emulation its cache of translated code. */
#define MEMORY_OVERHEAD_MIB (VMSAN_QEMU_TCG_CACHE_MIB + 128)
/* In the runtime directory, for the next run of the service. */
#define ACCELERATION_FILE "acceleration"

struct _VmsanQemuDriver
{
  VmsanVmm parent;

  char *program;
  char *supervisor;
  VmsanQemuProbe *probe;
};

G_DEFINE_FINAL_TYPE (VmsanQemuDriver, vmsan_qemu_driver, VMSAN_TYPE_VMM)

/* ---- Probe --------------------------------------------------------------------------------- */

static void
probe_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  VmsanQemuDriver *self = source;

  g_task_return_pointer (task, vmsan_qemu_probe_run (self->probe),
                         (GDestroyNotify) vmsan_vmm_probe_free);
}

static void
vmsan_qemu_driver_probe_async (VmsanVmm *vmm,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (vmm, cancellable, callback, user_data);

  g_task_run_in_thread (task, probe_in_thread);
}

static VmsanVmmProbe *
vmsan_qemu_driver_probe_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vmm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Spawn --------------------------------------------------------------------------------- */

static VmsanMonitor *
spawn (VmsanQemuDriver *self, const VmsanVmmSpec *spec, GError **error)
{
  g_autoptr (VmsanVmmProbe) probe = vmsan_qemu_probe_run (self->probe);
  g_autoptr (VmsanProcess) process = NULL;
  const char *acceleration = probe->acceleration;
  const VmsanQemuPrograms programs = {
    .qemu = self->program,
    .supervisor = self->supervisor,
    .kvm_device = strcmp (acceleration, "kvm") == 0 ? KVM_DEVICE : NULL,
  };

  if (!probe->available)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE, probe->reason);
      return NULL;
    }
  if (!vmsan_fd_write_file_at (spec->runtime_dir_fd, ACCELERATION_FILE, acceleration,
                               strlen (acceleration), 0600, error))
    return NULL;
  process = vmsan_qemu_spawn (&programs, spec, error);
  return process != NULL ? vmsan_qemu_monitor_new (spec->runtime_dir, process, acceleration) : NULL;
}

static void
spawn_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  g_autoptr (GError) error = NULL;
  VmsanMonitor *monitor;

  if (g_task_return_error_if_cancelled (task))
    return;
  monitor = spawn (source, task_data, &error);
  if (monitor != NULL)
    g_task_return_pointer (task, monitor, g_object_unref);
  else
    g_task_return_error (task, g_steal_pointer (&error));
}

static void
vmsan_qemu_driver_spawn_async (VmsanVmm *vmm,
                               const VmsanVmmSpec *spec,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (vmm, cancellable, callback, user_data);

  /* A monitor that is there already must reach the caller, who ends it. */
  g_task_set_check_cancellable (task, FALSE);
  g_task_set_task_data (task, vmsan_vmm_spec_copy (spec), (GDestroyNotify) vmsan_vmm_spec_free);
  g_task_run_in_thread (task, spawn_in_thread);
}

static VmsanMonitor *
vmsan_qemu_driver_spawn_finish (VmsanVmm *vmm, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, vmm), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Adopt --------------------------------------------------------------------------------- */

static VmsanMonitor *
vmsan_qemu_driver_adopt (VmsanVmm *vmm,
                         const char *runtime_dir,
                         VmsanProcess *process,
                         GError **error)
{
  vmsan_autofd int dir_fd = open (runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  g_autofree char *acceleration = NULL;

  if (dir_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot open %s", runtime_dir);
      return NULL;
    }
  acceleration = vmsan_fd_read_file_at (dir_fd, ACCELERATION_FILE, 16, NULL, error);
  if (acceleration == NULL)
    return NULL;
  return vmsan_qemu_monitor_adopt (runtime_dir, process,
                                   strcmp (acceleration, "kvm") == 0 ? "kvm" : "emulation");
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_qemu_driver_finalize (GObject *object)
{
  VmsanQemuDriver *self = VMSAN_QEMU_DRIVER (object);

  vmsan_qemu_probe_free (self->probe);
  g_free (self->program);
  g_free (self->supervisor);
  G_OBJECT_CLASS (vmsan_qemu_driver_parent_class)->finalize (object);
}

static void
vmsan_qemu_driver_class_init (VmsanQemuDriverClass *klass)
{
  VmsanVmmClass *vmm_class = VMSAN_VMM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = vmsan_qemu_driver_finalize;
  vmm_class->name = "qemu";
  vmm_class->n_streams = VMSAN_QEMU_N_STREAMS;
  vmm_class->stream_mib = 4; /* see qemu-monitor.c, Streams */
  vmm_class->memory_overhead_mib = MEMORY_OVERHEAD_MIB;
  vmm_class->probe_async = vmsan_qemu_driver_probe_async;
  vmm_class->probe_finish = vmsan_qemu_driver_probe_finish;
  vmm_class->spawn_async = vmsan_qemu_driver_spawn_async;
  vmm_class->spawn_finish = vmsan_qemu_driver_spawn_finish;
  vmm_class->adopt = vmsan_qemu_driver_adopt;
}

static void
vmsan_qemu_driver_init (VmsanQemuDriver *self)
{
}

VmsanVmm *
vmsan_qemu_driver_new (const char *binary, const char *libexec_directory)
{
  VmsanQemuDriver *self = g_object_new (VMSAN_TYPE_QEMU_DRIVER, NULL);

  self->program =
      g_path_is_absolute (binary) ? g_strdup (binary) : g_build_filename ("/usr/bin", binary, NULL);
  self->supervisor = g_build_filename (libexec_directory, "vmsan-supervisor", NULL);
  self->probe = vmsan_qemu_probe_new (self->program, KVM_DEVICE);
  return VMSAN_VMM (self);
}
