/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void
agent_frame_reader_reset (AgentFrameReader *reader)
{
  reader->header_used = 0;
  reader->payload_used = 0;
}

/* Reads until *@used is @size. */
static AgentFrameStatus
read_part (int stream, uint8_t *bytes, size_t size, size_t *used)
{
  while (*used < size)
    {
      const ssize_t n = read (stream, bytes + *used, size - *used);

      if (n > 0)
        *used += (size_t) n;
      else if (n == 0)
        return AGENT_FRAME_HANGUP;
      else if (errno == EAGAIN)
        return AGENT_FRAME_NONE;
      else if (errno != EINTR)
        return AGENT_FRAME_HANGUP;
    }
  return AGENT_FRAME_COMPLETE;
}

AgentFrameStatus
agent_frame_reader_read (AgentFrameReader *reader, int stream, AgentFrame *frame)
{
  VmsanFrameHeader header;
  AgentFrameStatus status;

  status = read_part (stream, reader->header, sizeof reader->header, &reader->header_used);
  if (status != AGENT_FRAME_COMPLETE)
    return status;
  if (memcmp (reader->header, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE) == 0)
    return AGENT_FRAME_HELLO;
  memcpy (&header, reader->header, sizeof header);
  if (header.zero[0] != 0 || header.zero[1] != 0 || header.zero[2] != 0 ||
      header.length > VMSAN_FRAME_PAYLOAD_MAX)
    return AGENT_FRAME_MALFORMED;
  status = read_part (stream, reader->payload, header.length, &reader->payload_used);
  if (status != AGENT_FRAME_COMPLETE)
    return status;
  *frame = (AgentFrame){ header.type, header.length, reader->payload };
  agent_frame_reader_reset (reader);
  return AGENT_FRAME_COMPLETE;
}

void
agent_output_reset (AgentOutput *output)
{
  output->start = 0;
  output->used = 0;
  output->passing = 0;
  output->held = 0;
}

/* The place for the next frame, after making its room as large as possible. */
static uint8_t *
make_room (AgentOutput *output)
{
  if (output->start > 0)
    {
      memmove (output->bytes, output->bytes + output->start, output->used);
      output->start = 0;
    }
  return output->bytes + output->used;
}

bool
agent_output_frame (AgentOutput *output, uint8_t type, const void *payload, size_t length)
{
  const VmsanFrameHeader header = { .type = type, .length = (uint32_t) length };
  uint8_t *end;

  if (output->passing > 0 || output->held > 0 || length > VMSAN_FRAME_PAYLOAD_MAX ||
      sizeof header + length > sizeof output->bytes - output->used)
    return false;
  end = make_room (output);
  memcpy (end, &header, sizeof header);
  if (length > 0)
    memcpy (end + sizeof header, payload, length);
  output->used += sizeof header + length;
  return true;
}

size_t
agent_output_room (const AgentOutput *output)
{
  const size_t needed = output->used + AGENT_OUTPUT_RESERVE + sizeof (VmsanFrameHeader);
  size_t room;

  /* While much waits, a little more would be a small frame, and a move of all that waits. */
  if (needed >= sizeof output->bytes || output->used > VMSAN_FRAME_PAYLOAD_MAX / 2 ||
      output->passing > 0 || output->held > 0)
    return 0;
  room = sizeof output->bytes - needed;
  return room < VMSAN_FRAME_PAYLOAD_MAX ? room : VMSAN_FRAME_PAYLOAD_MAX;
}

ssize_t
agent_output_fill (AgentOutput *output, uint8_t type, int fd, size_t max)
{
  const size_t room = agent_output_room (output);
  VmsanFrameHeader header = { .type = type };
  uint8_t *end;
  ssize_t n;

  if (room == 0)
    {
      errno = EAGAIN;
      return -1;
    }
  end = make_room (output);
  n = read (fd, end + sizeof header, max < room ? max : room);
  if (n > 0)
    {
      header.length = (uint32_t) n;
      memcpy (end, &header, sizeof header);
      output->used += sizeof header + (size_t) n;
    }
  return n;
}

static bool
open_pipes (AgentOutput *output)
{
  if (output->has_pipes)
    return true;
  if (pipe2 (output->held_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
    return false;
  if (pipe2 (output->frame_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
    {
      close (output->held_pipe[0]);
      close (output->held_pipe[1]);
      return false;
    }
  /* Refused to somebody who has many pipes; the default does as well. */
  fcntl (output->held_pipe[0], F_SETPIPE_SZ, AGENT_PIPE_SIZE);
  output->has_pipes = true;
  return true;
}

ssize_t
agent_output_pass (AgentOutput *output, uint8_t type, int fd, size_t max)
{
  ssize_t n;

  if (agent_output_room (output) == 0 || !open_pipes (output))
    {
      errno = EAGAIN;
      return -1;
    }
  /* Through a pipe of our own: only what is in there is surely there when a header is sent. All at
   * once: the writer can go on at once, and far, without a switch for each frame. */
  n = splice (fd, NULL, output->held_pipe[1], NULL, max < AGENT_PIPE_SIZE ? max : AGENT_PIPE_SIZE,
              SPLICE_F_NONBLOCK);
  if (n > 0)
    {
      output->held = (size_t) n;
      output->held_type = type;
    }
  return n;
}

bool
agent_output_is_pending (const AgentOutput *output)
{
  return output->used > 0 || output->passing > 0 || output->held > 0;
}

/* The functions below return like agent_output_flush(). */
static int
flush_bytes (AgentOutput *output, int stream)
{
  while (output->used > 0)
    {
      const ssize_t n = write (stream, output->bytes + output->start, output->used);

      if (n > 0)
        {
          output->start += (size_t) n;
          output->used -= (size_t) n;
        }
      else if (n == 0 || errno == EAGAIN)
        return 0;
      else if (errno != EINTR)
        return -1;
    }
  output->start = 0;
  return 1;
}

static int
flush_passing (AgentOutput *output, int stream)
{
  while (output->passing > 0)
    {
      const ssize_t n =
          splice (output->frame_pipe[0], NULL, stream, NULL, output->passing, SPLICE_F_NONBLOCK);

      if (n > 0)
        output->passing -= (size_t) n;
      else if (n < 0 && errno == EAGAIN)
        return 0;
      /* Nothing written and no error: the port lost what it had taken from the pipe. */
      else if (n == 0 || errno != EINTR)
        return -1;
    }
  return 1;
}

/* Makes a frame of what is held. The bytes must be written, so that there is room. A port is given
 * all that a pipe holds or nothing: Linux 6.1 counts the pages of the pipe, not those that are
 * asked for. Hence the second pipe. */
static bool
begin_passing (AgentOutput *output)
{
  VmsanFrameHeader header = { .type = output->held_type };
  const ssize_t n = splice (output->held_pipe[0], NULL, output->frame_pipe[1], NULL,
                            VMSAN_FRAME_PAYLOAD_MAX, SPLICE_F_NONBLOCK);

  if (n <= 0)
    return false;
  header.length = (uint32_t) n;
  memcpy (output->bytes, &header, sizeof header);
  output->used = sizeof header;
  output->held -= (size_t) n < output->held ? (size_t) n : output->held;
  output->passing = (size_t) n;
  return true;
}

int
agent_output_flush (AgentOutput *output, int stream)
{
  int flushed;

  while ((flushed = flush_bytes (output, stream)) == 1 &&
         (flushed = flush_passing (output, stream)) == 1 && output->held > 0)
    if (!begin_passing (output))
      return -1;
  return flushed;
}
