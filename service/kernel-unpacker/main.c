/* SPDX-License-Identifier: GPL-2.0-or-later */

/* vmsan-kernel-unpacker: writes to standard output, a file, the kernel that is packed in the
 * bzImage on standard input, another file. It is no larger than RLIMIT_FSIZE lets a file become.
 *
 * vmsand starts it with these two, the system's libraries, and nothing else, in a user namespace of
 * its own. It ends with 0, or with 1 and a report (image-builder/report.h). What is unpacked is
 * looked at by whoever wants to use it. */

#include "bzimage.h"
#include "confine.h"
#include "decompress.h"
#include "image-builder/report.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t *
map_image (size_t *size)
{
  struct stat st;
  void *image;

  if (fstat (STDIN_FILENO, &st) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Looking at the kernel failed");
  *size = st.st_size;
  image = mmap (NULL, *size, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
  if (image == MAP_FAILED)
    report_errno_and_exit (REPORT_FAILED, errno, "Mapping the kernel failed");
  return image;
}

int
main (void)
{
  struct payload payload;
  struct rlimit limit;
  const uint8_t *image;
  const char *problem;
  size_t size;

  if (getrlimit (RLIMIT_FSIZE, &limit) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Asking for the largest size of a file failed");
  image = map_image (&size);
  confine ();
  problem = bzimage_find_payload (image, size, &payload);
  if (problem != NULL)
    report_and_exit (REPORT_INVALID, "%s", problem);
  decompress (&payload, limit.rlim_cur, STDOUT_FILENO);
  return 0;
}
