/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One exec session, in a process of its own.
 *
 * A process for each session keeps them apart: a stream that is not read, a fault in here or a
 * program that forks without end concerns no other session, and as the subreaper of all that its
 * program starts the session can find and end everything of it. */

#pragma once

#include "agent/request.h"

/* How a session's process ends; its exit status. */
enum
{
  AGENT_SESSION_OVER = 0,
  AGENT_SESSION_HELLO = 1, /* the magic of the next hello was read from the stream */
};

/* Serves the session to its end. The calling process is taken over: its signals, its children,
 * and with a terminal its session. @is_socket: the stream ends with the session, and is closed
 * once the other end has seen that. */
int agent_session_run (int stream, bool is_socket, const AgentConfig *config);
