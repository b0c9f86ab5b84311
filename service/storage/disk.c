/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a disk is whole or not there, and no process runs to make one of a size that was made
 * before.
 *
 * Disks of one size share the UUID of their template. A machine sees one of them only, and nothing
 * in it finds its disk by UUID; with metadata_csum a new UUID would mean to write all checksums. */

#include "storage/disk.h"

#include "storage/content-copy.h"
#include "storage/disk-template.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#define SIZE_MIB_MIN 32
#define SIZE_MIB_MAX 4194304

/* What must be left behind the disk's metadata for the machine to write its first files. */
#define SPARE_BYTES (G_GUINT64_CONSTANT (16) << 20)

static gboolean
check_space (VmsanManagedRoot *root, guint64 metadata_bytes, GError **error)
{
  guint64 needed = metadata_bytes + SPARE_BYTES;
  struct statvfs vfs;
  guint64 available;

  if (fstatvfs (vmsan_managed_root_get_fd (root), &vfs) < 0)
    return vmsan_error_set_errno (error, errno, "Asking about free space failed");
  available = (guint64) vfs.f_bavail * vfs.f_frsize;
  if (available >= needed)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE,
               "%" G_GUINT64_FORMAT " MiB are needed and %" G_GUINT64_FORMAT
               " MiB are free at “%s”; remove machines or images first",
               needed >> 20, available >> 20, vmsan_managed_root_get_path (root));
  return FALSE;
}

static gboolean
copy_template (VmsanManagedRoot *root,
               const char *name,
               int template_fd,
               guint64 size,
               GCancellable *cancellable,
               GError **error)
{
  vmsan_autofd int fd =
      vmsan_managed_root_open_at (root, name, O_RDWR | O_CREAT | O_EXCL, 0600, error);

  if (fd < 0)
    return FALSE;
  /* Synced: a record that names the disk outlives a power failure, and so must the disk. */
  if (vmsan_content_copy (template_fd, 0, size, fd, 0, NULL, cancellable, error) &&
      (fdatasync (fd) == 0 || vmsan_error_set_errno (error, errno, "Syncing the disk failed")))
    return TRUE;
  vmsan_managed_root_delete (root, name, NULL);
  return FALSE;
}

gboolean
vmsan_disk_create (VmsanManagedRoot *root,
                   const char *name,
                   guint size_mib,
                   GCancellable *cancellable,
                   GError **error)
{
  vmsan_autofd int template_fd = -1;
  struct stat st;

  if (size_mib < SIZE_MIB_MIN || size_mib > SIZE_MIB_MAX)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "A disk of %u MiB cannot be made; choose %d to %d MiB", size_mib, SIZE_MIB_MIN,
                   SIZE_MIB_MAX);
      return FALSE;
    }
  if (check_space (root, 0, error))
    template_fd = vmsan_disk_template_open (root, size_mib, cancellable, error);
  if (template_fd >= 0 && fstat (template_fd, &st) < 0)
    vmsan_error_set_errno (error, errno, "Looking at the template failed");
  else if (template_fd >= 0 && check_space (root, (guint64) st.st_blocks * 512, error) &&
           copy_template (root, name, template_fd, st.st_size, cancellable, error))
    return TRUE;
  g_prefix_error (error, "Making the disk “%s” of %u MiB failed: ", name, size_mib);
  return FALSE;
}
