/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/etc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#define TEMPORARY_NAME ".vmsan-agent.new"

int
agent_etc_open (void)
{
  struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                          .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };

  return (int) syscall (SYS_openat2, AT_FDCWD, "/etc", &how, sizeof how);
}

/* False with errno. */
static bool
write_all (int fd, const char *content)
{
  const size_t length = strlen (content);
  size_t done = 0;

  while (done < length)
    {
      const ssize_t n = write (fd, content + done, length - done);

      if (n < 0)
        return false;
      done += (size_t) n;
    }
  return true;
}

bool
agent_etc_replace (int etc_fd, const char *name, const char *content)
{
  bool replaced;
  int fd, saved_errno;

  unlinkat (etc_fd, TEMPORARY_NAME, 0);
  fd = openat (etc_fd, TEMPORARY_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    return false;
  replaced = write_all (fd, content) && renameat (etc_fd, TEMPORARY_NAME, etc_fd, name) == 0;
  saved_errno = errno;
  close (fd);
  if (!replaced)
    unlinkat (etc_fd, TEMPORARY_NAME, 0);
  errno = saved_errno;
  return replaced;
}
