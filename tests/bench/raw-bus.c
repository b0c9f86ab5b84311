/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one system call to send, as few as the socket allows to receive, and no copy between. */

#include "raw-bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER_SIZE 16 /* the fixed part, and the length of the fields */

/* Offsets and values of the D-Bus specification, "Message Format". */
#define TYPE_OFFSET    1
#define SERIAL_OFFSET  8
#define TYPE_CALL      1
#define TYPE_RETURN    2
#define TYPE_ERROR     3
#define FIELD_REPLY_TO 5
#define MESSAGE_MAX    (128u << 20)
#define REPLY_TO_SCAN  1024

void
die (const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  vfprintf (stderr, format, arguments);
  va_end (arguments);
  fputc ('\n', stderr);
  exit (1);
}

void
raw_bus_write (RawBus *self, const void *a, gsize a_size, const void *b, gsize b_size)
{
  struct iovec parts[2] = { { (void *) a, a_size }, { (void *) b, b_size } };
  guint first = 0;

  while (first < 2)
    {
      gssize n = writev (self->fd, parts + first, 2 - first);

      if (n < 0)
        die ("Writing to the bus: %s", g_strerror (errno));
      while (first < 2 && (gsize) n >= parts[first].iov_len)
        n -= parts[first++].iov_len;
      if (first < 2)
        {
          parts[first].iov_base = (char *) parts[first].iov_base + n;
          parts[first].iov_len -= n;
        }
    }
}

static void
read_exactly (RawBus *self, guint8 *target, gsize size)
{
  while (size > 0)
    {
      gssize n = read (self->fd, target, size);

      if (n <= 0)
        die ("Reading from the bus: %s", n == 0 ? "it hung up" : g_strerror (errno));
      target += n;
      size -= n;
    }
}

void
raw_bus_read (RawBus *self)
{
  g_autoptr (GError) error = NULL;
  gssize size;

  g_byte_array_set_size (self->message, HEADER_SIZE);
  read_exactly (self, self->message->data, HEADER_SIZE);
  size = g_dbus_message_bytes_needed (self->message->data, HEADER_SIZE, &error);
  if (size < HEADER_SIZE || size > MESSAGE_MAX)
    die ("The bus sent no message: %s", error != NULL ? error->message : "impossible size");
  g_byte_array_set_size (self->message, size);
  read_exactly (self, self->message->data + HEADER_SIZE, size - HEADER_SIZE);
}

/* To which call this replies, or 0. The field is looked for where dbus-daemon and GDBus put it,
 * aligned to 8 bytes in the header; its signature makes it unmistakable there. */
static guint32
reply_to (const GByteArray *message)
{
  const guint8 field[] = { FIELD_REPLY_TO, 1, 'u', 0 };
  gsize end = MIN (message->len, REPLY_TO_SCAN);
  guint32 serial;

  for (gsize at = HEADER_SIZE; at + 8 <= end; at += 8)
    if (memcmp (message->data + at, field, sizeof field) == 0)
      {
        memcpy (&serial, message->data + at + 4, 4);
        return serial;
      }
  return 0;
}

void
raw_bus_call (RawBus *self, GByteArray *call)
{
  guint32 serial = ++self->serial;

  memcpy (call->data + SERIAL_OFFSET, &serial, 4);
  raw_bus_write (self, call->data, call->len, NULL, 0);
  do
    raw_bus_read (self);
  while (reply_to (self->message) != serial);
  if (self->message->data[TYPE_OFFSET] != TYPE_RETURN)
    {
      g_autoptr (GDBusMessage) message =
          g_dbus_message_new_from_blob (self->message->data, self->message->len,
                                        G_DBUS_CAPABILITY_FLAGS_NONE, NULL);
      GVariant *body = message != NULL ? g_dbus_message_get_body (message) : NULL;
      g_autofree char *text = body != NULL ? g_variant_print (body, FALSE) : NULL;

      die ("A call failed: %s %s", message != NULL ? g_dbus_message_get_error_name (message) : "",
           text != NULL ? text : "");
    }
}

GByteArray *
raw_bus_new_call (const char *destination,
                  const char *path,
                  const char *interface,
                  const char *method,
                  GVariant *arguments)
{
  g_autoptr (GDBusMessage) message =
      g_dbus_message_new_method_call (destination, path, interface, method);
  g_autoptr (GError) error = NULL;
  gsize size;
  guint8 *blob;

  if (arguments != NULL)
    g_dbus_message_set_body (message, arguments);
  g_dbus_message_set_flags (message, G_DBUS_MESSAGE_FLAGS_NO_AUTO_START);
  g_dbus_message_set_serial (message, 1);
  blob = g_dbus_message_to_blob (message, &size, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  if (blob == NULL)
    die ("%s.%s: %s", interface, method, error->message);
  return g_byte_array_new_take (blob, size);
}

static void
read_line (RawBus *self, char *line, gsize size)
{
  gsize used = 0;

  do
    read_exactly (self, (guint8 *) line + used++, 1);
  while (line[used - 1] != '\n' && used < size - 1);
  line[used] = '\0';
}

/* The EXTERNAL mechanism: the bus reads our uid from the socket, and wants it said too. */
static void
authenticate (RawBus *self)
{
  g_autofree char *uid = g_strdup_printf ("%u", (guint) getuid ());
  g_autoptr (GString) hello = g_string_new (NULL);
  char line[256];

  g_string_append_c (hello, '\0');
  g_string_append (hello, "AUTH EXTERNAL ");
  for (const char *digit = uid; *digit != '\0'; digit++)
    g_string_append_printf (hello, "%02x", (guint) *digit);
  g_string_append (hello, "\r\n");
  raw_bus_write (self, hello->str, hello->len, NULL, 0);
  read_line (self, line, sizeof line);
  if (!g_str_has_prefix (line, "OK "))
    die ("The bus does not accept us: %s", line);
  raw_bus_write (self, "BEGIN\r\n", 7, NULL, 0);
}

void
raw_bus_open (RawBus *self)
{
  const char *bus_address = g_getenv ("DBUS_SYSTEM_BUS_ADDRESS");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autoptr (GByteArray) hello = raw_bus_new_call ("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                                   "org.freedesktop.DBus", "Hello", NULL);

  if (bus_address == NULL || !g_str_has_prefix (bus_address, "unix:path=") ||
      g_strlcpy (address.sun_path, bus_address + strlen ("unix:path="), sizeof address.sun_path) >=
          sizeof address.sun_path)
    die ("DBUS_SYSTEM_BUS_ADDRESS must be unix:path=…: run this in tests/with-system-bus");
  self->serial = 0;
  self->message = g_byte_array_new ();
  self->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (self->fd < 0 || connect (self->fd, (struct sockaddr *) &address, sizeof address) < 0)
    die ("Connecting to the bus: %s", g_strerror (errno));
  authenticate (self);
  raw_bus_call (self, hello);
}

void
raw_bus_own_name (RawBus *self, const char *name)
{
  g_autoptr (GByteArray) request =
      raw_bus_new_call ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "RequestName", g_variant_new ("(su)", name, 4 /* do not queue */));

  raw_bus_call (self, request);
}
