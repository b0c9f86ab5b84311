/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: vmsand itself decompresses nothing, and takes from the unpacker nothing but a file of
 * bounded size that is an ELF kernel, and one line of bounded text. */

#include "config.h"

#include "storage/kernel-unpack.h"

#include "storage/confined-tool.h"
#include "storage/image-probe.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <sys/stat.h>

#define DEFAULT_PROGRAM     PKGLIBEXECDIR "/vmsan-kernel-unpacker"
#define DEFAULT_DEADLINE_MS (2 * 60 * 1000)

/* The mapped kernel, and twice the largest window that the kernel's build uses (128 MiB). */
#define MEMORY_BYTES_MAX (VMSAN_KERNEL_BYTES_MAX + (G_GUINT64_CONSTANT (512) << 20))

static VmsanKernelUnpackConfig config = {
  .program = DEFAULT_PROGRAM,
  .deadline_ms = DEFAULT_DEADLINE_MS,
};

void
vmsan_kernel_unpack_configure (const VmsanKernelUnpackConfig *new_config)
{
  config.program = new_config->program != NULL ? new_config->program : DEFAULT_PROGRAM;
  config.deadline_ms = new_config->deadline_ms != 0 ? new_config->deadline_ms : DEFAULT_DEADLINE_MS;
}

static gboolean
run_unpacker (int program_fd,
              int kernel_fd,
              int output_fd,
              int report_fd,
              GCancellable *cancellable,
              GError **error)
{
  const char *const argv[] = { config.program, NULL };
  const VmsanSpawnFd fds[] = {
    { kernel_fd, STDIN_FILENO },
    { output_fd, STDOUT_FILENO },
    { report_fd, VMSAN_TOOL_REPORT_FD },
  };
  const VmsanRlimit rlimits[] = {
    { RLIMIT_AS, MEMORY_BYTES_MAX },
    { RLIMIT_FSIZE, VMSAN_KERNEL_BYTES_MAX },
    { RLIMIT_CPU, config.deadline_ms / 1000 + 1 },
    { RLIMIT_NOFILE, 16 },
    { RLIMIT_CORE, 0 },
  };
  g_autoptr (GArray) binds = vmsan_tool_new_binds (0);
  const VmsanSpawnSpec spec = {
    .argv = argv,
    .exec_fd = program_fd,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS |
             VMSAN_SPAWN_NEW_USER_NS,
    .id_map_first = vmsan_tool_get_id (),
    .id_map_count = VMSAN_TOOL_ID_COUNT,
    .root_binds = (const VmsanBind *) (gpointer) binds->data,
    .n_root_binds = binds->len,
    .fds = fds,
    .n_fds = G_N_ELEMENTS (fds),
    .rlimits = rlimits,
    .n_rlimits = G_N_ELEMENTS (rlimits),
    .new_session = TRUE,
  };

  return vmsan_process_run (&spec, config.deadline_ms, cancellable, error);
}

/* The unpacker may have been taken over by what it unpacked. */
static gboolean
check_output (int output_fd, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  const char *format;
  struct stat st;

  if (fstat (output_fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Looking at the unpacked kernel failed");
  if (vmsan_kernel_probe (output_fd, st.st_size, &format, &local_error) &&
      g_str_equal (format, "elf") && (guint64) st.st_size <= VMSAN_KERNEL_BYTES_MAX)
    return TRUE;
  if (local_error == NULL ||
      g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT))
    return vmsan_error_refuse (error, "What is packed in it is no whole ELF kernel for x86-64");
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

gboolean
vmsan_kernel_unpack (int kernel_fd, int output_fd, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  vmsan_autofd int program_fd = vmsan_tool_open (config.program, error);
  vmsan_autofd int report_fd = -1;

  if (program_fd < 0)
    return FALSE;
  report_fd = vmsan_tool_new_report (error);
  if (report_fd < 0)
    return FALSE;
  if (run_unpacker (program_fd, kernel_fd, output_fd, report_fd, cancellable, &local_error))
    return check_output (output_fd, error);
  vmsan_tool_explain (report_fd, &local_error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}
