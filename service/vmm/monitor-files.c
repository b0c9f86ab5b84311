/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no link in the runtime directory is followed, and nothing but a new file is written. */

#include "vmm/monitor-files.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

/* The supervisor accepts no less. */
#define LOG_MIN_BYTES 4096

gboolean
vmsan_monitor_files_open_logs (
    const VmsanVmmSpec *spec, const char *status_name, int *log_fd, int *status_fd, GError **error)
{
  const int flags = O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;

  *log_fd = openat (spec->runtime_dir_fd, VMSAN_VMM_CONSOLE_FILE, O_RDWR | flags, 0600);
  if (*log_fd < 0)
    return vmsan_error_set_errno (error, errno, "Cannot make the console log in %s",
                                  spec->runtime_dir);
  *status_fd = openat (spec->runtime_dir_fd, status_name, O_WRONLY | flags, 0600);
  if (*status_fd < 0)
    return vmsan_error_set_errno (error, errno, "Cannot make the status file in %s",
                                  spec->runtime_dir);
  return TRUE;
}

guint64
vmsan_monitor_files_get_log_bytes (const VmsanVmmSpec *spec)
{
  return MAX (spec->console_max_bytes, LOG_MIN_BYTES);
}

guint64
vmsan_monitor_files_get_largest (const VmsanVmmSpec *spec)
{
  struct stat st = { 0 };

  fstat (spec->disk_fd, &st);
  return MAX ((guint64) st.st_size, vmsan_monitor_files_get_log_bytes (spec));
}

gboolean
vmsan_monitor_files_check_readable (int fd, const char *what, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) != 0)
    return vmsan_error_set_errno (error, errno, "Cannot examine the machine's %s", what);
  if ((st.st_mode & S_IROTH) != 0)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
               "The machine's %s cannot be read by its monitor: its mode is %03o, where 444 is "
               "needed",
               what, (guint) st.st_mode & 0777);
  return FALSE;
}
