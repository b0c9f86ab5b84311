/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/modules.h"

#include "agent/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
is_module (const struct dirent *entry)
{
  const size_t length = strlen (entry->d_name);

  return length > 3 && strcmp (entry->d_name + length - 3, ".ko") == 0;
}

static void
load (int directory_fd, const char *name)
{
  const int fd = openat (directory_fd, name, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    {
      agent_log ("cannot open the module %s: %s", name, strerror (errno));
      return;
    }
  /* EEXIST: it is loaded, or part of the kernel. */
  if (syscall (SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
    agent_log ("cannot load the module %s: %s", name, strerror (errno));
  close (fd);
}

void
agent_modules_load (const char *directory)
{
  const int directory_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct dirent **entries;
  int n_entries;

  if (directory_fd < 0)
    return;
  n_entries = scandir (directory, &entries, is_module, alphasort);
  for (int i = 0; i < n_entries; i++)
    {
      load (directory_fd, entries[i]->d_name);
      free (entries[i]);
    }
  if (n_entries >= 0)
    free (entries);
  close (directory_fd);
}
