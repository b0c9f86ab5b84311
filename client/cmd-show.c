/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* show: what is known of machines. Details come too where the caller may see them; nobody is asked
 * for a password just to be shown something. */

#include "config.h"

#include "commands.h"
#include "network-text.h"
#include "output.h"
#include "pairs.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  App *app;
  JsonBuilder *builder; /* NULL: for people */
  gboolean console;
  gboolean colourful;
  gboolean first;
} Show;

static void
print_pair (Show *show, const char *title, const char *value)
{
  g_autoptr (GString) line = g_string_new (NULL);

  pairs_append (line, title, value, show->colourful);
  fputs (line->str, stdout);
}

static void
print_number (Show *show, const char *title, guint64 value, const char *unit)
{
  g_autofree char *text =
      g_strdup_printf ("%" G_GUINT64_FORMAT "%s%s", value, unit[0] != '\0' ? " " : "", unit);

  print_pair (show, title, text);
}

static void
print_time (Show *show, const char *title, gint64 time)
{
  g_autofree char *text = text_time (time);

  if (time != 0)
    print_pair (show, title, text);
}

static void
print_vm (Show *show, VmsanVM *vm)
{
  g_autofree char *owner = text_user_name (vmsan_vm_get_owner (vm));

  print_pair (show, _ ("Id"), vmsan_vm_get_id (vm));
  print_pair (show, _ ("Name"), vmsan_vm_get_name (vm));
  print_pair (show, _ ("Owner"), owner);
  print_pair (show, _ ("State"), vmsan_vm_get_state (vm));
  print_pair (show, _ ("Reason"), vmsan_vm_get_state_reason (vm));
  print_pair (show, _ ("Driver"), vmsan_vm_get_driver (vm));
  print_pair (show, _ ("Acceleration"), vmsan_vm_get_acceleration (vm));
  print_number (show, _ ("CPUs"), vmsan_vm_get_vcpus (vm), "");
  print_number (show, _ ("Memory"), vmsan_vm_get_memory_mib (vm), "MiB");
  print_number (show, _ ("Disk"), vmsan_vm_get_disk_mib (vm), "MiB");
  print_pair (show, _ ("Image"),
              strrchr (vmsan_vm_get_image_path (vm), '/') != NULL
                  ? strrchr (vmsan_vm_get_image_path (vm), '/') + 1
                  : "");
  print_pair (show, _ ("Kernel"),
              strrchr (vmsan_vm_get_kernel_path (vm), '/') != NULL
                  ? strrchr (vmsan_vm_get_kernel_path (vm), '/') + 1
                  : "");
  print_time (show, _ ("Created"), vmsan_vm_get_created_at (vm));
  print_time (show, _ ("Stops at"), vmsan_vm_get_timeout_at (vm));
}

static void
print_network (Show *show, GVariant *network)
{
  g_autoptr (GString) text = g_string_new (NULL);

  network_text_append (text, network, show->colourful);
  fputs (text->str, stdout);
}

/* The service may send more than this program knows of. */
static void
print_details (Show *show, GVariant *details)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, details);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autofree char *text = NULL;

      if (strcmp (key, "console") == 0)
        continue;
      if (strcmp (key, "network") == 0 && g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
        {
          print_network (show, value);
          continue;
        }
      if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
        text = g_variant_dup_string (value, NULL);
      else
        text = g_variant_print (value, FALSE);
      print_pair (show, key, text);
    }
}

static void
print_console (GVariant *details)
{
  g_autofree char *console = NULL;
  g_autofree char *safe = NULL;

  if (!g_variant_lookup (details, "console", "s", &console))
    return;
  safe = text_printable_block (console);
  fputs (safe, stdout);
  if (safe[0] != '\0' && !g_str_has_suffix (safe, "\n"))
    putchar ('\n');
}

static void
show_for_people (Show *show, VmsanVM *vm, GVariant *details)
{
  if (!show->first)
    putchar ('\n');
  show->first = FALSE;
  if (show->console && details != NULL)
    {
      print_console (details);
      return;
    }
  print_vm (show, vm);
  if (details != NULL)
    print_details (show, details);
}

static int
show_vm (Show *show, const char *name)
{
  VmsanClient *client = show->app->client;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) details = NULL;
  g_autoptr (VmsanVM) vm = vmsan_client_get_vm_sync (client, name, NULL, &error);

  if (vm == NULL)
    return app_report (error, NULL);
  do
    details = vmsan_vm_get_details_sync (vm, NULL, &error);
  while (details == NULL && show->console && app_may_ask (show->app, &error));

  if (show->builder != NULL)
    {
      output_begin_vm (show->builder, vm);
      if (details != NULL)
        output_add_variant (show->builder, "details", details);
      json_builder_end_object (show->builder);
    }
  else if (details != NULL || !show->console)
    show_for_people (show, vm, details);
  if (details != NULL)
    return APP_OK;
  if (show->console)
    return app_report (error, NULL);
  app_print_note (show->app, _ ("Only part of “%s” is shown: %s"), name, error->message);
  return APP_OK;
}

static int
run (App *app, int argc, char **argv)
{
  Show show = { .app = app, .first = TRUE };
  const GOptionEntry entries[] = {
    { "console", 0, 0, G_OPTION_ARG_NONE, &show.console,
      N_ ("Print the end of the machine's console"), NULL },
    { NULL },
  };
  g_autoptr (JsonBuilder) builder = NULL;
  int exit_code = APP_OK;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc < 2)
    return app_usage_error (app, "%s", _ ("Name at least one machine"));
  if (!app_connect (app, &exit_code))
    return exit_code;

  show.colourful = text_is_colourful (STDOUT_FILENO);
  if (app->json)
    {
      builder = show.builder = json_builder_new ();
      json_builder_begin_array (builder);
    }
  for (int i = 1; i < argc; i++)
    {
      int one = show_vm (&show, argv[i]);

      exit_code = exit_code == APP_OK ? one : exit_code;
    }
  if (builder != NULL)
    {
      json_builder_end_array (builder);
      output_print (builder, TRUE);
    }
  return exit_code;
}

const Command command_show = {
  .name = "show",
  .arguments = N_ ("VM…"),
  .summary = N_ ("Show what is known of machines"),
  .run = run,
};
