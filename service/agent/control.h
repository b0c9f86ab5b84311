/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The control session: the one in which vmsand configures, watches and ends the machine.
 *
 * Whoever brings the token is vmsand, and there is one vmsand: a new control session takes the
 * place of an old one, whose end may never be seen. */

#pragma once

#include "agent/error.h"
#include "agent/frames.h"

struct _Agent;

typedef struct
{
  struct _Agent *agent;
  int stream; /* -1: none */
  AgentFrameReader reader;
  AgentOutput output;
} AgentControl;

typedef enum
{
  AGENT_CONTROL_ALIVE,
  AGENT_CONTROL_HELLO,     /* over, and the magic of a new hello was read */
  AGENT_CONTROL_MALFORMED, /* over; what was read as a header is in the reader */
  AGENT_CONTROL_OVER,
} AgentControlStatus;

void agent_control_init (AgentControl *control, struct _Agent *agent);

void agent_control_begin (AgentControl *control, int stream);
void agent_control_end (AgentControl *control);

/* Reads and writes what can be read and written. */
AgentControlStatus agent_control_advance (AgentControl *control);

/* All are silent when there is no session. */
void agent_control_send_ready (AgentControl *control);
void agent_control_send_failed (AgentControl *control, const AgentError *error);
void agent_control_send_session_ended (AgentControl *control, uint32_t port);
