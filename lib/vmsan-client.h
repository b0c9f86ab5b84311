/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The service vmsand, as a program sees it. */

#pragma once

#include "vmsan-image.h"
#include "vmsan-kernel.h"
#include "vmsan-vm.h"

G_BEGIN_DECLS

#define VMSAN_TYPE_CLIENT (vmsan_client_get_type ())
VMSAN_PUBLIC
G_DECLARE_FINAL_TYPE (VmsanClient, vmsan_client, VMSAN, CLIENT, GObject)

VMSAN_PUBLIC void
vmsan_client_new (GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
VMSAN_PUBLIC VmsanClient *vmsan_client_new_finish (GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanClient *vmsan_client_new_sync (GCancellable *cancellable, GError **error);

VMSAN_PUBLIC GDBusConnection *vmsan_client_get_connection (VmsanClient *client);
VMSAN_PUBLIC gboolean vmsan_client_get_interactive (VmsanClient *client);
VMSAN_PUBLIC void vmsan_client_set_interactive (VmsanClient *client, gboolean interactive);
VMSAN_PUBLIC gboolean vmsan_client_get_available (VmsanClient *client);
VMSAN_PUBLIC const char *vmsan_client_get_version (VmsanClient *client);
VMSAN_PUBLIC char **vmsan_client_get_features (VmsanClient *client);
VMSAN_PUBLIC GVariant *vmsan_client_get_drivers (VmsanClient *client);

VMSAN_PUBLIC void vmsan_client_create_vm (VmsanClient *client,
                                          GVariant *options,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data);
VMSAN_PUBLIC VmsanVM *
vmsan_client_create_vm_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanVM *vmsan_client_create_vm_sync (VmsanClient *client,
                                                   GVariant *options,
                                                   GCancellable *cancellable,
                                                   GError **error);

VMSAN_PUBLIC void vmsan_client_get_vm (VmsanClient *client,
                                       const char *name,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
VMSAN_PUBLIC VmsanVM *
vmsan_client_get_vm_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanVM *vmsan_client_get_vm_sync (VmsanClient *client,
                                                const char *name,
                                                GCancellable *cancellable,
                                                GError **error);

VMSAN_PUBLIC void vmsan_client_list_vms (VmsanClient *client,
                                         GVariant *filter,
                                         GCancellable *cancellable,
                                         GAsyncReadyCallback callback,
                                         gpointer user_data);
VMSAN_PUBLIC GPtrArray *
vmsan_client_list_vms_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GPtrArray *vmsan_client_list_vms_sync (VmsanClient *client,
                                                    GVariant *filter,
                                                    GCancellable *cancellable,
                                                    GError **error);

VMSAN_PUBLIC void vmsan_client_add_image (VmsanClient *client,
                                          int fd,
                                          GVariant *options,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data);
VMSAN_PUBLIC VmsanImage *
vmsan_client_add_image_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanImage *vmsan_client_add_image_sync (
    VmsanClient *client, int fd, GVariant *options, GCancellable *cancellable, GError **error);

VMSAN_PUBLIC void vmsan_client_get_image (VmsanClient *client,
                                          const char *name,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data);
VMSAN_PUBLIC VmsanImage *
vmsan_client_get_image_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanImage *vmsan_client_get_image_sync (VmsanClient *client,
                                                      const char *name,
                                                      GCancellable *cancellable,
                                                      GError **error);

VMSAN_PUBLIC void vmsan_client_list_images (VmsanClient *client,
                                            GCancellable *cancellable,
                                            GAsyncReadyCallback callback,
                                            gpointer user_data);
VMSAN_PUBLIC GPtrArray *
vmsan_client_list_images_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GPtrArray *
vmsan_client_list_images_sync (VmsanClient *client, GCancellable *cancellable, GError **error);

VMSAN_PUBLIC void vmsan_client_add_kernel (VmsanClient *client,
                                           int kernel_fd,
                                           int modules_fd,
                                           GVariant *module_list,
                                           GVariant *options,
                                           GCancellable *cancellable,
                                           GAsyncReadyCallback callback,
                                           gpointer user_data);
VMSAN_PUBLIC VmsanKernel *
vmsan_client_add_kernel_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanKernel *vmsan_client_add_kernel_sync (VmsanClient *client,
                                                        int kernel_fd,
                                                        int modules_fd,
                                                        GVariant *module_list,
                                                        GVariant *options,
                                                        GCancellable *cancellable,
                                                        GError **error);

VMSAN_PUBLIC void vmsan_client_get_kernel (VmsanClient *client,
                                           const char *name,
                                           GCancellable *cancellable,
                                           GAsyncReadyCallback callback,
                                           gpointer user_data);
VMSAN_PUBLIC VmsanKernel *
vmsan_client_get_kernel_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC VmsanKernel *vmsan_client_get_kernel_sync (VmsanClient *client,
                                                        const char *name,
                                                        GCancellable *cancellable,
                                                        GError **error);

VMSAN_PUBLIC void vmsan_client_list_kernels (VmsanClient *client,
                                             GCancellable *cancellable,
                                             GAsyncReadyCallback callback,
                                             gpointer user_data);
VMSAN_PUBLIC GPtrArray *
vmsan_client_list_kernels_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GPtrArray *
vmsan_client_list_kernels_sync (VmsanClient *client, GCancellable *cancellable, GError **error);

VMSAN_PUBLIC void vmsan_client_doctor (VmsanClient *client,
                                       GVariant *options,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
VMSAN_PUBLIC GVariant *
vmsan_client_doctor_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GVariant *vmsan_client_doctor_sync (VmsanClient *client,
                                                 GVariant *options,
                                                 GCancellable *cancellable,
                                                 GError **error);

VMSAN_PUBLIC void vmsan_client_get_events (VmsanClient *client,
                                           guint64 since,
                                           GCancellable *cancellable,
                                           GAsyncReadyCallback callback,
                                           gpointer user_data);
VMSAN_PUBLIC GVariant *vmsan_client_get_events_finish (
    VmsanClient *client, GAsyncResult *result, guint64 *next, gboolean *missed, GError **error);
VMSAN_PUBLIC GVariant *vmsan_client_get_events_sync (VmsanClient *client,
                                                     guint64 since,
                                                     guint64 *next,
                                                     gboolean *missed,
                                                     GCancellable *cancellable,
                                                     GError **error);

VMSAN_PUBLIC void vmsan_client_list_plugins (VmsanClient *client,
                                             GCancellable *cancellable,
                                             GAsyncReadyCallback callback,
                                             gpointer user_data);
VMSAN_PUBLIC GVariant *
vmsan_client_list_plugins_finish (VmsanClient *client, GAsyncResult *result, GError **error);
VMSAN_PUBLIC GVariant *
vmsan_client_list_plugins_sync (VmsanClient *client, GCancellable *cancellable, GError **error);

G_END_DECLS
