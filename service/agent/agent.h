/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The agent itself: what it knows, in which phase it is, and whom it serves.
 *
 * Two kinds of duties exist: those of a guest, which is booted and shut down, and those of an
 * ordinary process that serves the same protocol on a Unix socket. */

#pragma once

#include "agent/channel.h"
#include "agent/control.h"
#include "agent/loop.h"
#include "agent/request.h"

typedef enum
{
  AGENT_BOOTING,
  AGENT_READY,
  AGENT_FAILED, /* agent->failure says why; it ends soon */
  AGENT_ENDING,
} AgentPhase;

typedef struct _Agent Agent;

typedef struct
{
  /* The configuration is in; agent_become_ready() or agent_fail() follow, now or later. */
  void (*configured) (Agent *agent);
  /* The clock of the host, in nanoseconds since the epoch. */
  void (*set_clock) (Agent *agent, uint64_t realtime_ns);
  /* End the machine as VmsanShutdownAction @action says. */
  void (*shut_down) (Agent *agent, uint32_t action);
  /* A failure was told, or nobody was there to tell it to. */
  void (*give_up) (Agent *agent);
} AgentDuties;

struct _Agent
{
  const AgentDuties *duties;
  void *data; /* of the duties */
  AgentLoop loop;
  AgentChannel channel;
  AgentControl control;
  AgentConfig *config; /* NULL until CONFIGURE came */
  AgentPhase phase;
  AgentError failure;
  AgentTimer give_up_timer;
  AgentSource signals;
  bool ignores_sigterm;
  uint32_t boot_ms;
  char init[PATH_MAX]; /* what runs, or "none" */
};

/* Makes the loop, the channel and the signals. False after a line on the console. */
bool agent_init (Agent *agent, const AgentDuties *duties, void *data);

/* Watches the signals of this process: after a fork, which changes whose signals they are. */
bool agent_watch_signals (Agent *agent);

/* (transfer full) @config, from malloc(). */
void agent_configure (Agent *agent, AgentConfig *config);
/* CONFIGURE asked for what cannot be. False when it is too late to fail for that. */
bool agent_refuse_configuration (Agent *agent, const AgentError *error);
void agent_become_ready (Agent *agent);
void agent_fail (Agent *agent, const AgentError *error);
void agent_shut_down (Agent *agent, uint32_t action);

/* The control session is over. After a failure nothing is left to wait for. */
void agent_lost_control (Agent *agent);
