/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a guest that sends nonsense loses its control session, and nothing else happens. */

#include "vm/agent-control.h"

#include "net/net-address.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"
#include "vm/agent-frames.h"

#include <glib-unix.h>

struct _VmsanAgentControl
{
  GObject parent;
  int fd;
  GSource *readable;
  VmsanFrameReader reader;

  GTask *configuring; /* until READY or FAILED */
  GSource *deadline;
  GSource *cancelled;
};

enum
{
  SIGNAL_STREAM_ENDED,
  SIGNAL_STREAMS_LISTED,
  SIGNAL_STREAM_BUSY,
  SIGNAL_CLOSED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (VmsanAgentControl, vmsan_agent_control, G_TYPE_OBJECT)

/* Ends the wait for READY, with @boot_ms or @error. */
static void
configured (VmsanAgentControl *self, guint boot_ms, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->configuring);

  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  if (task == NULL)
    g_clear_error (&error);
  else if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_int (task, boot_ms);
}

static void
close_session (VmsanAgentControl *self, const char *message)
{
  g_autoptr (VmsanAgentControl) keep = g_object_ref (self);

  if (self->fd < 0)
    return;
  vmsan_source_clear (&self->readable);
  vmsan_fd_close (&self->fd);
  configured (self, 0,
              g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                           "The guest's agent went away while the guest was starting: %s",
                           message));
  g_signal_emit (self, signals[SIGNAL_CLOSED], 0, message);
}

/* ---- Frames from the guest ----------------------------------------------------------------- */

/* The first field with @tag; its data is NULL when there is none. FALSE for a malformed payload. */
static gboolean
find_field (const guint8 *payload, gsize length, guint16 tag, VmsanField *found)
{
  VmsanFieldReader reader;
  VmsanField field;
  int more;

  *found = (VmsanField){ .data = NULL };
  vmsan_field_reader_init (&reader, payload, length);
  while ((more = vmsan_field_reader_next (&reader, &field)) > 0)
    if (field.tag == tag && found->data == NULL)
      *found = field;
  return more == 0;
}

static gboolean
on_ready (VmsanAgentControl *self, const guint8 *payload, gsize length)
{
  VmsanField field;
  guint32 boot_ms = 0;

  if (!find_field (payload, length, VMSAN_FIELD_BOOT_MS, &field) ||
      (field.data != NULL && !vmsan_field_get_u32 (&field, &boot_ms)))
    return FALSE;
  configured (self, MIN (boot_ms, G_MAXINT), NULL);
  return TRUE;
}

static gboolean
on_failed (VmsanAgentControl *self, const guint8 *payload, gsize length)
{
  VmsanField field;
  g_autofree char *message = NULL;

  if (!find_field (payload, length, VMSAN_FIELD_MESSAGE, &field) || field.data == NULL)
    return FALSE;
  message = vmsan_frame_field_to_text (&field);
  configured (self, 0,
              g_error_new (VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED, "The guest did not come up: %s",
                           message));
  return TRUE;
}

/* Emits @signal for each PORT field. */
static gboolean
on_ports (VmsanAgentControl *self, const guint8 *payload, gsize length, guint signal)
{
  VmsanFieldReader reader;
  VmsanField field;
  guint32 port;
  int more;

  vmsan_field_reader_init (&reader, payload, length);
  while ((more = vmsan_field_reader_next (&reader, &field)) > 0)
    if (field.tag == VMSAN_FIELD_PORT)
      {
        if (!vmsan_field_get_u32 (&field, &port))
          return FALSE;
        g_signal_emit (self, signals[signal], 0, (guint) port);
      }
  return more == 0;
}

