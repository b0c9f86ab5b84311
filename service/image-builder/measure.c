/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an estimate from above that is close, without a second copy of mke2fs's arithmetic: the
 * caller tries again with more when it was too low. */

#include "measure.h"

#include "report.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define INODE_SIZE        256
#define INODES_RESERVED   16
#define FAST_SYMLINK_MAX  59 /* a target this long lies in the inode */
#define BLOCKS_PER_GROUP  32768
#define SLACK_BLOCKS      512
#define DESCRIPTORS_MAX   64 /* open while walking */
#define DIRENT_SIZE(name) (8 + ((strlen (name) + 3) & ~(size_t) 3))

/* nftw(3) has no argument for its callback. */
static struct measure measured;
static uint64_t dirent_bytes;

static uint64_t
divide_up (uint64_t number, uint64_t by)
{
  return (number + by - 1) / by;
}

/* Content, and what is needed to find it: a file with holes may have many extents. */
static uint64_t
file_blocks (const struct stat *st)
{
  uint64_t bytes = (uint64_t) st->st_blocks * 512;
  uint64_t blocks = divide_up (bytes, BLOCK_SIZE);

  if (bytes + BLOCK_SIZE <= (uint64_t) st->st_size)
    return blocks + blocks / 64 + 1;
  return blocks + blocks / 8192;
}

static int
measure_one (const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
  if (kind == FTW_NS || kind == FTW_DNR)
    report_errno_and_exit (REPORT_FAILED, errno, "Reading the unpacked “%.200s” failed", path);

  measured.n_inodes++;
  dirent_bytes += DIRENT_SIZE (path + ftw->base);
  if (S_ISREG (st->st_mode))
    /* Each of its names comes by here. */
    measured.n_blocks += divide_up (file_blocks (st), st->st_nlink > 0 ? st->st_nlink : 1);
  else if (S_ISDIR (st->st_mode))
    measured.n_blocks += 1;
  else if (S_ISLNK (st->st_mode) && st->st_size > FAST_SYMLINK_MAX)
    measured.n_blocks += 1;
  if (llistxattr (path, NULL, 0) > 0)
    measured.n_blocks += 1;
  return 0;
}

struct measure
measure_tree (const char *directory)
{
  if (nftw (directory, measure_one, DESCRIPTORS_MAX, FTW_PHYS | FTW_MOUNT) != 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Walking the unpacked archive failed");
  /* Names do not fill the blocks of directories quite. */
  measured.n_blocks += divide_up (dirent_bytes * 5 / 4, BLOCK_SIZE);
  measured.n_inodes += INODES_RESERVED;
  return measured;
}

uint64_t
measure_to_size (const struct measure *measure)
{
  uint64_t blocks = measure->n_blocks + divide_up (measure->n_inodes * INODE_SIZE, BLOCK_SIZE);

  /* Two bitmaps and a descriptor for each group, and inode tables rounded up in each. */
  blocks += divide_up (blocks, BLOCKS_PER_GROUP) * 8;
  blocks += blocks / 64 + SLACK_BLOCKS;
  return blocks * BLOCK_SIZE;
}
