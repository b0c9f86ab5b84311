/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The archive of a release, of which the two programs are taken and nothing else. */

#pragma once

#include "release.h"

/* Names of the programs where they are installed; ends with NULL. */
extern const char *const release_programs[];

/* Writes the programs in the archive @fd into @directory, which has none of them, for root and with
 * permission for all to run them, and syncs them. On an error some may be there. @name: what the
 * archive is called in messages. */
gboolean release_archive_unpack (
    int fd, const char *name, const Release *release, int directory, GError **error);
