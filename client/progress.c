/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: the line never wraps and leaves nothing behind. */

#include "config.h"

#include "progress.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

void
progress_begin (Progress *progress, gboolean quiet)
{
  progress->wanted = !quiet && text_is_colourful (STDERR_FILENO);
  progress->shown = FALSE;
}

static gsize
line_width (void)
{
  struct winsize size;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
    return size.ws_col - 1u;
  return 79;
}

void
progress_say (Progress *progress, const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *safe = NULL;
  g_autofree char *line = NULL;
  va_list args;

  if (!progress->wanted)
    return;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  safe = text_printable (text);
  line = text_ellipsize (safe, line_width ());
  fprintf (stderr, "\r\033[K%s", line);
  fflush (stderr);
  progress->shown = TRUE;
}

void
progress_end (Progress *progress)
{
  if (progress->shown)
    fputs ("\r\033[K", stderr);
  progress->shown = FALSE;
}
