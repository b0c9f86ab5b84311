/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an answer looks, byte by byte, as one of the real server. */

#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

HttpConnection *
http_accept (int listener)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  HttpConnection *connection = fd >= 0 ? calloc (1, sizeof *connection) : NULL;

  if (connection == NULL)
    return NULL;
  connection->fd = fd;
  fprintf (stderr, "connection\n");
  return connection;
}

void
http_close (HttpConnection *connection)
{
  close (connection->fd);
  free (connection->input);
  free (connection);
}

bool
http_read (HttpConnection *connection)
{
  ssize_t n;

  if (connection->size - connection->used < 4096)
    {
      connection->size += 65536;
      connection->input = realloc (connection->input, connection->size);
    }
  n = recv (connection->fd, connection->input + connection->used,
            connection->size - connection->used - 1, 0);
  if (n <= 0)
    return false;
  connection->used += (size_t) n;
  connection->input[connection->used] = '\0';
  return true;
}

/* The value of a header inside @head; NULL when there is none. */
static const char *
find_header (const char *head, const char *end, const char *name)
{
  size_t length = strlen (name);

  for (const char *line = strstr (head, "\r\n"); line != NULL && line < end;
       line = strstr (line + 2, "\r\n"))
    if (strncasecmp (line + 2, name, length) == 0 && line[2 + length] == ':')
      return line + 3 + length + strspn (line + 3 + length, " ");
  return NULL;
}

HttpResult
http_take (HttpConnection *connection, size_t payload_max, HttpRequest *request)
{
  const char *head = connection->input;
  const char *end = connection->used > 0 ? strstr (head, "\r\n\r\n") : NULL;
  const char *length_text;
  unsigned long length = 0;
  size_t head_size;
  char version[16];

  memset (request, 0, sizeof *request);
  if (end == NULL)
    return connection->used > HTTP_HEAD_MAX ? HTTP_BAD : HTTP_INCOMPLETE;
  if (sscanf (head, "%15s %255s %15s", request->method, request->path, version) != 3 ||
      strcmp (version, "HTTP/1.1") != 0 || request->path[0] != '/' ||
      find_header (head, end, "Transfer-Encoding") != NULL)
    return HTTP_BAD;
  head_size = (size_t) (end - head) + 4;
  length_text = find_header (head, end, "Content-Length");
  if (length_text != NULL && !isdigit ((unsigned char) *length_text))
    return HTTP_BAD;
  length = length_text != NULL ? strtoul (length_text, NULL, 10) : 0;
  if (length > payload_max)
    return HTTP_TOO_LARGE;
  if (connection->used < head_size + length)
    return HTTP_INCOMPLETE;
  request->total = head_size + length;
  request->body_length = length;
  request->body = length > 0 ? strndup (connection->input + head_size, length) : NULL;
  return HTTP_COMPLETE;
}

void
http_done (HttpConnection *connection, HttpRequest *request)
{
  connection->used -= request->total;
  memmove (connection->input, connection->input + request->total, connection->used + 1);
  free (request->body);
}

bool
http_send (HttpConnection *connection, const char *text, size_t length)
{
  while (length > 0)
    {
      ssize_t n = send (connection->fd, text, length, MSG_NOSIGNAL);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return false;
      text += n;
      length -= (size_t) n;
    }
  return true;
}

void
http_answer (HttpConnection *connection, int status, const char *body)
{
  char *text = NULL;
  int length;

  if (status == 204)
    length = asprintf (&text,
                       "HTTP/1.1 %d \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n",
                       status);
  else
    length = asprintf (&text,
                       "HTTP/1.1 %d \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       status, strlen (body), body);
  if (length > 0)
    http_send (connection, text, (size_t) length);
  free (text);
}
