/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Unpacks the payload of a bzImage. */

#pragma once

#include "bzimage.h"

#include <stdint.h>

/* Writes to @fd what is packed, or reports and exits. No more than @max_bytes are written, and no
 * other number than the payload says. */
void decompress (const struct payload *payload, uint64_t max_bytes, int fd);
