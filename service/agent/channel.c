/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/channel.h"

#include "agent/agent.h"
#include "agent/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define SESSIONS_MAX 64
#define HELLO_MS     10000 /* for a new connection to say who it is */

static void on_stream (AgentSource *source, uint32_t events);
static void on_deadline (AgentTimer *timer);

void
agent_channel_init (AgentChannel *channel, Agent *agent)
{
  *channel = (AgentChannel){ .agent = agent, .listener.fd = -1 };
  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    {
      AgentStream *stream = &channel->streams[i];

      stream->channel = channel;
      stream->source = (AgentSource){ .fd = -1, .ready = on_stream, .data = stream };
      stream->deadline = (AgentTimer){ .expired = on_deadline, .data = stream };
    }
}

static AgentStream *
find_free (AgentChannel *channel)
{
  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    if (channel->streams[i].state == AGENT_STREAM_FREE)
      return &channel->streams[i];
  return NULL;
}

static AgentStream *
find_port (AgentChannel *channel, int port)
{
  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    if (channel->streams[i].state != AGENT_STREAM_FREE && channel->streams[i].port == port)
      return &channel->streams[i];
  return NULL;
}

static size_t
count_sockets (const AgentChannel *channel)
{
  size_t n = 0;

  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    n += channel->streams[i].state != AGENT_STREAM_FREE && channel->streams[i].port < 0;
  return n;
}

static size_t
count_sessions (const AgentChannel *channel)
{
  size_t n = 0;

  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    n += channel->streams[i].state == AGENT_STREAM_CALLER;
  return n;
}

size_t
agent_channel_list_busy (const AgentChannel *channel, uint32_t *ports)
{
  size_t n = 0;

  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    if (channel->streams[i].state != AGENT_STREAM_FREE && channel->streams[i].busy)
      ports[n++] = (uint32_t) channel->streams[i].port;
  return n;
}

/* ---- A stream's states --------------------------------------------------------------------- */

static void
free_stream (AgentStream *stream)
{
  AgentChannel *channel = stream->channel;

  agent_loop_stop_timer (&stream->deadline);
  if (stream->source.fd >= 0)
    {
      agent_loop_remove (&channel->agent->loop, &stream->source);
      close (stream->source.fd);
    }
  stream->source.fd = -1;
  stream->state = AGENT_STREAM_FREE;
  stream->busy = false;
  stream->session = 0;
}

/* The session on it is over. A socket ends with its session, a port waits for the next. */
static void
await_hello (AgentStream *stream, bool after_magic)
{
  if (stream->port < 0 && !after_magic)
    {
      free_stream (stream);
      return;
    }
  stream->state = AGENT_STREAM_HELLO;
  stream->session = 0;
  agent_handshake_init (&stream->handshake, after_magic);
}

static void
note_hangup (AgentStream *stream)
{
  if (!stream->busy)
    return;
  stream->busy = false;
  agent_control_send_session_ended (&stream->channel->agent->control, (uint32_t) stream->port);
}

static bool
open_stream (AgentChannel *channel, int fd, int port)
{
  AgentStream *stream = find_free (channel);

  if (stream == NULL)
    return false;
  stream->source.fd = fd;
  stream->port = port;
  stream->busy = false;
  stream->state = AGENT_STREAM_HELLO;
  agent_handshake_init (&stream->handshake, false);
  if (!agent_loop_add (&channel->agent->loop, &stream->source))
    {
      stream->state = AGENT_STREAM_FREE;
      stream->source.fd = -1;
      return false;
    }
  if (port < 0)
    agent_loop_start_timer (&channel->agent->loop, &stream->deadline, HELLO_MS);
  return true;
}

static void
on_deadline (AgentTimer *timer)
{
  AgentStream *stream = timer->data;

  if (stream->state == AGENT_STREAM_HELLO || stream->state == AGENT_STREAM_WELCOME)
    free_stream (stream);
}

