/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How errors of GDBus become errors of this library. */

#pragma once

#include "vmsan-error.h"

/* Strips what GDBus puts before a remote message, and turns the many ways in which a service can
 * be absent into VMSAN_ERROR_UNAVAILABLE with a message that says what to do. */
void vmsan_error_clean (GError *error);
