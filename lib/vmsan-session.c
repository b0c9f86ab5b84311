/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: memory stays bounded whatever guest and consumer do; an exit status is reported only
 * when the guest sent one. */

#include "config.h"

#include "vmsan-session.h"

#include "vmsan-error.h"
#include "vmsan-frame-reader.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reading the socket stops when an output holds this much; one more frame may be on top. */
#define OUTPUT_HIGH_WATER (256 * 1024)

/* Signals and window sizes that wait for a socket that does not take them. */
#define PENDING_MAX (4 * 1024 + sizeof (VmsanFrameHeader) + VMSAN_FRAME_PAYLOAD_MAX)

/* One pump takes at most this many reads, so that other sources of the main loop get their turn. */
#define READS_PER_PUMP 8

typedef struct
{
  GByteArray *bytes;
  gsize start;      /* bytes before it were read */
  gboolean ended;   /* EOF frame came */
  gboolean discard; /* the consumer closed it */
} Output;

struct _VmsanSession
{
  gatomicrefcount refs;
  int fd; /* -1 when over */

  VmsanFrameReader *reader;
  Output outputs[VMSAN_N_OUTPUTS];

  GByteArray *pending; /* frames, or the rest of one, that the socket did not take yet */
  guint32 stdin_credit;
  gboolean stdin_closed;
  gboolean send_broken; /* the peer takes nothing any more; it may still have said something */

  gboolean started;
  gboolean over;
  gboolean has_exited;
  guint32 pid;
  VmsanExited exited;
  GError *failure;

  void (*notify) (gpointer user_data);
  gpointer notify_data;
};

static void
output_free (Output *output)
{
  g_clear_pointer (&output->bytes, g_byte_array_unref);
}

static gsize
output_length (const Output *output)
{
  return output->bytes->len - output->start;
}

static void
output_append (Output *output, const guint8 *data, gsize length)
{
  if (output->discard || length == 0)
    return;

  /* Move the rest to the front when that costs no more than what was read since. */
  if (output->start > 0 && output->start >= output_length (output))
    {
      g_byte_array_remove_range (output->bytes, 0, (guint) output->start);
      output->start = 0;
    }
  g_byte_array_append (output->bytes, data, (guint) length);
}

VmsanSession *
vmsan_session_new (int fd)
{
  VmsanSession *session = g_new0 (VmsanSession, 1);

  g_atomic_ref_count_init (&session->refs);
  session->fd = fd;
  session->reader = vmsan_frame_reader_new ();
  session->pending = g_byte_array_new ();
  for (guint i = 0; i < VMSAN_N_OUTPUTS; i++)
    session->outputs[i].bytes = g_byte_array_new ();
  return session;
}

VmsanSession *
vmsan_session_ref (VmsanSession *session)
{
  g_atomic_ref_count_inc (&session->refs);
  return session;
}

void
vmsan_session_unref (VmsanSession *session)
{
  if (!g_atomic_ref_count_dec (&session->refs))
    return;
  if (session->fd >= 0)
    close (session->fd);
  for (guint i = 0; i < VMSAN_N_OUTPUTS; i++)
    output_free (&session->outputs[i]);
  g_byte_array_unref (session->pending);
  vmsan_frame_reader_free (session->reader);
  g_clear_error (&session->failure);
  g_free (session);
}

static void
finish (VmsanSession *session)
{
  session->over = TRUE;
  if (session->fd >= 0)
    close (session->fd);
  session->fd = -1;
  g_byte_array_set_size (session->pending, 0);
}

/* Takes @failure. */
static void
fail (VmsanSession *session, GError *failure)
{
  if (session->over)
    {
      g_error_free (failure);
      return;
    }
  session->failure = failure;
  finish (session);
}

static void
lose (VmsanSession *session, const char *reason)
{
  fail (
      session,
      g_error_new (VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST,
                   _ ("The connection to the guest ended before the program did (%s); the machine "
                      "was stopped or its agent died, so how the program ended is not known"),
                   reason));
}

