/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a layout is reported only when each limit has a controller to apply it. */

#include "sys/cgroup-layout.h"

#include "sys/error.h"

#include <string.h>

/* Fields of a line of mountinfo, see proc(5); optional fields follow, up to a lone "-". */
enum
{
  FIELD_ROOT = 3,
  FIELD_MOUNT_POINT = 4,
  FIELD_FIRST_OPTIONAL = 6,
};

static const struct
{
  const char *name;
  VmsanControllers controller;
} controller_names[] = {
  { "cpu", VMSAN_CONTROLLER_CPU },
  { "memory", VMSAN_CONTROLLER_MEMORY },
  { "pids", VMSAN_CONTROLLER_PIDS },
};

char *
vmsan_controllers_to_string (VmsanControllers controllers)
{
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (controller_names); i++)
    {
      if (controllers & controller_names[i].controller)
        g_string_append_printf (text, "%s%s", text->len > 0 ? " and " : "",
                                controller_names[i].name);
    }
  return g_string_free (text, FALSE);
}

VmsanControllers
vmsan_controllers_from_string (const char *list)
{
  g_auto (GStrv) words = g_strsplit_set (list, ", \n", -1);
  VmsanControllers controllers = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (controller_names); i++)
    {
      if (g_strv_contains ((const char *const *) words, controller_names[i].name))
        controllers |= controller_names[i].controller;
    }
  return controllers;
}

static void
hierarchy_clear (gpointer data)
{
  g_free (((VmsanHierarchy *) data)->mount_point);
}

void
vmsan_cgroup_mounts_free (VmsanCgroupMounts *self)
{
  g_array_unref (self->hierarchies);
  g_free (self);
}

/* Adds a hierarchy unless it is known from another mount of it; the mount of the whole tree is
 * better than that of a part. */
static void
add_hierarchy (GArray *hierarchies, VmsanHierarchy *found)
{
  for (guint i = 0; i < hierarchies->len; i++)
    {
      VmsanHierarchy *known = &g_array_index (hierarchies, VmsanHierarchy, i);

      if (known->v2 != found->v2 || known->controllers != found->controllers)
        continue;
      if (known->whole || !found->whole)
        {
          hierarchy_clear (found);
          return;
        }
      hierarchy_clear (known);
      *known = *found;
      return;
    }
  if (found->v2)
    g_array_prepend_val (hierarchies, *found);
  else
    g_array_append_val (hierarchies, *found);
}

static void
parse_line (GArray *hierarchies, const char *line)
{
  g_auto (GStrv) fields = g_strsplit (line, " ", -1);
  guint n_fields = g_strv_length (fields);
  guint separator = FIELD_FIRST_OPTIONAL;
  VmsanHierarchy found = { 0 };

  while (separator < n_fields && !g_str_equal (fields[separator], "-"))
    separator++;
  /* type, source and options of the file system follow */
  if (separator + 3 >= n_fields)
    return;

  found.v2 = g_str_equal (fields[separator + 1], "cgroup2");
  if (!found.v2 && !g_str_equal (fields[separator + 1], "cgroup"))
    return;
  if (!found.v2)
    found.controllers = vmsan_controllers_from_string (fields[separator + 3]);
  if (!found.v2 && found.controllers == 0)
    return; /* cpuset, devices, name=systemd and others are none of our business */
  found.whole = g_str_equal (fields[FIELD_ROOT], "/");
  found.mount_point = g_strcompress (fields[FIELD_MOUNT_POINT]); /* space is \040 */
  add_hierarchy (hierarchies, &found);
}

static gboolean
refuse (GError **error, VmsanControllers missing, const char *where)
{
  g_autofree char *names = vmsan_controllers_to_string (missing);

  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
               "Limits cannot be applied: the cgroup controller %s is not %s. Enable it on the "
               "kernel's command line or in its configuration, and mount it",
               names, where);
  return FALSE;
}

/* What a v2 tree has is not in the mount table, but in its root. */
static gboolean
check_v2_controllers (const char *mount_point, GError **error)
{
  g_autofree char *path = g_build_filename (mount_point, "cgroup.controllers", NULL);
  g_autofree char *list = NULL;
  VmsanControllers missing;

  if (!g_file_get_contents (path, &list, NULL, error))
    return FALSE;
  missing = VMSAN_CONTROLLERS_ALL & ~vmsan_controllers_from_string (list);
  return missing == 0 || refuse (error, missing, "in the unified hierarchy");
}

static gboolean
decide_layout (VmsanCgroupMounts *self, gboolean ask_kernel, GError **error)
{
  VmsanHierarchy *first = NULL;
  VmsanControllers in_v1 = 0;
  gboolean has_v2;

  if (self->hierarchies->len == 0)
    return refuse (error, VMSAN_CONTROLLERS_ALL, "mounted anywhere");

  first = &g_array_index (self->hierarchies, VmsanHierarchy, 0);
  has_v2 = first->v2;
  for (guint i = 0; i < self->hierarchies->len; i++)
    in_v1 |= g_array_index (self->hierarchies, VmsanHierarchy, i).controllers;

  if (in_v1 == 0)
    {
      self->layout = VMSAN_CGROUP_V2;
      first->controllers = VMSAN_CONTROLLERS_ALL;
      return !ask_kernel || check_v2_controllers (first->mount_point, error);
    }
  self->layout = has_v2 ? VMSAN_CGROUP_HYBRID : VMSAN_CGROUP_V1;
  if (in_v1 != VMSAN_CONTROLLERS_ALL)
    return refuse (error, VMSAN_CONTROLLERS_ALL & ~in_v1, "mounted beside the others");
  return TRUE;
}

VmsanCgroupMounts *
vmsan_cgroup_mounts_read (const char *mountinfo, GError **error)
{
  g_autoptr (VmsanCgroupMounts) self = g_new0 (VmsanCgroupMounts, 1);
  g_autofree char *own = NULL;
  g_auto (GStrv) lines = NULL;

  self->hierarchies = g_array_new (FALSE, FALSE, sizeof (VmsanHierarchy));
  g_array_set_clear_func (self->hierarchies, hierarchy_clear);
  if (mountinfo == NULL && !g_file_get_contents ("/proc/self/mountinfo", &own, NULL, error))
    return NULL;

  lines = g_strsplit (mountinfo != NULL ? mountinfo : own, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    parse_line (self->hierarchies, lines[i]);
  if (!decide_layout (self, mountinfo == NULL, error))
    return NULL;
  return g_steal_pointer (&self);
}

gboolean
vmsan_cgroup_detect (const char *mountinfo, VmsanCgroupLayout *layout, GError **error)
{
  g_autoptr (VmsanCgroupMounts) mounts = vmsan_cgroup_mounts_read (mountinfo, error);

  if (mounts == NULL)
    return FALSE;
  if (layout != NULL)
    *layout = mounts->layout;
  return TRUE;
}
