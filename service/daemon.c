/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the name is on the bus only while everything behind it works: machines are taken over
 * before it is owned, and operations have ended before it is given up. Machines run on. */

#include "daemon.h"

#include "bus/bus-service.h"
#include "config.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/stat.h>

#define BUS_NAME       "org.vmsan"
#define DEFAULT_CONFIG SYSCONFDIR "/vmsan/vmsand.conf"

typedef struct
{
  GMainLoop *loop;
  VmsanVmManager *manager;
  GDBusConnection *connection;
  VmsanBus *bus;
  guint name_id;
  gboolean stopping;
  int exit_code;
} Daemon;

static void
give_up (Daemon *self, const char *what, const char *message)
{
  g_printerr ("vmsand: %s: %s\n", what, message);
  self->exit_code = 1;
  g_main_loop_quit (self->loop);
}

/* ---- Stopping ------------------------------------------------------------------------------ */

static void
on_flushed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Daemon *self = user_data;

  g_dbus_connection_flush_finish (G_DBUS_CONNECTION (source), result, NULL);
  g_main_loop_quit (self->loop);
}

static void
on_quiesced (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Daemon *self = user_data;

  vmsan_vm_manager_quiesce_finish (self->manager, result, NULL);
  g_clear_handle_id (&self->name_id, g_bus_unown_name);
  if (self->connection != NULL && !g_dbus_connection_is_closed (self->connection))
    g_dbus_connection_flush (self->connection, NULL, on_flushed, self);
  else
    g_main_loop_quit (self->loop);
}

static void
stop (Daemon *self)
{
  if (self->stopping)
    return;
  self->stopping = TRUE;
  vmsan_vm_manager_quiesce_async (self->manager, on_quiesced, self);
}

static gboolean
on_signal (gpointer user_data)
{
  stop (user_data);
  return G_SOURCE_CONTINUE;
}

/* ---- Starting ------------------------------------------------------------------------------ */

static void
on_name_lost (GDBusConnection *connection, const char *name, gpointer user_data)
{
  Daemon *self = user_data;

  if (self->stopping)
    return;
  g_printerr ("vmsand: the name %s is not ours%s\n", name,
              connection == NULL ? ": the bus is gone"
                                 : ": another vmsand has it, or the bus's "
                                   "policy forbids it");
  self->exit_code = 1;
  stop (self);
}

static void
on_loaded (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Daemon *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_vm_manager_load_finish (self->manager, result, &error))
    give_up (self, "Reading what was stored failed", error->message);
  else if (!self->stopping)
    self->name_id =
        g_bus_own_name_on_connection (self->connection, BUS_NAME, G_BUS_NAME_OWNER_FLAGS_NONE, NULL,
                                      on_name_lost, self, NULL);
}

static void
on_connection (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Daemon *self = user_data;
  g_autoptr (GError) error = NULL;

  self->connection = g_bus_get_finish (result, &error);
  if (self->connection == NULL)
    {
      give_up (self, "There is no system bus", error->message);
      return;
    }
  g_dbus_connection_set_exit_on_close (self->connection, FALSE);
  self->bus = vmsan_bus_new (self->connection, self->manager, &error);
  if (self->bus == NULL)
    {
      give_up (self, "Exporting on the bus failed", error->message);
      return;
    }
  vmsan_vm_manager_load_async (self->manager, on_loaded, self);
}

typedef struct
{
  char *config_path;
  char *state_directory;
  char *runtime_directory;
  char *libexec_directory;
  gboolean version;
} Options;

static gboolean
parse_options (int *argc, char ***argv, Options *options, GError **error)
{
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &options->config_path,
      "Configuration; default " DEFAULT_CONFIG ", if it is there", "FILE" },
    { "state-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->state_directory,
      "Where machines, images and kernels are kept, in place of the configured one", "DIR" },
    { "runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->runtime_directory,
      "Where sockets and logs of running machines are, in place of the configured one", "DIR" },
    { "libexec-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->libexec_directory,
      "Where vmsan-agent and the other helpers are; default " PKGLIBEXECDIR, "DIR" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- run untrusted code in microVMs");

  g_option_context_add_main_entries (context, entries, NULL);
  return g_option_context_parse (context, argc, argv, error);
}

static void
override_path (char **member, char *value)
{
  if (value == NULL)
    return;
  g_free (*member);
  *member = g_canonicalize_filename (value, NULL);
  g_free (value);
}

static VmsanConfig *
load_config (Options *options, GError **error)
{
  g_autofree char *path = g_steal_pointer (&options->config_path);
  VmsanConfig *config;

  if (path == NULL && g_file_test (DEFAULT_CONFIG, G_FILE_TEST_EXISTS))
    path = g_strdup (DEFAULT_CONFIG);
  config = vmsan_config_load (path, error);
  if (config != NULL)
    {
      override_path (&config->state_directory, options->state_directory);
      override_path (&config->runtime_directory, options->runtime_directory);
      override_path (&config->libexec_directory, options->libexec_directory);
    }
  return config;
}

static int
run (VmsanConfig *config, GPtrArray *vmms)
{
  Daemon self = { 0 };
  g_autoptr (GError) error = NULL;
  guint term_id, int_id;

  self.manager = vmsan_vm_manager_new (config, vmms, &error);
  if (self.manager == NULL)
    {
      g_printerr ("vmsand: %s\n", error->message);
      return 1;
    }
  self.loop = g_main_loop_new (NULL, FALSE);
  term_id = g_unix_signal_add (SIGTERM, on_signal, &self);
  int_id = g_unix_signal_add (SIGINT, on_signal, &self);
  g_bus_get (G_BUS_TYPE_SYSTEM, NULL, on_connection, &self);
  g_main_loop_run (self.loop);

  g_source_remove (term_id);
  g_source_remove (int_id);
  g_clear_handle_id (&self.name_id, g_bus_unown_name);
  g_clear_pointer (&self.bus, vmsan_bus_free);
  g_clear_object (&self.connection);
  g_clear_object (&self.manager);
  g_main_loop_unref (self.loop);
  return self.exit_code;
}

int
vmsan_daemon_main (int argc, char **argv, VmsanDaemonDrivers drivers)
{
  Options options = { 0 };
  g_autoptr (GError) error = NULL;
  VmsanConfig *config = NULL;
  g_autoptr (GPtrArray) vmms = NULL;

  /* Whatever is made is for root alone, unless said otherwise. */
  umask (077);
  if (parse_options (&argc, &argv, &options, &error) && options.version)
    {
      g_print ("vmsand %s\n", PACKAGE_VERSION);
      return 0;
    }
  if (error == NULL)
    config = load_config (&options, &error);
  if (config == NULL)
    {
      g_printerr ("vmsand: %s\n", error->message);
      return 2;
    }
  vmms = drivers (config);
  return run (config, vmms);
}