static VmsanProcessError
process_error (guint32 code)
{
  switch (code)
    {
    case VMSAN_EXEC_NOT_FOUND:
      return VMSAN_PROCESS_ERROR_NOT_FOUND;
    case VMSAN_EXEC_NOT_EXECUTABLE:
      return VMSAN_PROCESS_ERROR_NOT_EXECUTABLE;
    case VMSAN_EXEC_NO_USER:
      return VMSAN_PROCESS_ERROR_NO_USER;
    case VMSAN_EXEC_NO_DIRECTORY:
      return VMSAN_PROCESS_ERROR_NO_DIRECTORY;
    case VMSAN_EXEC_NO_RESOURCES:
      return VMSAN_PROCESS_ERROR_NO_RESOURCES;
    default:
      return VMSAN_PROCESS_ERROR_BAD_REQUEST;
    }
}

static void
handle_exec_failed (VmsanSession *session, const VmsanFrame *frame)
{
  const char *why = frame->message[0] != '\0' ? frame->message : _ ("the guest gave no reason");

  fail (session, g_error_new (VMSAN_PROCESS_ERROR, process_error (frame->value),
                              _ ("The guest could not start the program: %s"), why));
}

static void
handle_credit (VmsanSession *session, guint32 credit)
{
  /* A guest that grants more than the window fools only itself, but the sum must not wrap. */
  if (credit > VMSAN_STDIN_WINDOW - MIN (session->stdin_credit, VMSAN_STDIN_WINDOW))
    fail (
        session,
        g_error_new (VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_PROTOCOL,
                     _ ("The guest broke the session protocol (%s), so the connection was closed"),
                     "more credit than the window"));
  else
    session->stdin_credit += credit;
}

static void
handle_frame (VmsanSession *session, const VmsanFrame *frame)
{
  switch ((int) frame->type)
    {
    case VMSAN_FRAME_STARTED:
      session->started = TRUE;
      session->pid = frame->value;
      break;
    case VMSAN_FRAME_EXEC_FAILED:
      handle_exec_failed (session, frame);
      break;
    case VMSAN_FRAME_STDIN_CREDIT:
      handle_credit (session, frame->value);
      break;
    case VMSAN_FRAME_STDOUT:
      output_append (&session->outputs[VMSAN_OUTPUT_STDOUT], frame->data, frame->length);
      break;
    case VMSAN_FRAME_STDERR:
      output_append (&session->outputs[VMSAN_OUTPUT_STDERR], frame->data, frame->length);
      break;
    case VMSAN_FRAME_STDOUT_EOF:
      session->outputs[VMSAN_OUTPUT_STDOUT].ended = TRUE;
      break;
    case VMSAN_FRAME_STDERR_EOF:
      session->outputs[VMSAN_OUTPUT_STDERR].ended = TRUE;
      break;
    case VMSAN_FRAME_EXITED:
      session->has_exited = TRUE;
      session->exited = frame->exited;
      finish (session);
      break;
    }
}

/* Nobody takes what is there already. */
static gboolean
is_full (VmsanSession *session)
{
  return output_length (&session->outputs[VMSAN_OUTPUT_STDOUT]) >= OUTPUT_HIGH_WATER ||
         output_length (&session->outputs[VMSAN_OUTPUT_STDERR]) >= OUTPUT_HIGH_WATER;
}

static gboolean
wants_read (VmsanSession *session)
{
  return !session->over && !is_full (session);
}

static gboolean
wants_write (VmsanSession *session)
{
  return !session->over && session->pending->len > 0;
}

/* Handles complete frames until an output is full. FALSE: bytes of a complete frame may be left. */
static gboolean
handle_buffered (VmsanSession *session)
{
  while (wants_read (session))
    {
      GError *error = NULL;
      VmsanFrame frame;
      int got = vmsan_frame_reader_next (session->reader, &frame, &error);

      if (got == 0)
        return TRUE;
      if (got < 0)
        fail (session, error);
      else
        handle_frame (session, &frame);
    }
  return FALSE;
}

