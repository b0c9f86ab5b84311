/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/agent.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_MS 3000 /* for the host to read why */

static void
on_signals (AgentSource *source, uint32_t events)
{
  Agent *agent = source->data;
  struct signalfd_siginfo info;
  int wait_status;
  pid_t pid;
  bool terminate = false;

  while (read (source->fd, &info, sizeof info) == sizeof info)
    terminate = terminate || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
  /* As PID 1 it is the parent of every orphan, so all are reaped, not only sessions. */
  while ((pid = waitpid (-1, &wait_status, WNOHANG)) > 0)
    agent_channel_session_ended (&agent->channel, pid, wait_status);
  if (terminate && !agent->ignores_sigterm)
    agent_shut_down (agent, VMSAN_SHUTDOWN_POWER_OFF);
}

bool
agent_watch_signals (Agent *agent)
{
  sigset_t signals;

  if (agent->signals.fd >= 0)
    {
      agent_loop_remove (&agent->loop, &agent->signals);
      close (agent->signals.fd);
    }
  sigemptyset (&signals);
  sigaddset (&signals, SIGCHLD);
  sigaddset (&signals, SIGTERM);
  sigaddset (&signals, SIGINT);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  agent->signals.fd = signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  return agent->signals.fd >= 0 && agent_loop_add (&agent->loop, &agent->signals);
}

static void
on_give_up (AgentTimer *timer)
{
  Agent *agent = timer->data;

  agent->duties->give_up (agent);
}

bool
agent_init (Agent *agent, const AgentDuties *duties, void *data)
{
  *agent = (Agent){ .duties = duties, .data = data, .init = "none" };
  agent->signals = (AgentSource){ .fd = -1, .ready = on_signals, .data = agent };
  agent->give_up_timer = (AgentTimer){ .expired = on_give_up, .data = agent };
  signal (SIGPIPE, SIG_IGN);
  if (!agent_loop_init (&agent->loop) || !agent_watch_signals (agent))
    {
      agent_log ("cannot set up the event loop");
      return false;
    }
  agent_control_init (&agent->control, agent);
  agent_channel_init (&agent->channel, agent);
  return true;
}

static void
answer_configure (Agent *agent)
{
  if (agent->phase == AGENT_READY)
    agent_control_send_ready (&agent->control);
  else if (agent->phase == AGENT_FAILED)
    {
      agent_control_send_failed (&agent->control, &agent->failure);
      agent_loop_start_timer (&agent->loop, &agent->give_up_timer, GIVE_UP_MS);
    }
}

void
agent_configure (Agent *agent, AgentConfig *config)
{
  if (config->realtime_ns != 0)
    agent->duties->set_clock (agent, config->realtime_ns);
  if (agent->config != NULL)
    {
      /* A host that lost its state asks again; what was set up stays. */
      free (config);
      answer_configure (agent);
      return;
    }
  agent->config = config;
  if (agent->phase == AGENT_BOOTING)
    agent->duties->configured (agent);
  else
    answer_configure (agent);
}

bool
agent_refuse_configuration (Agent *agent, const AgentError *error)
{
  if (agent->phase != AGENT_BOOTING || agent->config != NULL)
    return false;
  agent_fail (agent, error);
  answer_configure (agent);
  return true;
}

void
agent_become_ready (Agent *agent)
{
  struct timespec now;

  clock_gettime (CLOCK_BOOTTIME, &now);
  agent->boot_ms = (uint32_t) (now.tv_sec * 1000 + now.tv_nsec / 1000000);
  agent->phase = AGENT_READY;
  answer_configure (agent);
}

void
agent_fail (Agent *agent, const AgentError *error)
{
  agent_log ("%s", error->message);
  if (agent->phase != AGENT_BOOTING)
    return;
  agent->failure = *error;
  agent->phase = AGENT_FAILED;
  if (agent->config != NULL)
    answer_configure (agent);
}

void
agent_lost_control (Agent *agent)
{
  if (agent->phase == AGENT_FAILED && agent->give_up_timer.due_ms != 0)
    agent->duties->give_up (agent);
}

void
agent_shut_down (Agent *agent, uint32_t action)
{
  if (agent->phase == AGENT_ENDING)
    return;
  agent->phase = AGENT_ENDING;
  agent->duties->shut_down (agent, action);
}
