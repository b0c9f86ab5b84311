/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is appended here is what GDBus would have written at the same place. */

#include "bus/bus-wire.h"

#include <string.h>

static void
align_to (GByteArray *wire, guint alignment)
{
  static const guint8 zeroes[8];
  guint over = wire->len % alignment;

  if (over > 0)
    g_byte_array_append (wire, zeroes, alignment - over);
}

void
vmsan_wire_append_u32 (GByteArray *wire, guint32 value)
{
  align_to (wire, 4);
  g_byte_array_append (wire, (const guint8 *) &value, sizeof value);
}

void
vmsan_wire_append_string (GByteArray *wire, const char *text)
{
  gsize length = strlen (text);

  vmsan_wire_append_u32 (wire, length);
  g_byte_array_append (wire, (const guint8 *) text, length + 1);
}

void
vmsan_wire_append_signature (GByteArray *wire, const char *signature)
{
  guint8 length = strlen (signature);

  g_byte_array_append (wire, &length, 1);
  g_byte_array_append (wire, (const guint8 *) signature, length + 1);
}

void
vmsan_wire_align (GByteArray *wire)
{
  align_to (wire, 8);
}

guint
vmsan_wire_begin_array (GByteArray *wire)
{
  guint begin;

  vmsan_wire_append_u32 (wire, 0);
  begin = wire->len - sizeof (guint32);
  /* The padding before the first entry is there even when there is none. */
  vmsan_wire_align (wire);
  return begin;
}

void
vmsan_wire_end_array (GByteArray *wire, guint begin)
{
  guint entries = (begin + sizeof (guint32) + 7) & ~7u; /* the padding is not counted */
  guint32 length = wire->len - entries;

  memcpy (wire->data + begin, &length, sizeof length);
}

GBytes *
vmsan_wire_new_dictionary (GVariant *dictionary)
{
  g_autoptr (GDBusMessage) message = g_dbus_message_new ();
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *blob = NULL;
  gsize size;
  guint32 body_size;

  /* Any message does: only its body is used. */
  g_dbus_message_set_message_type (message, G_DBUS_MESSAGE_TYPE_METHOD_RETURN);
  g_dbus_message_set_reply_serial (message, 1);
  g_dbus_message_set_serial (message, 1);
  g_dbus_message_set_body (message, g_variant_new ("(@a{sv})", dictionary));
  blob = g_dbus_message_to_blob (message, &size, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  if (blob == NULL)
    g_error ("Marshalling properties: %s", error->message);
  memcpy (&body_size, blob + 4, sizeof body_size);
  /* Without the length and the padding that come first. */
  return g_bytes_new (blob + size - body_size + 8, body_size - 8);
}

void
vmsan_wire_append_dictionary (GByteArray *wire, GBytes *dictionary)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (dictionary, &size);
  guint begin = vmsan_wire_begin_array (wire);

  if (size > 0)
    g_byte_array_append (wire, data, size);
  vmsan_wire_end_array (wire, begin);
}
