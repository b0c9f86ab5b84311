/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* image add, list, remove. */

#include "config.h"

#include "commands.h"
#include "content.h"
#include "output.h"
#include "pack-tree.h"
#include "progress.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_INTERVAL_MS 200

/* Where the content comes from. */
typedef struct
{
  const char *path;
  int fd;          /* what the service gets */
  goffset size;    /* of a regular file, else 0 */
  PackTree pack;   /* a directory */
  int pack_fd;     /* where it is packed to, -1: no directory */
  GThread *packer; /* or NULL */
  GError *pack_error;
  Progress progress;
} Source;

static void
print_table (GPtrArray *images)
{
  g_autoptr (Table) table = table_new ();

  table_add_column (table, _ ("ID"), TABLE_FIXED);
  table_add_column (table, _ ("NAME"), TABLE_SHRINKS);
  table_add_column (table, _ ("FORMAT"), TABLE_FIXED);
  table_add_column (table, _ ("SIZE"), TABLE_RIGHT);
  table_add_column (table, _ ("ADDED BY"), TABLE_SHRINKS);
  table_add_column (table, _ ("AGE"), TABLE_SHRINKS);
  for (guint i = 0; i < images->len; i++)
    {
      VmsanImage *image = images->pdata[i];
      g_autofree char *id = text_short_id (vmsan_image_get_id (image));
      g_autofree char *size = text_bytes (vmsan_image_get_size (image));
      g_autofree char *user = text_user_name (vmsan_image_get_added_by (image));
      g_autofree char *age = text_age (vmsan_image_get_added_at (image));
      const char *cells[] = {
        id, vmsan_image_get_name (image), vmsan_image_get_format (image), size, user, age
      };

      table_add_row (table, cells, 0, NULL);
    }
  table_print (table);
}

static const ContentKind image_kind = {
  .name_at_least_one = N_ ("Name at least one image"),
  .could_not_list = N_ ("Could not list images"),
  .list = vmsan_client_list_images_sync,
  .get = CONTENT_GET (vmsan_client_get_image_sync),
  .remove = CONTENT_REMOVE (vmsan_image_remove_sync),
  .get_id = CONTENT_ID (vmsan_image_get_id),
  .add_json = CONTENT_JSON (output_add_image),
  .print_table = print_table,
};

/* ---- add ----------------------------------------------------------------------------------- */

static void
note_left_out (const char *text)
{
  app_print_error ("%s", text);
}

/* Closing the other end, when the service refuses the image, ends the writing with EPIPE. */
static gpointer
pack_thread (gpointer data)
{
  Source *source = data;

  pack_tree_write (&source->pack, source->path, source->pack_fd, &source->pack_error);
  close (source->pack_fd);
  return NULL;
}

static gboolean
source_open_directory (Source *source, GError **error)
{
  int fds[2];

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
    return FALSE;
  source->fd = fds[0];
  source->pack_fd = fds[1];
  source->pack.note = note_left_out;
  source->packer = g_thread_new ("pack", pack_thread, source);
  return TRUE;
}

static gboolean
source_open (Source *source, GError **error)
{
  struct stat info;

  if (strcmp (source->path, "-") == 0)
    source->fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  else
    source->fd = open (source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (source->fd < 0 || fstat (source->fd, &info) != 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), _ ("Could not open “%s”: %s"),
                   source->path, g_strerror (errno));
      return FALSE;
    }
  if (isatty (source->fd))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                           _ ("An image cannot come from a terminal: give a file or a pipe"));
      return FALSE;
    }
  if (S_ISDIR (info.st_mode))
    {
      close (source->fd);
      source->fd = -1;
      return source_open_directory (source, error);
    }
  if (S_ISREG (info.st_mode))
    source->size = info.st_size;
  return TRUE;
}

/* The service reads through the descriptor that we share with it, so its place in the file is
 * ours, and nothing is shown before it was allowed to read. */
