/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what is parsed can be sent, and to nobody who could change the answer on its way. */

#include "config.h"

#include "web-url.h"

#include <glib/gi18n.h>
#include <libsoup/soup.h>
#include <string.h>

gboolean
web_url_is_url (const char *text)
{
  return strstr (text, "://") != NULL;
}

static gboolean
is_loopback (const char *host)
{
  g_autoptr (GInetAddress) address = g_inet_address_new_from_string (host);

  if (address == NULL)
    return g_ascii_strcasecmp (host, "localhost") == 0;
  return g_inet_address_get_is_loopback (address);
}

static gboolean
has_control_characters (const char *text)
{
  for (const char *p = text; *p != '\0'; p++)
    if (g_ascii_iscntrl (*p))
      return TRUE;
  return FALSE;
}

gboolean
web_url_is_plain (GUri *url)
{
  return strcmp (g_uri_get_scheme (url), "http") == 0;
}

static gboolean
check (GUri *url, const char *text, GError **error)
{
  const char *host = g_uri_get_host (url);

  if (has_control_characters (text) || host == NULL || host[0] == '\0')
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                 _ ("“%s” is not a URL: write https://HOST/PATH"), text);
  else if (strcmp (g_uri_get_scheme (url), "https") != 0 &&
           !(web_url_is_plain (url) && is_loopback (host)))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 _ ("Programs are not downloaded from “%s”: use a URL that begins with https:, or "
                    "with http: and an address of this machine itself, such as 127.0.0.1"),
                 text);
  else if (g_uri_get_userinfo (url) != NULL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _ ("A URL with a user name or password in it is not used, because others "
                            "could see it: download the file and give its path"));
  else
    return TRUE;
  return FALSE;
}

GUri *
web_url_parse (const char *text, GError **error)
{
  g_autoptr (GUri) url = g_uri_parse (text, SOUP_HTTP_URI_FLAGS, error);

  if (url == NULL)
    {
      g_prefix_error (error, _ ("“%s” is not a URL: "), text);
      return NULL;
    }
  return check (url, text, error) ? g_steal_pointer (&url) : NULL;
}

GUri *
web_url_redirect (GUri *base, const char *location, GError **error)
{
  g_autoptr (GUri) url = g_uri_parse_relative (base, location, SOUP_HTTP_URI_FLAGS, error);
  g_autofree char *text = NULL;

  if (url == NULL)
    {
      g_prefix_error (error, _ ("“%s” is not a URL: "), location);
      return NULL;
    }
  text = g_uri_to_string (url);
  if (!check (url, text, error))
    return NULL;
  if (web_url_is_plain (url) && !web_url_is_plain (base))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   _ ("The server redirects from https to “%s”, which is not followed"), text);
      return NULL;
    }
  return g_steal_pointer (&url);
}

char *
web_url_get_name (GUri *url)
{
  const char *slash = strrchr (g_uri_get_path (url), '/');
  char *name = slash != NULL ? g_uri_unescape_string (slash + 1, "/") : NULL;

  return name != NULL ? name : g_strdup ("");
}

char *
web_url_get_beside (GUri *url, const char *suffix)
{
  g_autofree char *path = g_strconcat (g_uri_get_path (url), suffix, NULL);
  /* A query may be a permission for this one file. */
  g_autoptr (GUri) beside = soup_uri_copy (url, SOUP_URI_PATH, path, SOUP_URI_QUERY, NULL,
                                           SOUP_URI_FRAGMENT, NULL, SOUP_URI_NONE);

  return g_uri_to_string (beside);
}
