/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernel add, list, remove. */

#include "config.h"

#include "commands.h"
#include "content.h"
#include "host-kernel.h"
#include "kernel-modules.h"
#include "output.h"
#include "progress.h"
#include "table.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void
print_table (GPtrArray *kernels)
{
  g_autoptr (Table) table = table_new ();

  table_add_column (table, _ ("ID"), TABLE_FIXED);
  table_add_column (table, _ ("NAME"), TABLE_SHRINKS);
  table_add_column (table, _ ("VERSION"), TABLE_SHRINKS);
  table_add_column (table, _ ("FORMATS"), TABLE_FIXED);
  table_add_column (table, _ ("MODULES"), TABLE_RIGHT);
  table_add_column (table, _ ("SIZE"), TABLE_RIGHT);
  table_add_column (table, _ ("ADDED BY"), TABLE_SHRINKS);
  table_add_column (table, _ ("AGE"), TABLE_SHRINKS);
  for (guint i = 0; i < kernels->len; i++)
    {
      VmsanKernel *kernel = kernels->pdata[i];
      g_auto (GStrv) modules = vmsan_kernel_get_modules (kernel);
      g_auto (GStrv) formats = vmsan_kernel_get_formats (kernel);
      g_autofree char *format_list = g_strjoinv (" ", formats);
      g_autofree char *id = text_short_id (vmsan_kernel_get_id (kernel));
      g_autofree char *n_modules = g_strdup_printf ("%u", g_strv_length (modules));
      g_autofree char *size = text_bytes (vmsan_kernel_get_size (kernel));
      g_autofree char *user = text_user_name (vmsan_kernel_get_added_by (kernel));
      g_autofree char *age = text_age (vmsan_kernel_get_added_at (kernel));
      const char *cells[] = { id,
                              vmsan_kernel_get_name (kernel),
                              vmsan_kernel_get_version (kernel),
                              format_list,
                              n_modules,
                              size,
                              user,
                              age };

      table_add_row (table, cells, 0, NULL);
    }
  table_print (table);
}

static const ContentKind kernel_kind = {
  .name_at_least_one = N_ ("Name at least one kernel"),
  .could_not_list = N_ ("Could not list kernels"),
  .list = vmsan_client_list_kernels_sync,
  .get = CONTENT_GET (vmsan_client_get_kernel_sync),
  .remove = CONTENT_REMOVE (vmsan_kernel_remove_sync),
  .get_id = CONTENT_ID (vmsan_kernel_get_id),
  .add_json = CONTENT_JSON (output_add_kernel),
  .print_table = print_table,
};

/* ---- add ----------------------------------------------------------------------------------- */

typedef struct
{
  char *name;
  char *version;
  char *modules_directory;
  gboolean from_host;

  int kernel_fd;
  int modules_fd;
  GVariant *module_list;
} Add;

static void
add_clear (Add *add)
{
  g_free (add->name);
  g_free (add->version);
  g_free (add->modules_directory);
  g_clear_pointer (&add->module_list, g_variant_unref);
  if (add->kernel_fd >= 0)
    close (add->kernel_fd);
  if (add->modules_fd >= 0)
    close (add->modules_fd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Add, add_clear)

static gboolean
open_kernel (Add *add, const char *path, GError **error)
{
  add->kernel_fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (add->kernel_fd >= 0)
    return TRUE;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
               errno == EACCES
                   ? _ ("Could not open the kernel “%s”: %s; some systems let only root "
                        "read it")
                   : _ ("Could not open the kernel “%s”: %s"),
               path, g_strerror (errno));
  return FALSE;
}

static gboolean
open_modules (Add *add, GError **error)
{
  g_autoptr (GArray) modules = NULL;

  if (add->modules_directory == NULL)
    return TRUE;
  modules = kernel_modules_pick (add->modules_directory, error);
  if (modules == NULL)
    return FALSE;
  /* All of them built in. */
  if (modules->len == 0)
    return TRUE;
  add->modules_fd = kernel_modules_load (modules, &add->module_list, error);
  return add->modules_fd >= 0;
}

