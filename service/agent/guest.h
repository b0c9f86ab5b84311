/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The agent as the first process of a virtual machine: from the initramfs to a running guest, and
 * to its end. */

#pragma once

/* Returns only if that is all over: the exit status. */
int agent_guest_run (char **argv);
