/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is not JSON gives NULL. */

#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

typedef struct
{
  const char *next;
  const char *end;
  int depth;
} Reader;

static Json *read_value (Reader *reader);

static void
skip_space (Reader *reader)
{
  while (reader->next < reader->end && strchr (" \t\r\n", *reader->next) != NULL &&
         *reader->next != '\0')
    reader->next++;
}

static bool
take (Reader *reader, char wanted)
{
  skip_space (reader);
  if (reader->next >= reader->end || *reader->next != wanted)
    return false;
  reader->next++;
  return true;
}

/* ---- Strings ------------------------------------------------------------------------------- */

static size_t
encode_utf8 (unsigned code, char *out)
{
  if (code < 0x80)
    {
      out[0] = (char) code;
      return 1;
    }
  if (code < 0x800)
    {
      out[0] = (char) (0xc0 | code >> 6);
      out[1] = (char) (0x80 | (code & 0x3f));
      return 2;
    }
  out[0] = (char) (0xe0 | code >> 12);
  out[1] = (char) (0x80 | (code >> 6 & 0x3f));
  out[2] = (char) (0x80 | (code & 0x3f));
  return 3;
}

/* Four hexadecimal digits outside the surrogates, which no test needs; -1 for others. */
static int
read_code (Reader *reader)
{
  int code = 0;

  for (int i = 0; i < 4; i++)
    {
      if (reader->next >= reader->end || !isxdigit ((unsigned char) *reader->next))
        return -1;
      code = code * 16 + (isdigit ((unsigned char) *reader->next)
                              ? *reader->next - '0'
                              : tolower ((unsigned char) *reader->next) - 'a' + 10);
      reader->next++;
    }
  return code == 0 || (code >= 0xd800 && code < 0xe000) ? -1 : code;
}

static bool
read_escape (Reader *reader, char *out, size_t *used)
{
  static const char names[] = "\"\\/bfnrt";
  static const char meant[] = "\"\\/\b\f\n\r\t";
  const char *found;
  int code;

  if (reader->next >= reader->end)
    return false;
  if (*reader->next == 'u')
    {
      reader->next++;
      code = read_code (reader);
      if (code < 0)
        return false;
      *used += encode_utf8 ((unsigned) code, out + *used);
      return true;
    }
  found = *reader->next != '\0' ? strchr (names, *reader->next) : NULL;
  if (found == NULL)
    return false;
  reader->next++;
  out[(*used)++] = meant[found - names];
  return true;
}

/* After the opening quote; NULL for what is not a string. */
static char *
read_string (Reader *reader)
{
  char *out = malloc ((size_t) (reader->end - reader->next) + 4);
  size_t used = 0;

  while (reader->next < reader->end)
    {
      char c = *reader->next++;

      if (c == '"')
        {
          out[used] = '\0';
          return out;
        }
      if ((unsigned char) c < 0x20)
        break;
      if (c != '\\')
        out[used++] = c;
      else if (!read_escape (reader, out, &used))
        break;
    }
  free (out);
  return NULL;
}

/* ---- Values -------------------------------------------------------------------------------- */

static bool
read_word (Reader *reader, const char *word)
{
  size_t length = strlen (word);

  if ((size_t) (reader->end - reader->next) < length || memcmp (reader->next, word, length) != 0)
    return false;
  reader->next += length;
  return true;
}

static bool
read_number (Reader *reader, Json *value)
{
  char text[64];
  size_t length = strspn (reader->next, "-+.eE0123456789");
  const char *digits = *reader->next == '-' ? reader->next + 1 : reader->next;

  if (length == 0 || length >= sizeof text || !isdigit ((unsigned char) *digits) ||
      (*digits == '0' && isdigit ((unsigned char) digits[1])))
    return false;
  memcpy (text, reader->next, length);
  text[length] = '\0';
  reader->next += length;
  value->type = strpbrk (text, ".eE") != NULL ? JSON_FLOAT : JSON_INTEGER;
  errno = 0;
  value->integer = strtoll (text, NULL, 10);
  return errno == 0;
}

/* Elements of an array, or members of an object, up to @close. */
static bool
read_children (Reader *reader, Json *value, char close)
{
  Json **last = &value->first;

  value->type = close == '}' ? JSON_OBJECT : JSON_ARRAY;
  if (take (reader, close))
    return true;
  do
    {
      char *name = NULL;

      if (close == '}' && (!take (reader, '"') || (name = read_string (reader)) == NULL))
        return false;
      if (close == '}' && !take (reader, ':'))
        {
          free (name);
          return false;
        }
      *last = read_value (reader);
      if (*last == NULL)
        {
          free (name);
          return false;
        }
      (*last)->name = name;
      last = &(*last)->next;
    }
  while (take (reader, ','));
  return take (reader, close);
}

static bool
read_into (Reader *reader, Json *value)
{
  if (take (reader, '{'))
    return read_children (reader, value, '}');
  if (take (reader, '['))
    return read_children (reader, value, ']');
  if (take (reader, '"'))
    {
      value->type = JSON_STRING;
      value->string = read_string (reader);
      return value->string != NULL;
    }
  if (read_word (reader, "null"))
    return true;
  if (read_word (reader, "true") || read_word (reader, "false"))
    {
      value->type = JSON_BOOL;
      value->boolean = reader->next[-2] == 'u';
      return true;
    }
  return reader->next < reader->end && read_number (reader, value);
}

static Json *
read_value (Reader *reader)
{
  Json *value = calloc (1, sizeof *value);
  bool good = ++reader->depth <= DEPTH_MAX && read_into (reader, value);

  reader->depth--;
  if (good)
    return value;
  json_free (value);
  return NULL;
}

Json *
json_parse (const char *text, size_t length)
{
  char *copy = malloc (length + 1); /* numbers are read up to a NUL */
  Reader reader = { copy, copy + length, 0 };
  Json *value;

  memcpy (copy, text, length);
  copy[length] = '\0';
  value = read_value (&reader);
  skip_space (&reader);
  if (value != NULL && reader.next != reader.end)
    {
      json_free (value);
      value = NULL;
    }
  free (copy);
  return value;
}

void
json_free (Json *value)
{
  while (value != NULL)
    {
      Json *next = value->next;

      json_free (value->first);
      free (value->name);
      free (value->string);
      free (value);
      value = next;
    }
}

Json *
json_member (const Json *object, const char *name)
{
  for (Json *member = object != NULL ? object->first : NULL; member != NULL; member = member->next)
    if (member->name != NULL && strcmp (member->name, name) == 0)
      return member;
  return NULL;
}

const char *
json_text (const Json *object, const char *name)
{
  const Json *member = json_member (object, name);

  return member != NULL ? member->string : NULL;
}

bool
json_flag (const Json *object, const char *name)
{
  const Json *member = json_member (object, name);

  return member != NULL && member->boolean;
}

long long
json_number (const Json *object, const char *name, long long otherwise)
{
  const Json *member = json_member (object, name);

  return member != NULL ? member->integer : otherwise;
}