static void
receive (VmsanSession *session)
{
  for (guint i = 0; i < READS_PER_PUMP && handle_buffered (session); i++)
    {
      gsize size;
      guint8 *space = vmsan_frame_reader_get_space (session->reader, &size);
      gssize n = recv (session->fd, space, size, MSG_DONTWAIT);

      if (n > 0)
        vmsan_frame_reader_commit (session->reader, (gsize) n);
      else if (n == 0)
        lose (session, _ ("end of file"));
      else if (errno == EAGAIN || errno == EWOULDBLOCK)
        return;
      else if (errno != EINTR)
        lose (session, g_strerror (errno));
    }
  handle_buffered (session);
}

/* What the socket took, 0 when it takes nothing now or ever. */
static gsize
send_some (VmsanSession *session, const struct iovec *parts, gsize n_parts)
{
  struct msghdr message = { .msg_iov = (struct iovec *) parts, .msg_iovlen = n_parts };
  gssize n;

  if (session->over || session->send_broken)
    return 0;
  do
    n = sendmsg (session->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0)
    return (gsize) n;

  /* The guest's last words may still be there to read; reading finds out what happened. */
  if (errno != EAGAIN && errno != EWOULDBLOCK)
    {
      session->send_broken = TRUE;
      g_byte_array_set_size (session->pending, 0);
    }
  return 0;
}

static void
flush (VmsanSession *session)
{
  while (wants_write (session))
    {
      struct iovec part = { session->pending->data, session->pending->len };
      gsize sent = send_some (session, &part, 1);

      if (sent == 0)
        return;
      g_byte_array_remove_range (session->pending, 0, (guint) sent);
    }
}

void
vmsan_session_pump (VmsanSession *session)
{
  gboolean was_started = session->started;
  gboolean was_over = session->over;

  if (was_over)
    return;
  flush (session);
  receive (session);
  if (session->notify != NULL && (session->started != was_started || session->over != was_over))
    session->notify (session->notify_data);
}

void
vmsan_session_set_notify (VmsanSession *session,
                          void (*notify) (gpointer user_data),
                          gpointer user_data)
{
  session->notify = notify;
  session->notify_data = user_data;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static gboolean
poll_once (VmsanSession *session, GCancellable *cancellable, GError **error)
{
  GPollFD fds[2] = { 0 };
  guint n_fds = 1;
  int ready;

  fds[0].fd = session->fd;
  fds[0].events =
      (gushort) ((wants_read (session) ? G_IO_IN : 0) | (wants_write (session) ? G_IO_OUT : 0));
  if (cancellable != NULL && g_cancellable_make_pollfd (cancellable, &fds[1]))
    n_fds = 2;
  ready = g_poll (fds, n_fds, -1);
  if (n_fds == 2)
    g_cancellable_release_fd (cancellable);
  if (ready < 0 && errno != EINTR)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   _ ("Could not wait for the guest: %s"), g_strerror (errno));
      return FALSE;
    }
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

gboolean
vmsan_session_wait (VmsanSession *session,
                    VmsanSessionPredicate until,
                    gpointer user_data,
                    GCancellable *cancellable,
                    GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  for (;;)
    {
      vmsan_session_pump (session);
      if (session->over || until (session, user_data))
        return TRUE;
      if (is_full (session) && !wants_write (session))
        {
          g_set_error_literal (
              error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
              _ ("Waiting for the guest cannot end while its output is not read: read standard "
                 "output and standard error, or close them"));
          return FALSE;
        }
      if (!poll_once (session, cancellable, error))
        return FALSE;
    }
}

typedef struct
{
  GSource source;
  VmsanSession *session;
  gboolean weak;
  VmsanSessionPredicate ready;
  gpointer user_data;
  gpointer tag; /* NULL when the socket is not polled */
  int fd;
  GIOCondition condition;
} SessionSource;

static gboolean
is_source_ready (SessionSource *source)
{
  return source->ready != NULL && source->ready (source->session, source->user_data);
}

