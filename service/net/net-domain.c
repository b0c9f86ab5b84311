/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a pattern matches what its writer sees in it, and nothing that merely looks alike. */

#include "net/net-domain.h"

#include "net/net-refusal.h"

#include <string.h>

#define LONGEST_NAME  253
#define LONGEST_LABEL 63
#define WILDCARD      "*."

/* Every label non-empty and not too long; @name has no trailing dot. */
static gboolean
labels_fit (const char *name)
{
  gsize length = strlen (name);
  gsize label = 0;

  if (length == 0 || length > LONGEST_NAME)
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    {
      if (*p == '.' && label == 0)
        return FALSE;
      label = *p == '.' ? 0 : label + 1;
      if (label > LONGEST_LABEL)
        return FALSE;
    }
  return label > 0;
}

/* RFC 952 and 1123, and the underscore, which names of services have. */
static gboolean
characters_fit (const char *name)
{
  for (const char *p = name; *p != '\0'; p++)
    {
      gboolean first = p == name || p[-1] == '.';
      gboolean last = p[1] == '\0' || p[1] == '.';

      if (!g_ascii_isalnum (*p) && *p != '_' && *p != '.' && !(*p == '-' && !first && !last))
        return FALSE;
    }
  return TRUE;
}

/* No top-level domain is a number (RFC 3696), so this is an address, or part of one. */
static gboolean
ends_in_number (const char *name)
{
  const char *dot = strrchr (name, '.');
  const char *last = dot != NULL ? dot + 1 : name;

  return last[strspn (last, "0123456789")] == '\0';
}

static char *
without_trailing_dot (const char *text)
{
  gsize length = strnlen (text, LONGEST_NAME + 4);

  return g_strndup (text, length > 0 && text[length - 1] == '.' ? length - 1 : length);
}

char *
vmsan_net_domain_parse (const char *text, GError **error)
{
  g_autofree char *cut = without_trailing_dot (text);
  g_autofree char *domain = g_ascii_strdown (cut, -1);
  const char *name = g_str_has_prefix (domain, WILDCARD) ? domain + strlen (WILDCARD) : domain;
  const char *rule = NULL;

  if (!g_str_is_ascii (domain))
    rule = "is not ASCII; give the form of it that begins with “xn--”";
  else if (strcmp (domain, "*") == 0)
    rule = "is every name, which needs no list: leave “allowed-domains” out";
  else if (strchr (name, '*') != NULL)
    rule = "has a “*” that is not its whole first label; only “*.NAME” is a pattern";
  else if (!characters_fit (name))
    rule = "is no domain: letters, digits, “_”, and “-” within a label, between dots";
  else if (!labels_fit (name))
    rule = "is no domain: labels have 1 to 63 characters, and all of it at most 253";
  else if (ends_in_number (name))
    rule = "is no domain but looks like an address; list addresses in “allowed-cidrs”";
  if (rule != NULL)
    {
      vmsan_net_refuse (error, text, rule);
      return NULL;
    }
  return g_steal_pointer (&domain);
}

gboolean
vmsan_net_domain_matches (const char *domain, const char *name)
{
  g_autofree char *cut = without_trailing_dot (name);
  const char *suffix = domain + 1;
  gsize length = strlen (cut);

  if (!labels_fit (cut))
    return FALSE;
  if (!g_str_has_prefix (domain, WILDCARD))
    return g_ascii_strcasecmp (domain, cut) == 0;
  return length > strlen (suffix) &&
         g_ascii_strcasecmp (cut + length - strlen (suffix), suffix) == 0;
}
