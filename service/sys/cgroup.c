/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a group is there in every hierarchy with every limit in force, or it is not there.
 *
 * Paths are safe here, unlike elsewhere: only root writes in a cgroup file system. */

#include "sys/cgroup.h"

#include "sys/cgroup-private.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* One at a time: a parent that one call removes after a failure must not be another's parent. */
static GMutex tree_lock;

static void
part_clear (gpointer data)
{
  VmsanCgroupPart *part = data;

  g_free (part->directory);
  vmsan_fd_close (&part->dir_fd);
}

static VmsanCgroup *
cgroup_new (const char *parent, const char *name)
{
  VmsanCgroup *self = g_new0 (VmsanCgroup, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->path = g_build_filename (parent, name, NULL);
  self->parts = g_array_new (FALSE, FALSE, sizeof (VmsanCgroupPart));
  g_array_set_clear_func (self->parts, part_clear);
  self->procs_fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_set_clear_func (self->procs_fds, (GDestroyNotify) vmsan_fd_close);
  return self;
}

VmsanCgroup *
vmsan_cgroup_ref (VmsanCgroup *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
vmsan_cgroup_unref (VmsanCgroup *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_array_unref (self->parts);
  g_array_unref (self->procs_fds);
  g_free (self->path);
  g_free (self);
}

/* ---- Control files ------------------------------------------------------------------------- */

gboolean
vmsan_cgroup_part_write (const VmsanCgroupPart *part,
                         const char *file,
                         const char *value,
                         GError **error)
{
  vmsan_autofd int fd = openat (part->dir_fd, file, O_WRONLY | O_CLOEXEC);

  if (fd < 0 && errno == ENOENT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "Cgroup “%s” has no “%s”: the kernel does not offer it, or the group is gone",
                   part->directory, file);
      return FALSE;
    }
  /* One write: the kernel takes each as a whole. */
  if (fd < 0 || write (fd, value, strlen (value)) < 0)
    return vmsan_error_set_errno (error, errno, "Writing “%s” to “%s” of cgroup “%s” failed", value,
                                  file, part->directory);
  return TRUE;
}

char *
vmsan_cgroup_part_read (const VmsanCgroupPart *part, const char *file, GError **error)
{
  vmsan_autofd int fd = openat (part->dir_fd, file, O_RDONLY | O_CLOEXEC);
  char buffer[4096];
  gssize size;

  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Reading “%s” of cgroup “%s” failed", file,
                             part->directory);
      return NULL;
    }
  size = vmsan_fd_read_all (fd, buffer, sizeof buffer, error);
  if (size < 0)
    {
      g_prefix_error (error, "“%s” of cgroup “%s”: ", file, part->directory);
      return NULL;
    }
  if (size > 0 && buffer[size - 1] == '\n')
    size--;
  return g_strndup (buffer, size);
}

GArray *
vmsan_cgroup_part_read_pids (const VmsanCgroupPart *part, GError **error)
{
  g_autoptr (GArray) pids = g_array_new (FALSE, FALSE, sizeof (pid_t));
  vmsan_autofd int fd = openat (part->dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  g_autoptr (GString) text = g_string_new (NULL);
  char buffer[4096];
  gssize size;

  if (fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Reading the members of cgroup “%s” failed",
                             part->directory);
      return NULL;
    }
  while ((size = vmsan_fd_read_all (fd, buffer, sizeof buffer, error)) > 0)
    g_string_append_len (text, buffer, size);
  if (size < 0)
    {
      g_prefix_error (error, "Members of cgroup “%s”: ", part->directory);
      return NULL;
    }
  for (char *p = text->str; *p != '\0';)
    {
      pid_t pid = strtol (p, &p, 10);

      g_array_append_val (pids, pid);
      while (*p != '\0' && !g_ascii_isdigit (*p))
        p++;
    }
  return g_steal_pointer (&pids);
}

/* ---- Making and opening -------------------------------------------------------------------- */

static gboolean
check_path (const char *parent, const char *name, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (parent, "/", -1);

  if (parent[0] == '/' && name[0] != '\0' && name[0] != '.' && strchr (name, '/') == NULL &&
      !g_strv_contains ((const char *const *) parts, "..") &&
      !g_strv_contains ((const char *const *) parts, "."))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "“%s” in “%s” cannot be the path of a cgroup", name, parent);
  return FALSE;
}