/* The socket is polled only for what can be used now, or the loop would spin. */
static void
adjust_poll (SessionSource *self)
{
  VmsanSession *session = self->session;
  GIOCondition condition =
      (wants_read (session) ? G_IO_IN : 0) | (wants_write (session) ? G_IO_OUT : 0);

  if (condition == self->condition)
    return;
  /* With an empty mask poll() still reports hang-ups, so the descriptor has to go entirely. */
  if (self->tag != NULL && (condition == 0 || session->fd != self->fd))
    {
      g_source_remove_unix_fd (&self->source, self->tag);
      self->tag = NULL;
    }
  if (self->tag != NULL)
    g_source_modify_unix_fd (&self->source, self->tag, condition);
  else if (condition != 0)
    self->tag = g_source_add_unix_fd (&self->source, session->fd, condition);
  self->fd = session->fd;
  self->condition = condition;
}

static gboolean
source_prepare (GSource *source, int *timeout)
{
  SessionSource *self = (SessionSource *) source;

  *timeout = -1;
  adjust_poll (self);
  return is_source_ready (self);
}

static gboolean
source_check (GSource *source)
{
  SessionSource *self = (SessionSource *) source;

  return is_source_ready (self) ||
         (self->tag != NULL && g_source_query_unix_fd (source, self->tag) != 0);
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  SessionSource *self = (SessionSource *) source;

  /* The owner of a weak source may drop the session in what the pump calls. */
  g_autoptr (VmsanSession) session = vmsan_session_ref (self->session);

  if (!is_source_ready (self))
    vmsan_session_pump (session);
  if (g_source_is_destroyed (source) || !is_source_ready (self) || callback == NULL)
    return G_SOURCE_CONTINUE;
  return callback (user_data);
}

static void
source_finalize (GSource *source)
{
  SessionSource *self = (SessionSource *) source;

  if (!self->weak)
    vmsan_session_unref (self->session);
}

/* As a child of a pollable source it has no callback of its own: the parent is dispatched. */
static gboolean
source_closure_callback (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = source_prepare,
  .check = source_check,
  .dispatch = source_dispatch,
  .finalize = source_finalize,
  .closure_callback = source_closure_callback,
};

GSource *
vmsan_session_create_source (VmsanSession *session,
                             VmsanSessionPredicate ready,
                             gpointer user_data,
                             gboolean weak)
{
  GSource *source = g_source_new (&source_funcs, sizeof (SessionSource));
  SessionSource *self = (SessionSource *) source;

  g_source_set_static_name (source, "vmsan session");
  self->session = weak ? session : vmsan_session_ref (session);
  self->weak = weak;
  self->ready = ready;
  self->user_data = user_data;
  self->fd = -1;
  return source;
}

/* ---- State --------------------------------------------------------------------------------- */

gboolean
vmsan_session_is_started (VmsanSession *session)
{
  return session->started;
}

guint32
vmsan_session_get_pid (VmsanSession *session)
{
  return session->pid;
}

gboolean
vmsan_session_is_over (VmsanSession *session)
{
  return session->over;
}

const GError *
vmsan_session_get_failure (VmsanSession *session)
{
  return session->failure;
}

const VmsanExited *
vmsan_session_get_exited (VmsanSession *session)
{
  return session->has_exited ? &session->exited : NULL;
}

/* ---- Output -------------------------------------------------------------------------------- */

static void
set_would_block (GError **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, g_strerror (EAGAIN));
}

/* Frames that were received may wait for room in an output; no event of the socket announces
 * them. */
static void
resume (VmsanSession *session, gboolean was_full)
{
  if (was_full && !is_full (session))
    vmsan_session_pump (session);
}

gssize
vmsan_session_read (
    VmsanSession *session, VmsanOutput which, void *buffer, gsize size, GError **error)
{
  Output *output = &session->outputs[which];
  gsize length = output_length (output);
  gboolean was_full = is_full (session);

  if (length > 0)
    {
      size = MIN (size, length);
      memcpy (buffer, output->bytes->data + output->start, size);
      output->start += size;
      if (output->start == output->bytes->len)
        {
          g_byte_array_set_size (output->bytes, 0);
          output->start = 0;
        }
      resume (session, was_full);
      return (gssize) size;
    }
  if (output->ended || session->has_exited)
    return 0;
  if (!session->over)
    set_would_block (error);
  else if (error != NULL)
    *error = g_error_copy (session->failure);
  return -1;
}

