/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How a value of a network option is refused: by itself and its rule. */

#pragma once

#include <glib.h>

/* INVALID_ARGUMENT: "“TEXT” RULE", with @text made valid and short: it may have any bytes and any
 * length. Always FALSE. */
gboolean vmsan_net_refuse (GError **error, const char *text, const char *rule);
