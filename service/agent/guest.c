/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/guest.h"

#include "agent/agent.h"
#include "agent/guest-init.h"
#include "agent/identity.h"
#include "agent/modules.h"
#include "agent/net.h"
#include "agent/rootfs.h"
#include "agent/uevents.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISKS_MS  10000 /* for the disks to appear, which takes milliseconds */
#define NET_MS    10000 /* for the network device, the same */
#define TICK_MS   20    /* between two looks whether all processes are gone */
#define FILES_MAX 524288

/* How the end goes on: each stage has a bounded time. */
typedef enum
{
  END_NOT_YET,
  END_ASKED, /* the init */
  END_TERM,  /* all have SIGTERM */
  END_KILL,  /* all have SIGKILL */
} EndStage;

typedef struct
{
  Agent agent;
  char **argv;
  char format[32]; /* of the image */
  AgentSerials serials;
  AgentSource uevents;
  AgentTimer disks_timer;
  AgentTimer net_timer;
  AgentTimer end_timer;
  EndStage end_stage;
  uint64_t stage_until_ms;
  uint32_t end_action;
  bool has_root;
  bool has_init;
} Guest;

/* ---- The end ------------------------------------------------------------------------------- */

static void
halt (uint32_t action)
{
  agent_rootfs_quiesce ();
  reboot (action == VMSAN_SHUTDOWN_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
  agent_log ("cannot end the machine: errno %d", errno);
}

/* Process 1 inherits every orphan, so when it has no child there is no other process. Where an init
 * is process 1 that cannot be told. */
static bool
all_are_gone (const Guest *guest)
{
  siginfo_t info;

  return !guest->has_init && waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 &&
         errno == ECHILD;
}

static void
enter_stage (Guest *guest, EndStage stage, uint64_t max_ms)
{
  guest->end_stage = stage;
  guest->stage_until_ms = agent_now_ms () + max_ms;
  agent_loop_start_timer (&guest->agent.loop, &guest->end_timer, TICK_MS);
  if (stage == END_TERM || stage == END_KILL)
    kill (-1, stage == END_TERM ? SIGTERM : SIGKILL);
  /* Stopped ones have to run to end. */
  if (stage == END_TERM)
    kill (-1, SIGCONT);
}

static void
on_end_tick (AgentTimer *timer)
{
  Guest *guest = timer->data;
  const bool late = agent_now_ms () >= guest->stage_until_ms;

  if (guest->end_stage == END_TERM && late && !all_are_gone (guest))
    enter_stage (guest, END_KILL, VMSAN_SHUTDOWN_KILL_MS);
  else if (guest->end_stage == END_ASKED && late)
    enter_stage (guest, END_TERM, VMSAN_SHUTDOWN_TERM_MS);
  else if (guest->end_stage != END_ASKED && (late || all_are_gone (guest)))
    halt (guest->end_action);
  else
    agent_loop_start_timer (&guest->agent.loop, timer, TICK_MS);
}

static void
shut_down (Agent *agent, uint32_t action)
{
  Guest *guest = agent->data;

  guest->end_action = action;
  if (guest->has_init && agent_guest_init_ask_shutdown (action == VMSAN_SHUTDOWN_REBOOT))
    enter_stage (guest, END_ASKED, VMSAN_SHUTDOWN_INIT_MS);
  else
    enter_stage (guest, END_TERM, VMSAN_SHUTDOWN_TERM_MS);
}

static void
give_up (Agent *agent)
{
  halt (VMSAN_SHUTDOWN_POWER_OFF);
}

/* ---- The beginning ------------------------------------------------------------------------- */

static void
set_clock (Agent *agent, uint64_t realtime_ns)
{
  agent_identity_set_clock (realtime_ns);
}

/* Starts the image's init, if it is to have one. */
static bool
start_init (Guest *guest, AgentError *error)
{
  Agent *agent = &guest->agent;

  if (!agent_guest_init_find (agent->config->init, agent->init, error))
    return false;
  if (strcmp (agent->init, "none") == 0)
    return true;
  /* An init that ends the machine sends SIGTERM to all processes; the agent goes down with it. */
  agent->ignores_sigterm = true;
  guest->has_init = agent_guest_init_start (agent->init, guest->argv, error);
  if (getpid () != 1 && !agent_watch_signals (agent))
    return agent_error_set_errno (error, "cannot watch signals");
  return guest->has_init;
}

/* The steps of the beginning: DONE, to be tried again when something new is there, or not to be
 * done at all. */
typedef enum
{
  STEP_DONE,
  STEP_WAITS,
  STEP_FAILED,
} Step;

static Step
enter_root (Guest *guest, AgentError *error)
{
  AgentDisks disks;

  if (guest->has_root)
    return STEP_DONE;
  if (!agent_rootfs_find_disks (&guest->serials, &disks))
    return STEP_WAITS;
  agent_loop_stop_timer (&guest->disks_timer);
  guest->has_root = agent_rootfs_enter (&disks, guest->format, error);
  return guest->has_root ? STEP_DONE : STEP_FAILED;
}

static Step
set_up_network (Guest *guest, AgentError *error)
{
  const AgentNetConfig *net = &guest->agent.config->net;
  int device;

  if (!agent_net_config_is_wanted (net))
    return STEP_DONE;
  device = agent_net_find_device ();
  if (device == 0)
    {
      if (guest->net_timer.due_ms == 0)
        agent_loop_start_timer (&guest->agent.loop, &guest->net_timer, NET_MS);
      return STEP_WAITS;
    }
  agent_loop_stop_timer (&guest->net_timer);
  return agent_net_set_up (net, device, error) && agent_net_write_resolvers (net, error)
             ? STEP_DONE
             : STEP_FAILED;
}

/* Goes on as far as what is there allows: the devices and the configuration come in any order. */
static void
advance (Guest *guest)
{
  Agent *agent = &guest->agent;
  AgentError error;
  Step step;

  if (agent->phase != AGENT_BOOTING)
    return;
  step = enter_root (guest, &error);
  if (step == STEP_DONE)
    step = agent->config == NULL ? STEP_WAITS : set_up_network (guest, &error);
  if (step == STEP_FAILED)
    agent_fail (agent, &error);
  if (step != STEP_DONE)
    return;
  if (agent->config->hostname[0] != '\0')
    agent_identity_set_hostname (agent->config->hostname);
  if (start_init (guest, &error))
    agent_become_ready (agent);
  else
    agent_fail (agent, &error);
}

static void
configured (Agent *agent)
{
  advance (agent->data);
}

static void
on_uevents (AgentSource *source, uint32_t events)
{
  Guest *guest = source->data;

  agent_uevents_drain (source->fd);
  agent_channel_scan_ports (&guest->agent.channel);
  advance (guest);
}

static void
on_disks_late (AgentTimer *timer)
{
  Guest *guest = timer->data;
  AgentDisks disks;
  AgentError error;

  agent_rootfs_find_disks (&guest->serials, &disks);
  agent_error_set (&error, "%s (serial “%s”) did not appear within %d seconds",
                   disks.image[0] == '\0' ? "the disk of the image" : "the private disk",
                   disks.image[0] == '\0' ? guest->serials.image : guest->serials.disk,
                   DISKS_MS / 1000);
  agent_fail (&guest->agent, &error);
}

static void
on_net_late (AgentTimer *timer)
{
  Guest *guest = timer->data;
  AgentError error;

  agent_error_set (&error,
                   "no network device appeared within %d seconds, and the guest is to have an "
                   "address; the kernel may lack the module virtio_net",
                   NET_MS / 1000);
  agent_fail (&guest->agent, &error);
}

/* What the monitor's driver has put on the kernel's command line. */
static void
read_kernel_parameters (Guest *guest)
{
  const struct
  {
    const char *name;
    char *value;
    size_t size;
  } parameters[] = {
    { "vmsan.format=", guest->format, sizeof guest->format },
    { "vmsan.image=", guest->serials.image, sizeof guest->serials.image },
    { "vmsan.disk=", guest->serials.disk, sizeof guest->serials.disk },
  };
  char line[4096] = "", *rest = line, *word;
  const int fd = open ("/proc/cmdline", O_RDONLY | O_CLOEXEC);

  guest->serials = (AgentSerials){ "base", "upper" };
  if (fd >= 0 && read (fd, line, sizeof line - 1) < 0)
    agent_log ("cannot read the kernel command line: errno %d", errno);
  if (fd >= 0)
    close (fd);
  while ((word = strsep (&rest, " \n")) != NULL)
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
      if (strncmp (word, parameters[i].name, strlen (parameters[i].name)) == 0)
        snprintf (parameters[i].value, parameters[i].size, "%s",
                  word + strlen (parameters[i].name));
}

/* The agent is the last to be killed for memory. What it starts gets the usual again. */
static void
protect (void)
{
  const struct rlimit files = { 1024, FILES_MAX };
  const int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0 || write (fd, "-1000", 5) < 0)
    agent_log ("cannot protect the agent from being killed for memory: errno %d", errno);
  if (fd >= 0)
    close (fd);
  setrlimit (RLIMIT_NOFILE, &files);
  prctl (PR_SET_NAME, "vmsan-agent");
}

