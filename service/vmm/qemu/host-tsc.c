/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: right to some millionths, also when this process is interrupted meanwhile. */

#include "vmm/qemu/host-tsc.h"

#include <time.h>
#include <x86intrin.h>

#define INTERVAL_US 20000
#define TRIES       16

typedef struct
{
  guint64 ticks;
  gint64 ns;
} Sample;

static gint64
read_clock (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* Both clocks at one moment: of several tries the one in which the least time passed between the
 * two readings of the clock around that of the counter. */
static Sample
take_sample (void)
{
  gint64 best_width = G_MAXINT64;
  Sample best = { 0, 0 };

  for (int i = 0; i < TRIES; i++)
    {
      gint64 before = read_clock ();
      guint64 ticks = __rdtsc ();
      gint64 width = read_clock () - before;

      if (width < best_width)
        {
          best_width = width;
          best = (Sample){ ticks, before + width / 2 };
        }
    }
  return best;
}

static gpointer
measure (gpointer unused)
{
  Sample begin = take_sample ();
  Sample end;

  g_usleep (INTERVAL_US);
  end = take_sample ();
  return GUINT_TO_POINTER (
      (guint) ((end.ticks - begin.ticks) * G_GUINT64_CONSTANT (1000000) / (end.ns - begin.ns)));
}

guint
vmsan_host_tsc_get_khz (void)
{
  static GOnce once = G_ONCE_INIT;

  return GPOINTER_TO_UINT (g_once (&once, measure, NULL));
}
