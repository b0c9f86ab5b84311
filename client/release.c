/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: each release has one name, so that equal names are equal releases. */

#include "config.h"

#include "release.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "firecracker-"
#define SUFFIX "-" RELEASE_ARCHITECTURE ".tgz"

static const Release oldest = { 1, 10, 0, "v1.10.0" };
static const Release newest = { 1, 16, 0, "v1.16.0" };

/* The number at *@text, which is moved behind it. No sign, no zero in front, at most 4 digits. */
static gboolean
take_number (const char **text, guint *number)
{
  gsize length = strspn (*text, "0123456789");

  if (length == 0 || length > 4 || (length > 1 && **text == '0'))
    return FALSE;
  *number = (guint) g_ascii_strtoull (*text, NULL, 10);
  *text += length;
  return TRUE;
}

static gboolean
take (const char **text, char c)
{
  if (**text != c)
    return FALSE;
  (*text)++;
  return TRUE;
}

gboolean
release_parse (const char *text, Release *release)
{
  const char *p = text;

  if (!take (&p, 'v') || !take_number (&p, &release->major) || !take (&p, '.') ||
      !take_number (&p, &release->minor) || !take (&p, '.') || !take_number (&p, &release->patch) ||
      *p != '\0')
    return FALSE;
  g_snprintf (release->name, sizeof release->name, "v%u.%u.%u", release->major, release->minor,
              release->patch);
  return TRUE;
}

gboolean
release_parse_archive (const char *name, Release *release, GError **error)
{
  g_autofree char *version = NULL;

  if (g_str_has_prefix (name, PREFIX) && g_str_has_suffix (name, SUFFIX) &&
      strlen (name) > strlen (PREFIX SUFFIX))
    version = g_strndup (name + strlen (PREFIX), strlen (name) - strlen (PREFIX SUFFIX));
  if (version != NULL && release_parse (version, release))
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
               _ ("“%s” is not the name of a release of Firecracker for this machine: give "
                  "firecracker-vX.Y.Z-%s.tgz, with the name that it has where it is published"),
               name, RELEASE_ARCHITECTURE);
  return FALSE;
}

int
release_compare (const Release *a, const Release *b)
{
  if (a->major != b->major)
    return a->major < b->major ? -1 : 1;
  if (a->minor != b->minor)
    return a->minor < b->minor ? -1 : 1;
  return a->patch < b->patch ? -1 : a->patch > b->patch;
}

gboolean
release_check (const Release *release, gboolean *tested, GError **error)
{
  /* Any patch of the newest minor version counts as tested. */
  *tested = release->major == newest.major && release->minor <= newest.minor;
  if (release_compare (release, &oldest) >= 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
               _ ("Firecracker %s is too old for vmsan: take one from %s on"), release->name,
               oldest.name);
  return FALSE;
}
