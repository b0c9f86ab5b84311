/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ready-service NAME FILE…
 *
 * The bare service: owns NAME, and answers method Get of interface NAME on object /N with the reply
 * that was saved by "bus-timer --save" in FILE number N. Prints a line when it is ready. It looks
 * at nothing and makes nothing: the values are ready, and GDBus only has to send them. */

#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>

static void
check (gboolean ok, GError *error)
{
  if (ok)
    return;
  fprintf (stderr, "ready-service: %s\n", error->message);
  exit (1);
}

static void
on_call (GDBusConnection *connection,
         const char *sender,
         const char *path,
         const char *interface,
         const char *method,
         GVariant *parameters,
         GDBusMethodInvocation *invocation,
         gpointer reply)
{
  g_dbus_method_invocation_return_value (invocation, reply);
}

/* A node with the one method, which returns values of the types in @reply. */
static GDBusNodeInfo *
describe (const char *interface, GVariant *reply)
{
  g_autoptr (GString) xml = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  GDBusNodeInfo *node;

  g_string_append_printf (xml, "<node><interface name='%s'><method name='Get'>", interface);
  for (gsize i = 0; i < g_variant_n_children (reply); i++)
    {
      g_autoptr (GVariant) value = g_variant_get_child_value (reply, i);

      g_string_append_printf (xml, "<arg type='%s' direction='out'/>",
                              g_variant_get_type_string (value));
    }
  g_string_append (xml, "</method></interface></node>");
  node = g_dbus_node_info_new_for_xml (xml->str, &error);
  check (node != NULL, error);
  return node;
}

static void
export_reply (GDBusConnection *connection, const char *name, int number, const char *file)
{
  static const GDBusInterfaceVTable vtable = { on_call, NULL, NULL, { 0 } };
  g_autofree char *path = g_strdup_printf ("/%d", number);
  g_autofree char *data = NULL;
  g_autoptr (GDBusMessage) message = NULL;
  g_autoptr (GDBusNodeInfo) node = NULL;
  g_autoptr (GError) error = NULL;
  GVariant *reply;
  gsize size;

  check (g_file_get_contents (file, &data, &size, &error), error);
  message =
      g_dbus_message_new_from_blob ((guchar *) data, size, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  check (message != NULL, error);
  reply = g_variant_ref (g_dbus_message_get_body (message));
  node = describe (name, reply);
  check (g_dbus_connection_register_object (connection, path, node->interfaces[0], &vtable, reply,
                                            (GDestroyNotify) g_variant_unref, &error) != 0,
         error);
}

static void
on_name_acquired (GDBusConnection *connection, const char *name, gpointer data)
{
  puts ("ready");
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GDBusConnection) connection = NULL;
  g_autoptr (GError) error = NULL;

  if (argc < 3)
    {
      fputs ("Usage: ready-service NAME FILE…\n", stderr);
      return 2;
    }
  connection = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error);
  check (connection != NULL, error);
  for (int i = 2; i < argc; i++)
    export_reply (connection, argv[1], i - 2, argv[i]);
  g_bus_own_name_on_connection (connection, argv[1], G_BUS_NAME_OWNER_FLAGS_NONE, on_name_acquired,
                                NULL, NULL, NULL);
  g_main_loop_run (loop);
}
