/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One line on the terminal that says what is going on, gone when it is over. Nothing at all where
 * standard error is not a terminal. */

#pragma once

#include <glib.h>

typedef struct
{
  gboolean wanted;
  gboolean shown;
} Progress;

/* @quiet: never show anything */
void progress_begin (Progress *progress, gboolean quiet);
void progress_say (Progress *progress, const char *format, ...) G_GNUC_PRINTF (2, 3);
void progress_end (Progress *progress);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Progress, progress_end)
