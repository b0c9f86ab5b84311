/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a stream ends with an end of file only when the guest said so. */

#include "config.h"

#include "vmsan-session-streams.h"

#include <string.h>

/* g_pollable_*_stream_create_source() wants a source whose callback is a GPollableSourceFunc; the
 * session's source is the child that decides when. */
static GSource *
create_pollable_source (gpointer stream,
                        VmsanSession *session,
                        VmsanSessionPredicate ready,
                        gpointer user_data,
                        GCancellable *cancellable)
{
  g_autoptr (GSource) child = vmsan_session_create_source (session, ready, user_data, FALSE);

  return g_pollable_source_new_full (stream, child, cancellable);
}

/* ---- Input --------------------------------------------------------------------------------- */

struct _VmsanSessionInput
{
  GInputStream parent;
  VmsanSession *session;
  VmsanOutput output;
};

static void session_input_pollable_init (GPollableInputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (VmsanSessionInput,
                               vmsan_session_input,
                               G_TYPE_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                      session_input_pollable_init))

static gboolean
input_ready (VmsanSession *session, gpointer user_data)
{
  return vmsan_session_is_readable (session, (VmsanOutput) GPOINTER_TO_UINT (user_data));
}

static gssize
session_input_read (
    GInputStream *stream, void *buffer, gsize count, GCancellable *cancellable, GError **error)
{
  VmsanSessionInput *self = VMSAN_SESSION_INPUT (stream);

  if (!vmsan_session_wait (self->session, input_ready, GUINT_TO_POINTER (self->output), cancellable,
                           error))
    return -1;
  return vmsan_session_read (self->session, self->output, buffer, count, error);
}

static gboolean
session_input_close (GInputStream *stream, GCancellable *cancellable, GError **error)
{
  VmsanSessionInput *self = VMSAN_SESSION_INPUT (stream);

  vmsan_session_discard (self->session, self->output);
  return TRUE;
}

/* GIO's default closes in a thread; a session belongs to one. */
static void
session_input_close_async (GInputStream *stream,
                           int io_priority,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (stream, cancellable, callback, user_data);

  session_input_close (stream, cancellable, NULL);
  g_task_return_boolean (task, TRUE);
}

