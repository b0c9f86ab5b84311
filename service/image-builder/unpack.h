/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Unpacks a tar archive, compressed or not, into the current directory, which is the root. */

#pragma once

#include <stdint.h>

#define ENTRIES_MAX 4000000

/* Loads what the library would otherwise look for in the new root. Call it before
 * privileges_drop(). */
void unpack_prepare (void);

/* Reads the archive from @fd: a regular file, whose offset is left alone, or a pipe. At most
 * @max_bytes of content are written. Exits with a report when the archive is not acceptable. */
void unpack (int fd, uint64_t max_bytes);