gboolean
vmsan_session_is_readable (VmsanSession *session, VmsanOutput which)
{
  const Output *output = &session->outputs[which];

  return output_length (output) > 0 || output->ended || session->over;
}

void
vmsan_session_discard (VmsanSession *session, VmsanOutput which)
{
  Output *output = &session->outputs[which];
  gboolean was_full = is_full (session);

  output->discard = TRUE;
  output->start = 0;
  g_byte_array_set_size (output->bytes, 0);
  resume (session, was_full);
}

/* ---- Input --------------------------------------------------------------------------------- */

/* Sends or keeps a small frame. */
static void
queue_frame (VmsanSession *session, enum VmsanFrameType type, const void *payload, gsize length)
{
  const VmsanFrameHeader header = { .type = (guint8) type, .length = (guint32) length };

  g_byte_array_append (session->pending, (const guint8 *) &header, sizeof header);
  g_byte_array_append (session->pending, payload, (guint) length);
  flush (session);
}

gboolean
vmsan_session_is_writable (VmsanSession *session)
{
  return session->over || session->send_broken || session->stdin_closed ||
         (session->stdin_credit > 0 && session->pending->len == 0);
}

gssize
vmsan_session_write (VmsanSession *session, const void *data, gsize size, GError **error)
{
  VmsanFrameHeader header = { .type = VMSAN_FRAME_STDIN };
  struct iovec parts[2];
  gsize sent, from;

  if (session->over || session->send_broken || session->stdin_closed)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE,
                           _ ("The program in the guest takes no more input"));
      return -1;
    }
  if (size == 0)
    return 0;
  if (!vmsan_session_is_writable (session))
    {
      set_would_block (error);
      return -1;
    }

  size = MIN (size, MIN (session->stdin_credit, VMSAN_FRAME_PAYLOAD_MAX));
  header.length = (guint32) size;
  parts[0] = (struct iovec){ &header, sizeof header };
  parts[1] = (struct iovec){ (void *) data, size };
  sent = send_some (session, parts, 2);
  if (session->send_broken)
    return vmsan_session_write (session, data, size, error);

  /* Within the credit this is at most one frame; the socket takes the rest when it can. */
  if (sent < sizeof header)
    g_byte_array_append (session->pending, (const guint8 *) &header + sent,
                         (guint) (sizeof header - sent));
  from = sent > sizeof header ? sent - sizeof header : 0;
  g_byte_array_append (session->pending, (const guint8 *) data + from, (guint) (size - from));
  session->stdin_credit -= (guint32) size;
  return (gssize) size;
}

void
vmsan_session_close_stdin (VmsanSession *session)
{
  if (session->stdin_closed)
    return;
  session->stdin_closed = TRUE;
  if (!session->over && !session->send_broken)
    queue_frame (session, VMSAN_FRAME_STDIN_EOF, NULL, 0);
}

static gboolean
send_control (VmsanSession *session,
              enum VmsanFrameType type,
              const void *payload,
              gsize length,
              GError **error)
{
  if (session->over || session->send_broken)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                           _ ("The program in the guest has ended"));
      return FALSE;
    }
  if (session->pending->len + sizeof (VmsanFrameHeader) + length > PENDING_MAX)
    {
      set_would_block (error);
      return FALSE;
    }
  queue_frame (session, type, payload, length);
  return TRUE;
}

gboolean
vmsan_session_send_signal (VmsanSession *session, guint32 signal_number, GError **error)
{
  return send_control (session, VMSAN_FRAME_SIGNAL, &signal_number, sizeof signal_number, error);
}

gboolean
vmsan_session_resize (VmsanSession *session, guint16 rows, guint16 columns, GError **error)
{
  const guint16 size[2] = { rows, columns };

  return send_control (session, VMSAN_FRAME_WINDOW_SIZE, size, sizeof size, error);
}

void
vmsan_session_hang_up (VmsanSession *session)
{
  if (session->over)
    return;
  fail (session,
        g_error_new_literal (VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_CONNECTION_LOST,
                             _ ("The connection to the guest was closed by this program")));
  if (session->notify != NULL)
    session->notify (session->notify_data);
}
