/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: names, headers and contents are aligned to four bytes, as the format wants. */

#include "storage/cpio.h"

#include "sys/error.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ALIGN4(n) (((n) + 3) & ~(guint64) 3)

static gboolean
write_at (int fd, const char *data, gsize size, guint64 offset, GError **error)
{
  while (size > 0)
    {
      gssize n = pwrite (fd, data, size, offset);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return vmsan_error_set_errno (error, errno, "Writing an initramfs failed");
      data += n;
      size -= n;
      offset += n;
    }
  return TRUE;
}

gboolean
vmsan_cpio_add (VmsanCpio *self,
                const char *name,
                mode_t mode,
                guint64 size,
                dev_t device,
                guint64 *content_offset,
                GError **error)
{
  gsize name_size = strlen (name) + 1;
  g_autofree char *header = NULL;
  guint64 content;

  if (size > G_MAXUINT32)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "“%s” is larger than 4 GiB, which no initramfs can hold", name);
      return FALSE;
    }
  /* magic, inode, mode, uid, gid, links, mtime, size, device (2), rdevice (2), name size, check */
  header = g_strdup_printf ("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s",
                            ++self->n_entries, mode, 0, 0, S_ISDIR (mode) ? 2 : 1, 0, (guint) size,
                            0, 0, major (device), minor (device), (guint) name_size, 0, name);
  if (!write_at (self->fd, header, strlen (header) + 1, self->offset, error))
    return FALSE;
  content = ALIGN4 (self->offset + strlen (header) + 1);
  /* Padding is a hole: zeros. The last entry, which has no content, ends the file. */
  self->offset = ALIGN4 (content + size);
  if (size == 0 && ftruncate (self->fd, self->offset) < 0)
    return vmsan_error_set_errno (error, errno, "Writing an initramfs failed");
  if (content_offset != NULL)
    *content_offset = content;
  return TRUE;
}

gboolean
vmsan_cpio_end (VmsanCpio *self, GError **error)
{
  return vmsan_cpio_add (self, "TRAILER!!!", 0, 0, 0, NULL, error);
}
