/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The agent's event loop: descriptors and timers, one event at a time.
 *
 * Descriptors are watched edge-triggered. A virtio-serial port without a host at its other end is
 * "hung up" all the time, and a level-triggered wait would spin on it. So a callback has to read
 * until EAGAIN. */

#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct _AgentSource AgentSource;
typedef struct _AgentTimer AgentTimer;

struct _AgentSource
{
  int fd;
  void (*ready) (AgentSource *source, uint32_t events);
  void *data;
};

struct _AgentTimer
{
  uint64_t due_ms; /* 0: not running */
  void (*expired) (AgentTimer *timer);
  void *data;
  AgentTimer *next;
  bool known;
};

typedef struct
{
  int epoll_fd;
  AgentTimer *timers;
  bool stopped;
  int exit_status;
} AgentLoop;

bool agent_loop_init (AgentLoop *loop);

/* Watches source->fd for input, output and hang-up. */
bool agent_loop_add (AgentLoop *loop, AgentSource *source);
void agent_loop_remove (AgentLoop *loop, AgentSource *source);

/* Starts @timer, or moves it. A timer has to live as long as the loop. */
void agent_loop_start_timer (AgentLoop *loop, AgentTimer *timer, uint64_t after_ms);
void agent_loop_stop_timer (AgentTimer *timer);

/* Runs until agent_loop_stop(). Returns the status given to that. */
int agent_loop_run (AgentLoop *loop);
void agent_loop_stop (AgentLoop *loop, int exit_status);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t agent_now_ms (void);
