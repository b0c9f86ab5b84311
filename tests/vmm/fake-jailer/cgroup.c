/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: groups are made, and refused, where and as the jailer does it, for version 1 and 2. */

#include "jailer.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The controller of "memory.max"; false unless there is just one dot. */
static bool
read_controller (const char *argument, char *controller, size_t size)
{
  const char *equals = strchr (argument, '=');
  const char *dot = strchr (argument, '.');

  if (dot == NULL || dot > equals || memchr (dot + 1, '.', (size_t) (equals - dot - 1)) != NULL)
    return false;
  snprintf (controller, size, "%.*s", (int) (dot - argument), argument);
  return true;
}

/* The mount point of version 2, or of the version 1 hierarchy that has @controller. */
static bool
find_mount (int version, const char *controller, char *path, size_t size)
{
  FILE *mounts = setmntent ("/proc/mounts", "re");
  struct mntent *entry;
  bool found = false;

  while (mounts != NULL && !found && (entry = getmntent (mounts)) != NULL)
    {
      found = version == 2 ? strcmp (entry->mnt_type, "cgroup2") == 0
                           : strcmp (entry->mnt_type, "cgroup") == 0 &&
                                 (controller == NULL || hasmntopt (entry, controller) != NULL);
      if (found)
        snprintf (path, size, "%s", entry->mnt_dir);
    }
  if (mounts != NULL)
    endmntent (mounts);
  return found;
}

static bool
read_line (const char *directory, const char *name, char *line, size_t size)
{
  char path[PATH_MAX];
  ssize_t n;
  int fd;

  snprintf (path, sizeof path, "%s/%s", directory, name);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  n = fd >= 0 ? read (fd, line, size - 1) : -1;
  if (fd >= 0)
    close (fd);
  line[n > 0 ? n : 0] = '\0';
  line[strcspn (line, "\n")] = '\0';
  return n >= 0;
}

static bool
write_line (const char *directory, const char *name, const char *value)
{
  char path[PATH_MAX], line[4096];
  int length = snprintf (line, sizeof line, "%s\n", value);
  int fd;
  bool good;

  snprintf (path, sizeof path, "%s/%s", directory, name);
  fd = open (path, O_WRONLY | O_CLOEXEC);
  good = fd >= 0 && write (fd, line, (size_t) length) == length;
  if (fd >= 0)
    close (fd);
  return good;
}

static bool
has_word (const char *line, const char *word)
{
  size_t length = strlen (word);

  for (const char *p = strstr (line, word); p != NULL; p = strstr (p + 1, word))
    if ((p == line || p[-1] == ' ') && (p[length] == ' ' || p[length] == '\0'))
      return true;
  return false;
}

/* ---- Checks -------------------------------------------------------------------------------- */

static void
check_one (const Jail *jail, const char *argument)
{
  char controller[64], mount[PATH_MAX], available[1024];
  const char *equals = strchr (argument, '=');

  if (equals == NULL || equals[1] == '\0' || strchr (equals + 1, '=') != NULL)
    jailer_fail (0, "Invalid format for cgroups: %s", argument);
  if (*argument == '/' || strncmp (argument, "./", 2) == 0 || strncmp (argument, "../", 3) == 0 ||
      !read_controller (argument, controller, sizeof controller))
    jailer_fail (0, "Cgroup invalid file: %s", argument);
  if (!find_mount (jail->cgroup_version, NULL, mount, sizeof mount))
    jailer_fail (0, "Hierarchy not found: No hierarchy found for this cgroup version.");
  if (jail->cgroup_version == 1
          ? !find_mount (1, controller, mount, sizeof mount)
          : !read_line (mount, "cgroup.controllers", available, sizeof available) ||
                !has_word (available, controller))
    jailer_fail (0, "Controller %s is unavailable", controller);
}

/* Version 2 without values: into the parent group, if it is there. */
static void
join_parent (const Jail *jail)
{
  char mount[PATH_MAX], path[PATH_MAX * 2], pid[16];

  if (!find_mount (2, NULL, mount, sizeof mount))
    jailer_fail (0, "Hierarchy not found: No hierarchy found for this cgroup version.");
  snprintf (path, sizeof path, "%s/%s", mount, jail->parent_cgroup);
  snprintf (pid, sizeof pid, "%d", getpid ());
  if (access (path, F_OK) == 0 && !write_line (path, "cgroup.procs", pid))
    jailer_fail (errno, "Failed to write to cgroup.procs");
}

