/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SHA-256 checksums, as sha256sum(1) writes them. */

#pragma once

#include <gio/gio.h>

#define CHECKSUM_LENGTH 64

/* @hex in lower case, or NULL when it is none. */
char *checksum_parse (const char *hex, GError **error);

/* The checksum of the file @name in a list of lines "HEX  NAME". @from: what the list is called in
 * messages. */
char *checksum_find (const char *list, const char *name, const char *from, GError **error);

/* Whether the whole content of @fd has the checksum @wanted, which is in lower case. @name: what
 * it is called in messages. */
gboolean checksum_verify (int fd, const char *name, const char *wanted, GError **error);
