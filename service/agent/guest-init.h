/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The image's own init: finding it, handing process 1 over to it, and asking it to end the
 * machine. */

#pragma once

#include "agent/error.h"

#include <limits.h>

/* Turns "auto", "none" or a path into the program to start, or "none". False: there is no such
 * program. */
bool agent_guest_init_find (const char *wanted, char program[PATH_MAX], AgentError *error);

/* Called in process 1. A copy of the process, with "@" before its name, returns true from here;
 * process 1 becomes the init. False, in the copy as well: it could not be started. Without a copy
 * process 1 itself returns false. */
bool agent_guest_init_start (const char *program, char **argv, AgentError *error);

/* Asks process 1 to end the machine, as that kind of init is asked. False: it cannot be asked. */
bool agent_guest_init_ask_shutdown (bool reboot);
