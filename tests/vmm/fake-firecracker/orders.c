/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: without a file there are no orders. */

#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In a jail that a test does not make itself: a kernel that is none, but for its magic. */
#define KERNEL_PATH  "/kernel"
#define KERNEL_MAGIC "\177ELF\n"

static char path[4096];

static bool
kernel_has_orders (void)
{
  FILE *file = fopen (KERNEL_PATH, "re");
  char magic[sizeof KERNEL_MAGIC] = "";
  bool has = file != NULL && fgets (magic, sizeof magic, file) != NULL &&
             strcmp (magic, KERNEL_MAGIC) == 0;

  if (file != NULL)
    fclose (file);
  return has;
}

void
orders_init (const char *program)
{
  const char *given = getenv ("FAKE_FIRECRACKER_ORDERS");

  if (given != NULL)
    snprintf (path, sizeof path, "%s", given);
  else
    snprintf (path, sizeof path, "%s.orders", program);
  if (access (path, F_OK) < 0 && kernel_has_orders ())
    snprintf (path, sizeof path, "%s", KERNEL_PATH);
}

/* What follows @prefix and a space in @line; NULL when it begins otherwise. */
static const char *
skip (const char *line, const char *prefix)
{
  size_t length = strlen (prefix);

  if (strncmp (line, prefix, length) != 0 || (line[length] != ' ' && line[length] != '\0'))
    return NULL;
  return line[length] == ' ' ? line + length + 1 : line + length;
}

bool
orders_get (const char *word, const char *call, char *value, size_t size)
{
  FILE *file = fopen (path, "re");
  char line[8192];
  bool found = false;

  while (file != NULL && !found && fgets (line, sizeof line, file) != NULL)
    {
      const char *rest;

      line[strcspn (line, "\n")] = '\0';
      rest = skip (line, word);
      if (rest != NULL && call != NULL)
        rest = skip (rest, call);
      found = rest != NULL;
      if (found)
        snprintf (value, size, "%s", rest);
    }
  if (file != NULL)
    fclose (file);
  return found;
}
