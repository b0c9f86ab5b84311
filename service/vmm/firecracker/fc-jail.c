/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what the jailer can reach is what is listed here, and nothing of it outlives it. */

#include "vmm/firecracker/fc-jail.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/monitor-files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* In the confinement of the jailer. It names the jail after the program's file. */
#define JAILER_PATH  "/bin/jailer"
#define PROGRAM_NAME "firecracker"
#define PROGRAM_PATH "/bin/" PROGRAM_NAME
#define BASE_PATH    "/jail"

enum
{
  FD_LOG = 3,
  FD_STATUS,
};

/* The jailer copies the program into the jail; besides, there are device nodes and directories. */
#define JAIL_SLACK_BYTES (4 << 20)

/* Two sockets, which take no space. */
#define RUN_BYTES (1 << 20)

/* One for each vCPU, two for the VMM and the API, and some for I/O engines. */
#define THREADS_MAX 32
#define FILES_MAX   2048 /* as the jailer has it by itself: a vsock connection takes one */

/* ---- Arguments ----------------------------------------------------------------------------- */

GStrv
vmsan_fc_jail_arguments (const VmsanVmmSpec *spec)
{
  g_autofree char *uid = g_strdup_printf ("%u", spec->uid);
  g_autofree char *log = g_strdup_printf ("%d", FD_LOG);
  g_autofree char *status = g_strdup_printf ("%d", FD_STATUS);
  g_autofree char *log_bytes =
      g_strdup_printf ("%" G_GUINT64_FORMAT, vmsan_monitor_files_get_log_bytes (spec));
  const char *const supervisor[] = { "/vmsan-supervisor", "--jailer", uid, "-1", log, status,
                                     log_bytes,           "--",       NULL };
  const char *const jailer[] = { JAILER_PATH, "--id", spec->id, "--exec-file", PROGRAM_PATH,
                                 "--uid",     uid,    "--gid",  uid,           "--chroot-base-dir",
                                 BASE_PATH,   NULL };
  const char *const firecracker[] = { "--", "--api-sock", "/run/" VMSAN_FC_API_SOCKET, NULL };
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_strv_builder_addv (builder, (const char **) supervisor);
  g_strv_builder_addv (builder, (const char **) jailer);
  if (!(spec->weakened & VMSAN_WEAKENED_PID_NS))
    g_strv_builder_add (builder, "--new-pid-ns");
  g_strv_builder_addv (builder, (const char **) firecracker);
  if (spec->weakened & VMSAN_WEAKENED_SECCOMP)
    g_strv_builder_add (builder, "--no-seccomp");
  return g_strv_builder_end (builder);
}

/* ---- Files --------------------------------------------------------------------------------- */

/* Everything that is opened for the spawn, and closed after it. */
typedef struct
{
  int log_fd;
  int status_fd;
  int supervisor_fd;
} Opened;

static void
opened_clear (Opened *self)
{
  vmsan_fd_close (&self->log_fd);
  vmsan_fd_close (&self->status_fd);
  vmsan_fd_close (&self->supervisor_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Opened, opened_clear)

/* Firecracker opens all of these by name, as the machine's user. The disk is the machine's alone,
 * so it may become that user's; what others have, too, must be readable as it is. */
static gboolean
check_files (const VmsanVmmSpec *spec, GError **error)
{
  struct stat st;

  if (!spec->kernel_is_elf)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                           "Firecracker boots an uncompressed kernel only: add the kernel's ELF "
                           "file (vmlinux) with AddKernel, and use that");
      return FALSE;
    }
  if (!vmsan_monitor_files_check_readable (spec->kernel_fd, "kernel", error) ||
      !vmsan_monitor_files_check_readable (spec->initramfs_fd, "initramfs", error) ||
      !vmsan_monitor_files_check_readable (spec->image_fd, "image", error))
    return FALSE;
  if (fstat (spec->disk_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Cannot examine the machine's disk");
  if (!S_ISREG (st.st_mode) || st.st_nlink != 1)
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
                           "The machine's disk is no file of its own, so it is not given away");
      return FALSE;
    }
  if (fchown (spec->disk_fd, spec->uid, spec->uid) < 0)
    return vmsan_error_set_errno (error, errno, "Cannot give the machine's disk to its user");
  if (spec->snapshot_dir_fd > 0 && fchown (spec->snapshot_dir_fd, spec->uid, spec->uid) < 0)
    return vmsan_error_set_errno (error, errno,
                                  "Cannot give the directory of snapshots to the machine's user");
  return TRUE;
}