static gboolean
handle_frame (VmsanAgentControl *self, guint8 type, const guint8 *payload, gsize length)
{
  switch (type)
    {
    case VMSAN_FRAME_READY:
      return on_ready (self, payload, length);
    case VMSAN_FRAME_FAILED:
      return on_failed (self, payload, length);
    case VMSAN_FRAME_SESSION_ENDED:
      return on_ports (self, payload, length, SIGNAL_STREAM_ENDED);
    case VMSAN_FRAME_SESSIONS:
      g_signal_emit (self, signals[SIGNAL_STREAMS_LISTED], 0);
      return on_ports (self, payload, length, SIGNAL_STREAM_BUSY);
    case VMSAN_FRAME_PONG:
      return TRUE;
    default:
      return FALSE;
    }
}

/* One frame per call, so that a guest that never stops sending cannot keep the loop to itself. */
static gboolean
on_readable (int fd, GIOCondition condition, gpointer user_data)
{
  g_autoptr (VmsanAgentControl) self = g_object_ref (user_data);
  g_autoptr (GError) error = NULL;
  guint8 type;
  const guint8 *payload;
  gsize length;

  switch (vmsan_frame_reader_read (&self->reader, fd, &type, &payload, &length, &error))
    {
    case VMSAN_FRAME_COMPLETE:
      if (!handle_frame (self, type, payload, length))
        close_session (self, "it sent a malformed message");
      break;
    case VMSAN_FRAME_AGAIN:
      break;
    case VMSAN_FRAME_EOF:
      close_session (self, "it closed the connection");
      break;
    case VMSAN_FRAME_ERROR:
      close_session (self, error->message);
      break;
    }
  return self->readable != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- Requests ------------------------------------------------------------------------------ */

static gboolean
send_frame (VmsanAgentControl *self, guint8 type, const void *payload, gsize length, GError **error)
{
  if (self->fd < 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                   "The guest's agent does not answer");
      return FALSE;
    }
  if (vmsan_frame_send (self->fd, type, payload, length, error))
    return TRUE;
  /* Half a frame may be on its way, and what follows it would be taken for its rest. */
  close_session (self, "it does not read what it is sent");
  return FALSE;
}

static gboolean
append_text (guint8 *payload, gsize capacity, gsize *used, guint16 tag, const char *text)
{
  return vmsan_field_append (payload, capacity, used, tag, text, strlen (text));
}

/* Two resolvers, as the host's own may be reached by one family only; the other refuses at once. */
static gboolean
append_network (guint8 *payload,
                gsize capacity,
                gsize *used,
                const VmsanGuestConfiguration *configuration)
{
  static const char address4[] = VMSAN_NET_GUEST4 "/" G_STRINGIFY (VMSAN_NET_PREFIX4);
  static const char address6[] = VMSAN_NET_GUEST6 "/" G_STRINGIFY (VMSAN_NET_PREFIX6);

  if (!configuration->has_network)
    return TRUE;
  return append_text (payload, capacity, used, VMSAN_FIELD_ADDRESS, address4) &&
         append_text (payload, capacity, used, VMSAN_FIELD_GATEWAY, VMSAN_NET_GATEWAY4) &&
         append_text (payload, capacity, used, VMSAN_FIELD_RESOLVER, VMSAN_NET_GATEWAY4) &&
         (!configuration->has_ipv6 ||
          (append_text (payload, capacity, used, VMSAN_FIELD_ADDRESS, address6) &&
           append_text (payload, capacity, used, VMSAN_FIELD_GATEWAY, VMSAN_NET_GATEWAY6) &&
           append_text (payload, capacity, used, VMSAN_FIELD_RESOLVER, VMSAN_NET_GATEWAY6)));
}

static gboolean
send_configuration (VmsanAgentControl *self,
                    const VmsanGuestConfiguration *configuration,
                    GError **error)
{
  guint8 payload[2048];
  gsize used = 0;
  guint64 now_ns = (guint64) g_get_real_time () * 1000;

  /* Record rules bound both texts far below the payload's size. */
  if (!vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_HOSTNAME,
                           configuration->hostname, strlen (configuration->hostname)) ||
      !vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_INIT, configuration->init,
                           strlen (configuration->init)) ||
      !vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_REALTIME_NS, &now_ns,
                           sizeof now_ns) ||
      !append_network (payload, sizeof payload, &used, configuration))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "The guest's configuration is too long");
      return FALSE;
    }
  return send_frame (self, VMSAN_FRAME_CONFIGURE, payload, used, error);
}