/* Adds the group in one hierarchy. NOT_FOUND when it is not there. */
static gboolean
open_part (VmsanCgroup *self, const VmsanHierarchy *hierarchy, GError **error)
{
  VmsanCgroupPart part = {
    .directory = g_build_filename (hierarchy->mount_point, self->path, NULL),
    .dir_fd = -1,
    .controllers = hierarchy->controllers,
    .v2 = hierarchy->v2,
  };
  vmsan_autofd int procs_fd = -1;

  part.dir_fd = open (part.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (part.dir_fd >= 0)
    procs_fd = openat (part.dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (procs_fd < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening cgroup “%s” failed", part.directory);
      part_clear (&part);
      return FALSE;
    }
  g_array_append_val (self->parts, part);
  g_array_append_val (self->procs_fds, procs_fd);
  procs_fd = -1;
  return TRUE;
}

static gboolean
explain_subtree_control (const char *directory,
                         VmsanControllers controllers,
                         int saved_errno,
                         GError **error)
{
  g_autofree char *names = vmsan_controllers_to_string (controllers);
  const char *what_to_do = "";

  /* See “No Internal Process Constraint” in Documentation/admin-guide/cgroup-v2.rst. */
  if (saved_errno == EBUSY || saved_errno == EOPNOTSUPP)
    what_to_do = ". It has processes of its own, so it can have no groups with limits below it: "
                 "move these processes to a group below it, or configure another parent group";
  else if (saved_errno == ENOENT)
    what_to_do = ". The group above does not hand the controllers down: with systemd, set "
                 "“Delegate=yes” in the unit; or configure another parent group";
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "Enabling %s below cgroup “%s” failed: %s%s", names, directory,
               g_strerror (saved_errno), what_to_do);
  return FALSE;
}

/* In v2 a group has a controller only if each group above it hands it down. */
static gboolean
enable_controllers (const char *directory, GError **error)
{
  VmsanCgroupPart part = { .directory = (char *) directory, .v2 = TRUE };
  vmsan_autofd int dir_fd = open (directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autoptr (GString) request = g_string_new (NULL);
  g_autofree char *enabled = NULL;
  vmsan_autofd int fd = -1;
  VmsanControllers missing;

  if (dir_fd < 0)
    return vmsan_error_set_errno (error, errno, "Opening cgroup “%s” failed", directory);
  part.dir_fd = dir_fd;
  enabled = vmsan_cgroup_part_read (&part, "cgroup.subtree_control", error);
  if (enabled == NULL)
    return FALSE;
  missing = VMSAN_CONTROLLERS_ALL & ~vmsan_controllers_from_string (enabled);
  if (missing == 0)
    return TRUE;

  /* All in one request. In one of its own, cpu or pids would be granted even to a group that has
   * processes, and that would turn it into the root of a threaded tree, which can have no memory
   * controller any more. */
  for (VmsanControllers one = 1; one <= missing; one <<= 1)
    {
      g_autofree char *name = vmsan_controllers_to_string (missing & one);

      if (missing & one)
        g_string_append_printf (request, "%s+%s", request->len > 0 ? " " : "", name);
    }
  fd = openat (dir_fd, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write (fd, request->str, request->len) < 0)
    return explain_subtree_control (directory, missing, errno, error);
  return TRUE;
}

/* Makes the parent and all above it; what was made is added to @made, outermost first. */
static gboolean
make_parents (const VmsanHierarchy *hierarchy, const char *parent, GPtrArray *made, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (parent, "/", -1);
  g_autoptr (GString) directory = g_string_new (hierarchy->mount_point);
  gboolean hand_down = hierarchy->v2 && hierarchy->controllers != 0;

  for (guint i = 0; parts[i] != NULL; i++)
    {
      if (parts[i][0] != '\0')
        {
          g_string_append_printf (directory, "/%s", parts[i]);
          if (mkdir (directory->str, 0755) == 0)
            g_ptr_array_add (made, g_strdup (directory->str));
          else if (errno != EEXIST)
            return vmsan_error_set_errno (error, errno, "Making cgroup “%s” failed",
                                          directory->str);
        }
      else if (i > 0)
        continue; /* doubled or trailing slash */
      if (hand_down && !enable_controllers (directory->str, error))
        return FALSE;
    }
  return TRUE;
}

/* A left-over is removed first, so that the new one has no limit or count of the old. */
static gboolean
make_leaf (const char *directory, GPtrArray *made, GError **error)
{
  if (rmdir (directory) < 0 && errno == EBUSY)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                   "Cgroup “%s” still has processes or groups in it; end them first", directory);
      return FALSE;
    }
  if (mkdir (directory, 0755) < 0)
    return vmsan_error_set_errno (error, errno, "Making cgroup “%s” failed", directory);
  g_ptr_array_add (made, g_strdup (directory));
  return TRUE;
}

static gboolean
create_part (VmsanCgroup *self,
             const VmsanHierarchy *hierarchy,
             const char *parent,
             const VmsanCgroupLimits *limits,
             GPtrArray *made,
             GError **error)
{
  g_autofree char *directory = g_build_filename (hierarchy->mount_point, self->path, NULL);

  return make_parents (hierarchy, parent, made, error) && make_leaf (directory, made, error) &&
         open_part (self, hierarchy, error) &&
         vmsan_cgroup_part_apply_limits (vmsan_cgroup_part (self, self->parts->len - 1), limits,
                                         error);
}

