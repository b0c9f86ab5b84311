/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a tool sees no file of the host but its own program and libraries. */

#include "storage/confined-tool.h"

#include "sys/error.h"

#include <unistd.h>

#define DEFAULT_ID_FIRST 0x70000000

static uid_t id_first = DEFAULT_ID_FIRST;

/* Where /lib and its like are links into /usr, the bind has what the link leads to. */
static const char *const directories[] = { "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/sbin" };

void
vmsan_tool_set_ids (uid_t first)
{
  id_first = first;
}

uid_t
vmsan_tool_get_id (void)
{
  return id_first;
}

const char *
vmsan_tool_find_mke2fs (GError **error)
{
  static const char *const paths[] = { "/usr/sbin/mke2fs", "/sbin/mke2fs" };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    if (access (paths[i], X_OK) == 0)
      return paths[i];
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                       "Making a file system needs mke2fs, which is neither in /usr/sbin nor in "
                       "/sbin; install the package e2fsprogs");
  return NULL;
}

GArray *
vmsan_tool_new_binds (guint n_more)
{
  GArray *binds =
      g_array_sized_new (FALSE, TRUE, sizeof (VmsanBind), G_N_ELEMENTS (directories) + 1 + n_more);
  const VmsanBind linker_cache = {
    .source = "/etc/ld.so.cache",
    .source_fd = -1,
    .target = "/etc/ld.so.cache",
    .optional = TRUE,
  };

  for (guint i = 0; i < G_N_ELEMENTS (directories); i++)
    {
      const VmsanBind bind = {
        .source = directories[i],
        .source_fd = -1,
        .target = directories[i],
        .optional = i > 0,
      };

      g_array_append_val (binds, bind);
    }
  g_array_append_val (binds, linker_cache);
  return binds;
}

void
vmsan_tool_add_writable (GArray *binds, int fd, const char *target)
{
  const VmsanBind bind = { .source_fd = fd, .target = target, .writable = TRUE };

  g_array_append_val (binds, bind);
}
