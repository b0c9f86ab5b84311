/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* timeout: changes when a running machine is stopped. */

#include "config.h"

#include "commands.h"
#include "units.h"

#include <glib/gi18n.h>

static int
run (App *app, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVM) vm = NULL;
  gboolean changed;
  guint64 ms;
  int exit_code;

  if (!app_parse (app, NULL, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc != 3)
    return app_usage_error (app, "%s", _ ("Name a machine and a duration"));
  if (!units_parse_duration_ms (argv[2], &ms, &error))
    return app_usage_error (app, "%s", error->message);
  if (!app_connect (app, &exit_code))
    return exit_code;

  vm = vmsan_client_get_vm_sync (app->client, argv[1], NULL, &error);
  if (vm == NULL)
    return app_report (error, NULL);
  do
    changed = vmsan_vm_set_timeout_sync (vm, ms, NULL, &error);
  while (!changed && app_may_ask (app, &error));
  if (!changed)
    {
      app_print_error (_ ("Could not change the time limit of “%s”: %s"), argv[1], error->message);
      return app_exit_code (error);
    }
  return APP_OK;
}

const Command command_timeout = {
  .name = "timeout",
  .arguments = N_ ("VM DURATION"),
  .summary = N_ ("Stop a running machine in a while, such as 30s, 5m or 2h; 0: never"),
  .run = run,
};
