/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool
agent_error_set (AgentError *error, const char *format, ...)
{
  va_list args;

  if (error == NULL)
    return false;
  va_start (args, format);
  vsnprintf (error->message, sizeof error->message, format, args);
  va_end (args);
  return false;
}

bool
agent_error_set_errno (AgentError *error, const char *format, ...)
{
  const int number = errno;
  size_t used;
  va_list args;

  if (error == NULL)
    return false;
  va_start (args, format);
  vsnprintf (error->message, sizeof error->message, format, args);
  va_end (args);
  used = strlen (error->message);
  snprintf (error->message + used, sizeof error->message - used, ": %s", strerror (number));
  errno = number;
  return false;
}

void
agent_log (const char *format, ...)
{
  char line[1024] = "vmsan-agent: ";
  const size_t prefix = strlen (line);
  const int saved_errno = errno;
  size_t length;
  va_list args;

  va_start (args, format);
  vsnprintf (line + prefix, sizeof line - prefix - 1, format, args);
  va_end (args);
  length = strlen (line);
  line[length] = '\n';
  /* A console that takes nothing is no reason to stop. */
  if (write (STDERR_FILENO, line, length + 1) < 0)
    errno = saved_errno;
  errno = saved_errno;
}
