/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A table of text: as wide as its content, but never wider than it may be; then the columns that
 * can shrink do, the widest first. */

#pragma once

#include <glib.h>

typedef enum
{
  TABLE_FIXED = 0,
  TABLE_SHRINKS = 1 << 0,
  TABLE_RIGHT = 1 << 1, /* numbers */
} TableFlags;

typedef struct _Table Table;

Table *table_new (void);

/* @title: transfer none, must stay; all columns before the first row. */
void table_add_column (Table *table, const char *title, TableFlags flags);

/* At least one text for each column; they are made printable. @colour is for @colour_column, or
 * NULL. */
void
table_add_row (Table *table, const char *const *cells, guint colour_column, const char *colour);

/* @width: columns of the terminal, 0: no limit. */
char *table_format (Table *table, gsize width, gboolean colourful);

/* To standard output, as that wants it. */
void table_print (Table *table);

void table_free (Table *table);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Table, table_free)
