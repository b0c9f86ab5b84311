/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The agent as an ordinary process, for tests and for a machine that is not one: the same
 * protocol on a Unix socket, and nothing of the system is touched. */

#pragma once

/* @socket: a path to listen on, or "fd:N", a listening socket that was inherited. Returns the
 * exit status. */
int agent_host_run (const char *socket);
