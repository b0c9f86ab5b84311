/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: never reads past the frame it is asked for, so a stream can be handed on at any frame.
 */

#include "vm/agent-frames.h"

#include "sys/error.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER_SIZE    sizeof (VmsanFrameHeader)
#define MAX_TEXT_BYTES 1024

void
vmsan_frame_reader_clear (VmsanFrameReader *self)
{
  g_clear_pointer (&self->buffer, g_free);
  self->used = 0;
}

/* Bytes that the frame in the buffer has, as far as is known; 0 with @error for a bad header. */
static gsize
wanted_size (VmsanFrameReader *self, GError **error)
{
  const VmsanFrameHeader *header = (const VmsanFrameHeader *) self->buffer;

  if (self->used < HEADER_SIZE)
    return HEADER_SIZE;
  if (header->length > VMSAN_FRAME_PAYLOAD_MAX || header->zero[0] != 0 || header->zero[1] != 0 ||
      header->zero[2] != 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                   "The guest's agent sent a malformed frame");
      return 0;
    }
  return HEADER_SIZE + header->length;
}

VmsanFrameResult
vmsan_frame_reader_read (VmsanFrameReader *self,
                         int fd,
                         guint8 *type,
                         const guint8 **payload,
                         gsize *length,
                         GError **error)
{
  gsize wanted;

  if (self->buffer == NULL)
    self->buffer = g_malloc (HEADER_SIZE + VMSAN_FRAME_PAYLOAD_MAX);

  while ((wanted = wanted_size (self, error)) > self->used)
    {
      gssize n = read (fd, self->buffer + self->used, wanted - self->used);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno == EAGAIN)
        return VMSAN_FRAME_AGAIN;
      if (n == 0 && self->used == 0)
        return VMSAN_FRAME_EOF;
      if (n <= 0)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                       "The connection to the guest's agent broke: %s",
                       n < 0 ? g_strerror (errno) : "it ended within a frame");
          return VMSAN_FRAME_ERROR;
        }
      self->used += n;
    }
  if (wanted == 0)
    return VMSAN_FRAME_ERROR;

  *type = ((const VmsanFrameHeader *) self->buffer)->type;
  *payload = self->buffer + HEADER_SIZE;
  *length = self->used - HEADER_SIZE;
  self->used = 0;
  return VMSAN_FRAME_COMPLETE;
}

char *
vmsan_frame_field_to_text (const VmsanField *field)
{
  g_autofree char *valid =
      g_utf8_make_valid ((const char *) field->data, MIN (field->length, MAX_TEXT_BYTES));
  g_autoptr (GString) shown = g_string_new (NULL);

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar character = g_utf8_get_char (at);

      g_string_append_unichar (shown, g_unichar_isprint (character) ? character : '?');
    }
  return g_string_free (g_steal_pointer (&shown), FALSE);
}

gboolean
vmsan_frame_send (int fd, guint8 type, const void *payload, gsize length, GError **error)
{
  VmsanFrameHeader header = { .type = type, .length = length };
  struct iovec parts[] = { { &header, sizeof header }, { (void *) payload, length } };
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = G_N_ELEMENTS (parts) };
  gssize sent;

  g_return_val_if_fail (length <= VMSAN_FRAME_PAYLOAD_MAX, FALSE);

  do
    sent = sendmsg (fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);

  if (sent == (gssize) (sizeof header + length))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
               "Sending to the guest's agent failed: %s",
               sent < 0 ? g_strerror (errno) : "it does not read");
  return FALSE;
}
