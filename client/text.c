/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: nothing that is printed through here moves the cursor or changes the terminal. */

#include "config.h"

#include "text.h"

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char *
make_printable (const char *text, gboolean block)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_sized_new (strlen (valid));

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (g_unichar_isprint (c) || (block && (c == '\n' || c == '\t')))
        g_string_append_unichar (out, c);
      else if (!block || c != '\r')
        g_string_append_c (out, '?');
    }
  return g_string_free (out, FALSE);
}

char *
text_printable (const char *text)
{
  return make_printable (text, FALSE);
}

char *
text_printable_block (const char *text)
{
  return make_printable (text, TRUE);
}

static gsize
char_width (gunichar c)
{
  if (g_unichar_iszerowidth (c))
    return 0;
  return g_unichar_iswide (c) ? 2 : 1;
}

gsize
text_width (const char *text)
{
  gsize width = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    width += char_width (g_utf8_get_char (p));
  return width;
}

char *
text_ellipsize (const char *text, gsize width)
{
  gsize used = 0;
  const char *p = text;

  if (text_width (text) <= width)
    return g_strdup (text);
  if (width == 0)
    return g_strdup ("");
  while (used + char_width (g_utf8_get_char (p)) <= width - 1)
    {
      used += char_width (g_utf8_get_char (p));
      p = g_utf8_next_char (p);
    }
  return g_strdup_printf ("%.*s…", (int) (p - text), text);
}

gsize
text_terminal_width (void)
{
  const char *columns = g_getenv ("COLUMNS");
  struct winsize size;
  guint64 number;

  if (!isatty (STDOUT_FILENO))
    return 0;
  if (columns != NULL && g_ascii_string_to_unsigned (columns, 10, 1, 10000, &number, NULL))
    return (gsize) number;
  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return 80;
}

gboolean
text_is_colourful (int fd)
{
  const char *no_color = g_getenv ("NO_COLOR");
  const char *term = g_getenv ("TERM");

  return isatty (fd) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
         strcmp (term, "dumb") != 0;
}

const char *
text_state_colour (const char *state, gboolean colourful)
{
  if (!colourful)
    return "";
  if (strcmp (state, "running") == 0)
    return "\033[32m";
  if (strcmp (state, "error") == 0)
    return "\033[31m";
  if (strcmp (state, "stopped") == 0)
    return "";
  return "\033[33m";
}

const char *
text_severity_colour (const char *severity, gboolean colourful)
{
  if (!colourful || strcmp (severity, "note") == 0)
    return "";
  if (strcmp (severity, "ok") == 0)
    return "\033[32m";
  return strcmp (severity, "warning") == 0 ? "\033[33m" : "\033[31m";
}

const char *
text_bold (gboolean colourful)
{
  return colourful ? "\033[1m" : "";
}

const char *
text_plain (gboolean colourful)
{
  return colourful ? "\033[0m" : "";
}

char *
text_user_name (guint uid)
{
  char buffer[16384];
  struct passwd entry, *found = NULL;

  if (getpwuid_r ((uid_t) uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
    return text_printable (found->pw_name);
  return g_strdup_printf ("%u", uid);
}

gboolean
text_parse_user (const char *text, guint *uid, GError **error)
{
  char buffer[16384];
  struct passwd entry, *found = NULL;
  guint64 number;

  if (getpwnam_r (text, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
    {
      *uid = (guint) found->pw_uid;
      return TRUE;
    }
  if (g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32 - 1, &number, NULL))
    {
      *uid = (guint) number;
      return TRUE;
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("There is no user “%s” on this machine: give a user name or number"), text);
  return FALSE;
}

char *
text_time (gint64 microseconds)
{
  g_autoptr (GDateTime) utc = NULL;
  g_autoptr (GDateTime) local = NULL;

  if (microseconds <= 0)
    return g_strdup ("-");
  utc = g_date_time_new_from_unix_utc (microseconds / G_USEC_PER_SEC);
  local = utc != NULL ? g_date_time_to_local (utc) : NULL;
  return local != NULL ? g_date_time_format (local, "%Y-%m-%d %H:%M:%S") : g_strdup ("-");
}

char *
text_age (gint64 microseconds)
{
  gint64 seconds = (g_get_real_time () - microseconds) / G_USEC_PER_SEC;

  if (microseconds <= 0)
    return g_strdup ("-");
  if (seconds < 60)
    return g_strdup_printf (ngettext ("%d second", "%d seconds", (gulong) MAX (seconds, 0)),
                            (int) MAX (seconds, 0));
  if (seconds < 60 * 60)
    return g_strdup_printf (ngettext ("%d minute", "%d minutes", (gulong) (seconds / 60)),
                            (int) (seconds / 60));
  if (seconds < 48 * 60 * 60)
    return g_strdup_printf (ngettext ("%d hour", "%d hours", (gulong) (seconds / 3600)),
                            (int) (seconds / 3600));
  return g_strdup_printf (ngettext ("%d day", "%d days", (gulong) (seconds / 86400)),
                          (int) (seconds / 86400));
}

char *
text_bytes (guint64 bytes)
{
  return g_format_size_full (bytes, G_FORMAT_SIZE_IEC_UNITS);
}

char *
text_short_id (const char *id)
{
  return g_strndup (id, 12);
}
