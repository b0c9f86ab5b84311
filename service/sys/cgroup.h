/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Control groups: one leaf for each confined process tree, with limits that were verified.
 *
 * Three mount layouts work: v2 only, v1 only, and hybrid (v1 controllers beside a v2 tree). In
 * each, the leaf's members are the answer to "which processes belong to this?", also after a
 * crash. A limit that cannot be applied is an error. */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

typedef struct _VmsanCgroup VmsanCgroup;

/**
 * VmsanCgroupLayout:
 * @VMSAN_CGROUP_V2: unified hierarchy with the controllers
 * @VMSAN_CGROUP_V1: one hierarchy per controller
 * @VMSAN_CGROUP_HYBRID: v1 controllers, and a v2 tree without controllers for membership
 */
typedef enum
{
  VMSAN_CGROUP_V2,
  VMSAN_CGROUP_V1,
  VMSAN_CGROUP_HYBRID,
} VmsanCgroupLayout;

typedef struct
{
  guint64 memory_max_bytes; /* 0: no limit */
  guint cpu_percent;        /* 100 is one CPU; 0: no limit */
  guint pids_max;           /* 0: no limit */
} VmsanCgroupLimits;

/* Finds out the layout from a mount table (NULL: /proc/self/mountinfo). UNAVAILABLE with the
 * reason when a controller that limits need (cpu, memory, pids) is nowhere. */
gboolean vmsan_cgroup_detect (const char *mountinfo, VmsanCgroupLayout *layout, GError **error);

/* Makes PARENT/NAME in every hierarchy it needs and applies and reads back the limits. @parent is
 * an absolute path below the hierarchies' roots, such as "/vmsan"; it is made when missing. A
 * left-over group of that name without processes is reused; with processes it is BUSY. On failure
 * nothing is left. */
VmsanCgroup *vmsan_cgroup_create (const char *parent,
                                  const char *name,
                                  const VmsanCgroupLimits *limits,
                                  GError **error);

/* Opens an existing one; NOT_FOUND when it is in no hierarchy. */
VmsanCgroup *vmsan_cgroup_open (const char *parent, const char *name, GError **error);

const char *vmsan_cgroup_get_path (VmsanCgroup *self); /* PARENT/NAME */

/* Moves a process into all hierarchies. Async-signal-safe variant for a child that moves itself:
 * write "0" to each of the descriptors of vmsan_cgroup_get_procs_fds(). */
gboolean vmsan_cgroup_attach (VmsanCgroup *self, pid_t pid, GError **error);
const int *vmsan_cgroup_get_procs_fds (VmsanCgroup *self, guint *n_fds); /* borrowed */

/* How many processes are members. */
guint vmsan_cgroup_count (VmsanCgroup *self);

/* TRUE when @pid is a member. */
gboolean vmsan_cgroup_contains (VmsanCgroup *self, pid_t pid);

/* Kills every member, also those that are just forking (cgroup.kill where the kernel has it, else
 * SIGKILL until none is left), and waits up to @deadline_ms until it is empty. Blocks: worker
 * thread. */
gboolean vmsan_cgroup_kill (VmsanCgroup *self, guint deadline_ms, GError **error);

/* Kills members and removes the group from every hierarchy; one that is gone is no error. Blocks:
 * worker thread. */
gboolean vmsan_cgroup_destroy (const char *parent, const char *name, GError **error);

/* Names of all groups directly below @parent, in any hierarchy; for the search for left-overs. */
GStrv vmsan_cgroup_list (const char *parent, GError **error);

VmsanCgroup *vmsan_cgroup_ref (VmsanCgroup *self);
void vmsan_cgroup_unref (VmsanCgroup *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanCgroup, vmsan_cgroup_unref)
