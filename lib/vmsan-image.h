/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A root file system that machines are made from. */

#pragma once

#include "vmsan-macros.h"

G_BEGIN_DECLS

#define VMSAN_TYPE_IMAGE (vmsan_image_get_type ())
VMSAN_PUBLIC
G_DECLARE_FINAL_TYPE (VmsanImage, vmsan_image, VMSAN, IMAGE, GObject)

VMSAN_PUBLIC const char *vmsan_image_get_object_path (VmsanImage *image);
VMSAN_PUBLIC const char *vmsan_image_get_id (VmsanImage *image);
VMSAN_PUBLIC const char *vmsan_image_get_name (VmsanImage *image);
VMSAN_PUBLIC const char *vmsan_image_get_format (VmsanImage *image);
VMSAN_PUBLIC guint64 vmsan_image_get_size (VmsanImage *image);
VMSAN_PUBLIC gint64 vmsan_image_get_added_at (VmsanImage *image);
VMSAN_PUBLIC guint vmsan_image_get_added_by (VmsanImage *image);

VMSAN_PUBLIC void vmsan_image_remove (VmsanImage *image,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_image_remove_finish (VmsanImage *image,
                                                 GAsyncResult *result,
                                                 GError **error);
VMSAN_PUBLIC gboolean vmsan_image_remove_sync (VmsanImage *image,
                                               GCancellable *cancellable,
                                               GError **error);

G_END_DECLS
