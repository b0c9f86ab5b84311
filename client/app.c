/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: messages go to standard error with the program's name, and one error always has the
 * same exit code. */

#include "config.h"

#include "app.h"

#include "password-agent.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static GOptionContext *
make_context (App *app, const GOptionEntry *entries, AppParse how)
{
  const GOptionEntry common[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &app->json, N_ ("Print JSON"), NULL },
    { "quiet", 'q', 0, G_OPTION_ARG_NONE, &app->quiet, N_ ("Print results and errors only"), NULL },
    { "no-ask-password", 0, 0, G_OPTION_ARG_NONE, &app->no_ask_password,
      N_ ("Fail rather than ask for a password"), NULL },
    { NULL },
  };
  GOptionContext *context = g_option_context_new (
      app->command->arguments[0] != '\0' ? _ (app->command->arguments) : NULL);

  g_option_context_set_translation_domain (context, GETTEXT_PACKAGE);
  g_option_context_set_summary (context, _ (app->command->summary));
  if (app->command->description != NULL)
    {
      g_autofree char *description = g_strconcat (_ (app->command->description), "\n", NULL);

      g_option_context_set_description (context, description);
    }
  g_option_context_set_strict_posix (context, how == APP_PARSE_POSIX);
  if (entries != NULL)
    g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  g_option_context_add_main_entries (context, common, GETTEXT_PACKAGE);
  return context;
}

gboolean
app_parse (App *app, const GOptionEntry *entries, AppParse how, int *argc, char ***argv)
{
  g_autoptr (GOptionContext) context = make_context (app, entries, how);
  g_autofree char *program = g_strconcat ("vmsan-client ", app->command->name, NULL);
  g_autoptr (GError) error = NULL;

  /* The usage line of --help names it. */
  g_set_prgname (program);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      app_usage_error (app, "%s", error->message);
      return FALSE;
    }
  g_set_prgname ("vmsan-client");
  return TRUE;
}

static void G_GNUC_PRINTF (1, 0) print_line (const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);
  g_autofree char *safe = text_printable (text);

  fprintf (stderr, "vmsan-client: %s\n", safe);
}

int
app_usage_error (App *app, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  print_line (format, args);
  va_end (args);
  fprintf (stderr, _ ("Try “vmsan-client %s --help”.\n"), app->command->name);
  return APP_USAGE;
}

void
app_print_error (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  print_line (format, args);
  va_end (args);
}

void
app_print_note (App *app, const char *format, ...)
{
  va_list args;

  if (app->quiet)
    return;
  va_start (args, format);
  print_line (format, args);
  va_end (args);
}

int
app_exit_code (const GError *error)
{
  if (error->domain != VMSAN_ERROR)
    return APP_ERROR;
  switch ((VmsanError) error->code)
    {
    case VMSAN_ERROR_NOT_FOUND:
      return APP_NOT_FOUND;
    case VMSAN_ERROR_NOT_AUTHORIZED:
    case VMSAN_ERROR_AUTHORIZATION_DISMISSED:
    case VMSAN_ERROR_AUTHORIZATION_REQUIRED:
      return APP_NOT_AUTHORIZED;
    case VMSAN_ERROR_BUSY:
    case VMSAN_ERROR_WRONG_STATE:
    case VMSAN_ERROR_IN_USE:
      return APP_BUSY;
    default:
      return APP_ERROR;
    }
}

int
app_report (const GError *error, const char *attempted)
{
  if (attempted != NULL)
    app_print_error ("%s: %s", attempted, error->message);
  else
    app_print_error ("%s", error->message);
  return app_exit_code (error);
}

gboolean
app_connect (App *app, int *exit_code)
{
  g_autoptr (GError) error = NULL;

  if (app->client != NULL)
    return TRUE;
  app->client = vmsan_client_new_sync (NULL, &error);
  if (app->client == NULL)
    {
      *exit_code = app_report (error, NULL);
      return FALSE;
    }
  vmsan_client_set_interactive (app->client, FALSE);
  return TRUE;
}

gboolean
app_may_ask (App *app, GError **error)
{
  g_autoptr (GError) agent_error = NULL;

  if (app->no_ask_password || vmsan_client_get_interactive (app->client) ||
      !g_error_matches (*error, VMSAN_ERROR, VMSAN_ERROR_AUTHORIZATION_REQUIRED))
    return FALSE;

  /* Without a terminal there may still be an agent of the desktop. */
  if (isatty (STDIN_FILENO))
    {
      app->agent = password_agent_register (&agent_error);
      if (app->agent == NULL)
        app_print_note (app, _ ("Cannot ask for a password on this terminal: %s"),
                        agent_error->message);
    }
  vmsan_client_set_interactive (app->client, TRUE);
  g_clear_error (error);
  return TRUE;
}

void
app_stop_asking (App *app)
{
  g_clear_pointer (&app->agent, password_agent_unregister);
}

void
app_done (GObject *object, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

GAsyncResult *
app_wait (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

void
app_clear (App *app)
{
  app_stop_asking (app);
  g_clear_object (&app->client);
}
