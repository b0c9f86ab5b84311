/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A caller's descriptor that content is added from: a regular file, or a pipe for the builder. */

#pragma once

#include <gio/gio.h>
#include <sys/stat.h>

typedef struct
{
  int fd;         /* a duplicate, to be closed; -1 before it is taken */
  struct stat st; /* as it was then */
} VmsanContentSource;

/* Duplicates @fd when it can be read from and is of a fitting kind; @what names it in messages. */
gboolean vmsan_content_source_take (
    VmsanContentSource *self, int fd, const char *what, gboolean allow_pipe, GError **error);

/* Reading a file of FUSE waits for whoever serves it, for ever if that likes. Only the builder,
 * which can be killed, may wait for others, and it takes a pipe. */
gboolean vmsan_content_source_check_not_fuse (const VmsanContentSource *source,
                                              const char *what,
                                              GError **error);
