/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sizes and durations as people write them. */

#pragma once

#include <gio/gio.h>

/* "512", "512M", "2G", "1T" (with "iB" or "B" behind, in any case): MiB. A number without a unit
 * is MiB. Fractions of a MiB are refused. */
gboolean units_parse_mib (const char *text, guint32 *mib, GError **error);

/* "500ms", "30s", "5m", "2h", "1d", or several, largest first: "1h30m". A number without a unit is
 * seconds. "0", "none" and "never" are 0. */
gboolean units_parse_duration_ms (const char *text, guint64 *milliseconds, GError **error);

/* A number of Mbit/s; "0" and "none" are 0. */
gboolean units_parse_mbit (const char *text, guint32 *mbit, GError **error);