void
cgroup_check (const Jail *jail)
{
  char parent[PATH_MAX];
  char *rest = parent;

  snprintf (parent, sizeof parent, "%s", jail->parent_cgroup);
  if (*parent == '/')
    jailer_fail (0, "Parent cgroup path is invalid. Path should not be absolute or contain '..' or "
                    "'.'");
  for (char *part; (part = strsep (&rest, "/")) != NULL;)
    if (strcmp (part, "..") == 0 || (part == parent && strcmp (part, ".") == 0))
      jailer_fail (0, "Parent cgroup path is invalid. Path should not be absolute or contain '..' "
                      "or '.'");
  if (jail->n_cgroups > 0 && jail->cgroup_version != 1 && jail->cgroup_version != 2)
    jailer_fail (0, "%d is an invalid cgroup version specifier", jail->cgroup_version);
  for (int i = 0; i < jail->n_cgroups; i++)
    check_one (jail, jail->cgroups[i]);
  if (jail->n_cgroups == 0 && jail->cgroup_version == 2)
    join_parent (jail);
}

/* ---- Making -------------------------------------------------------------------------------- */

/* All directories of @path, which is below @mount. With @controller it is switched on in each that
 * has something below it. */
static void
make_directories (const char *mount, const char *path, const char *controller)
{
  char part[PATH_MAX * 2], enable[80];

  snprintf (enable, sizeof enable, "+%s", controller != NULL ? controller : "");
  for (size_t i = strlen (mount); path[i] != '\0'; i++)
    if (path[i + 1] == '/' || path[i + 1] == '\0')
      {
        snprintf (part, sizeof part, "%.*s", (int) i + 1, path);
        if (mkdir (part, 0755) < 0 && errno != EEXIST)
          jailer_panic (errno, "Failed to create directory %s", part);
      }
  for (size_t i = strlen (mount); controller != NULL && path[i] != '\0'; i++)
    if (path[i] == '/')
      {
        snprintf (part, sizeof part, "%.*s", (int) i, path);
        if (!write_line (part, "cgroup.subtree_control", enable))
          jailer_panic (errno, "Failed to write to %s/cgroup.subtree_control", part);
      }
}

/* Version 1: an empty file, as cpuset has them, gets the value of the group above. */
static void
inherit (const char *path, const char *file, int depth)
{
  char parent[PATH_MAX * 2], line[4096];

  snprintf (parent, sizeof parent, "%s", path);
  *strrchr (parent, '/') = '\0';
  if (!read_line (parent, file, line, sizeof line))
    jailer_panic (errno, "Failed to read file %s/%s", parent, file);
  if (*line == '\0' && depth > 0)
    {
      inherit (parent, file, depth - 1);
      read_line (parent, file, line, sizeof line);
    }
  if (*line == '\0' || !write_line (path, file, line))
    jailer_panic (errno, "Failed to inherit cgroups configurations from file %s in path %s", file,
                  path);
}

static int
count_parts (const char *path)
{
  int n = 1;

  for (; *path != '\0'; path++)
    n += *path == '/';
  return n;
}

/* The group of the argument's controller. */
static void
locate (const Jail *jail, const char *argument, char *mount, char *path, size_t size)
{
  char controller[64];

  read_controller (argument, controller, sizeof controller);
  find_mount (jail->cgroup_version, jail->cgroup_version == 1 ? controller : NULL, mount, PATH_MAX);
  snprintf (path, size, "%s/%s/%s", mount, jail->parent_cgroup, jail->id);
}

static void
set_value (const Jail *jail, const char *argument)
{
  char controller[64], mount[PATH_MAX], path[PATH_MAX * 2], file[128];
  const char *equals = strchr (argument, '=');

  locate (jail, argument, mount, path, sizeof path);
  read_controller (argument, controller, sizeof controller);
  snprintf (file, sizeof file, "%.*s", (int) (equals - argument), argument);
  make_directories (mount, path, jail->cgroup_version == 2 ? controller : NULL);
  if (jail->cgroup_version == 1)
    inherit (path, file, count_parts (jail->parent_cgroup));
  if (!write_line (path, file, equals + 1))
    jailer_panic (errno, "Failed to write to %s/%s", path, file);
}

void
cgroup_apply (const Jail *jail)
{
  char mount[PATH_MAX], path[PATH_MAX * 2], pid[16];

  snprintf (pid, sizeof pid, "%d", getpid ());
  for (int i = 0; i < jail->n_cgroups; i++)
    set_value (jail, jail->cgroups[i]);
  for (int i = 0; i < jail->n_cgroups; i++)
    {
      locate (jail, jail->cgroups[i], mount, path, sizeof path);
      if (!write_line (path, jail->cgroup_version == 1 ? "tasks" : "cgroup.procs", pid))
        jailer_panic (errno, "Failed to write to %s", path);
    }
}
