/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing is read here, and nothing that reading could wait for is let through but a pipe,
 * where the reader can be killed. */

#include "storage/content-source.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

static gboolean
check_kind (const VmsanContentSource *source, const char *what, gboolean allow_pipe, GError **error)
{
  mode_t mode = source->st.st_mode;

  if (S_ISREG (mode) || (allow_pipe && S_ISFIFO (mode)))
    return TRUE;
  if (S_ISDIR (mode) && allow_pipe)
    return vmsan_error_refuse (
        error,
        "The %s is a directory, and vmsan does not read directories on behalf of "
        "others; give a tar stream of it (“vmsan-client image add DIR” does)",
        what);
  if (S_ISBLK (mode) || S_ISCHR (mode))
    return vmsan_error_refuse (error, "The %s is a device; copy what it holds to a file", what);
  return vmsan_error_refuse (error, "The %s is no regular file%s", what,
                             allow_pipe ? " or pipe" : "");
}

gboolean
vmsan_content_source_take (
    VmsanContentSource *self, int fd, const char *what, gboolean allow_pipe, GError **error)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0 || fstat (fd, &self->st) < 0)
    return vmsan_error_set_errno (error, errno, "The %s's descriptor cannot be used", what);
  if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY)
    return vmsan_error_refuse (error,
                               "The %s's descriptor is not open for reading; open it with O_RDONLY",
                               what);
  if (!check_kind (self, what, allow_pipe, error))
    return FALSE;
  self->fd = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (self->fd < 0)
    return vmsan_error_set_errno (error, errno, "Duplicating the %s's descriptor failed", what);
  return TRUE;
}

gboolean
vmsan_content_source_check_not_fuse (const VmsanContentSource *source,
                                     const char *what,
                                     GError **error)
{
  struct statfs fs;

  if (fstatfs (source->fd, &fs) < 0)
    return vmsan_error_set_errno (error, errno, "Asking about the %s's file system failed", what);
  if (fs.f_type != FUSE_SUPER_MAGIC)
    return TRUE;
  return vmsan_error_refuse (
      error,
      "The %s lies on a FUSE file system, which vmsan does not read from; copy it to "
      "another one first",
      what);
}
