/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: afterwards the next byte on the stream is the first of the new session. */

#include "vm/agent-handshake.h"

#include "sys/error.h"
#include "sys/source.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/random.h>
#include <sys/socket.h>

typedef struct
{
  int fd; /* borrowed */
  guint8 nonce[VMSAN_NONCE_SIZE];
  guint8 window[sizeof (VmsanWelcome)] __attribute__ ((aligned (8)));
  gsize used;
  gsize skipped;
  guint deadline_ms;
  GSource *readable;
  GSource *deadline;
  GSource *cancelled;
} Handshake;

static void
handshake_free (Handshake *self)
{
  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  g_free (self);
}

/* Sources hold the task; destroying them on the way out lets it go. */
static void
finish (GTask *task, GError *error)
{
  Handshake *self = g_task_get_task_data (task);
  g_autoptr (GTask) keep = g_object_ref (task);

  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
}

static GError *
check_welcome (const VmsanWelcome *welcome)
{
  static const struct
  {
    VmsanError code;
    const char *message;
  } refusals[] = {
    [VMSAN_WELCOME_BAD_TOKEN] = { VMSAN_ERROR_GUEST_FAILED,
                                  "The guest's agent does not know this service; restart the "
                                  "machine" },
    [VMSAN_WELCOME_BAD_VERSION] = { VMSAN_ERROR_GUEST_FAILED,
                                    "The guest's agent speaks another protocol version; restart "
                                    "the machine" },
    [VMSAN_WELCOME_NOT_READY] = { VMSAN_ERROR_GUEST_FAILED,
                                  "The guest is still starting or shutting down; try again" },
    [VMSAN_WELCOME_BUSY] = { VMSAN_ERROR_BUSY,
                             "The guest's agent has no session free; end one and try again" },
  };

  if (welcome->status == VMSAN_WELCOME_OK && welcome->version == VMSAN_PROTOCOL_VERSION)
    return NULL;
  if (welcome->status == VMSAN_WELCOME_OK || welcome->status >= G_N_ELEMENTS (refusals))
    return g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                        "The guest's agent answered the handshake with nonsense");
  return g_error_new_literal (VMSAN_ERROR, refusals[welcome->status].code,
                              refusals[welcome->status].message);
}

/* How many bytes of the window come before the first that may begin our welcome. */
static gsize
skippable (Handshake *self)
{
  guint8 expected[VMSAN_MAGIC_SIZE + VMSAN_NONCE_SIZE];

  memcpy (expected, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (expected + VMSAN_MAGIC_SIZE, self->nonce, VMSAN_NONCE_SIZE);
  for (gsize at = 0; at < self->used; at++)
    if (memcmp (self->window + at, expected, MIN (sizeof expected, self->used - at)) == 0)
      return at;
  return self->used;
}

static GError *
read_error (gssize n)
{
  return g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                      "The connection to the guest's agent broke: %s",
                      n < 0 ? g_strerror (errno) : "it was closed");
}

/* Reads what is missing for a welcome, never more, and drops what cannot be its beginning. Nothing
 * stays unread in the socket, so half a welcome does not make the loop spin. TRUE to be called
 * again. */
static gboolean
scan (GTask *task)
{
  Handshake *self = g_task_get_task_data (task);
  gssize n =
      recv (self->fd, self->window + self->used, sizeof self->window - self->used, MSG_DONTWAIT);
  gsize skip;

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return TRUE;
  if (n <= 0)
    {
      finish (task, read_error (n));
      return FALSE;
    }

  self->used += n;
  skip = skippable (self);
  self->used -= skip;
  self->skipped += skip;
  memmove (self->window, self->window + skip, self->used);
  if (self->used == sizeof self->window)
    {
      finish (task, check_welcome ((const VmsanWelcome *) self->window));
      return FALSE;
    }
  if (self->skipped > VMSAN_PROTOCOL_SKIP_MAX)
    {
      finish (task, g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                                 "The guest sends something else than its agent's answer"));
      return FALSE;
    }
  return TRUE;
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer user_data)
{
  return scan (user_data) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
on_deadline (gpointer user_data)
{
  Handshake *self = g_task_get_task_data (user_data);

  finish (user_data,
          g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                       "The guest's agent did not answer within %u ms", self->deadline_ms));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  finish (user_data, g_error_new_literal (VMSAN_ERROR, VMSAN_ERROR_CANCELLED, "Cancelled"));
  return G_SOURCE_REMOVE;
}

void
vmsan_agent_handshake_async (int fd,
                             guint16 kind,
                             const guint8 *token,
                             guint deadline_ms,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  Handshake *self = g_new0 (Handshake, 1);
  VmsanHello hello = { .version = VMSAN_PROTOCOL_VERSION, .kind = kind };

  g_task_set_source_tag (task, vmsan_agent_handshake_async);
  g_task_set_task_data (task, self, (GDestroyNotify) handshake_free);
  self->fd = fd;
  self->deadline_ms = deadline_ms;

  if (getrandom (self->nonce, sizeof self->nonce, 0) != sizeof self->nonce)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_FAILED, "No random numbers: %s",
                               g_strerror (errno));
      return;
    }
  memcpy (hello.magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (hello.nonce, self->nonce, VMSAN_NONCE_SIZE);
  memcpy (hello.token, token, VMSAN_TOKEN_SIZE);
  if (send (fd, &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof hello)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                               "The guest's agent does not take a new session: its stream is "
                               "closed or full");
      return;
    }

  self->readable = g_unix_fd_source_new (fd, G_IO_IN);
  g_task_attach_source (task, self->readable, G_SOURCE_FUNC (on_readable));
  self->deadline = g_timeout_source_new (deadline_ms);
  g_task_attach_source (task, self->deadline, on_deadline);
  if (cancellable != NULL)
    {
      self->cancelled = g_cancellable_source_new (cancellable);
      g_task_attach_source (task, self->cancelled, G_SOURCE_FUNC (on_cancelled));
    }
}

gboolean
vmsan_agent_handshake_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
