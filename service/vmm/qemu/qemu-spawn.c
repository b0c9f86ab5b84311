/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: QEMU gets the descriptors of its machine, a root of libraries, a uid of its own, and
 * nothing else of the host. */

#include "vmm/qemu/qemu-spawn.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/qemu/host-tsc.h"
#include "vmm/kvm-probe.h"
#include "vmm/qemu/qemu-arguments.h"
#include "vmm/qemu/qemu-root.h"
#include "vmm/monitor-files.h"
#include "vmm/monitor-socket.h"

#include <fcntl.h>

/* Descriptors as the supervisor has them; QEMU inherits those from FD_CONSOLE on. */
enum
{
  FD_CONSOLE_READ = 3,
  FD_LOG,
  FD_STATUS,
  FD_CONSOLE,
  FD_IMAGE,
  FD_DISK,
  FD_TAP,
  FD_QMP,
  FD_STREAMS,
  FD_END = FD_STREAMS + VMSAN_QEMU_N_STREAMS,
};

#define N_FDS (FD_END - FD_CONSOLE_READ)

/* QEMU's workers for disks are 64 at most; a few more threads have other duties. */
#define THREADS_MAX 96
#define FILES_MAX   1024

/* What we open for it and close again: one for each number from FD_CONSOLE_READ on; -1 for what
 * this machine does not have. */
typedef struct
{
  int fds[N_FDS];
} Opened;

#define OPENED(self, number) ((self)->fds[(number) -FD_CONSOLE_READ])

static void
opened_init (Opened *self)
{
  for (int i = 0; i < N_FDS; i++)
    self->fds[i] = -1;
}

