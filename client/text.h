/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Text for people: safe to print, of a known width, coloured where that is wanted. */

#pragma once

#include <glib.h>

/* Names, reasons and console lines may come from guests: control and format characters become '?'.
 * text_printable_block() keeps line breaks and tabs. */
char *text_printable (const char *text);
char *text_printable_block (const char *text);

/* Columns that @text takes on a terminal. */
gsize text_width (const char *text);

/* @text cut to @width columns, with an ellipsis when something is missing. */
char *text_ellipsize (const char *text, gsize width);

/* Columns of the terminal that standard output is, or 0. */
gsize text_terminal_width (void);

/* Whether escape sequences may be written to @fd: a terminal, no NO_COLOR, not dumb. */
gboolean text_is_colourful (int fd);

/* The escape sequences for a machine's state; empty strings when @colourful is FALSE. */
const char *text_state_colour (const char *state, gboolean colourful);
/* The same for how bad something is: "ok", "note", "warning" or "error". */
const char *text_severity_colour (const char *severity, gboolean colourful);
const char *text_bold (gboolean colourful);
const char *text_plain (gboolean colourful);

/* "root", or the number of a user without a name. */
char *text_user_name (guint uid);

/* A user's name or number as uid. */
gboolean text_parse_user (const char *text, guint *uid, GError **error);

/* Local date and time of microseconds since 1970; "-" for 0. */
char *text_time (gint64 microseconds);

/* "5 minutes": one unit, rounded down; "-" for 0. */
char *text_age (gint64 microseconds);

/* "1.5 GiB" */
char *text_bytes (guint64 bytes);

/* The first 12 characters of a hexadecimal id. */
char *text_short_id (const char *id);