static gboolean
session_input_close_finish (GInputStream *stream, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
session_input_is_readable (GPollableInputStream *stream)
{
  VmsanSessionInput *self = VMSAN_SESSION_INPUT (stream);

  vmsan_session_pump (self->session);
  return vmsan_session_is_readable (self->session, self->output);
}

static GSource *
session_input_create_source (GPollableInputStream *stream, GCancellable *cancellable)
{
  VmsanSessionInput *self = VMSAN_SESSION_INPUT (stream);

  return create_pollable_source (stream, self->session, input_ready,
                                 GUINT_TO_POINTER (self->output), cancellable);
}

static gssize
session_input_read_nonblocking (GPollableInputStream *stream,
                                void *buffer,
                                gsize count,
                                GError **error)
{
  VmsanSessionInput *self = VMSAN_SESSION_INPUT (stream);

  if (!vmsan_session_is_readable (self->session, self->output))
    vmsan_session_pump (self->session);
  return vmsan_session_read (self->session, self->output, buffer, count, error);
}

static void
session_input_finalize (GObject *object)
{
  vmsan_session_unref (VMSAN_SESSION_INPUT (object)->session);
  G_OBJECT_CLASS (vmsan_session_input_parent_class)->finalize (object);
}

static void
session_input_pollable_init (GPollableInputStreamInterface *iface)
{
  iface->is_readable = session_input_is_readable;
  iface->create_source = session_input_create_source;
  iface->read_nonblocking = session_input_read_nonblocking;
}

static void
vmsan_session_input_class_init (VmsanSessionInputClass *klass)
{
  GInputStreamClass *stream_class = G_INPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = session_input_finalize;
  stream_class->read_fn = session_input_read;
  stream_class->close_fn = session_input_close;
  stream_class->close_async = session_input_close_async;
  stream_class->close_finish = session_input_close_finish;
}

static void
vmsan_session_input_init (VmsanSessionInput *self)
{
}

GInputStream *
vmsan_session_input_new (VmsanSession *session, VmsanOutput output)
{
  VmsanSessionInput *self = g_object_new (VMSAN_TYPE_SESSION_INPUT, NULL);

  self->session = vmsan_session_ref (session);
  self->output = output;
  return G_INPUT_STREAM (self);
}

/* ---- Output -------------------------------------------------------------------------------- */

struct _VmsanSessionOutput
{
  GOutputStream parent;
  VmsanSession *session;
};

static void session_output_pollable_init (GPollableOutputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (VmsanSessionOutput,
                               vmsan_session_output,
                               G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                      session_output_pollable_init))

static gboolean
output_ready (VmsanSession *session, gpointer user_data)
{
  return vmsan_session_is_writable (session);
}

static gssize
session_output_write (GOutputStream *stream,
                      const void *buffer,
                      gsize count,
                      GCancellable *cancellable,
                      GError **error)
{
  VmsanSessionOutput *self = VMSAN_SESSION_OUTPUT (stream);

  if (!vmsan_session_wait (self->session, output_ready, NULL, cancellable, error))
    return -1;
  return vmsan_session_write (self->session, buffer, count, error);
}

/* GIO closes a stream that is dropped, so this must not wait. What the socket does not take at once
 * is sent by whatever moves the session next: its own source, or a blocking read or wait. */
static gboolean
session_output_close (GOutputStream *stream, GCancellable *cancellable, GError **error)
{
  vmsan_session_close_stdin (VMSAN_SESSION_OUTPUT (stream)->session);
  return TRUE;
}

static void
session_output_close_async (GOutputStream *stream,
                            int io_priority,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (stream, cancellable, callback, user_data);

  session_output_close (stream, cancellable, NULL);
  g_task_return_boolean (task, TRUE);
}

static gboolean
session_output_close_finish (GOutputStream *stream, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
session_output_is_writable (GPollableOutputStream *stream)
{
  VmsanSessionOutput *self = VMSAN_SESSION_OUTPUT (stream);

  vmsan_session_pump (self->session);
  return vmsan_session_is_writable (self->session);
}

static GSource *
session_output_create_source (GPollableOutputStream *stream, GCancellable *cancellable)
{
  VmsanSessionOutput *self = VMSAN_SESSION_OUTPUT (stream);

  return create_pollable_source (stream, self->session, output_ready, NULL, cancellable);
}

static gssize
session_output_write_nonblocking (GPollableOutputStream *stream,
                                  const void *buffer,
                                  gsize count,
                                  GError **error)
{
  VmsanSessionOutput *self = VMSAN_SESSION_OUTPUT (stream);

  if (!vmsan_session_is_writable (self->session))
    vmsan_session_pump (self->session);
  return vmsan_session_write (self->session, buffer, count, error);
}

static void
session_output_finalize (GObject *object)
{
  vmsan_session_unref (VMSAN_SESSION_OUTPUT (object)->session);
  G_OBJECT_CLASS (vmsan_session_output_parent_class)->finalize (object);
}

static void
session_output_pollable_init (GPollableOutputStreamInterface *iface)
{
  iface->is_writable = session_output_is_writable;
  iface->create_source = session_output_create_source;
  iface->write_nonblocking = session_output_write_nonblocking;
}

static void
vmsan_session_output_class_init (VmsanSessionOutputClass *klass)
{
  GOutputStreamClass *stream_class = G_OUTPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = session_output_finalize;
  stream_class->write_fn = session_output_write;
  stream_class->close_fn = session_output_close;
  stream_class->close_async = session_output_close_async;
  stream_class->close_finish = session_output_close_finish;
}

static void
vmsan_session_output_init (VmsanSessionOutput *self)
{
}

GOutputStream *
vmsan_session_output_new (VmsanSession *session)
{
  VmsanSessionOutput *self = g_object_new (VMSAN_TYPE_SESSION_OUTPUT, NULL);

  self->session = vmsan_session_ref (session);
  return G_OUTPUT_STREAM (self);
}
