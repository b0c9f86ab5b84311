/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: no line is wider than asked for, as long as the columns that cannot shrink fit. */

#include "config.h"

#include "table.h"

#include "text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GAP       2
#define MIN_WIDTH 4 /* a column that shrinks keeps this much */

typedef struct
{
  const char *title;
  TableFlags flags;
  gsize width;
} Column;

typedef struct
{
  char **cells;
  guint colour_column;
  const char *colour;
} Row;

struct _Table
{
  GArray *columns; /* of Column */
  GArray *rows;    /* of Row */
};

static void
row_clear (gpointer data)
{
  g_strfreev (((Row *) data)->cells);
}

Table *
table_new (void)
{
  Table *table = g_new0 (Table, 1);

  table->columns = g_array_new (FALSE, TRUE, sizeof (Column));
  table->rows = g_array_new (FALSE, TRUE, sizeof (Row));
  g_array_set_clear_func (table->rows, row_clear);
  return table;
}

void
table_add_column (Table *table, const char *title, TableFlags flags)
{
  const Column column = { title, flags, text_width (title) };

  g_return_if_fail (table->rows->len == 0);
  g_array_append_val (table->columns, column);
}

void
table_add_row (Table *table, const char *const *cells, guint colour_column, const char *colour)
{
  Row row = { g_new0 (char *, table->columns->len + 1), colour_column, colour };

  for (guint i = 0; i < table->columns->len; i++)
    {
      Column *column = &g_array_index (table->columns, Column, i);

      row.cells[i] = text_printable (cells[i][0] != '\0' ? cells[i] : "-");
      column->width = MAX (column->width, text_width (row.cells[i]));
    }
  g_array_append_val (table->rows, row);
}

static gsize
total_width (const Column *columns, guint n)
{
  gsize total = 0;

  for (guint i = 0; i < n; i++)
    total += columns[i].width + (i > 0 ? GAP : 0);
  return total;
}

/* Takes columns away one by one from whichever is the widest. */
static void
shrink (Column *columns, guint n, gsize width)
{
  gsize total = total_width (columns, n);

  while (total > width)
    {
      Column *widest = NULL;

      for (guint i = 0; i < n; i++)
        if ((columns[i].flags & TABLE_SHRINKS) && columns[i].width > MIN_WIDTH &&
            (widest == NULL || columns[i].width > widest->width))
          widest = &columns[i];
      if (widest == NULL)
        return;
      widest->width--;
      total--;
    }
}

static void
append_cell (GString *out,
             const Column *column,
             const char *text,
             gboolean last,
             const char *colour,
             const char *plain)
{
  g_autofree char *cut = text_ellipsize (text, column->width);
  gsize padding = column->width - text_width (cut);

  if (column->flags & TABLE_RIGHT)
    g_string_append_printf (out, "%*s", (int) padding, "");
  g_string_append_printf (out, "%s%s%s", colour, cut, colour[0] != '\0' ? plain : "");
  if (!last && !(column->flags & TABLE_RIGHT))
    g_string_append_printf (out, "%*s", (int) padding, "");
  if (!last)
    g_string_append_printf (out, "%*s", GAP, "");
}

char *
table_format (Table *table, gsize width, gboolean colourful)
{
  const guint n = table->columns->len;
  g_autofree Column *columns = g_memdup2 (table->columns->data, n * sizeof (Column));
  GString *out = g_string_new (NULL);

  if (width > 0)
    shrink (columns, n, width);
  for (guint i = 0; i < n; i++)
    append_cell (out, &columns[i], columns[i].title, i == n - 1, text_bold (colourful),
                 text_plain (colourful));
  g_string_append_c (out, '\n');
  for (guint r = 0; r < table->rows->len; r++)
    {
      const Row *row = &g_array_index (table->rows, Row, r);

      for (guint i = 0; i < n; i++)
        append_cell (out, &columns[i], row->cells[i], i == n - 1,
                     colourful && row->colour != NULL && i == row->colour_column ? row->colour : "",
                     text_plain (colourful));
      g_string_append_c (out, '\n');
    }
  return g_string_free (out, FALSE);
}

void
table_print (Table *table)
{
  g_autofree char *text =
      table_format (table, text_terminal_width (), text_is_colourful (STDOUT_FILENO));

  fputs (text, stdout);
}

void
table_free (Table *table)
{
  g_array_unref (table->columns);
  g_array_unref (table->rows);
  g_free (table);
}
