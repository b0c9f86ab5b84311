/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The ext4 file system that a tree becomes. */

#pragma once

#include <stdint.h>

/* Fills @output, an existing file, with a file system that holds @directory, at most @max_bytes
 * large. Exits with a report when that fails. */
void file_system_make (const char *mke2fs,
                       const char *directory,
                       const char *output,
                       uint64_t max_bytes);
