/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* plugins: who is asked before something happens to a machine. */

#include "config.h"

#include "commands.h"
#include "output.h"
#include "table.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>

static const char *
get_text (GVariant *plugin, const char *key)
{
  const char *value = "";

  g_variant_lookup (plugin, key, "&s", &value);
  return value;
}

static void
add_row (Table *table, GVariant *plugin)
{
  guint32 owner = 0, deadline_ms = 0;
  gint32 priority = 0;
  guint64 n_questions = 0, n_failures = 0;
  gboolean fail_open = FALSE;
  g_autofree const char **hooks = NULL;
  g_autofree char *hook_list = NULL;
  g_autofree char *owner_text = NULL;
  g_autofree char *priority_text = NULL;
  g_autofree char *deadline_text = NULL;
  g_autofree char *questions_text = NULL;
  g_autofree char *failures_text = NULL;

  g_variant_lookup (plugin, "owner", "u", &owner);
  g_variant_lookup (plugin, "priority", "i", &priority);
  g_variant_lookup (plugin, "deadline-ms", "u", &deadline_ms);
  g_variant_lookup (plugin, "fail-open", "b", &fail_open);
  g_variant_lookup (plugin, "questions", "t", &n_questions);
  g_variant_lookup (plugin, "failures", "t", &n_failures);
  g_variant_lookup (plugin, "hooks", "^a&s", &hooks);
  hook_list = hooks != NULL ? g_strjoinv (" ", (char **) hooks) : g_strdup ("");
  owner_text = text_user_name (owner);
  priority_text = g_strdup_printf ("%d", priority);
  deadline_text = g_strdup_printf (_ ("%u ms"), deadline_ms);
  questions_text = g_strdup_printf ("%" G_GUINT64_FORMAT, n_questions);
  failures_text = g_strdup_printf ("%" G_GUINT64_FORMAT, n_failures);

  const char *cells[] = { get_text (plugin, "name"),
                          owner_text,
                          priority_text,
                          deadline_text,
                          fail_open ? _ ("goes on") : _ ("refuses"),
                          questions_text,
                          failures_text,
                          hook_list };

  table_add_row (table, cells, 0, NULL);
}

static void
print_table (GVariant *plugins)
{
  g_autoptr (Table) table = table_new ();

  table_add_column (table, _ ("NAME"), TABLE_SHRINKS);
  table_add_column (table, _ ("OWNER"), TABLE_SHRINKS);
  table_add_column (table, _ ("PRIORITY"), TABLE_RIGHT);
  table_add_column (table, _ ("DEADLINE"), TABLE_RIGHT);
  table_add_column (table, _ ("WHEN IT FAILS"), TABLE_SHRINKS);
  table_add_column (table, _ ("ASKED"), TABLE_RIGHT);
  table_add_column (table, _ ("FAILED"), TABLE_RIGHT);
  table_add_column (table, _ ("HOOKS"), TABLE_SHRINKS);
  for (gsize i = 0; i < g_variant_n_children (plugins); i++)
    {
      g_autoptr (GVariant) plugin = g_variant_get_child_value (plugins, i);

      add_row (table, plugin);
    }
  table_print (table);
}

static void
print_names (GVariant *plugins)
{
  for (gsize i = 0; i < g_variant_n_children (plugins); i++)
    {
      g_autoptr (GVariant) plugin = g_variant_get_child_value (plugins, i);
      g_autofree char *name = text_printable (get_text (plugin, "name"));

      puts (name);
    }
}

static void
print_json (GVariant *plugins)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (gsize i = 0; i < g_variant_n_children (plugins); i++)
    {
      g_autoptr (GVariant) plugin = g_variant_get_child_value (plugins, i);
      GVariantIter iter;
      const char *key;
      GVariant *value;

      json_builder_begin_object (builder);
      g_variant_iter_init (&iter, plugin);
      while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
        output_add_variant (builder, key, value);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  output_print (builder, TRUE);
}

static int
run (App *app, int argc, char **argv)
{
  const GOptionEntry entries[] = { { NULL } };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) plugins = NULL;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 1)
    return app_usage_error (app, _ ("Unexpected argument “%s”"), argv[1]);
  if (!app_connect (app, &exit_code))
    return exit_code;

  plugins = vmsan_client_list_plugins_sync (app->client, NULL, &error);
  if (plugins == NULL)
    return app_report (error, _ ("Could not list plugins"));
  if (app->json)
    print_json (plugins);
  else if (app->quiet)
    print_names (plugins);
  else
    print_table (plugins);
  return APP_OK;
}

const Command command_plugins = {
  .name = "plugins",
  .arguments = "",
  .summary = N_ ("List the plugins that are asked before something happens to a machine"),
  .run = run,
};
