/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a request is judged as a whole before anything is done for it. */

#include "api.h"

#include "http.h"
#include "machine.h"
#include "orders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10
#define ENDLESS_BYTES   (1ll << 40)

static int listener = -1;
static HttpConnection *connections[CONNECTIONS_MAX];
static size_t n_connections;
static int version;
static size_t payload_max;

int
api_listen (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (path) >= sizeof address.sun_path)
    return ENAMETOOLONG;
  strcpy (address.sun_path, path);
  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener >= 0 && bind (listener, (struct sockaddr *) &address, sizeof address) == 0 &&
      listen (listener, 128) == 0)
    return 0;
  return errno;
}

void
api_configure (int emulated_version, size_t bytes)
{
  version = emulated_version;
  payload_max = bytes;
}

/* ---- Orders -------------------------------------------------------------------------------- */

typedef struct
{
  const char *order;
  const char *head;
  const char *piece; /* again and again */
} Endless;

#define HEAD_200 "HTTP/1.1 200 \r\nContent-Type: application/json\r\n"
#define CHUNKED  HEAD_200 "Transfer-Encoding: chunked\r\n\r\n"

static const Endless endless[] = {
  { "endless", CHUNKED, "20\r\n\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\r\n" },
  { "endless-header", HEAD_200, "name: value\r\n" },
  { "endless-line", HEAD_200 "name: ", "value value value value" },
  { "endless-interim", "", "HTTP/1.1 100 \r\n\r\n" },
  { "endless-chunk-size", CHUNKED, "0000000000000000" },
  { "endless-trailer", CHUNKED "2\r\n{}\r\n0\r\n", "name: value\r\n" },
};

static void
send_endless (HttpConnection *connection, const Endless *what)
{
  char buffer[65536];
  size_t length = strlen (what->piece), used = 0;

  http_send (connection, what->head, strlen (what->head));
  for (; used + length <= sizeof buffer; used += length)
    memcpy (buffer + used, what->piece, length);
  for (long long sent = 0; sent < ENDLESS_BYTES; sent += (long long) used)
    if (!http_send (connection, buffer, used))
      return;
}

/* true: the connection is of no use any more. */
static bool
break_off (HttpConnection *connection, const char *call)
{
  static const char half[] = "HTTP/1.1 200 \r\nContent-Type: application/json\r\n"
                             "Content-Length: 100\r\n\r\n{\"id\": ";
  char value[4096];

  if (orders_get ("die", call, value, sizeof value))
    exit (atoi (value));
  if (orders_get ("hang-up", call, value, sizeof value))
    return true;
  if (orders_get ("raw", call, value, sizeof value))
    {
      http_send (connection, value, strlen (value));
      return true;
    }
  if (orders_get ("half-answer", call, value, sizeof value))
    {
      http_send (connection, half, strlen (half));
      exit (1);
    }
  for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++)
    if (orders_get (endless[i].order, call, value, sizeof value))
      {
        send_endless (connection, &endless[i]);
        return true;
      }
  return false;
}

/* true: an order made the answer. */
static bool
answer_as_ordered (const char *call, Answer *answer)
{
  char value[4096];
  int status, used = 0;

  if (!orders_get ("answer", call, value, sizeof value) ||
      sscanf (value, "%d %n", &status, &used) < 1)
    return false;
  answer->status = status;
  snprintf (answer->body, sizeof answer->body, "%s", value + used);
  return true;
}

static void
wait_as_ordered (const char *call)
{
  char value[32];

  if (orders_get ("slow", call, value, sizeof value))
    usleep ((useconds_t) atoi (value) * 1000);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void
judge (const HttpRequest *request, Answer *answer)
{
  const char *id;
  const Endpoint *endpoint = schema_find (request->method, request->path, version, &id);
  Json *body = NULL;
  char fault[512] = "expected value";

  if (endpoint == NULL)
    answer_fail (answer, 400, "Invalid request method and/or path: %s %s.", request->method,
                 request->path);
  else if (endpoint->schema == NULL && request->body != NULL)
    answer_fail (answer, 400, "GET request cannot have a body.");
  else if (endpoint->schema != NULL && request->body == NULL)
    answer_fail (answer, 400, "Empty %s request.", request->method);
  else if (endpoint->schema != NULL &&
           ((body = json_parse (request->body, request->body_length)) == NULL ||
            !schema_check (endpoint->schema, version, body, fault, sizeof fault)))
    answer_fail (answer, 400,
                 "An error occurred when deserializing the json body of a request: %s.", fault);
  else
    machine_handle (endpoint, id, body, request->body, answer);
  json_free (body);
}

/* false: the connection is to be closed. */
static bool
serve (HttpConnection *connection, const HttpRequest *request)
{
  Answer answer = { .exit_code = -1 };
  char call[300], value[16];

  snprintf (call, sizeof call, "%s %s", request->method, request->path);
  fprintf (stderr, "%s\n", call);
  wait_as_ordered (call);
  if (break_off (connection, call))
    return false;
  if (!answer_as_ordered (call, &answer))
    judge (request, &answer);
  http_answer (connection, answer.status, answer.body);
  if (orders_get ("die-after", call, value, sizeof value))
    exit (atoi (value));
  if (answer.exit_code >= 0)
    exit (answer.exit_code);
  return true;
}

static bool
refuse (HttpConnection *connection, HttpResult result)
{
  Answer answer;

  if (result == HTTP_TOO_LARGE)
    answer_fail (&answer, 413,
                 "Request payload is larger than the limit of %zu allowed by server. All previous "
                 "unanswered requests will be dropped.",
                 payload_max);
  else
    answer_fail (&answer, 400, "Invalid HTTP format");
  http_answer (connection, answer.status, answer.body);
  return false;
}

static bool
handle_connection (HttpConnection *connection)
{
  HttpRequest request;
  HttpResult result;
  bool good = http_read (connection);

  while (good && (result = http_take (connection, payload_max, &request)) != HTTP_INCOMPLETE)
    {
      good = result == HTTP_COMPLETE ? serve (connection, &request) : refuse (connection, result);
      http_done (connection, &request);
    }
  return good;
}

size_t
api_prepare (struct pollfd *fds)
{
  fds[0] = (struct pollfd){ n_connections < CONNECTIONS_MAX ? listener : -1, POLLIN, 0 };
  for (size_t i = 0; i < n_connections; i++)
    fds[i + 1] = (struct pollfd){ connections[i]->fd, POLLIN, 0 };
  return n_connections + 1;
}

void
api_handle (const struct pollfd *fds, size_t n)
{
  size_t kept = 0;

  for (size_t i = 0; i < n_connections; i++)
    if (i + 1 < n && fds[i + 1].revents != 0 && !handle_connection (connections[i]))
      http_close (connections[i]);
    else
      connections[kept++] = connections[i];
  n_connections = kept;
  if (fds[0].revents != 0 && (connections[n_connections] = http_accept (listener)) != NULL)
    n_connections++;
}