static const AgentDuties duties = { configured, set_clock, shut_down, give_up };

static bool
set_up (Guest *guest, AgentError *error)
{
  if (!agent_rootfs_mount_basics (error))
    return false;
  protect ();
  read_kernel_parameters (guest);
  if (!agent_init (&guest->agent, &duties, guest))
    return agent_error_set (error, "cannot set up the agent");
  /* Before the modules: no news of their devices must be missed. */
  guest->uevents = (AgentSource){ .fd = agent_uevents_open (), .ready = on_uevents, .data = guest };
  if (guest->uevents.fd < 0 || !agent_loop_add (&guest->agent.loop, &guest->uevents))
    return agent_error_set_errno (error, "cannot watch for devices");
  return true;
}

int
agent_guest_run (char **argv)
{
  Guest *guest = calloc (1, sizeof *guest);
  AgentError error;

  umask (0);
  if (guest == NULL || !set_up (guest, &error))
    {
      agent_log ("%s", guest == NULL ? "no memory" : error.message);
      halt (VMSAN_SHUTDOWN_POWER_OFF);
      return 1;
    }
  guest->argv = argv;
  guest->disks_timer = (AgentTimer){ .expired = on_disks_late, .data = guest };
  guest->net_timer = (AgentTimer){ .expired = on_net_late, .data = guest };
  guest->end_timer = (AgentTimer){ .expired = on_end_tick, .data = guest };
  agent_modules_load ("/modules");
  agent_loop_start_timer (&guest->agent.loop, &guest->disks_timer, DISKS_MS);
  agent_identity_bring_up_loopback ();
  agent_channel_scan_ports (&guest->agent.channel);
  agent_channel_listen_vsock (&guest->agent.channel);
  advance (guest);
  return agent_loop_run (&guest->agent.loop);
}
