/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the output is as large as its content needs, and not larger than allowed, also while it
 * is being made. */

#include "file-system.h"

#include "measure.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTEMPTS_MAX 4

/* Read-only, so without a journal. Without metadata_csum, too: computing it over and over makes
 * mke2fs -d five times slower, and an image's content is known by its hash. Instead uninit_bg lets
 * inode tables stay unwritten. The rest is as for disks (storage/disk-template.c). */
#define FEATURES                                                                                   \
  "none,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super2,large_file,huge_file,"      \
  "dir_nlink,extra_isize,uninit_bg"

static void __attribute__ ((noreturn)) run_mke2fs (const char *mke2fs,
                                                   const char *directory,
                                                   const char *output,
                                                   uint64_t n_inodes,
                                                   uint64_t max_bytes)
{
  const struct rlimit limit = { max_bytes, max_bytes };
  char inodes[24];
  char *const argv[] = {
    (char *) mke2fs,
    "-q",
    "-F",
    "-t",
    "ext4",
    "-b",
    "4096",
    "-I",
    "256",
    "-N",
    inodes,
    "-m",
    "0",
    "-O",
    FEATURES,
    "-E",
    "lazy_itable_init=1,nodiscard,root_owner=0:0",
    "-d",
    (char *) directory,
    (char *) output,
    NULL,
  };
  char *const envp[] = { NULL };

  snprintf (inodes, sizeof inodes, "%llu", (unsigned long long) n_inodes);
  if (setrlimit (RLIMIT_FSIZE, &limit) < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Limiting the image's size failed");
  execve (mke2fs, argv, envp);
  report_errno_and_exit (REPORT_FAILED, errno, "Starting “%s” failed", mke2fs);
}

static bool
try_to_make (const char *mke2fs,
             const char *directory,
             const char *output,
             uint64_t n_inodes,
             uint64_t max_bytes)
{
  int status;
  pid_t child = fork ();

  if (child < 0)
    report_errno_and_exit (REPORT_FAILED, errno, "Starting a process failed");
  if (child == 0)
    run_mke2fs (mke2fs, directory, output, n_inodes, max_bytes);
  while (waitpid (child, &status, 0) < 0)
    if (errno != EINTR)
      report_errno_and_exit (REPORT_FAILED, errno, "Waiting for mke2fs failed");
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static void
check_space (const char *output, uint64_t needed)
{
  struct statvfs vfs;

  if (statvfs (output, &vfs) == 0 && (uint64_t) vfs.f_bavail * vfs.f_frsize < needed)
    report_and_exit (REPORT_SPACE,
                     "The image needs %llu MiB, and %llu MiB are free where vmsan keeps its state",
                     (unsigned long long) (needed >> 20),
                     (unsigned long long) ((uint64_t) vfs.f_bavail * vfs.f_frsize >> 20));
}

void
file_system_make (const char *mke2fs, const char *directory, const char *output, uint64_t max_bytes)
{
  struct measure measure = measure_tree (directory);
  uint64_t size = measure_to_size (&measure);

  check_space (output, measure.n_blocks * BLOCK_SIZE);
  for (unsigned attempt = 0; attempt < ATTEMPTS_MAX; attempt++)
    {
      if (size > max_bytes)
        report_and_exit (REPORT_LIMIT, "The image would have %llu MiB, and it may have %llu MiB",
                         (unsigned long long) (size >> 20), (unsigned long long) (max_bytes >> 20));
      if (truncate (output, 0) < 0 || truncate (output, size) < 0)
        report_errno_and_exit (REPORT_FAILED, errno, "Sizing the image failed");
      if (try_to_make (mke2fs, directory, output, measure.n_inodes, max_bytes))
        return;
      check_space (output, BLOCK_SIZE);
      /* Little more first; much more where the host's file system compresses, so that the tree
       * takes less there than here. */
      size += attempt == 0 ? size / 3 / BLOCK_SIZE * BLOCK_SIZE : size;
    }
  report_and_exit (REPORT_FAILED, "mke2fs could not make an image of the archive's content");
}
