/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What content-add.c needs of the store: a place to build an entry, and to put it in. Any thread.
 */

#pragma once

#include "storage/content-store.h"

VmsanManagedRoot *vmsan_content_store_get_root (VmsanContentStore *self); /* borrowed */

/* "image" or "kernel", for messages. */
const char *vmsan_content_store_get_noun (VmsanContentStore *self);

/* Makes an empty hidden directory for an entry; its name is relative to the root. (transfer full)
 */
char *vmsan_content_store_begin (VmsanContentStore *self, GError **error);

/* Refuses a name that is invalid, or taken by an entry that cannot be the one that is being added,
 * which has @size_bytes (0: not known yet). */
gboolean vmsan_content_store_check_name (VmsanContentStore *self,
                                         const char *name,
                                         guint64 size_bytes,
                                         GError **error);

/* Gives the hidden directory, whose files are written and synced, the place of @content. When that
 * is there already it is returned and @is_new is FALSE. The hidden directory is the caller's to
 * delete, if it still exists. (transfer full) */
VmsanContent *vmsan_content_store_commit (VmsanContentStore *self,
                                          const char *temporary,
                                          VmsanContent *content,
                                          gboolean *is_new,
                                          GError **error);

/* Emits "added" when @content is new and nobody did it yet: of several who add the same at once,
 * the first whose result is delivered. In the context of the store's users, not in a worker. */
void vmsan_content_store_announce (VmsanContentStore *self, VmsanContent *content);
