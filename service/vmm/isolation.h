/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Parts of a monitor's confinement that an administrator may leave out of a machine, as for finding
 * out what is wrong with it. Each is an option of CreateVM that needs org.vmsan.weaken-isolation,
 * is on record, and holds for every start. */

#pragma once

#include <gio/gio.h>

/**
 * VmsanWeakened: what is left out
 * @VMSAN_WEAKENED_SECCOMP: the filter of system calls
 * @VMSAN_WEAKENED_PID_NS: a PID namespace of the monitor's own
 * @VMSAN_WEAKENED_CGROUP: limits of the control group; its members are in it all the same
 * @VMSAN_WEAKENED_NETNS: a network namespace of the monitor's own; only without a network, as the
 *   policy of a machine is enforced in that namespace
 */
typedef enum
{
  VMSAN_WEAKENED_SECCOMP = 1 << 0,
  VMSAN_WEAKENED_PID_NS = 1 << 1,
  VMSAN_WEAKENED_CGROUP = 1 << 2,
  VMSAN_WEAKENED_NETNS = 1 << 3,
} VmsanWeakened;

#define VMSAN_WEAKENED_ALL 15

typedef struct
{
  const char *option; /* "disable-seccomp" */
  VmsanWeakened flag;
} VmsanWeakening;

#define VMSAN_N_WEAKENINGS 4
extern const VmsanWeakening vmsan_weakenings[VMSAN_N_WEAKENINGS];

/* @options: a{sv} with checked types. */
VmsanWeakened vmsan_weakened_parse (GVariant *options);

/* Adds those that are set, each as its option with TRUE. */
void vmsan_weakened_describe (VmsanWeakened self, GVariantDict *details);
