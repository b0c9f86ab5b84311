/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* setup firecracker: installs a release of Firecracker. Works without the service. */

#include "config.h"

#include "checksum.h"
#include "commands.h"
#include "output.h"
#include "progress.h"
#include "release-archive.h"
#include "release-store.h"
#include "setup-source.h"
#include "text.h"
#include "units.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_INTERVAL_US (200 * 1000)
#define SILENCE_DEFAULT_S    30
#define SILENCE_MAX_S        3600
#define CHECKSUM_SUFFIX      ".sha256.txt"

typedef struct
{
  App *app;

  /* options */
  char *from;
  char *sha256;
  char *checksum_from;
  char *directory;
  char *timeout;
  gboolean remove_old;
  gboolean force;

  guint silence_s;
  char *archive;  /* the name of the archive */
  char *checksum; /* that it must have */
  Release release;
  ReleaseStore *store;
  Release previous; /* the one that was current */
  gboolean has_previous;
  GPtrArray *removed;
  Progress progress;
  gint64 reported_at;
} Setup;

static void
setup_clear (Setup *setup)
{
  g_free (setup->from);
  g_free (setup->sha256);
  g_free (setup->checksum_from);
  g_free (setup->directory);
  g_free (setup->timeout);
  g_free (setup->archive);
  g_free (setup->checksum);
  g_clear_pointer (&setup->store, release_store_close);
  g_clear_pointer (&setup->removed, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Setup, setup_clear)

/* ---- what is asked for --------------------------------------------------------------------- */

/* FALSE: it was reported as wrong usage. */
static gboolean
check_options (Setup *setup)
{
  g_autoptr (GError) error = NULL;
  guint64 timeout_ms = SILENCE_DEFAULT_S * 1000;

  if (setup->from == NULL)
    app_usage_error (setup->app, "%s", _ ("Say where the archive is, with --from FILE or URL"));
  else if (setup->sha256 != NULL && setup->checksum_from != NULL)
    app_usage_error (setup->app, "%s", _ ("Give --sha256 or --checksum-from, not both"));
  else if (setup->timeout != NULL && !units_parse_duration_ms (setup->timeout, &timeout_ms, &error))
    app_usage_error (setup->app, "%s", error->message);
  else if (timeout_ms == 0 || timeout_ms > SILENCE_MAX_S * 1000)
    app_usage_error (setup->app, "%s", _ ("The timeout must be from 1 second to 1 hour"));
  else
    {
      setup->silence_s = (guint) ((timeout_ms + 999) / 1000);
      return TRUE;
    }
  return FALSE;
}

static gboolean
find_release (Setup *setup, GError **error)
{
  gboolean tested;

  setup->archive = setup_source_get_name (setup->from, error);
  if (setup->archive == NULL || !release_parse_archive (setup->archive, &setup->release, error) ||
      !release_check (&setup->release, &tested, error))
    return FALSE;
  if (!tested)
    app_print_note (setup->app, _ ("vmsan has not been tested with Firecracker %s"),
                    setup->release.name);
  return TRUE;
}

static gboolean
find_checksum (Setup *setup, GError **error)
{
  g_autofree char *from = g_strdup (setup->checksum_from);
  g_autofree char *list = NULL;

  if (setup->sha256 != NULL)
    {
      setup->checksum = checksum_parse (setup->sha256, error);
      return setup->checksum != NULL;
    }
  if (from == NULL)
    from = setup_source_get_beside (setup->from, CHECKSUM_SUFFIX, error);
  if (from == NULL)
    return FALSE;
  list = setup_source_read_text (from, setup->silence_s, error);
  if (list == NULL)
    {
      g_prefix_error (error,
                      _ ("Without a checksum nothing is installed: give it with --sha256, or "
                         "a file that has it with --checksum-from. "));
      return FALSE;
    }
  setup->checksum = checksum_find (list, setup->archive, from, error);
  return setup->checksum != NULL;
}

/* ---- doing it ------------------------------------------------------------------------------ */

static gboolean
open_store (Setup *setup, GError **error)
{
  const char *directory = setup->directory != NULL ? setup->directory : RELEASE_STORE_DIRECTORY;

  setup->store = release_store_open (directory, error);
  if (setup->store == NULL ||
      !release_store_get_current (setup->store, &setup->previous, &setup->has_previous, error))
    return FALSE;
  if (!setup->has_previous || setup->force ||
      release_compare (&setup->release, &setup->previous) >= 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_EXISTS,
               _ ("Firecracker %s is newer and current in “%s”: use --force to go back to %s"),
               setup->previous.name, directory, setup->release.name);
  return FALSE;
}

static void
begin_download (goffset done, gpointer user_data)
{
  Setup *setup = user_data;
  g_autofree char *size = text_bytes ((guint64) done);

  if (setup->progress.wanted)
    return;
  if (done > 0)
    app_print_note (setup->app, _ ("Downloading the rest of %s; %s is here already"),
                    setup->archive, size);
  else
    app_print_note (setup->app, _ ("Downloading %s"), setup->archive);
}

static void
report_download (goffset done, goffset total, gpointer user_data)
{
  Setup *setup = user_data;
  gint64 now = g_get_monotonic_time ();
  g_autofree char *size = NULL;

  if (!setup->progress.wanted || now - setup->reported_at < PROGRESS_INTERVAL_US)
    return;
  setup->reported_at = now;
  size = text_bytes ((guint64) done);
  if (total > 0)
    progress_say (&setup->progress, _ ("downloading %s: %s, %d %%"), setup->archive, size,
                  (int) MIN (100, done * 100 / total));
  else
    progress_say (&setup->progress, _ ("downloading %s: %s"), setup->archive, size);
}

/* Returns a descriptor of the archive, which is what it should be; -1 on an error. */
static int
fetch (Setup *setup, GError **error)
{
  const Download download = {
    .url = setup->from,
    .silence_s = setup->silence_s,
    .begin = begin_download,
    .report = report_download,
    .user_data = setup,
  };
  int fd;

  progress_begin (&setup->progress, setup->app->quiet);
  fd = setup_source_fetch (&download, release_store_get_private (setup->store), error);
  progress_end (&setup->progress);
  if (fd < 0)
    return -1;
  if (!checksum_verify (fd, setup->archive, setup->checksum, error))
    {
      close (fd);
      return -1;
    }
  if (!setup->progress.wanted)
    app_print_note (setup->app, _ ("%s has the right checksum"), setup->archive);
  return fd;
}

static gboolean
install (Setup *setup, GError **error)
{
  int fd = fetch (setup, error);
  int directory;
  gboolean ok;

  if (fd < 0)
    return FALSE;
  directory = release_store_prepare (setup->store, error);
  ok = directory >= 0 &&
       release_archive_unpack (fd, setup->archive, &setup->release, directory, error);
  close (fd);
  return ok && release_store_install (setup->store, &setup->release, error);
}

/* ---- what it says -------------------------------------------------------------------------- */

static void
print_result (Setup *setup)
{
  g_autofree char *directory =
      g_build_filename (release_store_get_path (setup->store), setup->release.name, NULL);
  g_autoptr (JsonBuilder) builder = NULL;

  if (!setup->app->json)
    {
      puts (directory);
      return;
    }
  builder = json_builder_new ();
  json_builder_begin_object (builder);
  output_add_string (builder, "version", setup->release.name);
  output_add_string (builder, "directory", directory);
  output_add_string (builder, "previous-version", setup->has_previous ? setup->previous.name : "");
  json_builder_set_member_name (builder, "removed-versions");
  json_builder_begin_array (builder);
  for (guint i = 0; i < setup->removed->len; i++)
    json_builder_add_string_value (builder, setup->removed->pdata[i]);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  output_print (builder, TRUE);
}

static void
print_next_step (Setup *setup)
{
  const char *path = release_store_get_path (setup->store);

  for (guint i = 0; i < setup->removed->len; i++)
    app_print_note (setup->app, _ ("Removed %s"), (const char *) setup->removed->pdata[i]);
  if (strcmp (path, RELEASE_STORE_DIRECTORY) == 0)
    app_print_note (
        setup->app,
        _ ("Firecracker %s is installed. The service finds it there by itself; machines "
           "that run keep the one that they have."),
        setup->release.name);
  else
    app_print_note (
        setup->app,
        _ ("Firecracker %s is installed. The service does not look there by itself: "
           "write “Directories=%s/current” below [Firecracker] in %s/vmsan/vmsand.conf, "
           "then run “systemctl try-restart vmsand”."),
        setup->release.name, path, SYSCONFDIR);
}

static int
setup_run (Setup *setup)
{
  g_autoptr (GError) error = NULL;
  gboolean removed = TRUE;

  if (!find_release (setup, &error) || !find_checksum (setup, &error) ||
      !open_store (setup, &error) || !install (setup, &error))
    return app_report (error, _ ("Could not install Firecracker"));
  setup->removed = g_ptr_array_new_with_free_func (g_free);
  if (setup->remove_old)
    removed = release_store_remove_others (setup->store, &setup->release, setup->removed, &error);
  print_result (setup);
  print_next_step (setup);
  return removed ? APP_OK : app_report (error, _ ("Could not remove older releases"));
}

static int
run (App *app, int argc, char **argv)
{
  g_auto (Setup) setup = { .app = app };
  const GOptionEntry entries[] = {
    { "from", 0, 0, G_OPTION_ARG_FILENAME, &setup.from,
      N_ ("The archive: firecracker-vX.Y.Z-ARCH.tgz"), N_ ("FILE|URL") },
    { "sha256", 0, 0, G_OPTION_ARG_STRING, &setup.sha256, N_ ("The checksum of the archive"),
      N_ ("HEX") },
    { "checksum-from", 0, 0, G_OPTION_ARG_FILENAME, &setup.checksum_from,
      N_ ("List with the checksum (default: the archive's name with .sha256.txt behind it)"),
      N_ ("FILE|URL") },
    { "directory", 0, 0, G_OPTION_ARG_FILENAME, &setup.directory,
      N_ ("Where to install (default: /usr/local/lib/vmsan/firecracker)"), N_ ("DIRECTORY") },
    { "remove-old", 0, 0, G_OPTION_ARG_NONE, &setup.remove_old,
      N_ ("Remove the other versions there"), NULL },
    { "force", 'f', 0, G_OPTION_ARG_NONE, &setup.force, N_ ("Also install an older version"),
      NULL },
    { "timeout", 't', 0, G_OPTION_ARG_STRING, &setup.timeout,
      N_ ("Give up when the server is silent for so long (default: 30s)"), N_ ("DURATION") },
    { NULL },
  };

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 1)
    return app_usage_error (app, _ ("Unexpected argument “%s”"), argv[1]);
  if (!check_options (&setup))
    return APP_USAGE;
  if (geteuid () != 0)
    {
      app_print_error (_ ("Only root can install programs for the service: use sudo"));
      return APP_NOT_AUTHORIZED;
    }
  /* Everybody may read what is installed. */
  umask (0022);
  return setup_run (&setup);
}

const Command command_setup_firecracker = {
  .name = "setup firecracker",
  .arguments = N_ ("--from FILE|URL"),
  .summary = N_ ("Install Firecracker from a release's archive; prints where"),
  .description = N_ (
      "Needs root, and not the service. URLs are https, or http to this machine itself. The "
      "archive\nmust have the checksum that is given, or that is in a file beside it. A "
      "download that broke off\nis continued by the next one. Programs are switched in one step."),
  .run = run,
};
