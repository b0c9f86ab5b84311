/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Downloading one file so that what arrived is not asked for again when the connection breaks. */

#pragma once

#include <gio/gio.h>

#define DOWNLOAD_BYTES_MAX (G_GINT64_CONSTANT (256) << 20)

typedef struct
{
  const char *url;
  guint silence_s; /* give up when the server says nothing for so long */

  /* Told before each attempt how much is there already, and then again and again; @total is -1
   * where the server does not say. */
  void (*begin) (goffset done, gpointer user_data);
  void (*report) (goffset done, goffset total, gpointer user_data);
  gpointer user_data;
} Download;

/* Returns a descriptor of the file, which has no name any more; -1 on an error. When the connection
 * broke and the rest can be asked for, what arrived stays in the private @directory for the next
 * call; otherwise nothing does. */
int download_file (const Download *download, int directory, GError **error);

/* An empty file in @directory, which has no name any more. What an earlier download left goes. */
int download_make_file (int directory, GError **error);

/* The content of a small file of at most @max bytes as text. */
char *download_text (const char *url, gsize max, guint silence_s, GError **error);
