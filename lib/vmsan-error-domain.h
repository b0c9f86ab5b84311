/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* VMSAN_ERROR as both sides of the bus have it; the service is built with it too. */

#pragma once

#include "vmsan-error.h"

#define VMSAN_ERROR_LAST VMSAN_ERROR_VETOED

/* The D-Bus name of a code. */
const char *vmsan_error_dbus_name (VmsanError code);
