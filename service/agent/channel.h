/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The ways in: virtio-serial ports, vsock connections, or a Unix socket in tests.
 *
 * Each stream waits for a hello. A control session is served by the agent itself, a caller's
 * session by a process of its own. A serial port is used again and again: it is free when its
 * session is over and the host's end was seen to close. */

#pragma once

#include "agent/handshake.h"
#include "agent/loop.h"

#include <sys/types.h>

#define AGENT_PORTS_MAX   64
#define AGENT_SOCKETS_MAX 80
#define AGENT_STREAMS_MAX (AGENT_PORTS_MAX + AGENT_SOCKETS_MAX)

struct _Agent;
typedef struct _AgentChannel AgentChannel;

typedef enum
{
  AGENT_STREAM_FREE,
  AGENT_STREAM_HELLO,   /* waits for one */
  AGENT_STREAM_WELCOME, /* one came, and its answer could not be written yet */
  AGENT_STREAM_CONTROL, /* carries the control session */
  AGENT_STREAM_CALLER,  /* belongs to the process `session` */
} AgentStreamState;

typedef struct
{
  AgentChannel *channel;
  AgentStreamState state;
  AgentSource source; /* fd -1: a socket that its session's process has */
  AgentTimer deadline;
  int port;  /* of a serial port; -1: a socket */
  bool busy; /* a port whose host has not hung up since a caller's session began */
  pid_t session;
  AgentHandshake handshake;
  VmsanHello hello; /* the last one */
  uint16_t status;  /* VmsanWelcomeStatus for it */
} AgentStream;

struct _AgentChannel
{
  struct _Agent *agent;
  AgentStream streams[AGENT_STREAMS_MAX];
  AgentSource listener; /* fd -1: none */
  bool only_host;       /* accept from the vsock address of the host only */
  bool has_token;
  uint8_t token[VMSAN_TOKEN_SIZE];
};

void agent_channel_init (AgentChannel *channel, struct _Agent *agent);

/* Opens the agent's ports that are there and not open yet. */
void agent_channel_scan_ports (AgentChannel *channel);

/* Listens on vsock, if the kernel has it. */
void agent_channel_listen_vsock (AgentChannel *channel);

/* Serves connections to @fd, a listening non-blocking socket. (transfer full) */
bool agent_channel_listen (AgentChannel *channel, int fd);

/* A child ended; if it was a session's, its stream is served again. */
void agent_channel_session_ended (AgentChannel *channel, pid_t pid, int wait_status);

/* Fills @ports (AGENT_STREAMS_MAX) with the numbers of the busy serial ports. */
size_t agent_channel_list_busy (const AgentChannel *channel, uint32_t *ports);
