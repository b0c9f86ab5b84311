/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* events: follows what happens to machines. */

#include "config.h"

#include "commands.h"
#include "output.h"
#include "text.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  App *app;
  char **vms;   /* ids; NULL: all */
  char **names; /* of signals; NULL: all */
  gint64 count; /* how many more to print; 0: no limit */
  guint64 last_sequence;
  gboolean colourful;
  gboolean done;
  int exit_code;
} Events;

/* What the arguments of a signal are called. */
static const char *const *
argument_names (const char *signal, GVariant *parameters)
{
  static const char *const plain[] = { "sequence", "id", "owner", "reason", "actor", NULL };
  static const char *const state[] = { "sequence",  "id",     "owner", "old-state",
                                       "new-state", "reason", "actor", NULL };
  static const char *const error[] = { "sequence",   "id",      "owner", "phase",
                                       "error-name", "message", "actor", NULL };
  static const char *const policy[] = { "sequence",   "id",     "owner", "old-policy",
                                        "new-policy", "reason", "actor", NULL };
  const struct
  {
    const char *signal;
    const char *const *names;
  } wide[] = { { "StateChanged", state }, { "Error", error }, { "NetworkPolicyChanged", policy } };

  if (g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(tsussss)")))
    for (gsize i = 0; i < G_N_ELEMENTS (wide); i++)
      if (strcmp (signal, wide[i].signal) == 0)
        return wide[i].names;
  if (g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(tsuss)")))
    return plain;
  return NULL;
}

static gboolean
is_wanted (const Events *events, const char *signal, const char *id)
{
  if (events->names != NULL && !g_strv_contains ((const char *const *) events->names, signal))
    return FALSE;
  if (events->vms == NULL)
    return TRUE;
  for (gsize i = 0; events->vms[i] != NULL; i++)
    if (strcmp (id, events->vms[i]) == 0)
      return TRUE;
  return FALSE;
}

static void
print_json (const char *signal, const char *const *names, GVariant *parameters)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_object (builder);
  output_add_int (builder, "time", g_get_real_time ());
  output_add_string (builder, "event", signal);
  for (gsize i = 0; names[i] != NULL; i++)
    {
      g_autoptr (GVariant) value = g_variant_get_child_value (parameters, i);

      output_add_variant (builder, names[i], value);
    }
  json_builder_end_object (builder);
  output_print (builder, FALSE);
}

static void
print_text (const Events *events,
            const char *signal,
            const char *const *names,
            GVariant *parameters)
{
  g_autofree char *time = text_time (g_get_real_time ());
  const char *id = "";

  g_variant_get_child (parameters, 1, "&s", &id);
  printf ("%s  %s%-20s%s %s", time, text_bold (events->colourful), signal,
          text_plain (events->colourful), id);
  for (gsize i = 3; names[i] != NULL; i++)
    {
      const char *value = "";
      g_autofree char *safe = NULL;

      g_variant_get_child (parameters, i, "&s", &value);
      safe = text_printable (value);
      if (safe[0] != '\0')
        printf ("  %s=%s%s%s", names[i], strchr (safe, ' ') != NULL ? "“" : "", safe,
                strchr (safe, ' ') != NULL ? "”" : "");
    }
  putchar ('\n');
}

static gboolean
has_sequence (GVariant *parameters)
{
  g_autoptr (GVariant) first =
      g_variant_n_children (parameters) > 0 ? g_variant_get_child_value (parameters, 0) : NULL;

  return first != NULL && g_variant_is_of_type (first, G_VARIANT_TYPE_UINT64);
}

/* A gap in the numbers means that something was missed: the listener should look again. */
static void
check_sequence (Events *events, guint64 sequence)
{
  gulong missed = (gulong) (sequence - events->last_sequence - 1);

  if (events->last_sequence != 0 && sequence > events->last_sequence + 1)
    app_print_note (events->app,
                    ngettext ("%lu event was missed", "%lu events were missed", missed), missed);
  events->last_sequence = sequence;
}

static void
on_hook (VmsanClient *client, const char *signal, GVariant *parameters, gpointer user_data)
{
  Events *events = user_data;
  const char *const *names = argument_names (signal, parameters);
  guint64 sequence;
  const char *id;

  if (events->done || !has_sequence (parameters))
    return;
  g_variant_get_child (parameters, 0, "t", &sequence);
  check_sequence (events, sequence);
  /* A signal that this program does not know comes from a newer service. */
  if (names == NULL)
    return;
  g_variant_get_child (parameters, 1, "&s", &id);
  if (!is_wanted (events, signal, id))
    return;

  if (events->app->json)
    print_json (signal, names, parameters);
  else
    print_text (events, signal, names, parameters);
  /* Whoever reads a pipe wants to see it now. */
  if (fflush (stdout) != 0)
    events->done = TRUE;
  if (events->count > 0 && --events->count == 0)
    events->done = TRUE;
}

static void
on_available (VmsanClient *client, GParamSpec *pspec, gpointer user_data)
{
  Events *events = user_data;

  /* It counts from the beginning when it comes back. */
  events->last_sequence = 0;
  app_print_note (events->app, "%s",
                  vmsan_client_get_available (client) ? _ ("The service is back")
                                                      : _ ("The service has left the bus"));
}

static gboolean
on_signal (gpointer user_data)
{
  ((Events *) user_data)->done = TRUE;
  return G_SOURCE_CONTINUE;
}

static void
on_bus_closed (GDBusConnection *connection, gboolean vanished, GError *error, gpointer user_data)
{
  Events *events = user_data;

  app_print_error ("%s", _ ("The connection to the system bus ended"));
  events->exit_code = APP_ERROR;
  events->done = TRUE;
}

/* Short ids and names become ids. */
static gboolean
resolve (Events *events, int argc, char **argv)
{
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  if (argc < 2)
    return TRUE;
  for (int i = 1; i < argc; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanVM) vm =
          vmsan_client_get_vm_sync (events->app->client, argv[i], NULL, &error);

      if (vm == NULL)
        {
          events->exit_code = app_report (error, NULL);
          return FALSE;
        }
      g_strv_builder_add (ids, vmsan_vm_get_id (vm));
    }
  events->vms = g_strv_builder_end (ids);
  return TRUE;
}

