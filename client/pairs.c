/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: one value is one line, whatever is in it. */

#include "config.h"

#include "pairs.h"

#include "text.h"

#define TITLE_WIDTH 16

static void
append_line (
    GString *text, const char *title, const char *colon, const char *value, gboolean colourful)
{
  g_autofree char *safe = text_printable (value);
  gsize width = text_width (title);

  g_string_append_printf (text, "%*s%s%s%s%s %s\n",
                          (int) (width < TITLE_WIDTH ? TITLE_WIDTH - width : 0), "",
                          text_bold (colourful), title, colon, text_plain (colourful), safe);
}

void
pairs_append (GString *text, const char *title, const char *value, gboolean colourful)
{
  if (value[0] != '\0')
    append_line (text, title, ":", value, colourful);
}

void
pairs_append_list (GString *text, const char *title, const char *const *values, gboolean colourful)
{
  for (gsize i = 0; values[i] != NULL; i++)
    append_line (text, i == 0 ? title : "", i == 0 ? ":" : " ", values[i], colourful);
}
