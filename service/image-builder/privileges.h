/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the process that parses the archive gives up before it reads a byte. */

#pragma once

/* Makes @directory the root, keeps of the user namespace's capabilities only those that unpacking
 * needs, and forbids all system calls that unpacking has no use for: no program can be started, no
 * memory made executable, nothing mounted, no socket opened. Exits when that fails. */
void privileges_drop (const char *directory);
