/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: as little work per byte as a host can do. */

#include "agent-stream.h"

#include "raw-bus.h"

#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_US    100
#define RETRIES_MAX 100000

int
agent_connect (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (g_strlcpy (address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
    die ("%s is too long for a socket", path);
  for (int i = 0; i < RETRIES_MAX; i++)
    {
      if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
        return fd;
      if (errno != ENOENT && errno != ECONNREFUSED)
        break;
      g_usleep (RETRY_US);
    }
  die ("Connecting to %s: %s", path, g_strerror (errno));
}

static void
write_all (int fd, const void *data, size_t size)
{
  while (size > 0)
    {
      ssize_t n = send (fd, data, size, MSG_NOSIGNAL);

      if (n < 0)
        die ("Writing to the agent: %s", g_strerror (errno));
      data = (const char *) data + n;
      size -= n;
    }
}

static void
read_all (int fd, void *data, size_t size)
{
  while (size > 0)
    {
      ssize_t n = read (fd, data, size);

      if (n <= 0)
        die ("Reading from the agent: %s", n == 0 ? "it hung up" : g_strerror (errno));
      data = (char *) data + n;
      size -= n;
    }
}

void
agent_shake_hands (int fd, enum VmsanSessionKind kind, const uint8_t *token)
{
  VmsanHello hello = { .version = VMSAN_PROTOCOL_VERSION, .kind = kind };
  VmsanWelcome welcome;

  memcpy (hello.magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (hello.token, token, VMSAN_TOKEN_SIZE);
  if (getrandom (hello.nonce, sizeof hello.nonce, 0) != sizeof hello.nonce)
    die ("No random numbers");
  write_all (fd, &hello, sizeof hello);
  /* A socket is new: nothing of an earlier session is before the answer. */
  read_all (fd, &welcome, sizeof welcome);
  if (memcmp (welcome.magic, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE) != 0 ||
      welcome.status != VMSAN_WELCOME_OK)
    die ("The agent does not welcome us: %u", welcome.status);
}

void
agent_send (int fd, enum VmsanFrameType type, const void *payload, size_t length)
{
  guint8 frame[sizeof (VmsanFrameHeader) + 4096];
  VmsanFrameHeader header = { .type = type, .length = length };

  if (length > sizeof frame - sizeof header)
    die ("A frame of %zu bytes is too long", length);
  memcpy (frame, &header, sizeof header);
  if (length > 0)
    memcpy (frame + sizeof header, payload, length);
  write_all (fd, frame, sizeof header + length);
}

enum VmsanFrameType
agent_receive (int fd, uint8_t *payload, size_t *length)
{
  VmsanFrameHeader header;

  read_all (fd, &header, sizeof header);
  if (header.length > VMSAN_FRAME_PAYLOAD_MAX)
    die ("The agent sent a frame of %u bytes", header.length);
  read_all (fd, payload, header.length);
  *length = header.length;
  return header.type;
}

/* Frames in a buffer that is filled with one read for many of them. */
uint64_t
agent_drain (int fd)
{
  static uint8_t buffer[4 * (VMSAN_FRAME_PAYLOAD_MAX + sizeof (VmsanFrameHeader))];
  size_t used = 0;
  uint64_t output = 0;

  for (;;)
    {
      size_t at = 0;
      ssize_t n = read (fd, buffer + used, sizeof buffer - used);

      if (n <= 0)
        die ("The session ended without an exit status");
      used += n;
      while (used - at >= sizeof (VmsanFrameHeader))
        {
          VmsanFrameHeader header;
          VmsanExited exited;

          memcpy (&header, buffer + at, sizeof header);
          if (header.length > VMSAN_FRAME_PAYLOAD_MAX)
            die ("The agent sent a frame of %u bytes", header.length);
          if (used - at < sizeof header + header.length)
            break;
          if (header.type == VMSAN_FRAME_STDOUT)
            output += header.length;
          else if (header.type == VMSAN_FRAME_EXEC_FAILED)
            die ("The agent cannot run the program");
          else if (header.type == VMSAN_FRAME_EXITED)
            {
              memcpy (&exited, buffer + at + sizeof header, sizeof exited);
              if (exited.exit_code != 0 || exited.signal_number != 0)
                die ("The program ended with %u, signal %u", exited.exit_code,
                     exited.signal_number);
              return output;
            }
          at += sizeof header + header.length;
        }
      memmove (buffer, buffer + at, used - at);
      used -= at;
    }
}

void
agent_configure (int fd, const char *hostname)
{
  uint8_t payload[VMSAN_FRAME_PAYLOAD_MAX];
  size_t used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_HOSTNAME, hostname,
                      strlen (hostname));
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_INIT, "auto", 4);
  agent_send (fd, VMSAN_FRAME_CONFIGURE, payload, used);
  if (agent_receive (fd, payload, &used) != VMSAN_FRAME_READY)
    die ("The agent is not ready");
}
