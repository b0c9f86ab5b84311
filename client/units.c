/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what is not understood whole is refused; no number wraps. */

#include "config.h"

#include "units.h"

#include <glib/gi18n.h>
#include <errno.h>
#include <string.h>

/* Digits at the beginning of *@text; moves it behind them. */
static gboolean
take_number (const char **text, guint64 *number)
{
  char *end;

  if (!g_ascii_isdigit (**text))
    return FALSE;
  errno = 0;
  *number = g_ascii_strtoull (*text, &end, 10);
  if (errno != 0)
    return FALSE;
  *text = end;
  return TRUE;
}

static gboolean
bad_size (const char *text, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not a size: write MiB as a number, or a number with M, G or T, such as "
                  "512M or 2G"),
               text);
  return FALSE;
}

gboolean
units_parse_mib (const char *text, guint32 *mib, GError **error)
{
  static const struct
  {
    char unit;
    guint64 factor;
  } units[] = { { 'm', 1 }, { 'g', 1024 }, { 't', 1024 * 1024 } };
  const char *p = text;
  guint64 number, factor = 1;

  if (!take_number (&p, &number))
    return bad_size (text, error);
  if (*p != '\0')
    {
      factor = 0;
      for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
        if (g_ascii_tolower (*p) == units[i].unit)
          factor = units[i].factor;
      p++;
      if (factor == 0 ||
          (*p != '\0' && g_ascii_strcasecmp (p, "b") != 0 && g_ascii_strcasecmp (p, "ib") != 0))
        return bad_size (text, error);
    }
  if (number > G_MAXUINT32 / factor)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, _ ("“%s” is too large a size"),
                   text);
      return FALSE;
    }
  *mib = (guint32) (number * factor);
  return TRUE;
}

static gboolean
bad_duration (const char *text, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not a duration: write a number with ms, s, m, h or d, such as 30s or "
                  "1h30m, or 0 for none"),
               text);
  return FALSE;
}

/* The factor of the unit at *@text, which is moved behind it; 0: no unit. */
static guint64
take_unit (const char **text)
{
  static const struct
  {
    const char *unit;
    guint64 factor;
  } units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
  };
  gsize length = strspn (*text, "abcdefghijklmnopqrstuvwxyz");

  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (strlen (units[i].unit) == length && strncmp (*text, units[i].unit, length) == 0)
      {
        *text += length;
        return units[i].factor;
      }
  return 0;
}

gboolean
units_parse_duration_ms (const char *text, guint64 *milliseconds, GError **error)
{
  const char *p = text;
  guint64 total = 0, last_factor = G_MAXUINT64;

  if (strcmp (text, "none") == 0 || strcmp (text, "never") == 0)
    {
      *milliseconds = 0;
      return TRUE;
    }
  do
    {
      guint64 number, factor, part;

      if (!take_number (&p, &number))
        return bad_duration (text, error);
      factor = *p == '\0' && last_factor == G_MAXUINT64 ? 1000 : take_unit (&p);
      if (factor == 0 || factor >= last_factor || !g_uint64_checked_mul (&part, number, factor) ||
          !g_uint64_checked_add (&total, total, part))
        return bad_duration (text, error);
      last_factor = factor;
    }
  while (*p != '\0');
  *milliseconds = total;
  return TRUE;
}

gboolean
units_parse_mbit (const char *text, guint32 *mbit, GError **error)
{
  const char *p = text;
  guint64 number = 0;

  if (strcmp (text, "none") != 0 &&
      (!take_number (&p, &number) || *p != '\0' || number > G_MAXUINT32))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   _ ("“%s” is not a bandwidth: write Mbit/s as a whole number, 0 for no limit"),
                   text);
      return FALSE;
    }
  *mbit = (guint32) number;
  return TRUE;
}
