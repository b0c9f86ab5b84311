/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Measured times. Without GLib, for the program in the guest. */

#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* For sorting an array of them, with qsort() or g_array_sort(). */
static inline int
compare_times (const void *a, const void *b)
{
  int64_t first = *(const int64_t *) a, second = *(const int64_t *) b;

  return first < second ? -1 : first > second;
}
