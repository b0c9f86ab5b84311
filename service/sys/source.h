/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Main-loop sources that an object owns. */

#pragma once

#include <glib.h>

/* Takes the source off its loop and forgets it; NULL inside is fine. */
static inline void
vmsan_source_clear (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}
