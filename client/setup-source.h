/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where “setup” takes files from: a path or a URL, as the user gave it. */

#pragma once

#include "download.h"

/* The file's name, such as "firecracker-v1.15.1-x86_64.tgz". NULL: nothing is taken from there. */
char *setup_source_get_name (const char *from, GError **error);

/* The file beside it whose name has @suffix behind it. */
char *setup_source_get_beside (const char *from, const char *suffix, GError **error);

/* The content of a small text file. */
char *setup_source_read_text (const char *from, guint silence_s, GError **error);

/* Returns a descriptor of a copy that nobody else can change; the @directory for it is private.
 * @download->url may be a path too. */
int setup_source_fetch (const Download *download, int directory, GError **error);