static gboolean
show_progress (gpointer user_data)
{
  Source *source = user_data;
  goffset done;
  g_autofree char *text = NULL;

  if (source->packer != NULL)
    done = (goffset) g_atomic_pointer_get (&source->pack.packed_bytes);
  else
    done = lseek (source->fd, 0, SEEK_CUR);
  if (done <= 0)
    return G_SOURCE_CONTINUE;
  text = text_bytes ((guint64) done);
  if (source->size > 0)
    progress_say (&source->progress, _ ("adding %s: %s, %d %%"), source->path, text,
                  (int) MIN (100, done * 100 / source->size));
  else
    progress_say (&source->progress, _ ("adding %s: %s"), source->path, text);
  return G_SOURCE_CONTINUE;
}

static VmsanImage *
add (App *app, Source *source, GVariant *options, GError **error)
{
  guint timer = g_timeout_add (PROGRESS_INTERVAL_MS, show_progress, source);
  VmsanImage *image;

  progress_begin (&source->progress, app->quiet);
  do
    {
      g_autoptr (GAsyncResult) result = NULL;

      vmsan_client_add_image (app->client, source->fd, options, NULL, app_done, &result);
      image = vmsan_client_add_image_finish (app->client, app_wait (&result), error);
    }
  while (image == NULL && app_may_ask (app, error));
  g_source_remove (timer);
  progress_end (&source->progress);
  return image;
}

/* Joins the packer; pack_error tells whether all was packed. */
static void
source_close (Source *source)
{
  if (source->fd >= 0)
    close (source->fd);
  source->fd = -1;
  if (source->packer != NULL)
    g_thread_join (source->packer);
  source->packer = NULL;
}

static int
add_source (App *app, Source *source, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanImage) image = NULL;
  g_autoptr (GVariant) options = NULL;
  GVariantDict dict;
  int exit_code;

  g_variant_dict_init (&dict, NULL);
  if (name != NULL)
    g_variant_dict_insert (&dict, "name", "s", name);
  options = g_variant_ref_sink (g_variant_dict_end (&dict));
  if (!app_connect (app, &exit_code))
    return exit_code;
  if (!source_open (source, &error))
    return app_report (error, NULL);

  image = add (app, source, options, &error);
  source_close (source);
  /* When the service refused first, all the packer saw is that its pipe closed. */
  if (source->pack_error != NULL &&
      !(image == NULL && source->pack_error->code == G_IO_ERROR_BROKEN_PIPE))
    exit_code = app_report (source->pack_error, NULL);
  else if (image == NULL)
    exit_code = app_report (error, _ ("Could not add the image"));
  else
    {
      content_print (app, &image_kind, image);
      exit_code = APP_OK;
    }
  g_clear_error (&source->pack_error);
  return exit_code;
}

static int
run_add (App *app, int argc, char **argv)
{
  Source source = { .fd = -1, .pack_fd = -1 };
  g_autofree char *name = NULL;
  const GOptionEntry entries[] = {
    { "name", 'n', 0, G_OPTION_ARG_STRING, &name, N_ ("Name, unique among images"), N_ ("NAME") },
    { "root-owner", 0, 0, G_OPTION_ARG_NONE, &source.pack.root_owner,
      N_ ("Of a directory: make everything root's"), NULL },
    { NULL },
  };

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc != 2)
    return app_usage_error (app, "%s", _ ("Name one file or directory, or “-”"));
  source.path = argv[1];
  return add_source (app, &source, name);
}

const Command command_image_add = {
  .name = "image add",
  .arguments = N_ ("FILE|DIRECTORY|-"),
  .summary = N_ ("Add an image to make machines from; prints its id"),
  .description =
      N_ ("A file may be an ext4, squashfs or erofs file system or a tar archive; “-” is "
          "standard input.\nA directory is packed as you see it: symbolic links stay "
          "links, other file systems\nand sockets are left out."),
  .run = run_add,
};

/* ---- list ---------------------------------------------------------------------------------- */

static int
run_list (App *app, int argc, char **argv)
{
  return content_run_list (app, &image_kind, argc, argv);
}

const Command command_image_list = {
  .name = "image list",
  .arguments = "",
  .summary = N_ ("List images; with --quiet, only their ids"),
  .run = run_list,
};

/* ---- remove -------------------------------------------------------------------------------- */

static int
run_remove (App *app, int argc, char **argv)
{
  return content_run_remove (app, &image_kind, argc, argv);
}

const Command command_image_remove = {
  .name = "image remove",
  .arguments = N_ ("IMAGE…"),
  .summary = N_ ("Remove images that no machine is made from"),
  .run = run_remove,
};
