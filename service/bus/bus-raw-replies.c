/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a reply is written whole, or the connection is at its end. */

#include "bus/bus-raw-replies.h"

#include "bus/bus-wire.h"

#include <string.h>

/* The bus reads always; one that does not for so long is dead. */
#define WRITE_WITHIN_US (30 * G_USEC_PER_SEC)

/* GDBus numbers from 1 upwards. Serials of replies are not looked at, but must not be 0. */
#define SERIAL 0x7fffffff

/* D-Bus specification, "Message Format". */
#define FIELD_REPLY_SERIAL 5
#define FIELD_DESTINATION  6
#define FIELD_SIGNATURE    8

struct _VmsanBusRawReplies
{
  GDBusConnection *connection;
  guint filter;
};

typedef struct
{
  GByteArray *header;
  GByteArray *body;
} Raw;

static G_DEFINE_QUARK (vmsan - raw - reply, raw_reply)

static void
raw_free (gpointer data)
{
  Raw *raw = data;

  g_byte_array_unref (raw->header);
  g_byte_array_unref (raw->body);
  g_free (raw);
}

/* ---- In GDBus's thread --------------------------------------------------------------------- */

static gboolean
write_all (GSocket *socket, const GByteArray *bytes, GError **error)
{
  gsize done = 0;

  while (done < bytes->len)
    {
      g_autoptr (GError) local_error = NULL;
      gssize n = g_socket_send (socket, (const char *) bytes->data + done, bytes->len - done, NULL,
                                &local_error);

      if (n >= 0)
        done += n;
      else if (!g_error_matches (local_error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
      else if (!g_socket_condition_timed_wait (socket, G_IO_OUT, WRITE_WITHIN_US, NULL, error))
        return FALSE;
    }
  return TRUE;
}

static GDBusMessage *
on_message (GDBusConnection *connection,
            GDBusMessage *message,
            gboolean incoming,
            gpointer user_data)
{
  GSocket *socket = user_data;
  Raw *raw = incoming ? NULL : g_object_get_qdata (G_OBJECT (message), raw_reply_quark ());
  g_autoptr (GError) error = NULL;

  if (raw != NULL &&
      (!write_all (socket, raw->header, &error) || !write_all (socket, raw->body, &error)))
    {
      /* Half a message: what follows would be taken for the other half. */
      g_warning ("Writing to the bus: %s", error->message);
      g_socket_shutdown (socket, TRUE, TRUE, NULL);
    }
  return message;
}

/* ---- In the main thread -------------------------------------------------------------------- */

VmsanBusRawReplies *
vmsan_bus_raw_replies_new (GDBusConnection *connection)
{
  VmsanBusRawReplies *self = g_new0 (VmsanBusRawReplies, 1);
  GSocketConnection *stream = G_SOCKET_CONNECTION (g_dbus_connection_get_stream (connection));

  self->connection = g_object_ref (connection);
  self->filter =
      g_dbus_connection_add_filter (connection, on_message,
                                    g_object_ref (g_socket_connection_get_socket (stream)),
                                    g_object_unref);
  return self;
}

void
vmsan_bus_raw_replies_free (VmsanBusRawReplies *self)
{
  g_dbus_connection_remove_filter (self->connection, self->filter);
  g_object_unref (self->connection);
  g_free (self);
}

static void
append_field (GByteArray *header, guint8 code, const char *type)
{
  vmsan_wire_align (header);
  g_byte_array_append (header, &code, 1);
  vmsan_wire_append_signature (header, type);
}

static GByteArray *
make_header (GDBusMessage *call, const char *signature, const GByteArray *body)
{
  const guint8 start[] = {
    G_BYTE_ORDER == G_LITTLE_ENDIAN ? 'l' : 'B',
    G_DBUS_MESSAGE_TYPE_METHOD_RETURN,
    G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED,
    1,
  };
  GByteArray *header = g_byte_array_new ();
  guint fields;

  g_byte_array_append (header, start, sizeof start);
  vmsan_wire_append_u32 (header, body->len);
  vmsan_wire_append_u32 (header, SERIAL);
  fields = vmsan_wire_begin_array (header);
  append_field (header, FIELD_REPLY_SERIAL, "u");
  vmsan_wire_append_u32 (header, g_dbus_message_get_serial (call));
  append_field (header, FIELD_DESTINATION, "s");
  vmsan_wire_append_string (header, g_dbus_message_get_sender (call));
  append_field (header, FIELD_SIGNATURE, "g");
  vmsan_wire_append_signature (header, signature);
  vmsan_wire_end_array (header, fields);
  vmsan_wire_align (header);
  return header;
}

/* What goes over the wire behind the reply. Not nothing: GDBus does not count a message that a
 * filter swallows, and would wait for it for ever when it is flushed. */
static GDBusMessage *
new_carrier (void)
{
  GDBusMessage *message =
      g_dbus_message_new_method_call ("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus.Peer", "Ping");

  g_dbus_message_set_flags (message, G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED);
  return message;
}

void
vmsan_bus_raw_replies_send (VmsanBusRawReplies *self,
                            GDBusMethodInvocation *invocation,
                            const char *signature,
                            GByteArray *body)
{
  GDBusMessage *call = g_dbus_method_invocation_get_message (invocation);
  Raw *raw = g_new0 (Raw, 1);
  g_autoptr (GDBusMessage) carrier = new_carrier ();

  raw->body = body;
  raw->header = make_header (call, signature, body);
  g_object_set_qdata_full (G_OBJECT (carrier), raw_reply_quark (), raw, raw_free);
  /* It fails on a closed connection only. */
  if (!(g_dbus_message_get_flags (call) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED))
    g_dbus_connection_send_message (self->connection, carrier, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL,
                                    NULL);
  g_object_unref (invocation);
}
