/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Turns a tar stream into an ext4 file system, in a confined and unprivileged process
 * (image-builder/), which alone reads the stream. Its ids are those of confined-tool.h. */

#pragma once

#include "storage/managed-path.h"

/**
 * VmsanImageBuildConfig:
 * @program: absolute path of vmsan-image-builder; NULL: where it is installed
 * @deadline_ms: after which a build is ended; 0: half an hour
 */
typedef struct
{
  const char *program;
  guint deadline_ms;
} VmsanImageBuildConfig;

/* Sets what all builds use. Call it before there are threads; the string must stay. */
void vmsan_image_build_configure (const VmsanImageBuildConfig *config);

/* Builds from @source_fd (a regular file, read from its beginning, or a pipe) into the empty file
 * @output_fd, at most @max_bytes large. @scratch, a name in @root that is not there yet, is where
 * the archive is unpacked; it is the caller's to delete, always. Blocks: worker thread. */
gboolean vmsan_image_build (VmsanManagedRoot *root,
                            const char *scratch,
                            int source_fd,
                            int output_fd,
                            guint64 max_bytes,
                            GCancellable *cancellable,
                            GError **error);
