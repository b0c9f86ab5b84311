/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: nothing is asked for that web-url.h does not allow, and nothing waits for ever. */

#include "config.h"

#include "http-get.h"

#include "web-url.h"

#include <glib/gi18n.h>
#include <string.h>

#define REDIRECTS_MAX   5
#define ETAG_LENGTH_MAX 256

static HttpGet *
send_one (GUri *url, const HttpPart *part, guint silence_s, GError **error)
{
  g_autoptr (HttpGet) get = g_new0 (HttpGet, 1);
  SoupMessageHeaders *headers;

  get->session = soup_session_new_with_options ("timeout", silence_s, "user-agent",
                                                "vmsan-client/" PACKAGE_VERSION, NULL);
  /* What is for this machine itself must not get to a proxy. */
  if (web_url_is_plain (url))
    soup_session_set_proxy_resolver (get->session, NULL);
  get->message = soup_message_new_from_uri (SOUP_METHOD_GET, url);
  soup_message_add_flags (get->message, SOUP_MESSAGE_NO_REDIRECT);
  soup_message_disable_feature (get->message, SOUP_TYPE_CONTENT_DECODER);
  headers = soup_message_get_request_headers (get->message);
  soup_message_headers_replace (headers, "Accept-Encoding", "identity");
  if (part->offset > 0)
    {
      soup_message_headers_set_range (headers, part->offset, -1);
      soup_message_headers_replace (headers, "If-Range", part->etag);
    }
  get->body = soup_session_send (get->session, get->message, NULL, error);
  return get->body != NULL ? g_steal_pointer (&get) : NULL;
}

static gboolean
is_redirect (guint status)
{
  return status == SOUP_STATUS_MOVED_PERMANENTLY || status == SOUP_STATUS_FOUND ||
         status == SOUP_STATUS_SEE_OTHER || status == SOUP_STATUS_TEMPORARY_REDIRECT ||
         status == SOUP_STATUS_PERMANENT_REDIRECT;
}

static gboolean
is_answer (guint status, const HttpPart *part)
{
  return status == SOUP_STATUS_OK ||
         (part->offset > 0 && (status == SOUP_STATUS_PARTIAL_CONTENT ||
                               status == SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE));
}

/* Sets *@next to where the server redirects to. */
static gboolean
check_answer (HttpGet *get, const HttpPart *part, GUri *url, GUri **next, GError **error)
{
  guint status = soup_message_get_status (get->message);
  const char *location;

  if (is_answer (status, part))
    return TRUE;
  location =
      soup_message_headers_get_one (soup_message_get_response_headers (get->message), "Location");
  if (is_redirect (status) && location != NULL)
    {
      *next = web_url_redirect (url, location, error);
      return *next != NULL;
    }
  g_set_error (error, G_IO_ERROR,
               status == SOUP_STATUS_NOT_FOUND ? G_IO_ERROR_NOT_FOUND : G_IO_ERROR_FAILED,
               _ ("the server answers %u, %s"), status, soup_status_get_phrase (status));
  return FALSE;
}

static HttpGet *
follow (GUri *first, const HttpPart *part, guint silence_s, GError **error)
{
  g_autoptr (GUri) url = g_uri_ref (first);

  for (guint i = 0; i <= REDIRECTS_MAX; i++)
    {
      g_autoptr (HttpGet) get = send_one (url, part, silence_s, error);
      g_autoptr (GUri) next = NULL;

      if (get == NULL || !check_answer (get, part, url, &next, error))
        return NULL;
      if (next == NULL)
        return g_steal_pointer (&get);
      g_uri_unref (url);
      url = g_steal_pointer (&next);
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_LINKS,
               _ ("the server redirects more than %d times"), REDIRECTS_MAX);
  return NULL;
}

HttpGet *
http_get_new (const char *url, const HttpPart *part, guint silence_s, GError **error)
{
  g_autoptr (GUri) first = web_url_parse (url, error);
  HttpGet *get;

  /* What is no URL of ours may have a password in it, and is not repeated. */
  if (first == NULL)
    return NULL;
  get = follow (first, part, silence_s, error);
  if (get == NULL)
    g_prefix_error (error, _ ("Could not download “%s”: "), url);
  return get;
}

gssize
http_get_read (HttpGet *get, void *buffer, gsize size, GError **error)
{
  return g_input_stream_read (get->body, buffer, size, NULL, error);
}

goffset
http_get_length (HttpGet *get)
{
  SoupMessageHeaders *headers = soup_message_get_response_headers (get->message);

  return soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH
             ? soup_message_headers_get_content_length (headers)
             : -1;
}

const char *
http_get_etag (HttpGet *get)
{
  const char *etag =
      soup_message_headers_get_one (soup_message_get_response_headers (get->message), "ETag");
  gsize length = etag != NULL ? strlen (etag) : 0;

  /* A weak one, W/"…", says that files are as good as the same; parts must be of the same bytes. */
  return length >= 2 && length <= ETAG_LENGTH_MAX && etag[0] == '"' && etag[length - 1] == '"'
             ? etag
             : NULL;
}

void
http_get_free (HttpGet *get)
{
  g_clear_object (&get->body);
  g_clear_object (&get->message);
  g_clear_object (&get->session);
  g_free (get);
}
