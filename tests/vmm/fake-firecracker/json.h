/* SPDX-License-Identifier: GPL-2.0-or-later */

/* JSON as serde reads it: nothing beside the grammar is taken. Another parser than the service's,
 * so that what the service writes is judged by somebody else. */

#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef enum
{
  JSON_NULL,
  JSON_BOOL,
  JSON_INTEGER,
  JSON_FLOAT,
  JSON_STRING,
  JSON_ARRAY,
  JSON_OBJECT,
} JsonType;

typedef struct Json Json;

struct Json
{
  JsonType type;
  char *name; /* of a member; NULL elsewhere */
  bool boolean;
  long long integer;
  char *string;
  Json *first; /* elements or members */
  Json *next;
};

/* NULL when the text is not one JSON value. */
Json *json_parse (const char *text, size_t length);
void json_free (Json *value);

/* NULL when there is none. */
Json *json_member (const Json *object, const char *name);

/* The string of a member, or NULL. */
const char *json_text (const Json *object, const char *name);
bool json_flag (const Json *object, const char *name);
long long json_number (const Json *object, const char *name, long long otherwise);