static gboolean
on_deadline (gpointer user_data)
{
  configured (user_data, 0,
              g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                           "The guest was not ready in time; see the console in its details"));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  configured (user_data, 0, g_error_new (VMSAN_ERROR, VMSAN_ERROR_CANCELLED, "Cancelled"));
  return G_SOURCE_REMOVE;
}

void
vmsan_agent_control_configure_async (VmsanAgentControl *self,
                                     const VmsanGuestConfiguration *configuration,
                                     guint deadline_ms,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  GError *error = NULL;

  g_return_if_fail (self->configuring == NULL);

  if (!send_configuration (self, configuration, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  self->configuring = g_steal_pointer (&task);
  self->deadline = g_timeout_source_new (deadline_ms);
  g_source_set_callback (self->deadline, on_deadline, self, NULL);
  g_source_attach (self->deadline, NULL);
  if (cancellable != NULL)
    {
      self->cancelled = g_cancellable_source_new (cancellable);
      g_source_set_callback (self->cancelled, G_SOURCE_FUNC (on_cancelled), self, NULL);
      g_source_attach (self->cancelled, NULL);
    }
}

gboolean
vmsan_agent_control_configure_finish (VmsanAgentControl *self,
                                      GAsyncResult *result,
                                      guint *boot_ms,
                                      GError **error)
{
  gssize value = g_task_propagate_int (G_TASK (result), error);

  if (value < 0)
    return FALSE;
  *boot_ms = value;
  return TRUE;
}

gboolean
vmsan_agent_control_shutdown (VmsanAgentControl *self, guint action, GError **error)
{
  guint8 payload[16];
  gsize used = 0;
  guint32 action32 = action;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_ACTION, &action32,
                      sizeof action32);
  return send_frame (self, VMSAN_FRAME_SHUTDOWN, payload, used, error);
}

gboolean
vmsan_agent_control_list (VmsanAgentControl *self, GError **error)
{
  return send_frame (self, VMSAN_FRAME_LIST, NULL, 0, error);
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_agent_control_dispose (GObject *object)
{
  VmsanAgentControl *self = VMSAN_AGENT_CONTROL (object);

  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
  vmsan_fd_close (&self->fd);
  vmsan_frame_reader_clear (&self->reader);
  G_OBJECT_CLASS (vmsan_agent_control_parent_class)->dispose (object);
}

static void
vmsan_agent_control_class_init (VmsanAgentControlClass *klass)
{
  GType type = G_TYPE_FROM_CLASS (klass);

  G_OBJECT_CLASS (klass)->dispose = vmsan_agent_control_dispose;
  signals[SIGNAL_STREAM_ENDED] = g_signal_new ("stream-ended", type, G_SIGNAL_RUN_LAST, 0, NULL,
                                               NULL, NULL, G_TYPE_NONE, 1, G_TYPE_UINT);
  signals[SIGNAL_STREAMS_LISTED] =
      g_signal_new ("streams-listed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  signals[SIGNAL_STREAM_BUSY] = g_signal_new ("stream-busy", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                              NULL, G_TYPE_NONE, 1, G_TYPE_UINT);
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                         G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
vmsan_agent_control_init (VmsanAgentControl *self)
{
  self->fd = -1;
}

VmsanAgentControl *
vmsan_agent_control_new (int fd)
{
  VmsanAgentControl *self = g_object_new (VMSAN_TYPE_AGENT_CONTROL, NULL);

  self->fd = fd;
  self->readable = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (self->readable, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->readable, NULL);
  return self;
}
