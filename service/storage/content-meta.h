/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An entry's meta.json, written once and read strictly: a file that lacks a member of its version,
 * has one of another type or a value that no version of vmsan writes is DAMAGED. */

#pragma once

#include "storage/content-store.h"

/* Small, for the parser recurses; twice what 64 modules need. */
#define VMSAN_CONTENT_META_BYTES_MAX (16 * 1024)

/* At most so many bytes of @no_elf are kept. */
#define VMSAN_CONTENT_TEXT_MAX 256

/* (transfer full) */
VmsanContent *vmsan_content_new (const char *id,
                                 const char *name,
                                 const char *format,
                                 const char *version,
                                 const char *const *modules,
                                 const char *no_elf,
                                 guint64 size_bytes,
                                 uid_t added_by);

/* The values of a table of contents, oldest first. (transfer container) */
GPtrArray *vmsan_content_list_by_age (GHashTable *by_id);

/* 1 to 63 of A-Za-z0-9._-, the first a letter or digit. */
gboolean vmsan_content_name_is_valid (const char *name);

/* 64 hexadecimal digits, lower case. */
gboolean vmsan_content_id_is_valid (const char *id);

/* What uname -r may say; NULL and "" are fine. */
gboolean vmsan_content_check_version (const char *version, GError **error);

/* (transfer full) */
char *vmsan_content_to_json (VmsanContent *self, VmsanContentKind kind);

/* Reads what belongs to entry @id. (transfer full) */
VmsanContent *vmsan_content_from_json (
    const char *json, gsize size, VmsanContentKind kind, const char *id, GError **error);
