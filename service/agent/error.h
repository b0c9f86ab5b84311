/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What went wrong, in words, and lines for the machine's console.
 *
 * The agent has no GLib. A function that can fail returns false or -1 and fills an AgentError,
 * whose text is for the person who made the machine: it travels to the host as it is. */

#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct
{
  char message[768];
} AgentError;

/* Both return false, so that "return agent_error_set (...)" reads well. The second appends what
 * errno means. @error may be NULL. */
bool agent_error_set (AgentError *error, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));
bool agent_error_set_errno (AgentError *error, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* One line on standard error, which is the console of the machine. */
void agent_log (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
