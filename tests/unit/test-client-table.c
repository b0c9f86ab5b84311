/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Tables fit the terminal, and nothing in them can move its cursor. */

#include "table.h"
#include "text.h"

#include <string.h>

static Table *
make_table (void)
{
  static const char *const rows[][4] = { { "abc123", "web", "running", "7" },
                                         { "def456", "a-name-that-is-rather-long-for-a-table",
                                           "stopped", "12345" },
                                         { "0", "日本語の名前", "error", "" } };
  Table *table = table_new ();

  table_add_column (table, "ID", TABLE_FIXED);
  table_add_column (table, "NAME", TABLE_SHRINKS);
  table_add_column (table, "STATE", TABLE_FIXED);
  table_add_column (table, "MEMORY", TABLE_RIGHT);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    table_add_row (table, rows[i], 2, i == 0 ? "\033[32m" : NULL);
  return table;
}

static void
test_natural_width (void)
{
  g_autoptr (Table) table = make_table ();
  g_autofree char *text = table_format (table, 0, FALSE);

  g_assert_cmpstr (text, ==,
                   "ID      NAME                                    STATE    MEMORY\n"
                   "abc123  web                                     running       7\n"
                   "def456  a-name-that-is-rather-long-for-a-table  stopped   12345\n"
                   "0       日本語の名前                            error         -\n");
}

static void
test_every_width (void)
{
  g_autoptr (Table) table = make_table ();

  for (gsize width = 33; width < 80; width++)
    {
      g_autofree char *text = table_format (table, width, FALSE);
      g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

      for (gsize i = 0; lines[i] != NULL; i++)
        g_assert_cmpuint (text_width (lines[i]), <=, width);
      /* What tells machines apart, and their state, stays whole. */
      g_assert_nonnull (strstr (text, "def456"));
      g_assert_nonnull (strstr (text, "stopped"));
    }
}

static void
test_too_narrow (void)
{
  g_autoptr (Table) table = make_table ();
  g_autofree char *text = table_format (table, 5, FALSE);

  g_assert_nonnull (strstr (text, "def456  a-n…  stopped   12345\n"));
}

static void
test_colour (void)
{
  g_autoptr (Table) table = make_table ();
  g_autofree char *plain = table_format (table, 50, FALSE);
  g_autofree char *coloured = table_format (table, 50, TRUE);

  g_assert_null (strchr (plain, '\033'));
  g_assert_nonnull (strstr (coloured, "\033[32mrunning\033[0m"));
  g_assert_null (strstr (coloured, "\033[32mstopped"));
}

static void
test_hostile_cells (void)
{
  g_autoptr (Table) table = table_new ();
  const char *cells[] = { "x\033[2J\r\n\tevil\xff\xe2\x80\xae\xc2\x9b" };
  g_autofree char *text = NULL;

  table_add_column (table, "NAME", TABLE_SHRINKS);
  table_add_row (table, cells, 0, NULL);
  text = table_format (table, 0, TRUE);
  g_assert_nonnull (strstr (text, "x?[2J???evil\xef\xbf\xbd??\n"));
}

static void
test_ellipsis (void)
{
  g_autofree char *whole = text_ellipsize ("abc", 3);
  g_autofree char *cut = text_ellipsize ("abcd", 3);
  g_autofree char *wide = text_ellipsize ("日本語", 4);
  g_autofree char *one = text_ellipsize ("abc", 1);
  g_autofree char *none = text_ellipsize ("abc", 0);

  g_assert_cmpstr (whole, ==, "abc");
  g_assert_cmpstr (cut, ==, "ab…");
  g_assert_cmpstr (wide, ==, "日…");
  g_assert_cmpstr (one, ==, "…");
  g_assert_cmpstr (none, ==, "");
}

static void
test_console (void)
{
  g_autofree char *safe = text_printable_block ("boot\r\n\tok \033]0;title\a\n");

  g_assert_cmpstr (safe, ==, "boot\n\tok ?]0;title?\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/table/is-as-wide-as-its-content", test_natural_width);
  g_test_add_func ("/client/table/fits-every-terminal", test_every_width);
  g_test_add_func ("/client/table/shrinks-only-so-far", test_too_narrow);
  g_test_add_func ("/client/table/colours-only-when-asked", test_colour);
  g_test_add_func ("/client/table/hostile-cells-are-harmless", test_hostile_cells);
  g_test_add_func ("/client/text/ellipsis-counts-columns", test_ellipsis);
  g_test_add_func ("/client/text/console-keeps-its-lines-only", test_console);
  return g_test_run ();
}
