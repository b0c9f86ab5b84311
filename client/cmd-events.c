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

#define FROM_NOW_ON G_MININT64

typedef struct
{
  App *app;
  char **vms;   /* ids; NULL: all */
  char **names; /* of signals; NULL: all */
  gint64 count; /* how many more to print; 0: no limit */
  gint64 since; /* print what came after this one first; FROM_NOW_ON: nothing */
  guint64 last_sequence;
  gboolean colourful;
  gboolean done;
  int exit_code;
} Events;

/* What the arguments of a signal are called, in their order, behind its number. */
static const char *const *
argument_names (const char *signal)
{
  static const char *const plain[] = { "id", "owner", "reason", "actor", NULL };
  static const char *const state[] = { "id",     "owner", "old-state", "new-state",
                                       "reason", "actor", NULL };
  static const char *const error[] = { "id",      "owner", "phase", "error-name",
                                       "message", "actor", NULL };
  static const char *const policy[] = { "id",     "owner", "old-policy", "new-policy",
                                        "reason", "actor", NULL };
  const struct
  {
    const char *signal;
    const char *const *names;
  } wide[] = { { "StateChanged", state }, { "Error", error }, { "NetworkPolicyChanged", policy } };

  for (gsize i = 0; i < G_N_ELEMENTS (wide); i++)
    if (strcmp (signal, wide[i].signal) == 0)
      return wide[i].names;
  return plain;
}

/* The arguments by their names, as GetEvents has them; NULL for a signal that this program does not
 * know, as it comes from a newer service. */
static GVariant *
name_arguments (const char *signal, GVariant *parameters)
{
  const char *const *names = argument_names (signal);
  gboolean is_plain = g_strv_length ((char **) names) == 4;
  GVariantDict named;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE (is_plain ? "(tsuss)" : "(tsussss)")))
    return NULL;
  g_variant_dict_init (&named, NULL);
  g_variant_dict_insert (&named, "time", "t", (guint64) g_get_real_time ());
  for (gsize i = 0; names[i] != NULL; i++)
    {
      g_autoptr (GVariant) value = g_variant_get_child_value (parameters, i + 1);

      g_variant_dict_insert_value (&named, names[i], value);
    }
  return g_variant_ref_sink (g_variant_dict_end (&named));
}

static const char *
get_text (GVariant *arguments, const char *key)
{
  const char *value = "";

  g_variant_lookup (arguments, key, "&s", &value);
  return value;
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
print_json (guint64 sequence, const char *signal, GVariant *arguments)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  const char *const *names = argument_names (signal);
  guint64 time = 0;

  g_variant_lookup (arguments, "time", "t", &time);
  json_builder_begin_object (builder);
  output_add_int (builder, "time", (gint64) time);
  output_add_string (builder, "event", signal);
  output_add_int (builder, "sequence", (gint64) sequence);
  for (gsize i = 0; names[i] != NULL; i++)
    {
      g_autoptr (GVariant) value = g_variant_lookup_value (arguments, names[i], NULL);

      if (value != NULL)
        output_add_variant (builder, names[i], value);
    }
  json_builder_end_object (builder);
  output_print (builder, FALSE);
}

static void
print_text (const Events *events, const char *signal, GVariant *arguments)
{
  const char *const *names = argument_names (signal);
  g_autofree char *time_text = NULL;
  guint64 time = 0;

  g_variant_lookup (arguments, "time", "t", &time);
  time_text = text_time ((gint64) time);
  printf ("%s  %s%-20s%s %s", time_text, text_bold (events->colourful), signal,
          text_plain (events->colourful), get_text (arguments, "id"));
  for (gsize i = 2; names[i] != NULL; i++)
    {
      g_autofree char *safe = text_printable (get_text (arguments, names[i]));

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
print_event (Events *events, guint64 sequence, const char *signal, GVariant *arguments)
{
  if (events->done || !is_wanted (events, signal, get_text (arguments, "id")))
    return;
  if (events->app->json)
    print_json (sequence, signal, arguments);
  else
    print_text (events, signal, arguments);
  /* Whoever reads a pipe wants to see it now. */
  if (fflush (stdout) != 0)
    events->done = TRUE;
  if (events->count > 0 && --events->count == 0)
    events->done = TRUE;
}

static void
on_hook (VmsanClient *client, const char *signal, GVariant *parameters, gpointer user_data)
{
  Events *events = user_data;
  g_autoptr (GVariant) arguments = name_arguments (signal, parameters);
  guint64 sequence;

  if (!has_sequence (parameters))
    return;
  g_variant_get_child (parameters, 0, "t", &sequence);
  /* It was among those that the service remembered, too. */
  if (sequence <= events->last_sequence)
    return;
  check_sequence (events, sequence);
  if (arguments != NULL)
    print_event (events, sequence, signal, arguments);
}

/* What came before; signals that arrive meanwhile wait. */
static gboolean
print_past (Events *events)
{
  g_autoptr (GError) error = NULL;
  gboolean missed = FALSE;
  guint64 next = 0;
  g_autoptr (GVariant) past =
      vmsan_client_get_events_sync (events->app->client, (guint64) events->since, &next, &missed,
                                    NULL, &error);

  if (past == NULL)
    {
      events->exit_code = app_report (error, _ ("Could not ask for past events"));
      return FALSE;
    }
  if (missed)
    app_print_note (events->app, "%s",
                    _ ("Some events are missing: the service has forgotten them, or was started "
                       "again"));
  for (gsize i = 0; i < g_variant_n_children (past); i++)
    {
      g_autoptr (GVariant) arguments = NULL;
      const char *signal;
      guint64 sequence;

      g_variant_get_child (past, i, "(t&s@a{sv})", &sequence, &signal, &arguments);
      print_event (events, sequence, signal, arguments);
    }
  events->last_sequence = next;
  return TRUE;
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

  if (events->since != FROM_NOW_ON && !print_past (events))
    events->done = TRUE;
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
  Events events = { .app = app, .since = FROM_NOW_ON };
  g_auto (GStrv) names = NULL;
  const GOptionEntry entries[] = {
    { "count", 'n', 0, G_OPTION_ARG_INT64, &events.count, N_ ("End after this many events"), "N" },
    { "name", 'e', 0, G_OPTION_ARG_STRING_ARRAY, &names,
      N_ ("Only events of this name, such as AfterStop; may be given several times"),
      N_ ("EVENT") },
    { "since", 0, 0, G_OPTION_ARG_INT64, &events.since,
      N_ ("First print what came after this sequence number and is remembered; 0: all of that"),
      N_ ("NUMBER") },
    { NULL },
  };
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (events.count < 0)
    return app_usage_error (app, "%s", _ ("--count needs a number above 0"));
  if (events.since < 0 && events.since != FROM_NOW_ON)
    return app_usage_error (app, "%s", _ ("--since needs a sequence number, or 0"));
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
