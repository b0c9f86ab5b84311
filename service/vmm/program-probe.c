/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a program that is only asked for its version can do nothing else. */

#include "vmm/program-probe.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Anybody but root: asking for a version needs no rights. */
#define NOBODY      65534
#define DEADLINE_MS 10000
#define OUTPUT_MAX  4096

void
vmsan_file_stamp_take (VmsanFileStamp *self, const char *path)
{
  struct stat st;

  memset (self, 0, sizeof *self); /* padding too */
  if (stat (path, &st) < 0)
    return;
  self->device = st.st_dev;
  self->inode = st.st_ino;
  self->changed = st.st_ctim;
}

gboolean
vmsan_file_stamp_equal (const VmsanFileStamp *a, const VmsanFileStamp *b)
{
  return memcmp (a, b, sizeof *a) == 0;
}

char *
vmsan_program_probe_read_version (const char *program,
                                  const VmsanBind *binds,
                                  guint n_binds,
                                  GError **error)
{
  const char *const argv[] = { program, "--version", NULL };
  const VmsanRlimit rlimits[] = { { RLIMIT_CORE, 0 } };
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  char output[OUTPUT_MAX + 1];
  VmsanSpawnFd fd;
  VmsanSpawnSpec spec = {
    .argv = argv,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS,
    .uid = NOBODY,
    .gid = NOBODY,
    .root_binds = binds,
    .n_root_binds = n_binds,
    .fds = &fd,
    .n_fds = 1,
    .rlimits = rlimits,
    .n_rlimits = G_N_ELEMENTS (rlimits),
  };
  int pipe_fds[2];
  gssize size;

  if (pipe2 (pipe_fds, O_CLOEXEC) != 0)
    {
      vmsan_error_set_errno (error, errno, "Making a pipe failed");
      return NULL;
    }
  read_fd = pipe_fds[0];
  write_fd = pipe_fds[1];
  fd = (VmsanSpawnFd){ .source = write_fd, .target = STDOUT_FILENO };
  if (!vmsan_process_run (&spec, DEADLINE_MS, NULL, error))
    return NULL;
  vmsan_fd_close (&write_fd);
  size = vmsan_fd_read_all (read_fd, output, OUTPUT_MAX, error);
  if (size < 0)
    return NULL;
  output[size] = '\0';
  return g_strdup (output);
}
