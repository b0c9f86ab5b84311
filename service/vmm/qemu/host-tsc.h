/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How fast the host's time stamp counter runs. */

#pragma once

#include <glib.h>

/* In kHz; measured at the first call, which sleeps for 20 ms: worker thread.
 *
 * An emulated CPU counts with the host's counter. A guest would find out its rate by polling a
 * timer chip, which fails when the host is busy; a kernel that has no other clock then stops for
 * ever. So it is told. */
guint vmsan_host_tsc_get_khz (void);
