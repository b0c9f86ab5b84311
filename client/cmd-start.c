/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* start: boots stopped machines. */

#include "config.h"

#include "commands.h"
#include "verb.h"

#include <glib/gi18n.h>

static void
begin (VmsanVM *vm, gpointer user_data, GAsyncReadyCallback callback, gpointer data)
{
  vmsan_vm_start (vm, NULL, NULL, callback, data);
}

static gboolean
finish (VmsanVM *vm, GAsyncResult *result, gpointer user_data, GError **error)
{
  return vmsan_vm_start_finish (vm, result, error);
}

static void
report (const char *name, const char *message)
{
  app_print_error (_ ("Could not start “%s”: %s"), name, message);
}

static int
run (App *app, int argc, char **argv)
{
  static const Verb verb = { report, begin, finish };
  int exit_code;

  if (!app_parse (app, NULL, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc < 2)
    return app_usage_error (app, "%s", _ ("Name at least one machine"));
  if (!app_connect (app, &exit_code))
    return exit_code;
  return verb_run (app, &verb, argv + 1, NULL);
}

const Command command_start = {
  .name = "start",
  .arguments = N_ ("VM…"),
  .summary = N_ ("Boot stopped machines"),
  .run = run,
};
