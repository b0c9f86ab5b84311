/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What every public header needs. The library is built with hidden visibility; VMSAN_PUBLIC marks
 * what programs may use. */

#pragma once

#include <gio/gio.h>

#if defined(__GNUC__)
#  define VMSAN_PUBLIC __attribute__ ((visibility ("default"))) extern
#else
#  define VMSAN_PUBLIC extern
#endif
