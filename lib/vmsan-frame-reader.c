/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: whatever bytes come in, memory stays at one buffer, and only frames that the protocol
 * allows at this point come out. */

#include "config.h"

#include "vmsan-frame-reader.h"

#include "vmsan-error.h"

#include <glib/gi18n-lib.h>

/* Room for the largest frame and for a good part of the one behind it, so that output arrives in
 * large reads. */
#define BUFFER_SIZE (2 * (sizeof (VmsanFrameHeader) + VMSAN_FRAME_PAYLOAD_MAX))

#define MESSAGE_MAX 1024

typedef enum
{
  PHASE_BEGIN,   /* STARTED or EXEC_FAILED must come */
  PHASE_RUNNING, /* output, credit, EXITED */
  PHASE_OVER,    /* nothing may come */
} Phase;

struct _VmsanFrameReader
{
  Phase phase;
  gboolean stdout_ended;
  gboolean stderr_ended;
  gboolean broken;
  gsize start; /* of unread bytes in @buffer */
  gsize end;
  char *message;
  guint8 buffer[BUFFER_SIZE];
};

/* Text of a hostile guest ends on terminals and in journals: printable characters only. */
static char *
make_printable (const guint8 *data, gsize length)
{
  char *text = g_utf8_make_valid ((const char *) data, (gssize) length);

  for (char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      /* Format characters too: they can turn the direction of what follows. */
      if (!g_unichar_isprint (c))
        memset (p, '?', (gsize) (g_utf8_next_char (p) - p));
    }
  return text;
}

static int
violation (VmsanFrameReader *reader, GError **error, const char *what)
{
  reader->broken = TRUE;
  g_set_error (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL,
               _ ("The guest broke the session protocol (%s), so the connection was closed"), what);
  return -1;
}

static int
parse_u32 (
    VmsanFrameReader *reader, const guint8 *payload, gsize length, guint32 *value, GError **error)
{
  if (length != sizeof *value)
    return violation (reader, error, "number of a wrong size");
  memcpy (value, payload, sizeof *value);
  return 1;
}

static int
parse_exec_failed (VmsanFrameReader *reader,
                   const guint8 *payload,
                   gsize length,
                   VmsanFrame *frame,
                   GError **error)
{
  VmsanFieldReader fields;
  VmsanField field;
  int more;

  g_clear_pointer (&reader->message, g_free);
  vmsan_field_reader_init (&fields, payload, length);
  while ((more = vmsan_field_reader_next (&fields, &field)) == 1)
    {
      if (field.tag == VMSAN_FIELD_CODE && !vmsan_field_get_u32 (&field, &frame->value))
        return violation (reader, error, "error code of a wrong size");
      if (field.tag != VMSAN_FIELD_MESSAGE)
        continue;
      if (field.length > MESSAGE_MAX)
        return violation (reader, error, "message too long");
      g_free (reader->message);
      reader->message = make_printable (field.data, field.length);
    }
  if (more < 0)
    return violation (reader, error, "field outside its frame");
  if (frame->value == 0)
    return violation (reader, error, "failure without a code");

  if (reader->message == NULL)
    reader->message = g_strdup ("");
  frame->message = reader->message;
  reader->phase = PHASE_OVER;
  return 1;
}

static int
parse_exited (VmsanFrameReader *reader,
              const guint8 *payload,
              gsize length,
              VmsanFrame *frame,
              GError **error)
{
  VmsanExited *exited = &frame->exited;

  if (length != sizeof *exited)
    return violation (reader, error, "exit status of a wrong size");
  memcpy (exited, payload, sizeof *exited);
  if (exited->exit_code > 255 || exited->signal_number > 127 || exited->timed_out > 1 ||
      (exited->exit_code != 0 && exited->signal_number != 0))
    return violation (reader, error, "impossible exit status");
  reader->phase = PHASE_OVER;
  return 1;
}