static void
opened_clear (Opened *self)
{
  for (int i = 0; i < N_FDS; i++)
    vmsan_fd_close (&self->fds[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Opened, opened_clear)

static gboolean
open_files (Opened *self, const VmsanVmmSpec *spec, GError **error)
{
  int pipe_fds[2];

  if (!vmsan_monitor_files_open_logs (spec, VMSAN_QEMU_STATUS_FILE, &OPENED (self, FD_LOG),
                                      &OPENED (self, FD_STATUS), error))
    return FALSE;
  if (pipe2 (pipe_fds, O_CLOEXEC) != 0)
    return vmsan_error_set_errno (error, errno, "Cannot make a pipe for the console");
  OPENED (self, FD_CONSOLE_READ) = pipe_fds[0];
  OPENED (self, FD_CONSOLE) = pipe_fds[1];
  if ((fcntl (spec->image_fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
    {
      /* A guest that took over its QEMU would write into the image of all others. */
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                           "The machine's image is not open for reading only");
      return FALSE;
    }
  OPENED (self, FD_IMAGE) = fcntl (spec->image_fd, F_DUPFD_CLOEXEC, 0);
  OPENED (self, FD_DISK) = fcntl (spec->disk_fd, F_DUPFD_CLOEXEC, 0);
  if (OPENED (self, FD_IMAGE) < 0 || OPENED (self, FD_DISK) < 0)
    return vmsan_error_set_errno (error, errno, "Cannot duplicate the machine's disks");
  if (spec->tap_fd > 0)
    OPENED (self, FD_TAP) = fcntl (spec->tap_fd, F_DUPFD_CLOEXEC, 0);
  if (spec->tap_fd > 0 && OPENED (self, FD_TAP) < 0)
    return vmsan_error_set_errno (error, errno, "Cannot duplicate the machine's tap");
  return TRUE;
}

static gboolean
open_sockets (Opened *self, const VmsanVmmSpec *spec, GError **error)
{
  OPENED (self, FD_QMP) =
      vmsan_monitor_socket_listen (spec->runtime_dir, VMSAN_QEMU_QMP_SOCKET, error);
  if (OPENED (self, FD_QMP) < 0)
    return FALSE;
  for (guint i = 0; i < VMSAN_QEMU_N_STREAMS; i++)
    {
      g_autofree char *name = vmsan_monitor_socket_name_stream (i);

      OPENED (self, FD_STREAMS + i) = vmsan_monitor_socket_listen (spec->runtime_dir, name, error);
      if (OPENED (self, FD_STREAMS + i) < 0)
        return FALSE;
    }
  return TRUE;
}

/* The supervisor's arguments, then QEMU's. */
static GStrv
build_arguments (const VmsanQemuPrograms *programs, const VmsanVmmSpec *spec, GError **error)
{
  VmsanQemuFds fds = {
    .console = FD_CONSOLE,
    .image = FD_IMAGE,
    .disk = FD_DISK,
    .tap = FD_TAP,
    .qmp = FD_QMP,
  };
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) qemu = NULL;
  g_autofree char *numbers = NULL;
  g_auto (GStrv) supervisor = NULL;

  for (int i = 0; i < VMSAN_QEMU_N_STREAMS; i++)
    fds.streams[i] = FD_STREAMS + i;
  qemu = vmsan_qemu_arguments_build (spec, &fds,
                                     programs->kvm_device == NULL ? vmsan_host_tsc_get_khz () : 0,
                                     error);
  if (qemu == NULL)
    return NULL;
  numbers = g_strdup_printf ("/vmsan-supervisor %d %d %d %" G_GUINT64_FORMAT " --", FD_CONSOLE_READ,
                             FD_LOG, FD_STATUS, vmsan_monitor_files_get_log_bytes (spec));
  supervisor = g_strsplit (numbers, " ", -1);
  g_strv_builder_addv (builder, (const char **) supervisor);
  g_strv_builder_add (builder, programs->qemu);
  g_strv_builder_addv (builder, (const char **) qemu);
  return g_strv_builder_end (builder);
}

static gboolean
build_root (VmsanQemuRoot *root,
            const VmsanQemuPrograms *programs,
            const VmsanVmmSpec *spec,
            gid_t *kvm_group,
            GError **error)
{
  g_autofree char *reason = NULL;

  vmsan_qemu_root_init (root, programs->qemu);
  vmsan_qemu_root_add_file (root, spec->kernel_fd, VMSAN_QEMU_KERNEL_PATH);
  vmsan_qemu_root_add_file (root, spec->initramfs_fd, VMSAN_QEMU_INITRAMFS_PATH);
  *kvm_group = 0;
  if (programs->kvm_device == NULL)
    return TRUE;
  vmsan_qemu_root_add_device (root, programs->kvm_device);
  if (vmsan_kvm_find_group (programs->kvm_device, kvm_group, &reason))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE, "Cannot use KVM: %s", reason);
  return FALSE;
}

static VmsanProcess *
start (const VmsanQemuPrograms *programs,
       const VmsanVmmSpec *spec,
       const Opened *opened,
       GError **error)
{
  const VmsanRlimit rlimits[] = {
    { RLIMIT_CORE, 0 },
    { RLIMIT_NOFILE, FILES_MAX },
    { RLIMIT_NPROC, THREADS_MAX + spec->vcpus },
    { RLIMIT_FSIZE, vmsan_monitor_files_get_largest (spec) },
  };
  vmsan_autofd int supervisor_fd = -1;
  g_auto (GStrv) argv = build_arguments (programs, spec, error);
  VmsanQemuRoot root;
  VmsanSpawnSpec child = { 0 };
  VmsanSpawnFd fds[N_FDS];

  if (argv == NULL || !build_root (&root, programs, spec, &child.extra_gid, error))
    return NULL;
  supervisor_fd = open (programs->supervisor, O_RDONLY | O_CLOEXEC);
  if (supervisor_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot open %s", programs->supervisor);
      return NULL;
    }
  for (int i = 0; i < N_FDS; i++)
    if (opened->fds[i] >= 0)
      fds[child.n_fds++] =
          (VmsanSpawnFd){ .source = opened->fds[i], .target = FD_CONSOLE_READ + i };
  child.argv = (const char *const *) argv;
  child.exec_fd = supervisor_fd;
  child.flags = VMSAN_SPAWN_NEW_MOUNT_NS;
  if (!(spec->weakened & VMSAN_WEAKENED_PID_NS))
    child.flags |= VMSAN_SPAWN_NEW_PID_NS;
  if (spec->namespace_fd > 0)
    child.netns_fd = spec->namespace_fd;
  else if (!(spec->weakened & VMSAN_WEAKENED_NETNS))
    child.flags |= VMSAN_SPAWN_NEW_NET_NS;
  child.uid = spec->uid;
  child.gid = spec->uid;
  child.cgroup = spec->cgroup;
  child.root_binds = root.binds;
  child.n_root_binds = root.n_binds;
  child.fds = fds;
  child.rlimits = rlimits;
  child.n_rlimits = G_N_ELEMENTS (rlimits);
  child.new_session = TRUE;
  return vmsan_process_spawn (&child, error);
}

VmsanProcess *
vmsan_qemu_spawn (const VmsanQemuPrograms *programs, const VmsanVmmSpec *spec, GError **error)
{
  g_auto (Opened) opened;

  opened_init (&opened);
  /* QEMU opens these two by name; it gets the others as descriptors. */
  if (!vmsan_monitor_files_check_readable (spec->kernel_fd, "kernel", error) ||
      !vmsan_monitor_files_check_readable (spec->initramfs_fd, "initramfs", error) ||
      !open_files (&opened, spec, error) || !open_sockets (&opened, spec, error))
    return NULL;
  return start (programs, spec, &opened, error);
}
