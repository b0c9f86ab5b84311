/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list: the machines there are. */

#include "config.h"

#include "commands.h"
#include "output.h"
#include "table.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <unistd.h>

static gboolean
have_reasons (GPtrArray *vms)
{
  for (guint i = 0; i < vms->len; i++)
    if (vmsan_vm_get_state_reason (vms->pdata[i])[0] != '\0')
      return TRUE;
  return FALSE;
}

static void
print_table (GPtrArray *vms)
{
  g_autoptr (Table) table = table_new ();
  gboolean colourful = text_is_colourful (STDOUT_FILENO);

  table_add_column (table, _ ("ID"), TABLE_FIXED);
  table_add_column (table, _ ("NAME"), TABLE_SHRINKS);
  table_add_column (table, _ ("OWNER"), TABLE_SHRINKS);
  table_add_column (table, _ ("STATE"), TABLE_FIXED);
  table_add_column (table, _ ("DRIVER"), TABLE_SHRINKS);
  table_add_column (table, _ ("CPUS"), TABLE_RIGHT);
  table_add_column (table, _ ("MEMORY"), TABLE_RIGHT);
  table_add_column (table, _ ("AGE"), TABLE_SHRINKS);
  /* Rows may have more cells than there are columns. */
  if (have_reasons (vms))
    table_add_column (table, _ ("REASON"), TABLE_SHRINKS);
  for (guint i = 0; i < vms->len; i++)
    {
      VmsanVM *vm = vms->pdata[i];
      g_autofree char *id = text_short_id (vmsan_vm_get_id (vm));
      g_autofree char *owner = text_user_name (vmsan_vm_get_owner (vm));
      g_autofree char *cpus = g_strdup_printf ("%u", vmsan_vm_get_vcpus (vm));
      g_autofree char *memory = g_strdup_printf ("%u MiB", vmsan_vm_get_memory_mib (vm));
      g_autofree char *age = text_age (vmsan_vm_get_created_at (vm));
      const char *state = vmsan_vm_get_state (vm);
      const char *cells[] = {
        id,  vmsan_vm_get_name (vm),        owner, state, vmsan_vm_get_driver (vm), cpus, memory,
        age, vmsan_vm_get_state_reason (vm)
      };

      table_add_row (table, cells, 3, text_state_colour (state, colourful));
    }
  table_print (table);
}

static void
print_json (GPtrArray *vms)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < vms->len; i++)
    {
      output_begin_vm (builder, vms->pdata[i]);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  output_print (builder, TRUE);
}

static void
print (App *app, GPtrArray *vms)
{
  if (app->json)
    print_json (vms);
  else if (!app->quiet)
    print_table (vms);
  else
    for (guint i = 0; i < vms->len; i++)
      puts (vmsan_vm_get_id (vms->pdata[i]));
}

/* a{sv} for ListVMs, not floating. */
static GVariant *
make_filter (gboolean mine, const char *owner, const char *state, GError **error)
{
  GVariantDict dict;
  guint uid = getuid ();

  if (owner != NULL && !text_parse_user (owner, &uid, error))
    return NULL;
  g_variant_dict_init (&dict, NULL);
  if (mine || owner != NULL)
    g_variant_dict_insert (&dict, "owner", "u", uid);
  if (state != NULL)
    g_variant_dict_insert (&dict, "state", "s", state);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static int
run (App *app, int argc, char **argv)
{
  g_autofree char *owner = NULL;
  g_autofree char *state = NULL;
  gboolean mine = FALSE;
  const GOptionEntry entries[] = {
    { "mine", 0, 0, G_OPTION_ARG_NONE, &mine, N_ ("Only your own machines"), NULL },
    { "owner", 'o', 0, G_OPTION_ARG_STRING, &owner, N_ ("Only this user's machines"), N_ ("USER") },
    { "state", 's', 0, G_OPTION_ARG_STRING, &state, N_ ("Only machines in this state"),
      N_ ("STATE") },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) filter = NULL;
  g_autoptr (GPtrArray) vms = NULL;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 1)
    return app_usage_error (app, _ ("Unexpected argument “%s”"), argv[1]);
  if (mine && owner != NULL)
    return app_usage_error (app, "%s", _ ("Use either --mine or --owner"));
  filter = make_filter (mine, owner, state, &error);
  if (filter == NULL)
    return app_usage_error (app, "%s", error->message);
  if (!app_connect (app, &exit_code))
    return exit_code;

  vms = vmsan_client_list_vms_sync (app->client, filter, NULL, &error);
  if (vms == NULL)
    return app_report (error, _ ("Could not list machines"));
  print (app, vms);
  return APP_OK;
}

const Command command_list = {
  .name = "list",
  .arguments = "",
  .summary = N_ ("List machines; with --quiet, only their ids"),
  .run = run,
};