static int
parse_output (VmsanFrameReader *reader,
              const guint8 *payload,
              gsize length,
              VmsanFrame *frame,
              gboolean *ended,
              GError **error)
{
  if (*ended)
    return violation (reader, error, "output after its end");
  *ended = frame->type == VMSAN_FRAME_STDOUT_EOF || frame->type == VMSAN_FRAME_STDERR_EOF;
  if (*ended && length != 0)
    return violation (reader, error, "end of output with content");
  frame->data = payload;
  frame->length = length;
  return 1;
}

static int
parse_running (VmsanFrameReader *reader,
               const guint8 *payload,
               gsize length,
               VmsanFrame *frame,
               GError **error)
{
  switch ((int) frame->type)
    {
    case VMSAN_FRAME_STDOUT:
    case VMSAN_FRAME_STDOUT_EOF:
      return parse_output (reader, payload, length, frame, &reader->stdout_ended, error);
    case VMSAN_FRAME_STDERR:
    case VMSAN_FRAME_STDERR_EOF:
      return parse_output (reader, payload, length, frame, &reader->stderr_ended, error);
    case VMSAN_FRAME_STDIN_CREDIT:
      return parse_u32 (reader, payload, length, &frame->value, error);
    case VMSAN_FRAME_EXITED:
      return parse_exited (reader, payload, length, frame, error);
    default:
      return violation (reader, error, "frame of an unexpected type");
    }
}

static int
parse (VmsanFrameReader *reader,
       const guint8 *payload,
       gsize length,
       VmsanFrame *frame,
       GError **error)
{
  if (reader->phase == PHASE_RUNNING)
    return parse_running (reader, payload, length, frame, error);
  if (reader->phase == PHASE_OVER)
    return violation (reader, error, "frame after the end of the session");
  if (frame->type == VMSAN_FRAME_EXEC_FAILED)
    return parse_exec_failed (reader, payload, length, frame, error);
  if (frame->type != VMSAN_FRAME_STARTED)
    return violation (reader, error, "frame before the program started");

  reader->phase = PHASE_RUNNING;
  return parse_u32 (reader, payload, length, &frame->value, error);
}

VmsanFrameReader *
vmsan_frame_reader_new (void)
{
  VmsanFrameReader *reader = g_new (VmsanFrameReader, 1);

  /* The buffer is left as it is: only what was committed is ever read. */
  memset (reader, 0, G_STRUCT_OFFSET (VmsanFrameReader, buffer));
  return reader;
}

guint8 *
vmsan_frame_reader_get_space (VmsanFrameReader *reader, gsize *size)
{
  if (reader->start > 0)
    {
      memmove (reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
      reader->end -= reader->start;
      reader->start = 0;
    }
  *size = BUFFER_SIZE - reader->end;
  return reader->buffer + reader->end;
}

void
vmsan_frame_reader_commit (VmsanFrameReader *reader, gsize size)
{
  g_return_if_fail (size <= BUFFER_SIZE - reader->end);
  reader->end += size;
}

int
vmsan_frame_reader_next (VmsanFrameReader *reader, VmsanFrame *frame, GError **error)
{
  const guint8 *bytes = reader->buffer + reader->start;
  gsize left = reader->end - reader->start;
  VmsanFrameHeader header;

  if (reader->broken)
    return violation (reader, error, "bytes after a violation");
  if (left < sizeof header)
    return 0;
  memcpy (&header, bytes, sizeof header);
  if (header.zero[0] != 0 || header.zero[1] != 0 || header.zero[2] != 0)
    return violation (reader, error, "malformed frame header");
  if (header.length > VMSAN_FRAME_PAYLOAD_MAX)
    return violation (reader, error, "frame too long");
  if (left - sizeof header < header.length)
    return 0;

  memset (frame, 0, sizeof *frame);
  frame->type = header.type;
  reader->start += sizeof header + header.length;
  return parse (reader, bytes + sizeof header, header.length, frame, error);
}

void
vmsan_frame_reader_free (VmsanFrameReader *reader)
{
  if (reader == NULL)
    return;
  g_free (reader->message);
  g_free (reader);
}
