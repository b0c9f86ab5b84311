/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A directory as a tar stream (pax), read as the calling user: no symbolic link is followed, no
 * other file system entered. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  gboolean root_owner;             /* record everything as root's */
  gsize packed_bytes;              /* atomically updated; for progress */
  void (*note) (const char *text); /* something that cannot be packed was left out */
} PackTree;

/* Writes @path as a tar stream to @fd, blocking. On an error the stream is made unreadable, so
 * that no reader takes a part for the whole. Does not close @fd. */
gboolean pack_tree_write (PackTree *pack, const char *path, int fd, GError **error);
