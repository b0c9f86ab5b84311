/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where programs may be downloaded from: https anywhere, and http on this machine itself. */

#pragma once

#include <gio/gio.h>

/* Whether @text is meant as a URL, and not as a path. */
gboolean web_url_is_url (const char *text);

/* NULL when nothing is downloaded from there. */
GUri *web_url_parse (const char *text, GError **error);

/* Where @base redirects to. Never from https to http. */
GUri *web_url_redirect (GUri *base, const char *location, GError **error);

/* Whether it is http, which is never to leave this machine. */
gboolean web_url_is_plain (GUri *url);

/* The last part of its path, such as "file.tgz"; "" when there is none. */
char *web_url_get_name (GUri *url);

/* The file beside it whose name has @suffix behind it. */
char *web_url_get_beside (GUri *url, const char *suffix);
