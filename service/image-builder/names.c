/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a name that is fine has no component that leads up, and no more of them than allowed. */

#include "names.h"

#include <stdbool.h>
#include <string.h>

static bool
is_component (const char *start, size_t length, const char *component)
{
  return length == strlen (component) && memcmp (start, component, length) == 0;
}

enum NameVerdict
name_clean (const char *name, char *clean)
{
  size_t used = 0;
  unsigned depth = 0;

  while (*name != '\0')
    {
      size_t length = strcspn (name, "/");

      if (is_component (name, length, ".."))
        return NAME_ESCAPES;
      if (length > 0 && !is_component (name, length, "."))
        {
          if (used + length + 1 > NAME_LENGTH_MAX || ++depth > NAME_DEPTH_MAX)
            return NAME_TOO_LONG;
          if (used > 0)
            clean[used++] = '/';
          memcpy (clean + used, name, length);
          used += length;
        }
      name += length;
      name += strspn (name, "/");
    }
  if (used == 0)
    clean[used++] = '.';
  clean[used] = '\0';
  return depth == 0 ? NAME_ROOT : NAME_FINE;
}
