/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be found out of a monitor's program by running it. */

#pragma once

#include "sys/process.h"

/* Tells one state of a file from another; all zero when it is not there. Compare as bytes. */
typedef struct
{
  dev_t device;
  ino_t inode;
  struct timespec changed;
} VmsanFileStamp;

void vmsan_file_stamp_take (VmsanFileStamp *self, const char *path);
gboolean vmsan_file_stamp_equal (const VmsanFileStamp *a, const VmsanFileStamp *b);

/* What "PROGRAM --version" prints, as nobody, with nothing in view but @binds, which must have
 * @program in them: a library that it cannot see shows here. Blocks: worker thread. (transfer full)
 */
char *vmsan_program_probe_read_version (const char *program,
                                        const VmsanBind *binds,
                                        guint n_binds,
                                        GError **error);
