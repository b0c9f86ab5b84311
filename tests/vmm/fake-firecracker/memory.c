/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing is changed in what the host says, and what is not understood is not kept. */

#include "memory.h"

#include "agent/protocol.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC       "fake-firecracker memory"
#define DEADLINE_MS 10000

/* The first hello of a control session, and the configuration that came after it. */
typedef struct
{
  char magic[sizeof MAGIC];
  VmsanHello hello;
  VmsanFrameHeader header;
  char payload[VMSAN_FRAME_PAYLOAD_MAX];
} Memory;

struct Ear
{
  bool is_deaf; /* not a control session */
  bool has_hello;
  VmsanHello hello;
  size_t used;
  char bytes[sizeof (VmsanHello) + sizeof (VmsanFrameHeader) + VMSAN_FRAME_PAYLOAD_MAX];
};

static Memory memory;
static bool wants_power_off;

Ear *
memory_listen (void)
{
  return calloc (1, sizeof (Ear));
}

void
memory_stop_listening (Ear *ear)
{
  free (ear);
}

static void
drop (Ear *ear, size_t n)
{
  ear->used -= n;
  memmove (ear->bytes, ear->bytes + n, ear->used);
}

static void
hear_hello (Ear *ear)
{
  memcpy (&ear->hello, ear->bytes, sizeof ear->hello);
  drop (ear, sizeof ear->hello);
  ear->has_hello = true;
  ear->is_deaf = memcmp (ear->hello.magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE) != 0 ||
                 ear->hello.kind != VMSAN_SESSION_CONTROL;
  if (ear->is_deaf || memory.hello.kind == VMSAN_SESSION_CONTROL)
    return;
  memory.hello = ear->hello;
}

static void
hear_shutdown (const void *payload, size_t length)
{
  VmsanFieldReader reader;
  VmsanField field;
  uint32_t action;

  vmsan_field_reader_init (&reader, payload, length);
  while (vmsan_field_reader_next (&reader, &field) == 1)
    if (field.tag == VMSAN_FIELD_ACTION && vmsan_field_get_u32 (&field, &action))
      wants_power_off = action == VMSAN_SHUTDOWN_POWER_OFF;
}

/* false: there is no whole frame yet. */
static bool
hear_frame (Ear *ear)
{
  VmsanFrameHeader header;

  if (ear->used < sizeof header)
    return false;
  memcpy (&header, ear->bytes, sizeof header);
  ear->is_deaf = header.length > VMSAN_FRAME_PAYLOAD_MAX;
  if (ear->is_deaf || ear->used < sizeof header + header.length)
    return false;
  if (header.type == VMSAN_FRAME_CONFIGURE && memory.header.type == 0)
    {
      memory.header = header;
      memcpy (memory.payload, ear->bytes + sizeof header, header.length);
    }
  else if (header.type == VMSAN_FRAME_SHUTDOWN)
    hear_shutdown (ear->bytes + sizeof header, header.length);
  drop (ear, sizeof header + header.length);
  return true;
}

void
memory_hear (Ear *ear, const char *bytes, size_t n)
{
  while (n > 0 && !ear->is_deaf)
    {
      size_t room = sizeof ear->bytes - ear->used;
      size_t taken = n < room ? n : room;

      memcpy (ear->bytes + ear->used, bytes, taken);
      ear->used += taken;
      bytes += taken;
      n -= taken;
      if (!ear->has_hello && ear->used >= sizeof ear->hello)
        hear_hello (ear);
      while (ear->has_hello && !ear->is_deaf && hear_frame (ear))
        continue;
    }
}

bool
memory_wants_power_off (void)
{
  return wants_power_off;
}

bool
memory_save (int fd)
{
  memcpy (memory.magic, MAGIC, sizeof MAGIC);
  return pwrite (fd, &memory, sizeof memory, 0) == sizeof memory;
}

bool
memory_load (int fd)
{
  return pread (fd, &memory, sizeof memory, 0) == sizeof memory &&
         memcmp (memory.magic, MAGIC, sizeof MAGIC) == 0 &&
         memory.header.length <= sizeof memory.payload;
}

/* ---- Restoring ----------------------------------------------------------------------------- */

static bool
send_all (int fd, const void *data, size_t size)
{
  return send (fd, data, size, MSG_NOSIGNAL) == (ssize_t) size;
}

static bool
read_all (int fd, void *data, size_t size)
{
  struct pollfd pollfd = { fd, POLLIN, 0 };
  char *next = data;

  while (size > 0)
    {
      ssize_t n = poll (&pollfd, 1, DEADLINE_MS) == 1 ? recv (fd, next, size, 0) : -1;

      if (n <= 0)
        return false;
      next += n;
      size -= (size_t) n;
    }
  return true;
}

bool
memory_restore (int agent_fd)
{
  VmsanWelcome welcome;
  VmsanFrameHeader answer;

  if (memory.hello.kind != VMSAN_SESSION_CONTROL)
    return true; /* nobody had spoken to it */
  if (!send_all (agent_fd, &memory.hello, sizeof memory.hello) ||
      !read_all (agent_fd, &welcome, sizeof welcome) || welcome.status != VMSAN_WELCOME_OK)
    return false;
  if (memory.header.type != VMSAN_FRAME_CONFIGURE)
    return true;
  return send_all (agent_fd, &memory.header, sizeof memory.header) &&
         send_all (agent_fd, memory.payload, memory.header.length) &&
         read_all (agent_fd, &answer, sizeof answer) && answer.type == VMSAN_FRAME_READY;
}
