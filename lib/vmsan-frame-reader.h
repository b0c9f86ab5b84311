/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's side of what a guest sends in an exec session: cuts a byte stream into frames and
 * checks each against agent/protocol.h. The guest is hostile: memory is bounded by one frame, and
 * the first violation ends the session for good. */

#pragma once

#include <gio/gio.h>

#include "agent/protocol.h"

typedef struct _VmsanFrameReader VmsanFrameReader;

/* A checked frame. What @data points to stays valid until the next call on the reader. */
typedef struct
{
  enum VmsanFrameType type;
  const guint8 *data;  /* STDOUT, STDERR */
  gsize length;        /* STDOUT, STDERR */
  guint32 value;       /* STARTED: pid; STDIN_CREDIT: bytes; EXEC_FAILED: VmsanExecError */
  const char *message; /* EXEC_FAILED: printable UTF-8, maybe empty */
  VmsanExited exited;  /* EXITED */
} VmsanFrame;

VmsanFrameReader *vmsan_frame_reader_new (void);

/* Room for bytes from the stream; never empty as long as next() was called until it said 0. */
guint8 *vmsan_frame_reader_get_space (VmsanFrameReader *reader, gsize *size);

/* @size bytes were put at the beginning of the space. */
void vmsan_frame_reader_commit (VmsanFrameReader *reader, gsize size);

/* 1: @frame is filled; 0: more bytes are needed; -1: the guest broke the protocol. */
int vmsan_frame_reader_next (VmsanFrameReader *reader, VmsanFrame *frame, GError **error);

void vmsan_frame_reader_free (VmsanFrameReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanFrameReader, vmsan_frame_reader_free)
