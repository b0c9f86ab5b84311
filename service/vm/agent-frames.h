/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reading frames that a guest sent. The guest is hostile: nothing is read that was not bounded. */

#pragma once

#include "agent/protocol.h"

#include <glib.h>

/* Collects bytes until a frame is whole. Memory: one frame at most. */
typedef struct
{
  guint8 *buffer; /* header and payload; made at the first byte */
  gsize used;
} VmsanFrameReader;

#define VMSAN_FRAME_READER_INIT                                                                    \
  {                                                                                                \
    NULL, 0                                                                                        \
  }

void vmsan_frame_reader_clear (VmsanFrameReader *self);

/* What one attempt to read gave. */
typedef enum
{
  VMSAN_FRAME_COMPLETE, /* @type and @payload are valid until the next call */
  VMSAN_FRAME_AGAIN,    /* nothing more to read now */
  VMSAN_FRAME_EOF,      /* the stream ended between frames */
  VMSAN_FRAME_ERROR,    /* GUEST_FAILED in @error */
} VmsanFrameResult;

/* Reads from the non-blocking socket @fd what is missing for the next frame, and no more. */
VmsanFrameResult vmsan_frame_reader_read (VmsanFrameReader *self,
                                          int fd,
                                          guint8 *type,
                                          const guint8 **payload,
                                          gsize *length,
                                          GError **error);

/* The text that a guest put into @field, fit to be shown: valid UTF-8, at most 1024 bytes of it,
 * and nothing that a terminal would obey. (transfer full) */
char *vmsan_frame_field_to_text (const VmsanField *field);

/* Sends a whole frame on a non-blocking socket. The frames that the service sends fit the socket's
 * buffer; a guest that does not read them is GUEST_FAILED. */
gboolean vmsan_frame_send (int fd, guint8 type, const void *payload, gsize length, GError **error);
