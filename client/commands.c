/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: one table of all subcommands; help, parsing and completion follow it. */

#include "config.h"

#include "commands.h"

#include <string.h>

const Command *const commands[] = {
  &command_create,
  &command_list,
  &command_show,
  &command_start,
  &command_stop,
  &command_remove,
  &command_timeout,
  &command_network,
  &command_exec,
  &command_events,
  &command_plugins,
  &command_doctor,
  &command_image_add,
  &command_image_list,
  &command_image_remove,
  &command_kernel_add,
  &command_kernel_list,
  &command_kernel_remove,
  &command_setup_firecracker,
  NULL,
};

/* How many words of the command line @name is, when they are the same. */
static int
match (const char *name, int argc, char **argv)
{
  const char *space = strchr (name, ' ');

  if (space == NULL)
    return argc > 1 && strcmp (argv[1], name) == 0 ? 1 : 0;
  return argc > 2 && strlen (argv[1]) == (gsize) (space - name) &&
                 strncmp (argv[1], name, (gsize) (space - name)) == 0 &&
                 strcmp (argv[2], space + 1) == 0
             ? 2
             : 0;
}

const Command *
command_find (int argc, char **argv, int *n_words)
{
  for (gsize i = 0; commands[i] != NULL; i++)
    {
      *n_words = match (commands[i]->name, argc, argv);
      if (*n_words > 0)
        return commands[i];
    }
  return NULL;
}

char *
command_list_after (const char *word)
{
  g_autofree char *prefix = g_strconcat (word, " ", NULL);
  g_autoptr (GString) list = g_string_new (NULL);

  for (gsize i = 0; commands[i] != NULL; i++)
    if (g_str_has_prefix (commands[i]->name, prefix))
      g_string_append_printf (list, "%s%s", list->len > 0 ? ", " : "",
                              commands[i]->name + strlen (prefix));
  return list->len > 0 ? g_string_free (g_steal_pointer (&list), FALSE) : NULL;
}