static void
follow (Events *events)
{
  GDBusConnection *connection = vmsan_client_get_connection (events->app->client);
  guint sources[2];

  g_dbus_connection_set_exit_on_close (connection, FALSE);
  g_signal_connect (connection, "closed", G_CALLBACK (on_bus_closed), events);
  g_signal_connect (events->app->client, "hook", G_CALLBACK (on_hook), events);
  g_signal_connect (events->app->client, "notify::available", G_CALLBACK (on_available), events);
  sources[0] = g_unix_signal_add (SIGINT, on_signal, events);
  sources[1] = g_unix_signal_add (SIGTERM, on_signal, events);
  app_print_note (events->app, "%s", _ ("Waiting for events; Ctrl-C ends"));

  while (!events->done)
    g_main_context_iteration (NULL, TRUE);

  g_source_remove (sources[0]);
  g_source_remove (sources[1]);
  g_signal_handlers_disconnect_by_data (connection, events);
  g_signal_handlers_disconnect_by_data (events->app->client, events);
}

static int
run (App *app, int argc, char **argv)
{
  Events events = { .app = app };
  g_auto (GStrv) names = NULL;
  const GOptionEntry entries[] = {
    { "count", 'n', 0, G_OPTION_ARG_INT64, &events.count, N_ ("End after this many events"), "N" },
    { "name", 'e', 0, G_OPTION_ARG_STRING_ARRAY, &names,
      N_ ("Only events of this name, such as AfterStop; may be given several times"),
      N_ ("EVENT") },
    { NULL },
  };
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (events.count < 0)
    return app_usage_error (app, "%s", _ ("--count needs a number above 0"));
  if (!app_connect (app, &exit_code))
    return exit_code;

  events.names = names;
  events.colourful = text_is_colourful (STDOUT_FILENO);
  if (resolve (&events, argc, argv))
    follow (&events);
  g_strfreev (events.vms);
  return events.exit_code;
}

const Command command_events = {
  .name = "events",
  .arguments = N_ ("[VM…]"),
  .summary = N_ ("Follow what happens to machines"),
  .run = run,
};
