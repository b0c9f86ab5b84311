/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names and values of one thing, a line each, the values below each other. */

#pragma once

#include <glib.h>

/* A line for @value, which is made printable; none when it is empty. */
void pairs_append (GString *text, const char *title, const char *value, gboolean colourful);

/* A line for each value, the title on the first. */
void
pairs_append_list (GString *text, const char *title, const char *const *values, gboolean colourful);
