/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: vmsand itself reads no byte of an archive, and takes from the builder nothing but a file
 * of bounded size and one line of bounded text. */

#include "config.h"

#include "storage/image-build.h"

#include "storage/confined-tool.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>

#define DEFAULT_PROGRAM     PKGLIBEXECDIR "/vmsan-image-builder"
#define DEFAULT_DEADLINE_MS (30 * 60 * 1000)

static VmsanImageBuildConfig config = {
  .program = DEFAULT_PROGRAM,
  .deadline_ms = DEFAULT_DEADLINE_MS,
};

void
vmsan_image_build_configure (const VmsanImageBuildConfig *new_config)
{
  config.program = new_config->program != NULL ? new_config->program : DEFAULT_PROGRAM;
  config.deadline_ms = new_config->deadline_ms != 0 ? new_config->deadline_ms : DEFAULT_DEADLINE_MS;
}

/* Gives the builder's root a directory and the output file. */
static int
hand_over (VmsanManagedRoot *root, const char *scratch, int output_fd, GError **error)
{
  vmsan_autofd int fd = -1;
  uid_t id = vmsan_tool_get_id ();

  if (!vmsan_managed_root_make_dir (root, scratch, 0700, error))
    return -1;
  fd = vmsan_managed_root_open_at (root, scratch, O_RDONLY | O_DIRECTORY, 0, error);
  if (fd < 0)
    return -1;
  if (fchown (fd, id, id) < 0 || fchown (output_fd, id, id) < 0)
    {
      vmsan_error_set_errno (error, errno, "Handing files to the image builder failed");
      return -1;
    }
  return g_steal_fd (&fd);
}

static gboolean
take_back (int output_fd, guint64 max_bytes, GError **error)
{
  struct stat st;

  if (fchown (output_fd, 0, 0) < 0 || fchmod (output_fd, 0400) < 0 || fstat (output_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Taking the image from its builder failed");
  if ((guint64) st.st_size <= max_bytes)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "The built image has more than %" G_GUINT64_FORMAT " MiB", max_bytes >> 20);
  return FALSE;
}

static gboolean
run_builder (int program_fd,
             int source_fd,
             int scratch_fd,
             int output_fd,
             int report_fd,
             guint64 max_bytes,
             GCancellable *cancellable,
             GError **error)
{
  const char *mke2fs = vmsan_tool_find_mke2fs (error);
  g_autofree char *max = g_strdup_printf ("%" G_GUINT64_FORMAT, max_bytes);
  const char *const argv[] = {
    config.program, max, mke2fs, "/scratch", "/output", NULL,
  };
  const VmsanSpawnFd fds[] = { { source_fd, STDIN_FILENO }, { report_fd, VMSAN_TOOL_REPORT_FD } };
  const VmsanRlimit rlimits[] = {
    { RLIMIT_AS, (rlim_t) 2 << 30 },
    { RLIMIT_CPU, config.deadline_ms / 1000 + 1 },
    { RLIMIT_NOFILE, 256 },
    { RLIMIT_CORE, 0 },
  };
  g_autoptr (GArray) binds = vmsan_tool_new_binds (2);
  VmsanSpawnSpec spec = {
    .argv = argv,
    .exec_fd = program_fd,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS |
             VMSAN_SPAWN_NEW_USER_NS,
    .id_map_first = vmsan_tool_get_id (),
    .id_map_count = VMSAN_TOOL_ID_COUNT,
    .fds = fds,
    .n_fds = G_N_ELEMENTS (fds),
    .rlimits = rlimits,
    .n_rlimits = G_N_ELEMENTS (rlimits),
    .new_session = TRUE,
  };

  if (mke2fs == NULL)
    return FALSE;
  vmsan_tool_add_writable (binds, scratch_fd, "/scratch");
  vmsan_tool_add_writable (binds, output_fd, "/output");
  spec.root_binds = (const VmsanBind *) (gpointer) binds->data;
  spec.n_root_binds = binds->len;
  return vmsan_process_run (&spec, config.deadline_ms, cancellable, error);
}

gboolean
vmsan_image_build (VmsanManagedRoot *root,
                   const char *scratch,
                   int source_fd,
                   int output_fd,
                   guint64 max_bytes,
                   GCancellable *cancellable,
                   GError **error)
{
  g_autoptr (GError) local_error = NULL;
  vmsan_autofd int program_fd = vmsan_tool_open (config.program, error);
  vmsan_autofd int report_fd = -1;
  vmsan_autofd int scratch_fd = -1;

  if (program_fd < 0)
    return FALSE;
  report_fd = vmsan_tool_new_report (error);
  if (report_fd < 0)
    return FALSE;
  scratch_fd = hand_over (root, scratch, output_fd, error);
  if (scratch_fd < 0)
    return FALSE;
  if (run_builder (program_fd, source_fd, scratch_fd, output_fd, report_fd, max_bytes, cancellable,
                   &local_error))
    return take_back (output_fd, max_bytes, error);
  vmsan_tool_explain (report_fd, &local_error);
  g_propagate_prefixed_error (error, g_steal_pointer (&local_error),
                              "Building an image from the archive failed: ");
  return FALSE;
}
