/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the unpacker gives up before it looks at a byte. */

#pragma once

/* Drops all capabilities, and leaves of the system calls those that write to an open descriptor,
 * manage memory that is not executable, and exit. Reports and exits when that fails. */
void confine (void);
