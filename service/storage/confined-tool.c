/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a tool sees no file of the host but its own program and libraries, and what it says is
 * bounded text. */

#include "storage/confined-tool.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEFAULT_ID_FIRST 0x70000000
#define REPORT_BYTES_MAX 1024

static uid_t id_first = DEFAULT_ID_FIRST;

/* Where /lib and its like are links into /usr, the bind has what the link leads to. */
static const char *const directories[] = { "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/sbin" };

/* How a tool's first word becomes an error; see image-builder/report.h. */
static const struct
{
  const char *word;
  VmsanError code;
} words[] = {
  { "invalid ", VMSAN_ERROR_INVALID_ARGUMENT },
  { "limit ", VMSAN_ERROR_LIMIT_EXCEEDED },
  { "space ", VMSAN_ERROR_NO_SPACE },
  { "failed ", VMSAN_ERROR_FAILED },
};

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

int
vmsan_tool_open (const char *program, GError **error)
{
  int fd = open (program, O_PATH | O_CLOEXEC);

  if (fd < 0)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                 "The program “%s” cannot be opened: %s; install vmsan again", program,
                 g_strerror (errno));
  return fd;
}

int
vmsan_tool_new_report (GError **error)
{
  int fd = memfd_create ("vmsan-report", MFD_CLOEXEC);

  if (fd < 0)
    vmsan_error_set_errno (error, errno, "Making a file for a tool's report failed");
  return fd;
}

void
vmsan_tool_explain (int report_fd, GError **error)
{
  char report[REPORT_BYTES_MAX + 1] = { 0 };
  gssize n;

  /* One that was killed did not come to its point. */
  if (!g_error_matches (*error, VMSAN_ERROR, VMSAN_ERROR_FAILED))
    return;
  n = pread (report_fd, report, REPORT_BYTES_MAX, 0);
  for (guint i = 0; n > 0 && i < G_N_ELEMENTS (words); i++)
    if (g_str_has_prefix (report, words[i].word))
      {
        g_autofree char *text = g_utf8_make_valid (report + strlen (words[i].word), -1);

        for (char *c = text; *c != '\0'; c++)
          if (g_ascii_iscntrl (*c))
            *c = ' ';
        g_clear_error (error);
        g_set_error (error, VMSAN_ERROR, words[i].code, "%s", g_strstrip (text));
        return;
      }
}
