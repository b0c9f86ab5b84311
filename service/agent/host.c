/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/host.h"

#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void
configured (Agent *agent)
{
  AgentConfig *config = agent->config;

  /* Without rights it can run programs as itself only. */
  if (geteuid () != 0 && config->user[0] == '\0')
    snprintf (config->user, sizeof config->user, "%u", geteuid ());
  /* The network is the host's own: addresses are for a guest. */
  agent_become_ready (agent);
}

static void
set_clock (Agent *agent, uint64_t realtime_ns)
{
  /* The host's clock is right by definition. */
}

static void
shut_down (Agent *agent, uint32_t action)
{
  agent_loop_stop (&agent->loop, 0);
}

static void
give_up (Agent *agent)
{
  agent_loop_stop (&agent->loop, 1);
}

static const AgentDuties duties = { configured, set_clock, shut_down, give_up };

static int
open_listener (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  mode_t old_umask;
  int fd, number, end = 0;
  bool bound;

  if (sscanf (path, "fd:%d%n", &number, &end) == 1 && path[end] == '\0')
    {
      /* Sessions must not inherit it. */
      if (fcntl (number, F_SETFL, O_NONBLOCK) < 0 || fcntl (number, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
      return number;
    }
  if (strlen (path) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  old_umask = umask (077);
  bound = fd >= 0 && bind (fd, (const struct sockaddr *) &address, sizeof address) == 0;
  umask (old_umask);
  if (bound && listen (fd, 64) == 0)
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

int
agent_host_run (const char *socket)
{
  static Agent agent; /* large */
  const int fd = open_listener (socket);
  int exit_status;

  if (fd < 0)
    {
      agent_log ("cannot listen on “%s”: %s", socket, strerror (errno));
      return 1;
    }
  if (!agent_init (&agent, &duties, NULL) || !agent_channel_listen (&agent.channel, fd))
    return 1;
  exit_status = agent_loop_run (&agent.loop);
  free (agent.config);
  return exit_status;
}
