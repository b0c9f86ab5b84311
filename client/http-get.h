/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One answer of a web server. Redirects are followed, few and only to where web-url.h allows;
 * proxies are those that the environment names. */

#pragma once

#include <libsoup/soup.h>

typedef struct
{
  SoupSession *session; /* the body ends with it */
  SoupMessage *message;
  GInputStream *body; /* as it is sent, never decoded */
} HttpGet;

/* A part of a file: what is behind the first @offset bytes, if the file is still the one that the
 * server gave this strong @etag. All zero: the whole file. */
typedef struct
{
  goffset offset;
  const char *etag;
} HttpPart;

/* An answer other than 200 is an error, but where a part was asked for, 206 and 416 are none.
 * @silence_s: the deadline for the server to say something, also while the body is read. */
HttpGet *http_get_new (const char *url, const HttpPart *part, guint silence_s, GError **error);

/* As many bytes as come at once; 0 at the end. A body that ends too early is an error. */
gssize http_get_read (HttpGet *get, void *buffer, gsize size, GError **error);

/* Bytes in the body, or -1 when the server does not say. */
goffset http_get_length (HttpGet *get);

/* The strong entity tag of the file (RFC 9110, 8.8.3), or NULL. */
const char *http_get_etag (HttpGet *get);

void http_get_free (HttpGet *get);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HttpGet, http_get_free)
