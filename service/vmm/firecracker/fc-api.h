/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The API of one Firecracker: HTTP over the Unix socket that it made in its jail.
 *
 * Requests go one after the other on one connection, as Firecracker handles them; each has a
 * deadline of its own, from when it is sent. Nothing is ever sent twice. What a request that was
 * cancelled or ran out of time has done is not known. */

#pragma once

#include "vmm/firecracker/fc-answer.h"
#include "vmm/firecracker/fc-request.h"

#include <gio/gio.h>

#define VMSAN_TYPE_FC_API (vmsan_fc_api_get_type ())
G_DECLARE_FINAL_TYPE (VmsanFcApi, vmsan_fc_api, VMSAN, FC_API, GObject)

/* For the socket that is at @path below @dir_fd now, whatever may be put there later; links are not
 * followed, nor other mounts entered. NOT_FOUND while Firecracker has not made it yet. Everything
 * after that is done in the thread-default main context of now. (transfer full) */
VmsanFcApi *vmsan_fc_api_open (int dir_fd, const char *path, GError **error);

void vmsan_fc_api_send_async (VmsanFcApi *self,
                              VmsanFcRequest *request,
                              guint deadline_ms,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data);

/* The object that was answered, empty where there is nothing to tell (transfer full). VMM_FAILED
 * with the request and Firecracker's words when it refused, or when it is not there any more;
 * TIMED_OUT after the deadline. */
JsonObject *vmsan_fc_api_send_finish (VmsanFcApi *self, GAsyncResult *result, GError **error);

/* Asks for the version. NOT_SUPPORTED for a release before 1.10. */
void vmsan_fc_api_ask_version_async (VmsanFcApi *self,
                                     guint deadline_ms,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean vmsan_fc_api_ask_version_finish (VmsanFcApi *self,
                                          GAsyncResult *result,
                                          VmsanFcVersion *version,
                                          GError **error);
