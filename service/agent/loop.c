/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/loop.h"

#include "agent/error.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>

uint64_t
agent_now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

bool
agent_loop_init (AgentLoop *loop)
{
  *loop = (AgentLoop){ .epoll_fd = epoll_create1 (EPOLL_CLOEXEC) };
  return loop->epoll_fd >= 0;
}

bool
agent_loop_add (AgentLoop *loop, AgentSource *source)
{
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                               .data.ptr = source };

  return epoll_ctl (loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) == 0;
}

void
agent_loop_remove (AgentLoop *loop, AgentSource *source)
{
  epoll_ctl (loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

void
agent_loop_start_timer (AgentLoop *loop, AgentTimer *timer, uint64_t after_ms)
{
  timer->due_ms = agent_now_ms () + after_ms;
  if (timer->known)
    return;
  timer->known = true;
  timer->next = loop->timers;
  loop->timers = timer;
}

void
agent_loop_stop_timer (AgentTimer *timer)
{
  timer->due_ms = 0;
}

/* Milliseconds until the next timer is due, -1 when none runs. */
static int
next_timeout (const AgentLoop *loop)
{
  const uint64_t now = agent_now_ms ();
  uint64_t next = UINT64_MAX;

  for (const AgentTimer *timer = loop->timers; timer != NULL; timer = timer->next)
    if (timer->due_ms != 0 && timer->due_ms < next)
      next = timer->due_ms;
  if (next == UINT64_MAX)
    return -1;
  if (next <= now)
    return 0;
  return next - now > INT_MAX ? INT_MAX : (int) (next - now);
}

static void
run_due_timers (AgentLoop *loop)
{
  const uint64_t now = agent_now_ms ();

  for (AgentTimer *timer = loop->timers; timer != NULL; timer = timer->next)
    if (timer->due_ms != 0 && timer->due_ms <= now)
      {
        timer->due_ms = 0;
        timer->expired (timer);
      }
}

int
agent_loop_run (AgentLoop *loop)
{
  while (!loop->stopped)
    {
      /* One event at a time: a callback may free what a second event would point to. */
      struct epoll_event event;
      const int n = epoll_wait (loop->epoll_fd, &event, 1, next_timeout (loop));

      if (n < 0 && errno != EINTR)
        {
          agent_log ("waiting for events failed: errno %d", errno);
          return 1;
        }
      if (n > 0)
        {
          AgentSource *source = event.data.ptr;

          source->ready (source, event.events);
        }
      run_due_timers (loop);
    }
  return loop->exit_status;
}

void
agent_loop_stop (AgentLoop *loop, int exit_status)
{
  loop->stopped = true;
  loop->exit_status = exit_status;
}
