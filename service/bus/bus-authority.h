/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Asking polkit, asynchronously. Whatever is not a clear yes is a no. */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#define VMSAN_TYPE_BUS_AUTHORITY (vmsan_bus_authority_get_type ())
G_DECLARE_FINAL_TYPE (VmsanBusAuthority, vmsan_bus_authority, VMSAN, BUS_AUTHORITY, GObject)

VmsanBusAuthority *vmsan_bus_authority_new (void);

/* Asks whether the caller may do @action. @details is a{ss}, seen by rules as action.lookup(). With
 * @interactive polkit may ask for a password, which takes as long as a person takes. Cancelling
 * makes polkit stop asking. NOT_AUTHORIZED, AUTHORIZATION_DISMISSED, AUTHORIZATION_REQUIRED. */
void vmsan_bus_authority_check_async (VmsanBusAuthority *self,
                                      const char *unique_name,
                                      uid_t uid,
                                      const char *action,
                                      GVariant *details,
                                      gboolean interactive,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data);
gboolean
vmsan_bus_authority_check_finish (VmsanBusAuthority *self, GAsyncResult *result, GError **error);
