/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Connects a program in a guest to this process: standard input, output and error, signals, and
 * how it ends. */

#pragma once

#include <vmsan.h>

/* Runs the main context until the program has ended and its output is written. @deadline_ms: hang
 * up when the program has not ended by then although the guest should have killed it; 0: never.
 * Returns the exit code for this process; what went wrong is said on standard error. */
int exec_streams_run (VmsanProcess *process, guint64 deadline_ms);
