/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: a kernel that is found has its modules' directory. */

#include "config.h"

#include "host-kernel.h"

#include <glib/gi18n.h>
#include <string.h>

#define PREFIX "vmlinuz-"

static HostKernel *
host_kernel_new (const char *root, const char *version)
{
  HostKernel *kernel = g_new0 (HostKernel, 1);
  g_autofree char *name = g_strconcat (PREFIX, version, NULL);

  kernel->version = g_strdup (version);
  kernel->kernel_path = g_strconcat (root, "/boot/", name, NULL);
  kernel->modules_directory = g_strconcat (root, "/lib/modules/", version, NULL);
  return kernel;
}

static gboolean
exists (const HostKernel *kernel)
{
  return g_file_test (kernel->kernel_path, G_FILE_TEST_IS_REGULAR) &&
         g_file_test (kernel->modules_directory, G_FILE_TEST_IS_DIR);
}

static gboolean
is_cloud (const char *version)
{
  return strstr (version, "cloud") != NULL || strstr (version, "-kvm") != NULL ||
         strstr (version, "-virt") != NULL;
}

/* Whether @a is the better choice. */
static gboolean
is_better (const char *a, const char *b, const char *running)
{
  if (is_cloud (a) != is_cloud (b))
    return is_cloud (a);
  if (!is_cloud (a) && (strcmp (a, running) == 0) != (strcmp (b, running) == 0))
    return strcmp (a, running) == 0;
  return strverscmp (a, b) > 0;
}

static HostKernel *
find_best (const char *root, const char *running)
{
  g_autofree char *boot = g_strconcat (root, "/boot", NULL);
  g_autoptr (GDir) directory = g_dir_open (boot, 0, NULL);
  HostKernel *best = NULL;
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    {
      HostKernel *kernel;

      if (!g_str_has_prefix (name, PREFIX))
        continue;
      kernel = host_kernel_new (root, name + strlen (PREFIX));
      if (exists (kernel) && (best == NULL || is_better (kernel->version, best->version, running)))
        {
          HostKernel *swap = best;

          best = kernel;
          kernel = swap;
        }
      g_clear_pointer (&kernel, host_kernel_free);
    }
  return best;
}

HostKernel *
host_kernel_find (const char *root, const char *version, const char *running, GError **error)
{
  g_autoptr (HostKernel) kernel = NULL;

  if (version == NULL)
    kernel = find_best (root, running);
  else if (strchr (version, '/') == NULL)
    kernel = host_kernel_new (root, version);
  if (kernel != NULL && exists (kernel))
    return g_steal_pointer (&kernel);

  if (version != NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _ ("There is no kernel “%s” with modules here: %s/boot/vmlinuz-%s and "
                    "%s/lib/modules/%s are needed"),
                 version, root, version, root, version);
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 _ ("No kernel with modules was found in %s/boot: install one, such as Debian's "
                    "linux-image-cloud-amd64"),
                 root);
  return NULL;
}

void
host_kernel_free (HostKernel *kernel)
{
  g_free (kernel->version);
  g_free (kernel->kernel_path);
  g_free (kernel->modules_directory);
  g_free (kernel);
}