static gboolean
open_all (const VmsanFcPrograms *programs, const VmsanVmmSpec *spec, Opened *opened, GError **error)
{
  if (!vmsan_monitor_files_open_logs (spec, VMSAN_FC_STATUS_FILE, &opened->log_fd,
                                      &opened->status_fd, error))
    return FALSE;
  opened->supervisor_fd = open (programs->supervisor, O_RDONLY | O_CLOEXEC);
  return opened->supervisor_fd >= 0 ||
         vmsan_error_set_errno (error, errno, "Cannot open %s", programs->supervisor);
}

static gboolean
get_program_size (const char *path, guint64 *size, GError **error)
{
  struct stat st;

  if (stat (path, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot use %s", path);
      return FALSE;
    }
  *size = st.st_size;
  return TRUE;
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* At most these, whose targets it owns. */
#define N_BINDS_MAX 11

typedef struct
{
  VmsanBind binds[N_BINDS_MAX];
  guint n;
  GPtrArray *targets;
} Binds;

static void
binds_clear (Binds *self)
{
  g_ptr_array_unref (self->targets);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Binds, binds_clear)

/* The next one, at @path of the jail. */
static VmsanBind *
add_in_jail (Binds *self, const VmsanVmmSpec *spec, const char *path)
{
  char *target = g_strconcat (BASE_PATH "/" PROGRAM_NAME "/", spec->id, "/root", path, NULL);

  g_assert (self->n < N_BINDS_MAX);
  g_ptr_array_add (self->targets, target);
  self->binds[self->n].target = target;
  return &self->binds[self->n++];
}

/* @fd: 0 for what this machine does not have */
static void
bind_in_jail (Binds *self, const VmsanVmmSpec *spec, int fd, const char *path, gboolean writable)
{
  VmsanBind *bind;

  if (fd <= 0)
    return;
  bind = add_in_jail (self, spec, path);
  bind->source_fd = fd;
  bind->writable = writable;
}

static void
bind_all (Binds *self,
          const VmsanFcPrograms *programs,
          const VmsanVmmSpec *spec,
          guint64 jail_bytes)
{
  self->binds[self->n++] =
      (VmsanBind){ .source = programs->jailer, .source_fd = -1, .target = JAILER_PATH };
  self->binds[self->n++] =
      (VmsanBind){ .source = programs->firecracker, .source_fd = -1, .target = PROGRAM_PATH };
  self->binds[self->n++] = (VmsanBind){ .tmpfs_bytes = jail_bytes, .target = BASE_PATH };
  bind_in_jail (self, spec, spec->kernel_fd, VMSAN_FC_KERNEL_PATH, FALSE);
  bind_in_jail (self, spec, spec->initramfs_fd, VMSAN_FC_INITRAMFS_PATH, FALSE);
  bind_in_jail (self, spec, spec->image_fd, VMSAN_FC_IMAGE_PATH, FALSE);
  bind_in_jail (self, spec, spec->disk_fd, VMSAN_FC_DISK_PATH, TRUE);
  /* A mount point, so that its user, who owns the jail's root, can put nothing else in its place;
   * and there from the start, so that it can be watched before the jailer has come to it. */
  add_in_jail (self, spec, "/run")->tmpfs_bytes = RUN_BYTES;
  bind_in_jail (self, spec, spec->snapshot_dir_fd, "/snapshot", TRUE);
  bind_in_jail (self, spec, spec->state_fd, VMSAN_FC_RESTORE_PATH VMSAN_SNAPSHOT_STATE, FALSE);
  bind_in_jail (self, spec, spec->memory_fd, VMSAN_FC_RESTORE_PATH VMSAN_SNAPSHOT_MEMORY, FALSE);
}

/* A snapshot's memory is as large as the guest's, and its state some megabytes. */
static guint64
get_largest_file (const VmsanVmmSpec *spec, guint64 program_bytes)
{
  guint64 largest = MAX (program_bytes, vmsan_monitor_files_get_largest (spec));

  if (spec->snapshot_dir_fd > 0)
    largest = MAX (largest, (guint64) spec->memory_mib << 20);
  return largest;
}

static VmsanProcess *
start (const VmsanFcPrograms *programs,
       const VmsanVmmSpec *spec,
       const Opened *opened,
       GError **error)
{
  g_auto (GStrv) argv = vmsan_fc_jail_arguments (spec);
  g_auto (Binds) binds = { 0 };
  guint64 program_bytes;
  const VmsanSpawnFd fds[] = { { opened->log_fd, FD_LOG }, { opened->status_fd, FD_STATUS } };

  binds.targets = g_ptr_array_new_with_free_func (g_free);
  if (!get_program_size (programs->firecracker, &program_bytes, error))
    return NULL;
  bind_all (&binds, programs, spec, program_bytes + JAIL_SLACK_BYTES);

  const VmsanRlimit rlimits[] = {
    { RLIMIT_CORE, 0 },
    { RLIMIT_NOFILE, FILES_MAX },
    { RLIMIT_NPROC, THREADS_MAX + spec->vcpus },
    { RLIMIT_FSIZE, get_largest_file (spec, program_bytes) },
  };
  VmsanSpawnSpec child = {
    .argv = (const char *const *) argv,
    .exec_fd = opened->supervisor_fd,
    .flags = VMSAN_SPAWN_JAILER | VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS |
             VMSAN_SPAWN_MOUNT_PROC,
    .kept_capabilities = VMSAN_SPAWN_JAILER_CAPABILITIES,
    .cgroup = spec->cgroup,
    .root_binds = binds.binds,
    .n_root_binds = binds.n,
    .fds = fds,
    .n_fds = G_N_ELEMENTS (fds),
    .rlimits = rlimits,
    .n_rlimits = G_N_ELEMENTS (rlimits),
    .new_session = TRUE,
  };

  if (spec->namespace_fd > 0)
    child.netns_fd = spec->namespace_fd;
  else if (!(spec->weakened & VMSAN_WEAKENED_NETNS))
    child.flags |= VMSAN_SPAWN_NEW_NET_NS;
  return vmsan_process_spawn (&child, error);
}

VmsanProcess *
vmsan_fc_jail_spawn (const VmsanFcPrograms *programs, const VmsanVmmSpec *spec, GError **error)
{
  g_auto (Opened) opened = { -1, -1, -1 };

  if (!check_files (spec, error) || !open_all (programs, spec, &opened, error))
    return NULL;
  return start (programs, spec, &opened, error);
}

/* The root of another user's process, which is not dumpable, takes CAP_SYS_PTRACE; see proc(5). No
 * link that the machine's user may have put somewhere is followed. */
int
vmsan_fc_jail_open_run (VmsanProcess *process, const char *id, GError **error)
{
  const struct open_how how = {
    .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  g_autofree char *root = g_strdup_printf ("/proc/%d/root", vmsan_process_get_pid (process));
  g_autofree char *path = g_strconcat (&BASE_PATH[1], "/" PROGRAM_NAME "/", id, "/root/run", NULL);
  vmsan_autofd int root_fd = open (root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  vmsan_autofd int run_fd = -1;

  if (root_fd >= 0)
    run_fd = syscall (SYS_openat2, root_fd, path, &how, sizeof how);
  if (run_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot open “%s/%s”", root, path);
      return -1;
    }
  /* As it has not ended by now, its number cannot have meant another process. */
  if (vmsan_process_has_ended (process))
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "Firecracker has ended");
      return -1;
    }
  return g_steal_fd (&run_fd);
}
