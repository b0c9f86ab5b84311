/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Values in requests to Firecracker's API. Used by fc-request.c only.
 *
 * Each check is FALSE with INVALID_ARGUMENT. @what: the thing it belongs to, for the message. */

#pragma once

#include "vmm/firecracker/fc-request.h"

/* Absolute and UTF-8; NULL is not. */
gboolean vmsan_fc_check_path (const char *what, const char *path, GError **error);

/* One that also fits into a socket's address. */
gboolean vmsan_fc_check_socket_path (const char *path, GError **error);

gboolean vmsan_fc_check_id (const char *what, const char *id, GError **error);
gboolean vmsan_fc_check_tap (const char *name, GError **error);
gboolean vmsan_fc_check_mac (const char *mac, GError **error);
gboolean vmsan_fc_check_bucket (const VmsanFcBucket *bucket, GError **error);
gboolean vmsan_fc_check_limiter (const VmsanFcRateLimiter *limiter, GError **error);
