/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: every question that comes is kept before it is answered. */

#include "dns-server.h"

#include "sys/fd.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define HEADER_SIZE 12
#define MAX_SIZE    4096

#define RCODE_NXDOMAIN 3

struct _DnsServer
{
  int udp_fds[2]; /* IPv4, IPv6; -1 */
  int tcp_fds[2];
  int stop_fd;
  GThread *thread;
  GMutex mutex;
  GStrvBuilder *questions;
};

/* ---- Names --------------------------------------------------------------------------------- */

static void
append_name (GByteArray *bytes, const char *name)
{
  while (*name != '\0')
    {
      guint8 label[64];
      guint8 size = 0;

      for (; *name != '\0' && *name != '.'; name++)
        {
          if (name[0] == '\\' && name[1] != '\0')
            name++;
          g_assert_cmpuint (size, <, 63);
          label[size++] = *name;
        }
      if (*name == '.')
        name++;
      g_byte_array_append (bytes, &size, 1);
      g_byte_array_append (bytes, label, size);
    }
  g_byte_array_append (bytes, (const guint8 *) "", 1);
}

/* The name at @offset, without compression, and where it ends; NULL if it does not. */
static char *
read_name (const guint8 *data, gsize size, gsize *offset)
{
  g_autoptr (GString) name = g_string_new (NULL);

  while (*offset < size && data[*offset] != 0)
    {
      guint8 length = data[*offset];

      if (length > 63 || *offset + 1 + length >= size)
        return NULL;
      if (name->len > 0)
        g_string_append_c (name, '.');
      g_string_append_len (name, (const char *) data + *offset + 1, length);
      *offset += 1 + length;
    }
  if (*offset >= size)
    return NULL;
  *offset += 1;
  return g_ascii_strdown (name->str, name->len);
}

static void
append16 (GByteArray *bytes, guint16 value)
{
  guint16 big = htons (value);

  g_byte_array_append (bytes, (guint8 *) &big, sizeof big);
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void
append_record (GByteArray *bytes, const char *name, guint16 type, guint32 ttl, GByteArray *data)
{
  append_name (bytes, name);
  append16 (bytes, type);
  append16 (bytes, 1);
  append16 (bytes, ttl >> 16);
  append16 (bytes, ttl & 0xffff);
  append16 (bytes, data->len);
  g_byte_array_append (bytes, data->data, data->len);
}

static void
append_address (GByteArray *bytes, const char *name, guint16 type, guint32 ttl, const char *address)
{
  g_autoptr (GByteArray) data = g_byte_array_new ();
  int family = strchr (address, ':') != NULL ? AF_INET6 : AF_INET;
  guint8 raw[16];

  if (type != (family == AF_INET ? DNS_A : DNS_AAAA))
    return;
  g_assert_cmpint (inet_pton (family, address, raw), ==, 1);
  g_byte_array_append (data, raw, family == AF_INET ? 4 : 16);
  append_record (bytes, name, type, ttl, data);
}

static guint
append_alias (GByteArray *bytes, const char *name, guint16 type, const char *address)
{
  g_autoptr (GByteArray) target = g_byte_array_new ();

  append_name (target, "cdn.other.test");
  append_record (bytes, name, DNS_CNAME, 60, target);
  append_address (bytes, "cdn.other.test", type, 60, address);
  return type == DNS_A ? 2 : 1;
}

typedef struct
{
  const char *label;
  const char *addresses[3];
  guint32 ttl;
} Zone;

static const Zone zones[] = {
  { "private", { "10.1.2.3" }, 60 },
  { "linklocal", { "169.254.169.254" }, 60 },
  { "loopback", { "127.0.0.1" }, 60 },
  { "mixed", { "93.184.1.7", "10.1.2.3" }, 60 },
  { "private6", { "fd00::1" }, 60 },
  { "linklocal6", { "fe80::1" }, 60 },
  { "mapped6", { "::ffff:10.1.2.3" }, 60 },
  { "long", { DNS_SERVER_A, DNS_SERVER_AAAA }, 86400 },
  { NULL, { DNS_SERVER_A, DNS_SERVER_AAAA }, 60 },
};

static guint
append_answers (GByteArray *bytes, const char *name, guint16 type)
{
  g_autofree char *label = g_strndup (name, strcspn (name, "."));
  const Zone *zone = zones;
  guint n = 0;

  if (strcmp (label, "alias") == 0)
    return append_alias (bytes, name, type, DNS_SERVER_CDN);
  if (strcmp (label, "alias-private") == 0)
    return append_alias (bytes, name, type, "10.1.2.3");
  while (zone->label != NULL && strcmp (zone->label, label) != 0)
    zone++;
  for (guint i = 0; zone->addresses[i] != NULL; i++)
    {
      guint before = bytes->len;

      append_address (bytes, name, type, zone->ttl, zone->addresses[i]);
      n += bytes->len > before;
    }
  if (type == DNS_TXT)
    {
      g_autoptr (GByteArray) data = g_byte_array_new ();

      g_byte_array_append (data, (const guint8 *) "\005hello", 6);
      append_record (bytes, name, type, 60, data);
      n = 1;
    }
  return n;
}

/* NULL for what is no question. */
static GByteArray *
answer (DnsServer *self, const guint8 *data, gsize size)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GByteArray) answers = g_byte_array_new ();
  g_autofree char *name = NULL;
  gsize end = HEADER_SIZE;
  gboolean exists;
  guint16 type;
  guint n;

  if (size < HEADER_SIZE || (name = read_name (data, size, &end)) == NULL || end + 4 > size)
    return NULL;
  type = data[end] << 8 | data[end + 1];
  g_mutex_lock (&self->mutex);
  g_strv_builder_add (self->questions, name);
  g_mutex_unlock (&self->mutex);

  exists = !g_str_has_prefix (name, "nowhere.");
  n = exists ? append_answers (answers, name, type) : 0;
  g_byte_array_append (bytes, data, 2);
  append16 (bytes, 0x8180 | (exists ? 0 : RCODE_NXDOMAIN));
  append16 (bytes, 1);
  append16 (bytes, n);
  append16 (bytes, 0);
  append16 (bytes, 0);
  g_byte_array_append (bytes, data + HEADER_SIZE, end + 4 - HEADER_SIZE);
  g_byte_array_append (bytes, answers->data, answers->len);
  return g_steal_pointer (&bytes);
}

