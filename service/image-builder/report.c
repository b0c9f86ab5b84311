/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: whatever names an archive holds, a report is one line. */

#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE 900

static const char *const words[] = {
  [REPORT_INVALID] = "invalid",
  [REPORT_LIMIT] = "limit",
  [REPORT_SPACE] = "space",
  [REPORT_FAILED] = "failed",
};

static void
make_one_line (char *text)
{
  for (unsigned char *c = (unsigned char *) text; *c != '\0'; c++)
    if (*c < ' ' || *c == 0x7f)
      *c = '?';
}

static void __attribute__ ((noreturn)) send_and_exit (enum ReportKind kind, char *text)
{
  make_one_line (text);
  /* The descriptor is missing when a person runs the program by hand. */
  dprintf (REPORT_FD, "%s %s", words[kind], text);
  dprintf (STDERR_FILENO, "%s\n", text);
  _exit (1);
}

void
report_and_exit (enum ReportKind kind, const char *format, ...)
{
  char text[TEXT_SIZE];
  va_list args;

  va_start (args, format);
  vsnprintf (text, sizeof text, format, args);
  va_end (args);
  send_and_exit (kind, text);
}

void
report_errno_and_exit (enum ReportKind kind, int saved_errno, const char *format, ...)
{
  char text[TEXT_SIZE];
  size_t length;
  va_list args;

  va_start (args, format);
  vsnprintf (text, sizeof text - 100, format, args);
  va_end (args);
  length = strlen (text);
  snprintf (text + length, sizeof text - length, ": %s", strerror (saved_errno));
  send_and_exit (saved_errno == ENOSPC || saved_errno == EDQUOT ? REPORT_SPACE : kind, text);
}

void
report_note (const char *format, ...)
{
  char text[TEXT_SIZE];
  va_list args;

  va_start (args, format);
  vsnprintf (text, sizeof text, format, args);
  va_end (args);
  make_one_line (text);
  dprintf (STDERR_FILENO, "%s\n", text);
}
