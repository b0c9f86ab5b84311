/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ready-service NAME FILE…
 *
 * The bare service: owns NAME, and answers each call with a reply that was saved by "bus-timer
 * --save", the one of FILE number N for a call to the object /N. Prints a line when it is ready. It
 * neither looks at arguments nor makes anything, so it is as fast as a service on this bus can be.
 */

#include "raw-bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  char *data;
  gsize size;
  const char *body;
  guint32 body_size;
  char *signature;
} Reply;

static void
load (Reply *reply, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusMessage) message = NULL;

  if (!g_file_get_contents (path, &reply->data, &reply->size, &error))
    die ("%s", error->message);
  message = g_dbus_message_new_from_blob ((guchar *) reply->data, reply->size,
                                          G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  if (message == NULL)
    die ("%s: %s", path, error->message);
  reply->signature = g_strdup (g_dbus_message_get_signature (message));
  memcpy (&reply->body_size, reply->data + 4, 4);
  reply->body = reply->data + reply->size - reply->body_size;
}

static void
append_padding (GByteArray *bytes)
{
  static const guint8 zeroes[8];

  g_byte_array_append (bytes, zeroes, (8 - bytes->len % 8) % 8);
}

static void
append_u32 (GByteArray *bytes, guint32 value)
{
  g_byte_array_append (bytes, (guint8 *) &value, 4);
}

/* The header of a method return (D-Bus specification, "Message Format"). */
static GByteArray *
make_header (const Reply *reply, guint32 serial, guint32 reply_to, const char *destination)
{
  GByteArray *header = g_byte_array_new ();
  const guint8 signature_size = strlen (reply->signature);
  guint32 fields_size;

  g_byte_array_append (header, (const guint8 *) "l\2\1\1", 4);
  append_u32 (header, reply->body_size);
  append_u32 (header, serial);
  append_u32 (header, 0);
  g_byte_array_append (header, (const guint8 *) "\5\1u", 4);
  append_u32 (header, reply_to);
  g_byte_array_append (header, (const guint8 *) "\6\1s", 4);
  append_u32 (header, strlen (destination));
  g_byte_array_append (header, (const guint8 *) destination, strlen (destination) + 1);
  append_padding (header);
  g_byte_array_append (header, (const guint8 *) "\10\1g", 4);
  g_byte_array_append (header, &signature_size, 1);
  g_byte_array_append (header, (const guint8 *) reply->signature, signature_size + 1);
  fields_size = header->len - 16;
  memcpy (header->data + 12, &fields_size, 4);
  append_padding (header);
  return header;
}

int
main (int argc, char **argv)
{
  g_autofree Reply *replies = g_new0 (Reply, MAX (argc, 3) - 2);
  guint32 serial = 1000;
  RawBus bus;

  if (argc < 3)
    die ("Usage: ready-service NAME FILE…");
  for (int i = 2; i < argc; i++)
    load (&replies[i - 2], argv[i]);
  raw_bus_open (&bus);
  raw_bus_own_name (&bus, argv[1]);
  puts ("ready");
  fflush (stdout);

  for (;;)
    {
      g_autoptr (GDBusMessage) call = NULL;
      g_autoptr (GByteArray) header = NULL;
      const Reply *reply;

      raw_bus_read (&bus);
      call = g_dbus_message_new_from_blob (bus.message->data, bus.message->len,
                                           G_DBUS_CAPABILITY_FLAGS_UNIX_FD_PASSING, NULL);
      if (call == NULL || g_dbus_message_get_message_type (call) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
        continue;
      reply = &replies[CLAMP (atoi (g_dbus_message_get_path (call) + 1), 0, argc - 3)];
      header = make_header (reply, ++serial, g_dbus_message_get_serial (call),
                            g_dbus_message_get_sender (call));
      raw_bus_write (&bus, header->data, header->len, reply->body, reply->body_size);
    }
}
