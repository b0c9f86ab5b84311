/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* exec: runs a program in a guest as if it ran here. */

#include "config.h"

#include "commands.h"
#include "exec-streams.h"
#include "units.h"

#include <glib/gi18n.h>
#include <string.h>

/* How long after its own deadline the guest may take to say that it killed the program. */
#define GRACE_MS 5000

typedef struct
{
  char **env;
  char *directory;
  char *user;
  char *timeout;
  guint64 timeout_ms;
} Options;

static void
options_clear (Options *options)
{
  g_strfreev (options->env);
  g_free (options->directory);
  g_free (options->user);
  g_free (options->timeout);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

/* NAME takes the value that it has here, as with env(1) in other tools. */
static GVariant *
make_environment (char **env, GError **error)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (gsize i = 0; env[i] != NULL; i++)
    {
      g_autofree char *pair = NULL;

      if (strchr (env[i], '=') != NULL)
        pair = g_strdup (env[i]);
      else if (g_getenv (env[i]) != NULL)
        pair = g_strconcat (env[i], "=", g_getenv (env[i]), NULL);
      else
        continue;
      if (pair[0] == '=' || !g_utf8_validate (pair, -1, NULL))
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       _ ("“%s” is not a variable: write NAME=VALUE in UTF-8"), env[i]);
          g_variant_builder_clear (&builder);
          return NULL;
        }
      g_variant_builder_add (&builder, "s", pair);
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
make_request (Options *options, GError **error)
{
  GVariantDict dict;
  GVariant *environment;

  if (options->timeout != NULL &&
      !units_parse_duration_ms (options->timeout, &options->timeout_ms, error))
    return NULL;
  g_variant_dict_init (&dict, NULL);
  if (options->env != NULL)
    {
      environment = make_environment (options->env, error);
      if (environment == NULL)
        {
          g_variant_dict_clear (&dict);
          return NULL;
        }
      g_variant_dict_insert_value (&dict, "env", environment);
    }
  if (options->directory != NULL)
    g_variant_dict_insert (&dict, "cwd", "s", options->directory);
  if (options->user != NULL)
    g_variant_dict_insert (&dict, "user", "s", options->user);
  if (options->timeout_ms > 0)
    g_variant_dict_insert (&dict, "timeout-ms", "t", options->timeout_ms);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* Every failure before the program runs; what it is decides between 125, 126 and 127. */
static int
report (const GError *error, const char *vm)
{
  app_print_error (_ ("Could not run a program in “%s”: %s"), vm, error->message);
  if (g_error_matches (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_NOT_FOUND))
    return APP_EXEC_NOT_FOUND;
  if (g_error_matches (error, VMSAN_PROCESS_ERROR, VMSAN_PROCESS_ERROR_NOT_EXECUTABLE))
    return APP_EXEC_NOT_EXECUTABLE;
  return APP_EXEC_FAILED;
}

static VmsanProcess *
start (App *app, const char *name, const char *const *command, GVariant *request, GError **error)
{
  g_autoptr (VmsanVM) vm = vmsan_client_get_vm_sync (app->client, name, NULL, error);
  VmsanProcess *process;

  if (vm == NULL)
    return NULL;
  do
    process = vmsan_vm_exec_sync (vm, command, request, NULL, error);
  while (process == NULL && app_may_ask (app, error));
  return process;
}

static gboolean
is_utf8 (char **words)
{
  for (gsize i = 0; words[i] != NULL; i++)
    if (!g_utf8_validate (words[i], -1, NULL))
      return FALSE;
  return TRUE;
}

/* Skips a "--" that the option parser left. */
static char **
skip_separator (char **words)
{
  return words[0] != NULL && strcmp (words[0], "--") == 0 ? words + 1 : words;
}

/* Options may come before and behind the machine, but not behind the command. */
static gboolean
parse (App *app, Options *options, int argc, char **argv, char **vm, char ***command)
{
  const GOptionEntry entries[] = {
    { "env", 'e', 0, G_OPTION_ARG_STRING_ARRAY, &options->env,
      N_ ("Set a variable, or pass on the one from here; may be given several times"),
      N_ ("NAME[=VALUE]") },
    { "workdir", 'w', 0, G_OPTION_ARG_STRING, &options->directory,
      N_ ("Directory to run it in (default: the image's)"), N_ ("DIRECTORY") },
    { "user", 'u', 0, G_OPTION_ARG_STRING, &options->user,
      N_ ("User to run it as (default: the image's, else root)"), N_ ("USER[:GROUP]") },
    { "timeout", 't', 0, G_OPTION_ARG_STRING, &options->timeout,
      N_ ("Kill it when it ran this long"), N_ ("DURATION") },
    { NULL },
  };

  if (!app_parse (app, entries, APP_PARSE_POSIX, &argc, &argv))
    return FALSE;
  if (argc < 2)
    {
      app_usage_error (app, "%s", _ ("Name a machine and a command"));
      return FALSE;
    }
  /* What is behind the machine, with the machine in the place of a program's name. */
  argc--;
  argv++;
  *vm = argv[0];
  if (!app_parse (app, entries, APP_PARSE_POSIX, &argc, &argv))
    return FALSE;
  *command = skip_separator (argv + 1);
  if ((*command)[0] == NULL)
    {
      app_usage_error (app, "%s", _ ("Name a command to run"));
      return FALSE;
    }
  return TRUE;
}

/* Any exit code may be the program's; so all that goes wrong here, wrong usage too, is 125. */
static int
run (App *app, int argc, char **argv)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) request = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  char **command;
  char *vm;
  int exit_code;

  if (!parse (app, &options, argc, argv, &vm, &command))
    return APP_EXEC_FAILED;
  if (!is_utf8 (command))
    {
      app_usage_error (app, "%s", _ ("The command is not UTF-8, which D-Bus asks for"));
      return APP_EXEC_FAILED;
    }
  request = make_request (&options, &error);
  if (request == NULL)
    {
      app_usage_error (app, "%s", error->message);
      return APP_EXEC_FAILED;
    }
  if (!app_connect (app, &exit_code))
    return APP_EXEC_FAILED;

  process = start (app, vm, (const char *const *) command, request, &error);
  if (process == NULL)
    return report (error, vm);
  /* From here on the terminal belongs to the program. */
  app_stop_asking (app);
  return exec_streams_run (process, options.timeout_ms > 0 ? options.timeout_ms + GRACE_MS : 0);
}

const Command command_exec = {
  .name = "exec",
  .arguments = N_ ("VM [--] COMMAND [ARGUMENT…]"),
  .summary = N_ ("Run a program in a machine"),
  .description = N_ (
      "Standard input, output and error, and the signals INT, TERM, HUP and QUIT, are the "
      "program's;\nthe third time that the same signal comes, the program is hung up.\n\n"
      "Exits with what the program exits with, 128 + number for a signal that ended it, 124 when "
      "its\ntime ran out, 125 when vmsan failed, 126 when it cannot be executed, 127 when it is "
      "not there."),
  .run = run,
};
