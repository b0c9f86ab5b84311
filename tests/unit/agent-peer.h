/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest's end of a stream, in the hands of a test that may be as hostile as it likes. */

#pragma once

#include "agent/protocol.h"
#include "vm-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  int host;  /* what the service is given; closed by whom it is given to */
  int guest; /* ours */
} Pair;

static inline Pair
pair_new (void)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  return (Pair){ fds[0], fds[1] };
}

static inline void
peer_write (int fd, gconstpointer data, gsize size)
{
  g_assert_cmpint (send (fd, data, size, MSG_NOSIGNAL), ==, (gssize) size);
}

static inline void
peer_write_slowly (int fd, gconstpointer data, gsize size)
{
  for (gsize i = 0; i < size; i++)
    {
      peer_write (fd, (const guint8 *) data + i, 1);
      run_loop ();
    }
}

static inline void
peer_write_frame (int fd, guint8 type, gconstpointer payload, gsize length)
{
  VmsanFrameHeader header = { .type = type, .length = length };
  g_autofree guint8 *frame = g_malloc (sizeof header + length);

  memcpy (frame, &header, sizeof header);
  if (length > 0)
    memcpy (frame + sizeof header, payload, length);
  peer_write (fd, frame, sizeof header + length);
}

static inline void
peer_write_u32_frame (int fd, guint8 type, guint32 value)
{
  peer_write_frame (fd, type, &value, sizeof value);
}

static inline void
peer_read (int fd, gpointer data, gsize size)
{
  g_assert_cmpint (recv (fd, data, size, MSG_WAITALL), ==, (gssize) size);
}

/* Reads a frame that is there in full, and returns its payload. */
static inline GBytes *
peer_read_frame (int fd, guint8 type)
{
  VmsanFrameHeader header;
  guint8 *payload;

  peer_read (fd, &header, sizeof header);
  g_assert_cmpuint (header.type, ==, type);
  g_assert_cmpuint (header.length, <=, VMSAN_FRAME_PAYLOAD_MAX);
  payload = g_malloc (header.length + 1);
  if (header.length > 0)
    peer_read (fd, payload, header.length);
  return g_bytes_new_take (payload, header.length);
}

static inline gboolean
peer_sees_end (int fd)
{
  guint8 byte;

  return recv (fd, &byte, 1, MSG_PEEK) == 0;
}

/* Takes the hello; @welcome answers it when sent. */
static inline VmsanHello
peer_read_hello (int fd, VmsanWelcome *welcome)
{
  VmsanHello hello;

  peer_read (fd, &hello, sizeof hello);
  *welcome = (VmsanWelcome){ .version = VMSAN_PROTOCOL_VERSION, .status = VMSAN_WELCOME_OK };
  memcpy (welcome->magic, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (welcome->nonce, hello.nonce, VMSAN_NONCE_SIZE);
  return hello;
}
