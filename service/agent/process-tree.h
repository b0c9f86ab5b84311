/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Every process that comes from one.
 *
 * An exec session is the "child subreaper" (prctl(2)) of what it starts, so a program that forks
 * twice or calls setsid() is still found: its parents lead back to the session. */

#pragma once

#include <sys/types.h>

/* Sends @signal_number to all descendants of the calling process that are not dead yet. @proc_fd
 * is /proc. Returns how many there were, or -1 when that cannot be found out. */
int agent_process_tree_signal (int proc_fd, int signal_number);
