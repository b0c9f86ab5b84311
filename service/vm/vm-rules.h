/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What ids, names and other texts of a machine may be. CreateVM applies these rules to its
 * caller, and reading a record applies them to the disk. */

#pragma once

#include <glib.h>

#define VMSAN_VM_ID_LENGTH 12

gboolean vmsan_vm_id_is_valid (const char *id);

/* INVALID_ARGUMENT that says what is not acceptable and what would be. @what begins the sentence.
 */
gboolean vmsan_name_check (const char *name, const char *what, GError **error);
gboolean vmsan_hostname_check (const char *hostname, GError **error);
gboolean vmsan_init_check (const char *init, GError **error);
gboolean vmsan_labels_check (GVariant *labels, GError **error); /* a{ss} */
