/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what it accepts is open and in range. */

#include "options.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum
{
  ARG_CONSOLE = 1,
  ARG_LOG,
  ARG_STATUS,
  ARG_MAX_BYTES,
  ARG_SEPARATOR,
  ARG_PROGRAM,
};

static int
parse_number (const char *text, long long minimum, long long maximum, long long *number)
{
  char *end;

  errno = 0;
  *number = strtoll (text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *number >= minimum && *number <= maximum;
}

static int
parse_fd (const char *text, int *fd)
{
  long long number;

  if (!parse_number (text, 3, INT_MAX, &number) || fcntl (number, F_GETFD) < 0)
    return 0;
  *fd = number;
  return 1;
}

/* Takes "--jailer UID" away. FALSE when the UID is none. */
static int
parse_jailer (Options *options, int *argc, char ***argv)
{
  long long uid;

  options->jailed_uid = 0;
  if (*argc < 3 || strcmp ((*argv)[1], "--jailer") != 0)
    return 1;
  if (!parse_number ((*argv)[2], 1, UINT_MAX - 1, &uid))
    return 0;
  options->jailed_uid = uid;
  *argc -= 2;
  *argv += 2;
  return 1;
}

const char *
options_parse (Options *options, int argc, char **argv)
{
  long long max_bytes;

  if (!parse_jailer (options, &argc, &argv))
    return "UID is not the number of a user who is not root";
  if (argc <= ARG_PROGRAM || strcmp (argv[ARG_SEPARATOR], "--") != 0)
    return "usage: vmsan-supervisor [--jailer UID] CONSOLE_FD LOG_FD STATUS_FD MAX_BYTES -- "
           "PROGRAM [ARGUMENT...]";
  options->console_fd = -1;
  if (strcmp (argv[ARG_CONSOLE], "-1") != 0 && !parse_fd (argv[ARG_CONSOLE], &options->console_fd))
    return "CONSOLE_FD is not an open descriptor above 2, nor -1";
  if (!parse_fd (argv[ARG_LOG], &options->log_fd))
    return "LOG_FD is not an open descriptor above 2";
  if (!parse_fd (argv[ARG_STATUS], &options->status_fd))
    return "STATUS_FD is not an open descriptor above 2";
  if (options->log_fd == options->status_fd || options->console_fd == options->log_fd ||
      options->console_fd == options->status_fd)
    return "two of the descriptors are the same";
  if (!parse_number (argv[ARG_MAX_BYTES], LOG_MIN_BYTES, LONG_MAX, &max_bytes))
    return "MAX_BYTES is not a number of at least 4096";
  options->max_bytes = max_bytes;
  options->program = argv + ARG_PROGRAM;
  return NULL;
}
