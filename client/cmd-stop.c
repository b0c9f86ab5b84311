/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* stop: shuts machines down. */

#include "config.h"

#include "commands.h"
#include "units.h"
#include "verb.h"

#include <glib/gi18n.h>
#include <string.h>

typedef struct
{
  App *app;
  GVariant *options;
  gboolean force;
} Stop;

static void
begin (VmsanVM *vm, gpointer user_data, GAsyncReadyCallback callback, gpointer data)
{
  vmsan_vm_stop (vm, ((Stop *) user_data)->options, NULL, callback, data);
}

static gboolean
finish (VmsanVM *vm, GAsyncResult *result, gpointer user_data, GError **error)
{
  const Stop *stop = user_data;
  g_autofree char *how = vmsan_vm_stop_finish (vm, result, error);

  if (how != NULL && strcmp (how, "forced") == 0 && !stop->force)
    app_print_note (stop->app, _ ("“%s” did not shut down in time and was killed"),
                    vmsan_vm_get_name (vm));
  return how != NULL;
}

static void
report (const char *name, const char *message)
{
  app_print_error (_ ("Could not stop “%s”: %s"), name, message);
}

static int
run (App *app, int argc, char **argv)
{
  static const Verb verb = { report, begin, finish };
  Stop stop = { .app = app };
  g_autofree char *deadline = NULL;
  const GOptionEntry entries[] = {
    { "force", 'f', 0, G_OPTION_ARG_NONE, &stop.force, N_ ("Kill at once"), NULL },
    { "deadline", 0, 0, G_OPTION_ARG_STRING, &deadline,
      N_ ("How long a guest may take before it is killed, at most 10m"), N_ ("DURATION") },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) options = NULL;
  GVariantDict dict;
  guint64 ms = 0;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc < 2)
    return app_usage_error (app, "%s", _ ("Name at least one machine"));
  if (deadline != NULL && !units_parse_duration_ms (deadline, &ms, &error))
    return app_usage_error (app, "%s", error->message);

  g_variant_dict_init (&dict, NULL);
  if (stop.force)
    g_variant_dict_insert (&dict, "force", "b", TRUE);
  if (deadline != NULL)
    g_variant_dict_insert (&dict, "deadline-ms", "u", (guint32) MIN (ms, G_MAXUINT32));
  options = stop.options = g_variant_ref_sink (g_variant_dict_end (&dict));
  if (!app_connect (app, &exit_code))
    return exit_code;
  return verb_run (app, &verb, argv + 1, &stop);
}

const Command command_stop = {
  .name = "stop",
  .arguments = N_ ("VM…"),
  .summary = N_ ("Shut machines down"),
  .run = run,
};
