/* SPDX-License-Identifier: GPL-2.0-or-later */

/* vmsan-image-builder MAX-BYTES MKE2FS SCRATCH OUTPUT: makes an ext4 file system in the file OUTPUT
 * of the tar archive on standard input, by way of the empty directory SCRATCH.
 *
 * vmsand starts it as root of a user namespace that has these two, the system's programs and
 * libraries, and nothing else. What an archive can do wrong it does in a child that has still less
 * (privileges.h). It ends with 0, or with 1 and a report (report.h). */

#include "file-system.h"
#include "privileges.h"
#include "report.h"
#include "unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t
parse_size (const char *text)
{
  char *end = NULL;
  unsigned long long size;

  errno = 0;
  size = strtoull (text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
    report_and_exit (REPORT_FAILED, "“%s” is no size", text);
  return size;
}

static void
unpack_in_child (const char *scratch, uint64_t max_bytes)
{
  pid_t child;
  int status;

  unpack_prepare ();
  child = fork ();
  if (child < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Starting a process failed");
  if (child == 0)
    {
      privileges_drop (scratch);
      unpack (STDIN_FILENO, max_bytes);
      _exit (0);
    }
  while (waitpid (child, &status, 0) < 0)
    if (errno != EINTR)
      report_errno_and_exit (REPORT_FAILED, errno, "Waiting for the unpacking failed");
  /* It has reported why. */
  if (WIFEXITED (status) && WEXITSTATUS (status) != 0)
    _exit (1);
  if (!WIFEXITED (status))
    report_and_exit (REPORT_FAILED, "Unpacking the archive was ended by signal %d",
                     WTERMSIG (status));
}

int
main (int argc, char **argv)
{
  uint64_t max_bytes;

  if (argc != 5)
    report_and_exit (REPORT_FAILED,
                     "usage: vmsan-image-builder MAX-BYTES MKE2FS SCRATCH OUTPUT < ARCHIVE");
  /* Then a file that grows too large is an error that can be reported. */
  signal (SIGXFSZ, SIG_IGN);
  max_bytes = parse_size (argv[1]);
  unpack_in_child (argv[3], max_bytes);
  file_system_make (argv[2], argv[3], argv[4], max_bytes);
  return 0;
}
