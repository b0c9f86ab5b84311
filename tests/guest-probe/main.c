/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what a guest sends is what the test said, and its outcome is told as it was. */

#include "modes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
main (int argc, char **argv)
{
  if (argc == 4 && strcmp (argv[1], "probes") == 0)
    return run_probes (atoi (argv[2]), atoi (argv[3]));
  if (argc == 3 && strcmp (argv[1], "stream") == 0)
    return run_stream (atoi (argv[2]));
  if (argc == 3 && strcmp (argv[1], "frames") == 0)
    return run_frames (argv[2]);
  fprintf (stderr, "usage: guest-probe probes DEADLINE-MS SILENCE-MS | stream INTERVAL-US | "
                   "frames DEVICE\n");
  return EXIT_FAILURE;
}
