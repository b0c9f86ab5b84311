/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Connecting to Firecracker's sockets.
 *
 * They are in a directory that belongs to the machine's user: a guest that took over its
 * Firecracker can put anything there, such as a link to a socket of the host's, to which vmsand
 * would talk as root. So a name is opened without following links, must be a socket of that user's,
 * is connected to by its descriptor, and whoever listens must be that user. */

#pragma once

#include <gio/gio.h>

/* Connects to socket @name in @run_fd, a directory. Never waits. Returns a non-blocking,
 * close-on-exec descriptor, or -1: NOT_FOUND while there is none or nobody listens yet, BUSY when
 * others are waiting for it, VMM_FAILED when it is somebody else's. */
int vmsan_fc_socket_connect (int run_fd, const char *name, uid_t uid, GError **error);

/* Completes when @name can be connected to, which is watched for and not polled. TIMED_OUT after
 * @deadline_ms. The descriptor is the first connection. */
void vmsan_fc_socket_wait_async (int run_fd,
                                 const char *name,
                                 uid_t uid,
                                 guint deadline_ms,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
int vmsan_fc_socket_wait_finish (GAsyncResult *result, GError **error);

/* Connects to @port of the guest: what Firecracker forwards from its vsock socket. Completes when
 * the guest has accepted; NOT_FOUND when nobody listens there yet, TIMED_OUT after @deadline_ms. */
void vmsan_fc_vsock_connect_async (int run_fd,
                                   const char *name,
                                   uid_t uid,
                                   guint port,
                                   guint deadline_ms,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
int vmsan_fc_vsock_connect_finish (GAsyncResult *result, GError **error);
