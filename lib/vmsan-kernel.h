/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A kernel that machines boot, with its modules. */

#pragma once

#include "vmsan-macros.h"

G_BEGIN_DECLS

#define VMSAN_TYPE_KERNEL (vmsan_kernel_get_type ())
VMSAN_PUBLIC
G_DECLARE_FINAL_TYPE (VmsanKernel, vmsan_kernel, VMSAN, KERNEL, GObject)

VMSAN_PUBLIC const char *vmsan_kernel_get_object_path (VmsanKernel *kernel);
VMSAN_PUBLIC const char *vmsan_kernel_get_id (VmsanKernel *kernel);
VMSAN_PUBLIC const char *vmsan_kernel_get_name (VmsanKernel *kernel);
VMSAN_PUBLIC const char *vmsan_kernel_get_version (VmsanKernel *kernel);
VMSAN_PUBLIC char **vmsan_kernel_get_modules (VmsanKernel *kernel);
VMSAN_PUBLIC const char *vmsan_kernel_get_format (VmsanKernel *kernel);
VMSAN_PUBLIC char **vmsan_kernel_get_formats (VmsanKernel *kernel);
VMSAN_PUBLIC const char *vmsan_kernel_get_no_elf_reason (VmsanKernel *kernel);
VMSAN_PUBLIC guint64 vmsan_kernel_get_size (VmsanKernel *kernel);
VMSAN_PUBLIC gint64 vmsan_kernel_get_added_at (VmsanKernel *kernel);
VMSAN_PUBLIC guint vmsan_kernel_get_added_by (VmsanKernel *kernel);

VMSAN_PUBLIC void vmsan_kernel_remove (VmsanKernel *kernel,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
VMSAN_PUBLIC gboolean vmsan_kernel_remove_finish (VmsanKernel *kernel,
                                                  GAsyncResult *result,
                                                  GError **error);
VMSAN_PUBLIC gboolean vmsan_kernel_remove_sync (VmsanKernel *kernel,
                                                GCancellable *cancellable,
                                                GError **error);

G_END_DECLS
