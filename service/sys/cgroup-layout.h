/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where the cgroup hierarchies are mounted, and which controllers each one has. */

#pragma once

#include "sys/cgroup.h"

typedef enum
{
  VMSAN_CONTROLLER_CPU = 1 << 0,
  VMSAN_CONTROLLER_MEMORY = 1 << 1,
  VMSAN_CONTROLLER_PIDS = 1 << 2,
} VmsanControllers;

#define VMSAN_CONTROLLERS_ALL                                                                      \
  (VMSAN_CONTROLLER_CPU | VMSAN_CONTROLLER_MEMORY | VMSAN_CONTROLLER_PIDS)

typedef struct
{
  char *mount_point;
  VmsanControllers controllers; /* none for the v2 tree of a hybrid layout */
  gboolean v2;
  gboolean whole; /* mounted from its root, not a part of it */
} VmsanHierarchy;

typedef struct
{
  VmsanCgroupLayout layout;
  GArray *hierarchies; /* of VmsanHierarchy, each hierarchy once; the v2 one first */
} VmsanCgroupMounts;

/* Reads a mount table; NULL: that of this process, where it also asks the kernel whether a v2 tree
 * really has the controllers. */
VmsanCgroupMounts *vmsan_cgroup_mounts_read (const char *mountinfo, GError **error);

void vmsan_cgroup_mounts_free (VmsanCgroupMounts *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanCgroupMounts, vmsan_cgroup_mounts_free)

/* "cpu", "cpu and memory" and so on, for messages. */
char *vmsan_controllers_to_string (VmsanControllers controllers);

/* From a list such as "cpuset cpu,cpuacct"; names that are not needed are left out. */
VmsanControllers vmsan_controllers_from_string (const char *list);
