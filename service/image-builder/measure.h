/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How large an ext4 file system must be to hold a tree. */

#pragma once

#include <stdint.h>

#define BLOCK_SIZE 4096

struct measure
{
  uint64_t n_inodes;
  uint64_t n_blocks; /* of content and directories, not of inode tables */
};

/* Walks @directory without following links. Exits with a report when it cannot. */
struct measure measure_tree (const char *directory);

/* Size in bytes of a file system for it, with some slack. */
uint64_t measure_to_size (const struct measure *measure);
