/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A log file that keeps the last part of what was written, in order, as plain text.
 *
 * It grows up to the bound; then its second half is moved over the first and the file cut to that
 * half. So the file never has more than the bound, and the last half of the bound, counted from
 * its end, is always whole: also while it is moved, and when that is cut short. Whoever reads no
 * more than that needs no lock (see sys/console-log.h). */

#pragma once

#include <stddef.h>

#define LOG_MIN_BYTES 4096

typedef struct
{
  int fd; /* readable, writable, a regular file */
  size_t max_bytes;
  size_t size;
} Log;

/* Goes on after what the file has already. -1 and errno. */
int log_open (Log *log, int fd, size_t max_bytes);

/* What cannot be written is dropped: a full disk must not hold up the one who writes. */
void log_append (Log *log, const char *data, size_t size);
