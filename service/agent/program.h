/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The program of an exec session: started as its user, with pipes or on a terminal. */

#pragma once

#include "agent/environment.h"

typedef struct
{
  pid_t pid;     /* also its process group; 0 once it was reaped */
  int stdin_fd;  /* ours, non-blocking; -1: closed */
  int stdout_fd; /* the same; on a terminal it carries both */
  int stderr_fd; /* the same; -1 on a terminal */
  int terminal;  /* the program's side, kept open by us so that no output is lost; -1: none */
} AgentProgram;

typedef struct
{
  uint32_t code; /* VmsanExecError */
  AgentError error;
} AgentExecFailure;

void agent_program_init (AgentProgram *program);

/* Starts it. False: @failure says why, and nothing is left. With a terminal the calling process
 * becomes the leader of the terminal's session. */
bool agent_program_start (AgentProgram *program,
                          const AgentConfig *config,
                          const AgentRequest *request,
                          AgentExecFailure *failure);

void agent_program_resize (AgentProgram *program, uint16_t rows, uint16_t columns);

/* Closes one of ours. */
void agent_program_close (int *fd);
