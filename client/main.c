/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vmsan-client: the command line of the microVM service. */

#include "config.h"

#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A descriptor that is opened later must not become standard output. */
static void
open_standard_fds (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO)
    close (fd);
}

static void
print_help (void)
{
  gsize widest = 0;

  printf (_ ("Usage:\n  vmsan-client COMMAND [OPTION…] [ARGUMENT…]\n\n"));
  printf (_ ("Runs untrusted code in microVMs.\n\nCommands:\n"));
  for (gsize i = 0; commands[i] != NULL; i++)
    widest = MAX (widest, strlen (commands[i]->name));
  for (gsize i = 0; commands[i] != NULL; i++)
    printf ("  %-*s  %s\n", (int) widest, commands[i]->name, _ (commands[i]->summary));
  printf (
      _ ("\nOptions:\n"
         "  -h, --help  Show help; behind a command, the command's\n"
         "  --version   Show the version\n"
         "\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not authorized, 5 busy or\n"
         "in the wrong state. “exec” passes on what the program in the guest exits with.\n"));
}

static int
no_command (const char *word)
{
  g_autofree char *list = command_list_after (word);

  if (list != NULL)
    app_print_error (_ ("“%s” needs one of these behind it: %s"), word, list);
  else
    app_print_error (_ ("There is no command “%s”: “vmsan-client --help” lists them"), word);
  return APP_USAGE;
}

static int
run (const Command *command, int argc, char **argv)
{
  App app = { .command = command };
  int exit_code = command->run (&app, argc, argv);

  app_clear (&app);
  /* Output that did not arrive must not look like success. */
  if (fflush (stdout) != 0 || ferror (stdout))
    {
      if (errno != EPIPE)
        app_print_error (_ ("Could not write to standard output: %s"), g_strerror (errno));
      return exit_code == APP_OK ? APP_ERROR : exit_code;
    }
  return exit_code;
}

int
main (int argc, char **argv)
{
  const Command *command;
  int n_words = 0;

  open_standard_fds ();
  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("vmsan-client");

  if (argc < 2)
    {
      print_help ();
      return APP_USAGE;
    }
  if (strcmp (argv[1], "--version") == 0)
    {
      printf ("vmsan-client %s\n", PACKAGE_VERSION);
      return APP_OK;
    }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0 ||
      strcmp (argv[1], "help") == 0)
    {
      print_help ();
      return APP_OK;
    }
  command = command_find (argc, argv, &n_words);
  if (command == NULL)
    return no_command (argv[1]);
  return run (command, argc - n_words, argv + n_words);
}
