/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* remove: removes machines with their private disks. */

#include "config.h"

#include "commands.h"
#include "verb.h"

#include <glib/gi18n.h>

static void
begin (VmsanVM *vm, gpointer user_data, GAsyncReadyCallback callback, gpointer data)
{
  vmsan_vm_remove (vm, user_data, NULL, callback, data);
}

static gboolean
finish (VmsanVM *vm, GAsyncResult *result, gpointer user_data, GError **error)
{
  return vmsan_vm_remove_finish (vm, result, error);
}

static void
report (const char *name, const char *message)
{
  app_print_error (_ ("Could not remove “%s”: %s"), name, message);
}

static int
run (App *app, int argc, char **argv)
{
  static const Verb verb = { report, begin, finish };
  gboolean force = FALSE;
  const GOptionEntry entries[] = {
    { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
      N_ ("Also machines that run, which are killed, or are damaged"), NULL },
    { NULL },
  };
  g_autoptr (GVariant) options = NULL;
  GVariantDict dict;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc < 2)
    return app_usage_error (app, "%s", _ ("Name at least one machine"));
  g_variant_dict_init (&dict, NULL);
  if (force)
    g_variant_dict_insert (&dict, "force", "b", TRUE);
  options = g_variant_ref_sink (g_variant_dict_end (&dict));
  if (!app_connect (app, &exit_code))
    return exit_code;
  return verb_run (app, &verb, argv + 1, options);
}

const Command command_remove = {
  .name = "remove",
  .arguments = N_ ("VM…"),
  .summary = N_ ("Remove machines with their private disks"),
  .run = run,
};