/* ---- Handshake ----------------------------------------------------------------------------- */

/* In constant time: how long it takes must not tell how much of it was right. */
static bool
token_matches (const AgentChannel *channel, const VmsanHello *hello)
{
  uint8_t difference = 0;

  for (size_t i = 0; i < VMSAN_TOKEN_SIZE; i++)
    difference |= channel->token[i] ^ hello->token[i];
  return channel->has_token && difference == 0;
}

/* The first control session sets the token. Where the machine has a port 0, only that can be it:
 * any user of the host may connect to a guest's vsock, but only vmsand has the port. */
static bool
may_set_token (AgentStream *stream, const VmsanHello *hello)
{
  AgentChannel *channel = stream->channel;

  return !channel->has_token && hello->kind == VMSAN_SESSION_CONTROL &&
         (stream->port == 0 || find_port (channel, 0) == NULL);
}

static uint16_t
judge_hello (AgentStream *stream, const VmsanHello *hello)
{
  AgentChannel *channel = stream->channel;

  if (hello->zero != 0 ||
      (hello->kind != VMSAN_SESSION_CONTROL && hello->kind != VMSAN_SESSION_CALLER))
    return VMSAN_WELCOME_BAD_TOKEN;
  if (!channel->has_token && !may_set_token (stream, hello))
    return VMSAN_WELCOME_NOT_READY;
  if (channel->has_token && !token_matches (channel, hello))
    return VMSAN_WELCOME_BAD_TOKEN;
  if (hello->version < VMSAN_PROTOCOL_VERSION)
    return VMSAN_WELCOME_BAD_VERSION;
  if (hello->kind == VMSAN_SESSION_CALLER && channel->agent->phase != AGENT_READY)
    return VMSAN_WELCOME_NOT_READY;
  if (hello->kind == VMSAN_SESSION_CALLER && count_sessions (channel) >= SESSIONS_MAX)
    return VMSAN_WELCOME_BUSY;
  return VMSAN_WELCOME_OK;
}

