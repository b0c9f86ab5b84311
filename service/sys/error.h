/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Every layer reports in VMSAN_ERROR; each code has a D-Bus name, so that an error reaches the
 * caller as it was made. Messages say what was attempted on which object, what went wrong and what
 * to do. */

#pragma once

#include "vmsan-error-domain.h"

/* Sets @error to INVALID_ARGUMENT. Always returns FALSE, so that callers can return it. */
gboolean vmsan_error_refuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Sets @error from errno: "FORMAT: strerror". ENOSPC and EDQUOT become NO_SPACE, ENOENT becomes
 * NOT_FOUND, everything else FAILED. Always returns FALSE, so that callers can return it. */
gboolean vmsan_error_set_errno (GError **error, int saved_errno, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
