/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/user.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX   (1u << 20)
#define FIELDS_MAX 7

/* A piece of a file; not NUL-terminated. */
typedef struct
{
  const char *text;
  size_t length;
} Span;

static bool
span_equals (Span span, const char *text)
{
  return strlen (text) == span.length && memcmp (span.text, text, span.length) == 0;
}

static bool
span_copy (Span span, char *buffer, size_t size)
{
  if (span.length == 0 || span.length >= size)
    return false;
  memcpy (buffer, span.text, span.length);
  buffer[span.length] = '\0';
  return true;
}

/* Digits only, and not (uid_t) -1, which means "leave it" to the kernel. */
static bool
span_get_id (Span span, uint32_t *id)
{
  uint64_t value = 0;

  if (span.length == 0 || span.length > 10)
    return false;
  for (size_t i = 0; i < span.length; i++)
    {
      if (!isdigit ((unsigned char) span.text[i]))
        return false;
      value = value * 10 + (uint64_t) (span.text[i] - '0');
    }
  if (value >= UINT32_MAX)
    return false;
  *id = (uint32_t) value;
  return true;
}

/* Splits at every @separator; the last of @max pieces keeps the rest. */
static size_t
span_split (Span span, char separator, Span *pieces, size_t max)
{
  size_t n = 0;

  while (n < max)
    {
      const char *end = n + 1 < max ? memchr (span.text, separator, span.length) : NULL;

      pieces[n] = span;
      if (end == NULL)
        return n + 1;
      pieces[n++].length = (size_t) (end - span.text);
      span.length -= (size_t) (end + 1 - span.text);
      span.text = end + 1;
    }
  return n;
}

/* Takes the next line from *@rest and splits it. False at the end. */
static bool
next_entry (const char **rest, Span fields[FIELDS_MAX], size_t *n_fields)
{
  Span line;

  if (*rest == NULL || **rest == '\0')
    return false;
  line.text = *rest;
  line.length = strcspn (line.text, "\n");
  *rest = line.text + line.length + (line.text[line.length] == '\n');
  *n_fields = span_split (line, ':', fields, FIELDS_MAX);
  return true;
}

/* Finds the passwd entry by name or, with @name NULL, by uid. */
static bool
find_passwd (const char *passwd, const char *name, uint32_t uid, AgentUser *user)
{
  Span fields[FIELDS_MAX];
  size_t n_fields;

  while (next_entry (&passwd, fields, &n_fields))
    {
      uint32_t found_uid, found_gid;

      if (n_fields < 4 || !span_get_id (fields[2], &found_uid) ||
          !span_get_id (fields[3], &found_gid))
        continue;
      if (name != NULL ? !span_equals (fields[0], name) : found_uid != uid)
        continue;
      if (!span_copy (fields[0], user->name, sizeof user->name))
        continue;
      user->uid = found_uid;
      user->gid = found_gid;
      if (n_fields >= 6 && fields[5].length > 0 && fields[5].text[0] == '/')
        span_copy (fields[5], user->home, sizeof user->home);
      if (n_fields >= 7 && fields[6].length > 0 && fields[6].text[0] == '/')
        span_copy (fields[6], user->shell, sizeof user->shell);
      return true;
    }
  return false;
}

static bool
find_group (const char *group, const char *name, gid_t *gid)
{
  Span fields[FIELDS_MAX];
  size_t n_fields;

  while (next_entry (&group, fields, &n_fields))
    if (n_fields >= 3 && span_equals (fields[0], name) && span_get_id (fields[2], gid))
      return true;
  return false;
}

static bool
lists_member (Span members, const char *name)
{
  Span pieces[2];

  while (members.length > 0)
    {
      const size_t n = span_split (members, ',', pieces, 2);

      if (span_equals (pieces[0], name))
        return true;
      if (n < 2)
        return false;
      members = pieces[1];
    }
  return false;
}

static void
add_groups (AgentUser *user, const char *group)
{
  Span fields[FIELDS_MAX];
  size_t n_fields;

  while (user->n_groups < AGENT_GROUPS_MAX && next_entry (&group, fields, &n_fields))
    {
      gid_t gid;

      if (n_fields >= 4 && span_get_id (fields[2], &gid) && gid != user->gid &&
          lists_member (fields[3], user->name))
        user->groups[user->n_groups++] = gid;
    }
}

bool
agent_user_find_in (
    AgentUser *user, const char *spec, const char *passwd, const char *group, AgentError *error)
{
  const char *colon = strchr (spec, ':');
  const Span name_span = { spec, colon != NULL ? (size_t) (colon - spec) : strlen (spec) };
  char name[AGENT_NAME_MAX] = "";

  *user = (AgentUser){ .home = "/", .shell = "/bin/sh" };
  if (name_span.length >= sizeof name)
    return agent_error_set (error, "the name of the user is too long");
  span_copy (name_span, name, sizeof name);
  if (name[0] == '\0' || !find_passwd (passwd, name, 0, user))
    {
      const bool is_number = span_get_id (name_span, &user->uid);

      if (name[0] != '\0' && strcmp (name, "root") != 0 && !is_number)
        return agent_error_set (error, "the image has no user “%s”", name);
      if (!find_passwd (passwd, NULL, user->uid, user))
        snprintf (user->name, sizeof user->name, user->uid == 0 ? "root" : "%u", user->uid);
    }
  if (colon != NULL && colon[1] != '\0')
    {
      const Span group_span = { colon + 1, strlen (colon + 1) };

      if (!find_group (group, colon + 1, &user->gid) && !span_get_id (group_span, &user->gid))
        return agent_error_set (error, "the image has no group “%s”", colon + 1);
    }
  user->groups[user->n_groups++] = user->gid;
  if (colon == NULL || colon[1] == '\0')
    add_groups (user, group);
  return true;
}

/* The content of a file of the image, NUL-terminated, or NULL. */
static char *
read_image_file (const char *path)
{
  /* Opening a FIFO for reading would wait for a writer. */
  const int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  char *content = NULL;
  size_t size = 0, used = 0;
  struct stat stat;

  if (fd < 0)
    return NULL;
  /* Not more than it needs: large pieces of memory are mapped and unmapped each time. */
  if (fstat (fd, &stat) == 0 && S_ISREG (stat.st_mode))
    {
      size = stat.st_size < (off_t) FILE_MAX ? (size_t) stat.st_size : FILE_MAX;
      content = malloc (size + 1);
    }
  while (content != NULL && used < size)
    {
      const ssize_t n = read (fd, content + used, size - used);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        break;
      used += (size_t) n;
    }
  close (fd);
  if (content != NULL)
    content[used] = '\0';
  return content;
}

bool
agent_user_find (AgentUser *user, const char *spec, AgentError *error)
{
  char *passwd = read_image_file ("/etc/passwd");
  char *group = read_image_file ("/etc/group");
  const bool found = agent_user_find_in (user, spec, passwd, group, error);

  free (passwd);
  free (group);
  if (found && user->uid == 0 && strcmp (user->home, "/") == 0 && access ("/root", X_OK) == 0)
    strcpy (user->home, "/root");
  return found;
}