static ssize_t
write_welcome (const AgentStream *stream)
{
  VmsanWelcome welcome = { .version = VMSAN_PROTOCOL_VERSION, .status = stream->status };
  ssize_t n;

  memcpy (welcome.magic, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (welcome.nonce, stream->hello.nonce, VMSAN_NONCE_SIZE);
  do
    n = write (stream->source.fd, &welcome, sizeof welcome);
  while (n < 0 && errno == EINTR);
  return n;
}

static void
begin_control (AgentStream *stream, const VmsanHello *hello)
{
  AgentChannel *channel = stream->channel;

  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    if (channel->streams[i].state == AGENT_STREAM_CONTROL)
      {
        agent_control_end (&channel->agent->control);
        await_hello (&channel->streams[i], false);
      }
  memcpy (channel->token, hello->token, VMSAN_TOKEN_SIZE);
  channel->has_token = true;
  stream->state = AGENT_STREAM_CONTROL;
  agent_control_begin (&channel->agent->control, stream->source.fd);
}

/* The process of a session keeps its stream and the standard descriptors, nothing else. */
static void
run_session (const AgentStream *stream)
{
  const int fd = stream->source.fd == 3 ? 3 : dup3 (stream->source.fd, 3, O_CLOEXEC);

  close_range (4, ~0U, 0);
  _exit (fd < 0 ? AGENT_SESSION_OVER
                : agent_session_run (fd, stream->port < 0, stream->channel->agent->config));
}

static bool
begin_session (AgentStream *stream)
{
  AgentChannel *channel = stream->channel;
  const pid_t pid = fork ();

  if (pid == 0)
    run_session (stream);
  if (pid < 0)
    return false;
  stream->session = pid;
  stream->state = AGENT_STREAM_CALLER;
  agent_loop_remove (&channel->agent->loop, &stream->source);
  if (stream->port < 0)
    {
      close (stream->source.fd);
      stream->source.fd = -1;
    }
  return true;
}

/* Answers the hello and begins what it asks for. The kernel may hand over a hello before it knows
 * that the port's other end is open, and then takes no answer yet: so this may have to wait. */
static void
advance_welcome (AgentStream *stream)
{
  const ssize_t n = write_welcome (stream);

  if (n < 0 && errno == EAGAIN)
    {
      stream->state = AGENT_STREAM_WELCOME;
      return;
    }
  if (n != (ssize_t) sizeof (VmsanWelcome) || stream->status != VMSAN_WELCOME_OK)
    {
      await_hello (stream, false);
      return;
    }
  agent_loop_stop_timer (&stream->deadline);
  stream->busy = stream->port >= 0 && stream->hello.kind == VMSAN_SESSION_CALLER;
  if (stream->hello.kind == VMSAN_SESSION_CONTROL)
    begin_control (stream, &stream->hello);
  else if (!begin_session (stream))
    await_hello (stream, false);
}

/* Acts on a whole hello. */
static void
take_hello (AgentStream *stream)
{
  agent_handshake_get_hello (&stream->handshake, &stream->hello);
  stream->status = judge_hello (stream, &stream->hello);
  if (stream->status == VMSAN_WELCOME_BAD_TOKEN && agent_handshake_skip (&stream->handshake))
    return;
  agent_handshake_init (&stream->handshake, false);
  advance_welcome (stream);
}

static void
read_hello (AgentStream *stream)
{
  uint8_t bytes[sizeof (VmsanHello)];

  while (stream->state == AGENT_STREAM_HELLO)
    {
      const ssize_t n =
          read (stream->source.fd, bytes, agent_handshake_wanted (&stream->handshake));

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        {
          /* End of file on a port only means that there is no host now. */
          if (stream->port < 0 && (n == 0 || errno != EAGAIN))
            free_stream (stream);
          return;
        }
      if (agent_handshake_feed (&stream->handshake, bytes, (size_t) n))
        take_hello (stream);
      else if (stream->port < 0 && stream->handshake.skipped > VMSAN_PROTOCOL_SKIP_MAX)
        free_stream (stream);
    }
}

static void
advance_control (AgentStream *stream)
{
  AgentControl *control = &stream->channel->agent->control;
  const AgentControlStatus status = agent_control_advance (control);

  if (status == AGENT_CONTROL_ALIVE)
    return;
  agent_control_end (control);
  await_hello (stream, status == AGENT_CONTROL_HELLO);
  /* A host that was killed may have left half a header, and its successor's hello is behind it. */
  if (status == AGENT_CONTROL_MALFORMED && stream->state == AGENT_STREAM_HELLO)
    agent_handshake_feed (&stream->handshake, control->reader.header, control->reader.header_used);
}

static void
on_stream (AgentSource *source, uint32_t events)
{
  AgentStream *stream = source->data;
  const bool gone = (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;

  if (stream->state == AGENT_STREAM_CONTROL)
    advance_control (stream);
  /* What is still in a port after a hang-up is of the old session, or already the next hello: the
   * search for that tells them apart. */
  if (stream->state == AGENT_STREAM_CONTROL && gone)
    {
      agent_control_end (&stream->channel->agent->control);
      await_hello (stream, false);
    }
  if (stream->state != AGENT_STREAM_FREE && gone)
    note_hangup (stream);
  if (stream->state == AGENT_STREAM_WELCOME)
    advance_welcome (stream);
  if (stream->state == AGENT_STREAM_HELLO)
    read_hello (stream);
  /* A hello that ended a control session may have begun another, with frames behind it. */
  if (stream->state == AGENT_STREAM_CONTROL)
    advance_control (stream);
}

void
agent_channel_session_ended (AgentChannel *channel, pid_t pid, int wait_status)
{
  for (size_t i = 0; i < AGENT_STREAMS_MAX; i++)
    {
      AgentStream *stream = &channel->streams[i];

      if (stream->state != AGENT_STREAM_CALLER || stream->session != pid)
        continue;
      if (WIFSIGNALED (wait_status))
        agent_log ("a session ended by signal %d", WTERMSIG (wait_status));
      if (stream->port < 0)
        {
          free_stream (stream);
          return;
        }
      await_hello (stream,
                   WIFEXITED (wait_status) && WEXITSTATUS (wait_status) == AGENT_SESSION_HELLO);
      /* Adding it tells its present state: a hang-up that came meanwhile is not missed. */
      if (!agent_loop_add (&channel->agent->loop, &stream->source))
        agent_log ("port %d is lost: errno %d", stream->port, errno);
      return;
    }
}

/* ---- Ways in ------------------------------------------------------------------------------- */

static void
open_port (AgentChannel *channel, const char *device, int port)
{
  char path[300];
  int fd;

  if (find_port (channel, port) != NULL)
    return;
  snprintf (path, sizeof path, "/dev/%s", device);
  fd = open (path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    agent_log ("cannot open %s: errno %d", path, errno);
  else if (!open_stream (channel, fd, port))
    close (fd);
}

/* The number of the port, or -1 when it is none of the agent's. */
static int
read_port_number (int class_fd, const char *device)
{
  char path[300], name[64];
  int fd, port = -1, end = 0;
  ssize_t n;

  snprintf (path, sizeof path, "%s/name", device);
  fd = openat (class_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  n = read (fd, name, sizeof name - 1);
  close (fd);
  if (n <= 0)
    return -1;
  name[n] = '\0';
  name[strcspn (name, "\n")] = '\0';
  if (sscanf (name, VMSAN_SERIAL_NAME "%d%n", &port, &end) != 1 || name[end] != '\0')
    return -1;
  return port < AGENT_PORTS_MAX ? port : -1;
}

void
agent_channel_scan_ports (AgentChannel *channel)
{
  DIR *directory = opendir ("/sys/class/virtio-ports");
  struct dirent *entry;

  if (directory == NULL)
    return;
  while ((entry = readdir (directory)) != NULL)
    {
      const int port =
          entry->d_name[0] == '.' ? -1 : read_port_number (dirfd (directory), entry->d_name);

      if (port >= 0)
        open_port (channel, entry->d_name, port);
    }
  closedir (directory);
}

static void
on_connection (AgentSource *source, uint32_t events)
{
  AgentChannel *channel = source->data;

  for (;;)
    {
      struct sockaddr_storage storage = { 0 };
      struct sockaddr_vm address = { 0 };
      socklen_t length = sizeof storage;
      const int fd =
          accept4 (source->fd, (struct sockaddr *) &storage, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
        continue;
      if (fd < 0)
        return;
      memcpy (&address, &storage, sizeof address);
      if ((channel->only_host && address.svm_cid != VMADDR_CID_HOST) ||
          count_sockets (channel) >= AGENT_SOCKETS_MAX || !open_stream (channel, fd, -1))
        close (fd);
    }
}

bool
agent_channel_listen (AgentChannel *channel, int fd)
{
  channel->listener = (AgentSource){ .fd = fd, .ready = on_connection, .data = channel };
  return agent_loop_add (&channel->agent->loop, &channel->listener);
}

void
agent_channel_listen_vsock (AgentChannel *channel)
{
  const struct sockaddr_vm address = { .svm_family = AF_VSOCK,
                                       .svm_cid = VMADDR_CID_ANY,
                                       .svm_port = VMSAN_VSOCK_PORT };
  const int fd = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0)
    return;
  channel->only_host = true;
  if (bind (fd, (const struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 64) < 0 ||
      !agent_channel_listen (channel, fd))
    {
      agent_log ("cannot listen on vsock port %d: errno %d", VMSAN_VSOCK_PORT, errno);
      close (fd);
    }
}
