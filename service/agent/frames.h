/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Frames coming in and going out on a non-blocking stream, in bounded memory.
 *
 * The reader takes exactly one frame from the stream and never a byte more, so that whoever has
 * the stream next finds the next frame, or the next hello, whole. */

#pragma once

#include "agent/protocol.h"

#include <sys/types.h>

typedef struct
{
  uint8_t header[sizeof (VmsanFrameHeader)];
  size_t header_used;
  size_t payload_used;
  uint8_t payload[VMSAN_FRAME_PAYLOAD_MAX];
} AgentFrameReader;

typedef struct
{
  uint8_t type;
  uint32_t length;
  const uint8_t *payload; /* valid until the next read */
} AgentFrame;

typedef enum
{
  AGENT_FRAME_NONE,      /* nothing more to read now */
  AGENT_FRAME_COMPLETE,  /* the frame is filled in */
  AGENT_FRAME_HELLO,     /* the magic of a new hello was read where a frame should begin */
  AGENT_FRAME_MALFORMED, /* no frame; the stream is out of step */
  AGENT_FRAME_HANGUP,    /* the other end is gone */
} AgentFrameStatus;

void agent_frame_reader_reset (AgentFrameReader *reader);
AgentFrameStatus agent_frame_reader_read (AgentFrameReader *reader, int stream, AgentFrame *frame);

/* Room for two full frames and, beyond what agent_output_room() tells, for a few small ones. */
#define AGENT_OUTPUT_SIZE    (2 * (VMSAN_FRAME_PAYLOAD_MAX + sizeof (VmsanFrameHeader)) + 2048)
#define AGENT_OUTPUT_RESERVE 2048

/* For much output: many frames at once. */
#define AGENT_PIPE_SIZE (1u << 20)

/* What is to be written: first the bytes, then what is in the pipes, which are the output's own. */
typedef struct
{
  size_t start;
  size_t used;
  size_t passing; /* all in the frame pipe: its header is written or the end of the bytes */
  size_t held;    /* all in the held pipe: to become frames of held_type */
  uint8_t held_type;
  bool has_pipes;
  int held_pipe[2];
  int frame_pipe[2];
  uint8_t bytes[AGENT_OUTPUT_SIZE];
} AgentOutput;

void agent_output_reset (AgentOutput *output);

/* Queues a frame; false when there is no room. */
bool agent_output_frame (AgentOutput *output, uint8_t type, const void *payload, size_t length);

/* How many bytes of payload agent_output_fill() may put into one frame now. */
size_t agent_output_room (const AgentOutput *output);

/* Reads at most @max bytes from @fd and queues them as one frame of @type. Returns like read(2). */
ssize_t agent_output_fill (AgentOutput *output, uint8_t type, int fd, size_t max);

/* The same for a pipe @fd and a serial port, and for as many frames as it takes: the kernel moves
 * the pages, nothing is copied. EAGAIN also when it cannot be done. Until all is flushed no other
 * frame can be queued. */
ssize_t agent_output_pass (AgentOutput *output, uint8_t type, int fd, size_t max);

bool agent_output_is_pending (const AgentOutput *output);

/* Writes what the stream takes. 1: all is written; 0: some is left; -1: the other end is gone. */
int agent_output_flush (AgentOutput *output, int stream);
