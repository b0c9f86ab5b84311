/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a setting that the kernel did not take is an error, never a silence. */

#include "net/net-sysctl.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#define MAX_VALUE 64

int
vmsan_net_sysctl_mount (GError **error)
{
  vmsan_autofd int context = fsopen ("proc", FSOPEN_CLOEXEC);
  int fd = -1;

  if (context >= 0 && fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    fd = fsmount (context, FSMOUNT_CLOEXEC,
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (fd < 0)
    vmsan_error_set_errno (error, errno, "Making a procfs for network settings failed");
  return fd;
}

int
vmsan_net_sysctl_open (int proc_fd, const char *directory, GError **error)
{
  g_autofree char *path = g_strconcat ("sys/net/", directory, NULL);
  int fd = openat (proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    vmsan_error_set_errno (error, errno, "Opening the network settings “%s” failed", directory);
  return fd;
}

gboolean
vmsan_net_sysctl_write (int directory_fd, const char *path, const char *value, GError **error)
{
  vmsan_autofd int fd = openat (directory_fd, path, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return vmsan_error_set_errno (error, errno, "Setting “%s” to %s failed", path, value);
  if (!vmsan_fd_write_all (fd, value, strlen (value), error))
    {
      g_prefix_error (error, "Setting “%s” to %s failed: ", path, value);
      return FALSE;
    }
  return TRUE;
}

char *
vmsan_net_sysctl_read (int directory_fd, const char *path, GError **error)
{
  vmsan_autofd int fd = openat (directory_fd, path, O_RDONLY | O_CLOEXEC);
  char value[MAX_VALUE] = "";

  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Reading the setting “%s” failed", path);
      return NULL;
    }
  if (vmsan_fd_read_all (fd, value, sizeof value - 1, error) < 0)
    {
      g_prefix_error (error, "Reading the setting “%s” failed: ", path);
      return NULL;
    }
  return g_strdup (g_strchomp (value));
}

gboolean
vmsan_net_sysctl_exists (int directory_fd, const char *path)
{
  return faccessat (directory_fd, path, F_OK, 0) == 0;
}