/* Finds the kernel of this machine and fills in what the user did not say. */
static gboolean
take_from_host (Add *add, const char *version, GError **error)
{
  g_autoptr (HostKernel) kernel = NULL;
  struct utsname host;

  uname (&host);
  kernel = host_kernel_find ("", version, host.release, error);
  if (kernel == NULL || !open_kernel (add, kernel->kernel_path, error))
    return FALSE;
  if (add->version == NULL)
    add->version = g_strdup (kernel->version);
  if (add->modules_directory == NULL)
    add->modules_directory = g_strdup (kernel->modules_directory);
  return TRUE;
}

static VmsanKernel *
add_kernel (App *app, Add *add, GError **error)
{
  g_autoptr (GVariant) options = NULL;
  VmsanKernel *kernel;
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (add->name != NULL)
    g_variant_dict_insert (&dict, "name", "s", add->name);
  if (add->version != NULL)
    g_variant_dict_insert (&dict, "version", "s", add->version);
  options = g_variant_ref_sink (g_variant_dict_end (&dict));
  do
    kernel = vmsan_client_add_kernel_sync (app->client, add->kernel_fd, add->modules_fd,
                                           add->module_list, options, NULL, error);
  while (kernel == NULL && app_may_ask (app, error));
  return kernel;
}

static int
run_add (App *app, int argc, char **argv)
{
  g_auto (Add) add = { .kernel_fd = -1, .modules_fd = -1 };
  const GOptionEntry entries[] = {
    { "from-host", 0, 0, G_OPTION_ARG_NONE, &add.from_host,
      N_ ("Take a kernel of this machine, by its version, or the best"), NULL },
    { "name", 'n', 0, G_OPTION_ARG_STRING, &add.name, N_ ("Name, unique among kernels"),
      N_ ("NAME") },
    { "version", 0, 0, G_OPTION_ARG_STRING, &add.version, N_ ("What “uname -r” says in the guest"),
      N_ ("VERSION") },
    { "modules", 0, 0, G_OPTION_ARG_FILENAME, &add.modules_directory,
      N_ ("Directory to pick its modules from, such as /lib/modules/VERSION"), N_ ("DIRECTORY") },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanKernel) kernel = NULL;
  const char *no_elf_reason;
  gboolean ok;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (add.from_host ? argc > 2 : argc != 2)
    return app_usage_error (app, "%s",
                            add.from_host ? _ ("Name one version, or none for the best")
                                          : _ ("Name one kernel file, or use --from-host"));
  ok = add.from_host ? take_from_host (&add, argv[1], &error) : open_kernel (&add, argv[1], &error);
  if (!ok || !open_modules (&add, &error))
    return app_report (error, NULL);
  if (!app_connect (app, &exit_code))
    return exit_code;

  kernel = add_kernel (app, &add, &error);
  if (kernel == NULL)
    return app_report (error, _ ("Could not add the kernel"));
  no_elf_reason = vmsan_kernel_get_no_elf_reason (kernel);
  if (no_elf_reason[0] != '\0')
    app_print_note (app, _ ("Firecracker cannot boot this kernel, QEMU can: %s"), no_elf_reason);
  content_print (app, &kernel_kind, kernel);
  return APP_OK;
}

const Command command_kernel_add = {
  .name = "kernel add",
  .arguments = N_ ("FILE | --from-host [VERSION]"),
  .summary = N_ ("Add a kernel for machines to boot; prints its id"),
  .description = N_ ("The file is an x86 bzImage or an ELF vmlinux. From this machine, the newest "
                     "kernel for cloud\nguests is taken, else the running one, else the newest. Of "
                     "the modules, those that guests\nneed are added, in the order in which they "
                     "load."),
  .run = run_add,
};

/* ---- list ---------------------------------------------------------------------------------- */

static int
run_list (App *app, int argc, char **argv)
{
  return content_run_list (app, &kernel_kind, argc, argv);
}

const Command command_kernel_list = {
  .name = "kernel list",
  .arguments = "",
  .summary = N_ ("List kernels; with --quiet, only their ids"),
  .run = run_list,
};

/* ---- remove -------------------------------------------------------------------------------- */

static int
run_remove (App *app, int argc, char **argv)
{
  return content_run_remove (app, &kernel_kind, argc, argv);
}

const Command command_kernel_remove = {
  .name = "kernel remove",
  .arguments = N_ ("KERNEL…"),
  .summary = N_ ("Remove kernels that no machine boots"),
  .run = run_remove,
};
