/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the parts of VmsanCgroup share among themselves. */

#pragma once

#include "sys/cgroup-layout.h"

/* The group in one hierarchy. */
typedef struct
{
  char *directory; /* for messages and removal */
  int dir_fd;
  VmsanControllers controllers;
  gboolean v2;
} VmsanCgroupPart;

struct _VmsanCgroup
{
  gatomicrefcount ref_count;
  char *path;
  GArray *parts;     /* of VmsanCgroupPart */
  GArray *procs_fds; /* of int, one for each part */
};

#define vmsan_cgroup_part(self, i) (&g_array_index ((self)->parts, VmsanCgroupPart, (i)))

/* Writes to a control file. A file that is not there is UNAVAILABLE: the kernel lacks it. */
gboolean vmsan_cgroup_part_write (const VmsanCgroupPart *part,
                                  const char *file,
                                  const char *value,
                                  GError **error);

/* Reads a control file, without the newline at the end. */
char *vmsan_cgroup_part_read (const VmsanCgroupPart *part, const char *file, GError **error);

/* The member processes. */
GArray *vmsan_cgroup_part_read_pids (const VmsanCgroupPart *part, GError **error);

/* Sets all limits in the hierarchy of @part that has the controller, and reads them back. */
gboolean vmsan_cgroup_part_apply_limits (const VmsanCgroupPart *part,
                                         const VmsanCgroupLimits *limits,
                                         GError **error);
