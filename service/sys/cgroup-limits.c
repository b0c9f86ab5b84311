/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a limit that was applied without an error is in force: the kernel was asked afterwards.
 */

#include "sys/cgroup-private.h"

#include "sys/error.h"

#include <unistd.h>

/* The kernel's default; see Documentation/scheduler/sched-bwc.rst. */
#define CPU_PERIOD_US 100000

static gboolean
set_and_verify (const VmsanCgroupPart *part, const char *file, const char *value, GError **error)
{
  g_autofree char *in_force = NULL;

  if (!vmsan_cgroup_part_write (part, file, value, error))
    return FALSE;
  in_force = vmsan_cgroup_part_read (part, file, error);
  if (in_force == NULL)
    return FALSE;
  if (!g_str_equal (in_force, value))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "The limit “%s” of cgroup “%s” was set to “%s”, but the kernel made it “%s”",
                   file, part->directory, value, in_force);
      return FALSE;
    }
  return TRUE;
}

/* Swap would let a guest take more than it was given, on the account of all; without swap
 * accounting in the kernel there is no file to say so. */
static gboolean
apply_memory (const VmsanCgroupPart *part, guint64 max_bytes, GError **error)
{
  const char *swap_file = part->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
  guint64 page = sysconf (_SC_PAGESIZE);
  /* Rounded as the kernel does, so that reading back gives the same. */
  g_autofree char *value = g_strdup_printf ("%" G_GUINT64_FORMAT, max_bytes / page * page);

  if (!set_and_verify (part, part->v2 ? "memory.max" : "memory.limit_in_bytes", value, error))
    return FALSE;
  if (faccessat (part->dir_fd, swap_file, F_OK, 0) < 0)
    return TRUE;
  /* In v1 the file bounds memory and swap together, in v2 swap alone. */
  return set_and_verify (part, swap_file, part->v2 ? "0" : value, error);
}

static gboolean
apply_cpu (const VmsanCgroupPart *part, guint percent, GError **error)
{
  guint64 quota_us = (guint64) percent * CPU_PERIOD_US / 100;
  g_autofree char *period = g_strdup_printf ("%d", CPU_PERIOD_US);
  g_autofree char *quota = g_strdup_printf ("%" G_GUINT64_FORMAT, quota_us);
  g_autofree char *both = g_strdup_printf ("%s %s", quota, period);

  if (part->v2)
    return set_and_verify (part, "cpu.max", both, error);
  return set_and_verify (part, "cpu.cfs_period_us", period, error) &&
         set_and_verify (part, "cpu.cfs_quota_us", quota, error);
}

static gboolean
apply_pids (const VmsanCgroupPart *part, guint pids_max, GError **error)
{
  g_autofree char *value = g_strdup_printf ("%u", pids_max);

  return set_and_verify (part, "pids.max", value, error);
}

gboolean
vmsan_cgroup_part_apply_limits (const VmsanCgroupPart *part,
                                const VmsanCgroupLimits *limits,
                                GError **error)
{
  if ((part->controllers & VMSAN_CONTROLLER_MEMORY) && limits->memory_max_bytes > 0 &&
      !apply_memory (part, limits->memory_max_bytes, error))
    return FALSE;
  if ((part->controllers & VMSAN_CONTROLLER_CPU) && limits->cpu_percent > 0 &&
      !apply_cpu (part, limits->cpu_percent, error))
    return FALSE;
  if ((part->controllers & VMSAN_CONTROLLER_PIDS) && limits->pids_max > 0 &&
      !apply_pids (part, limits->pids_max, error))
    return FALSE;
  return TRUE;
}
