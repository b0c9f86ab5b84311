/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reads a store's entries when vmsand starts, whatever state their directory is in. */

#pragma once

#include "storage/content-store.h"

/* Fills @by_id with the entries of @directory. Left-overs of unfinished work are deleted, damaged
 * entries moved to "damaged/" and warned of. Fails only when the directory itself cannot be read.
 */
gboolean vmsan_content_load_all (VmsanManagedRoot *root,
                                 const char *directory,
                                 VmsanContentKind kind,
                                 const char *noun,
                                 GHashTable *by_id,
                                 GError **error);
