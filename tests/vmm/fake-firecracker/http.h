/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The HTTP server of the API: as narrow as the real one. */

#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX 8192

typedef struct
{
  int fd;
  char *input;
  size_t used;
  size_t size;
} HttpConnection;

typedef struct
{
  char method[16];
  char path[256];
  char *body; /* NUL-terminated; NULL: none */
  size_t body_length;
  size_t total; /* of its bytes in the input */
} HttpRequest;

typedef enum
{
  HTTP_INCOMPLETE,
  HTTP_COMPLETE,
  HTTP_BAD,
  HTTP_TOO_LARGE,
} HttpResult;

HttpConnection *http_accept (int listener);
void http_close (HttpConnection *connection);

/* false at the end of the connection. */
bool http_read (HttpConnection *connection);

/* A request that is whole in the input. Its body is freed by http_done(). */
HttpResult http_take (HttpConnection *connection, size_t payload_max, HttpRequest *request);
void http_done (HttpConnection *connection, HttpRequest *request);

void http_answer (HttpConnection *connection, int status, const char *body);
/* false: nobody reads any more. */
bool http_send (HttpConnection *connection, const char *text, size_t length);