VmsanCgroup *
vmsan_cgroup_create (const char *parent,
                     const char *name,
                     const VmsanCgroupLimits *limits,
                     GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&tree_lock);
  g_autoptr (VmsanCgroupMounts) mounts = NULL;
  g_autoptr (VmsanCgroup) self = NULL;
  g_autoptr (GPtrArray) made = g_ptr_array_new_with_free_func (g_free);

  if (!check_path (parent, name, error))
    return NULL;
  mounts = vmsan_cgroup_mounts_read (NULL, error);
  if (mounts == NULL)
    return NULL;

  self = cgroup_new (parent, name);
  for (guint i = 0; i < mounts->hierarchies->len; i++)
    {
      if (!create_part (self, &g_array_index (mounts->hierarchies, VmsanHierarchy, i), parent,
                        limits, made, error))
        {
          for (guint j = made->len; j > 0; j--)
            rmdir (made->pdata[j - 1]);
          return NULL;
        }
    }
  return g_steal_pointer (&self);
}

VmsanCgroup *
vmsan_cgroup_open (const char *parent, const char *name, GError **error)
{
  g_autoptr (VmsanCgroupMounts) mounts = NULL;
  g_autoptr (VmsanCgroup) self = NULL;

  if (!check_path (parent, name, error))
    return NULL;
  mounts = vmsan_cgroup_mounts_read (NULL, error);
  if (mounts == NULL)
    return NULL;

  self = cgroup_new (parent, name);
  for (guint i = 0; i < mounts->hierarchies->len; i++)
    {
      g_autoptr (GError) local_error = NULL;

      if (!open_part (self, &g_array_index (mounts->hierarchies, VmsanHierarchy, i),
                      &local_error) &&
          !g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return NULL;
        }
    }
  if (self->parts->len == 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "There is no cgroup “%s”",
                   self->path);
      return NULL;
    }
  return g_steal_pointer (&self);
}

/* ---- Membership ---------------------------------------------------------------------------- */

const char *
vmsan_cgroup_get_path (VmsanCgroup *self)
{
  return self->path;
}

const int *
vmsan_cgroup_get_procs_fds (VmsanCgroup *self, guint *n_fds)
{
  *n_fds = self->procs_fds->len;
  return (const int *) self->procs_fds->data;
}

gboolean
vmsan_cgroup_attach (VmsanCgroup *self, pid_t pid, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%d", pid);

  for (guint i = 0; i < self->parts->len; i++)
    {
      if (!vmsan_cgroup_part_write (vmsan_cgroup_part (self, i), "cgroup.procs", text, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
part_contains (const VmsanCgroupPart *part, pid_t pid)
{
  g_autoptr (GArray) pids = vmsan_cgroup_part_read_pids (part, NULL);

  for (guint i = 0; pids != NULL && i < pids->len; i++)
    {
      if (g_array_index (pids, pid_t, i) == pid)
        return TRUE;
    }
  return FALSE;
}

/* A process that is in one hierarchy only counts, too. */
guint
vmsan_cgroup_count (VmsanCgroup *self)
{
  guint n = 0;

  for (guint i = 0; i < self->parts->len; i++)
    {
      g_autoptr (GArray) pids = vmsan_cgroup_part_read_pids (vmsan_cgroup_part (self, i), NULL);

      n = MAX (n, pids != NULL ? pids->len : 0);
    }
  return n;
}

gboolean
vmsan_cgroup_contains (VmsanCgroup *self, pid_t pid)
{
  for (guint i = 0; i < self->parts->len; i++)
    {
      if (!part_contains (vmsan_cgroup_part (self, i), pid))
        return FALSE;
    }
  return TRUE;
}

/* ---- Looking for left-overs ---------------------------------------------------------------- */

static gboolean
list_directory (const char *path, GHashTable *names, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &local_error);
  const char *name;

  if (g_error_matches (local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return TRUE;
  if (dir == NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "Listing the groups below failed: %s",
                   local_error->message);
      return FALSE;
    }
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR))
        g_hash_table_add (names, g_strdup (name));
    }
  return TRUE;
}

GStrv
vmsan_cgroup_list (const char *parent, GError **error)
{
  g_autoptr (VmsanCgroupMounts) mounts = NULL;
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  GHashTableIter iter;
  gpointer name;

  if (!check_path (parent, "any", error))
    return NULL;
  mounts = vmsan_cgroup_mounts_read (NULL, error);
  if (mounts == NULL)
    return NULL;
  for (guint i = 0; i < mounts->hierarchies->len; i++)
    {
      const VmsanHierarchy *hierarchy = &g_array_index (mounts->hierarchies, VmsanHierarchy, i);
      g_autofree char *path = g_build_filename (hierarchy->mount_point, parent, NULL);

      if (!list_directory (path, names, error))
        return NULL;
    }
  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_strv_builder_add (builder, name);
  return g_strv_builder_end (builder);
}