/* ---- Sockets ------------------------------------------------------------------------------- */

static int
open_socket (int type, const char *text, guint16 port)
{
  struct sockaddr_in address4 = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct sockaddr_in6 address6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  gboolean v4;
  int one = 1, fd;

  if (text == NULL)
    return -1;
  v4 = inet_pton (AF_INET, text, &address4.sin_addr) == 1;
  g_assert_true (v4 || inet_pton (AF_INET6, text, &address6.sin6_addr) == 1);
  fd = socket (v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
  g_assert_cmpint (fd, >=, 0);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (v4)
    g_assert_cmpint (bind (fd, (struct sockaddr *) &address4, sizeof address4), ==, 0);
  else
    g_assert_cmpint (bind (fd, (struct sockaddr *) &address6, sizeof address6), ==, 0);
  if (type == SOCK_STREAM)
    g_assert_cmpint (listen (fd, 16), ==, 0);
  return fd;
}

static void
serve_datagram (DnsServer *self, int fd)
{
  guint8 data[MAX_SIZE];
  struct sockaddr_storage from;
  socklen_t from_size = sizeof from;
  ssize_t n = recvfrom (fd, data, sizeof data, 0, (struct sockaddr *) &from, &from_size);
  g_autoptr (GByteArray) reply = n > 0 ? answer (self, data, n) : NULL;

  if (reply != NULL)
    sendto (fd, reply->data, reply->len, 0, (struct sockaddr *) &from, from_size);
}

/* One question for each connection is what dnsmasq asks. */
static void
serve_stream (DnsServer *self, int listener)
{
  vmsan_autofd int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  struct timeval deadline = { .tv_sec = 5 };
  g_autoptr (GByteArray) reply = NULL;
  guint8 data[MAX_SIZE];
  guint16 size;

  if (fd < 0)
    return;
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  if (recv (fd, &size, sizeof size, MSG_WAITALL) != sizeof size || ntohs (size) > sizeof data ||
      recv (fd, data, ntohs (size), MSG_WAITALL) != ntohs (size) ||
      (reply = answer (self, data, ntohs (size))) == NULL)
    return;
  size = htons (reply->len);
  g_byte_array_prepend (reply, (guint8 *) &size, sizeof size);
  send (fd, reply->data, reply->len, MSG_NOSIGNAL);
}

static gpointer
serve (gpointer data)
{
  DnsServer *self = data;
  struct pollfd fds[] = {
    { self->udp_fds[0], POLLIN, 0 }, { self->udp_fds[1], POLLIN, 0 },
    { self->tcp_fds[0], POLLIN, 0 }, { self->tcp_fds[1], POLLIN, 0 },
    { self->stop_fd, POLLIN, 0 },
  };

  while (TRUE)
    {
      if (poll (fds, G_N_ELEMENTS (fds), -1) < 0)
        continue;
      if (fds[4].revents != 0)
        return NULL;
      for (guint i = 0; i < 2; i++)
        {
          if (fds[i].revents != 0)
            serve_datagram (self, fds[i].fd);
          if (fds[2 + i].revents != 0)
            serve_stream (self, fds[2 + i].fd);
        }
    }
}

DnsServer *
dns_server_new (const char *address4, const char *address6, guint16 port)
{
  DnsServer *self = g_new0 (DnsServer, 1);

  self->udp_fds[0] = open_socket (SOCK_DGRAM, address4, port);
  self->udp_fds[1] = open_socket (SOCK_DGRAM, address6, port);
  self->tcp_fds[0] = open_socket (SOCK_STREAM, address4, port);
  self->tcp_fds[1] = open_socket (SOCK_STREAM, address6, port);
  self->stop_fd = eventfd (0, EFD_CLOEXEC);
  g_mutex_init (&self->mutex);
  self->questions = g_strv_builder_new ();
  self->thread = g_thread_new ("dns-server", serve, self);
  return self;
}

void
dns_server_free (DnsServer *self)
{
  guint64 one = 1;

  g_assert_cmpint (write (self->stop_fd, &one, sizeof one), ==, sizeof one);
  g_thread_join (self->thread);
  close (self->stop_fd);
  for (guint i = 0; i < 2; i++)
    {
      vmsan_fd_close (&self->udp_fds[i]);
      vmsan_fd_close (&self->tcp_fds[i]);
    }
  g_strv_builder_unref (self->questions);
  g_mutex_clear (&self->mutex);
  g_free (self);
}

GStrv
dns_server_take_questions (DnsServer *self)
{
  GStrv taken;

  g_mutex_lock (&self->mutex);
  taken = g_strv_builder_end (self->questions);
  g_mutex_unlock (&self->mutex);
  return taken;
}

/* ---- Asking -------------------------------------------------------------------------------- */

GBytes *
dns_question (const char *name, guint16 type)
{
  static guint16 id;
  GByteArray *bytes = g_byte_array_new ();

  append16 (bytes, ++id);
  append16 (bytes, 0x0100);
  append16 (bytes, 1);
  append16 (bytes, 0);
  append16 (bytes, 0);
  append16 (bytes, 0);
  append_name (bytes, name);
  append16 (bytes, type);
  append16 (bytes, 1);
  return g_byte_array_free_to_bytes (bytes);
}

static gboolean
skip_name (const guint8 *data, gsize size, gsize *offset)
{
  while (*offset < size)
    {
      guint8 length = data[*offset];

      if (length >= 0xc0)
        {
          *offset += 2;
          return TRUE;
        }
      *offset += 1 + length;
      if (length == 0)
        return TRUE;
    }
  return FALSE;
}

gboolean
dns_answer_parse (const guint8 *data, gsize size, DnsAnswer *answer)
{
  gsize offset = HEADER_SIZE;

  memset (answer, 0, sizeof *answer);
  if (size < HEADER_SIZE || !(data[2] & 0x80))
    return FALSE;
  answer->rcode = data[3] & 15;
  answer->n_answers = data[6] << 8 | data[7];
  if (!skip_name (data, size, &offset))
    return FALSE;
  offset += 4;
  for (guint i = 0; i < answer->n_answers; i++)
    {
      guint16 type, length;
      guint32 ttl;

      if (!skip_name (data, size, &offset) || offset + 10 > size)
        return FALSE;
      type = data[offset] << 8 | data[offset + 1];
      ttl = (guint32) data[offset + 4] << 24 | data[offset + 5] << 16 | data[offset + 6] << 8 |
            data[offset + 7];
      length = data[offset + 8] << 8 | data[offset + 9];
      answer->ttl = MAX (answer->ttl, ttl);
      answer->has_address |= type == DNS_A || type == DNS_AAAA;
      offset += 10 + length;
    }
  return offset <= size;
}
