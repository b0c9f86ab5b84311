/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The sockets of one monitor, in the machine's runtime directory.
 *
 * The service binds them and the monitor inherits them listening. So their names never belong to
 * the monitor's uid, which could otherwise put something else there for the service to connect to.
 * They survive a restart of the service: the next one connects to the same names. */

#pragma once

#include <glib.h>

/* Makes NAME listen, replacing one of an earlier run. Returns a blocking, close-on-exec descriptor
 * or -1. */
int vmsan_monitor_socket_listen (const char *runtime_dir, const char *name, GError **error);

/* Connects to NAME. Returns a non-blocking, close-on-exec descriptor or -1: VMM_FAILED when nobody
 * listens any more, BUSY when others are waiting for it already. */
int vmsan_monitor_socket_connect (const char *runtime_dir, const char *name, GError **error);

/* Name of the socket of a stream. (transfer full) */
char *vmsan_monitor_socket_name_stream (guint stream);
