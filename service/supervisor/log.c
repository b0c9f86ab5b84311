/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: never more bytes in the file than the bound, never a byte lost from its last half. */

#include "log.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t
write_at (int fd, const char *data, size_t size, size_t offset)
{
  ssize_t n;

  do
    n = pwrite (fd, data, size, offset);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Moves the last half of the bound to the start and cuts the file behind it. */
static int
drop_first_part (Log *log)
{
  char buffer[16384];
  size_t keep = log->max_bytes / 2;
  size_t from = log->size - keep;
  size_t done = 0;

  while (done < keep)
    {
      size_t want = keep - done < sizeof buffer ? keep - done : sizeof buffer;
      ssize_t got = pread (log->fd, buffer, want, from + done);

      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return -1;
      for (ssize_t put = 0; put < got;)
        {
          ssize_t n = write_at (log->fd, buffer + put, got - put, done + put);

          if (n <= 0)
            return -1;
          put += n;
        }
      done += got;
    }
  if (ftruncate (log->fd, keep) < 0)
    return -1;
  log->size = keep;
  return 0;
}

int
log_open (Log *log, int fd, size_t max_bytes)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return -1;
  log->fd = fd;
  log->max_bytes = max_bytes;
  log->size = S_ISREG (st.st_mode) ? st.st_size : 0;
  if (log->size > max_bytes)
    return drop_first_part (log);
  return 0;
}

void
log_append (Log *log, const char *data, size_t size)
{
  while (size > 0)
    {
      size_t room = log->max_bytes - log->size;
      ssize_t n;

      if (room == 0 && drop_first_part (log) < 0)
        return;
      if (room == 0)
        continue;
      n = write_at (log->fd, data, size < room ? size : room, log->size);
      if (n <= 0)
        return;
      log->size += n;
      data += n;
      size -= n;
    }
}
