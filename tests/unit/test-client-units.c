/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sizes and durations: what is written is what is meant, or it is refused. */

#include "units.h"

static void
test_sizes (void)
{
  static const struct
  {
    const char *text;
    gint64 mib; /* -1: refused */
  } cases[] = {
    { "512", 512 },
    { "0", 0 },
    { "512M", 512 },
    { "512m", 512 },
    { "512MiB", 512 },
    { "512MB", 512 },
    { "2G", 2048 },
    { "2gib", 2048 },
    { "1T", 1048576 },
    { "4095T", 4293918720 },
    { "4096T", -1 },
    { "4294967295", 4294967295 },
    { "4294967296", -1 },
    { "99999999999999999999", -1 },
    { "18446744073709551615G", -1 },
    { "", -1 },
    { "M", -1 },
    { "-1", -1 },
    { "+1", -1 },
    { " 1", -1 },
    { "1 G", -1 },
    { "1.5G", -1 },
    { "512K", -1 },
    { "1GiBs", -1 },
    { "0x10", -1 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint32 mib = 12345;
      gboolean ok = units_parse_mib (cases[i].text, &mib, &error);

      g_test_message ("%s", cases[i].text);
      g_assert_cmpint (ok, ==, cases[i].mib >= 0);
      if (ok)
        g_assert_cmpint (mib, ==, cases[i].mib);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_durations (void)
{
  static const struct
  {
    const char *text;
    guint64 ms; /* G_MAXUINT64: refused */
  } cases[] = {
    { "30", 30000 },
    { "30s", 30000 },
    { "500ms", 500 },
    { "5m", 300000 },
    { "2h", 7200000 },
    { "1d", 86400000 },
    { "1h30m", 5400000 },
    { "1d2h3m4s5ms", 93784005 },
    { "0", 0 },
    { "0s", 0 },
    { "none", 0 },
    { "never", 0 },
    { "", G_MAXUINT64 },
    { "s", G_MAXUINT64 },
    { "-5s", G_MAXUINT64 },
    { "5 s", G_MAXUINT64 },
    { "5w", G_MAXUINT64 },
    { "5S", G_MAXUINT64 },
    { "1h30", G_MAXUINT64 },
    { "30m1h", G_MAXUINT64 },
    { "1h1h", G_MAXUINT64 },
    { "1.5h", G_MAXUINT64 },
    { "18446744073709551615d", G_MAXUINT64 },
    { "213503982335d", G_MAXUINT64 },
    { "99999999999999999999s", G_MAXUINT64 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint64 ms = 12345;
      gboolean ok = units_parse_duration_ms (cases[i].text, &ms, &error);

      g_test_message ("%s", cases[i].text);
      g_assert_cmpint (ok, ==, cases[i].ms != G_MAXUINT64);
      if (ok)
        g_assert_cmpuint (ms, ==, cases[i].ms);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_bandwidths (void)
{
  static const struct
  {
    const char *text;
    gint64 mbit; /* -1: refused */
  } cases[] = {
    { "1", 1 },
    { "100", 100 },
    { "0", 0 },
    { "none", 0 },
    { "4294967295", 4294967295 },
    { "4294967296", -1 },
    { "", -1 },
    { "-1", -1 },
    { "+1", -1 },
    { " 1", -1 },
    { "1.5", -1 },
    { "1G", -1 },
    { "1 ", -1 },
    { "never", -1 },
    { "0x10", -1 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      guint32 mbit = 12345;
      gboolean ok = units_parse_mbit (cases[i].text, &mbit, &error);

      g_test_message ("%s", cases[i].text);
      g_assert_cmpint (ok, ==, cases[i].mbit >= 0);
      if (ok)
        g_assert_cmpint (mbit, ==, cases[i].mbit);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/units/sizes-are-understood-or-refused", test_sizes);
  g_test_add_func ("/client/units/durations-are-understood-or-refused", test_durations);
  g_test_add_func ("/client/units/bandwidths-are-understood-or-refused", test_bandwidths);
  return g_test_run ();
}
