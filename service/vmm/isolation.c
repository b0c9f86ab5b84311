/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is not asked for is not left out. */

#include "vmm/isolation.h"

const VmsanWeakening vmsan_weakenings[VMSAN_N_WEAKENINGS] = {
  { "disable-seccomp", VMSAN_WEAKENED_SECCOMP },
  { "disable-pid-ns", VMSAN_WEAKENED_PID_NS },
  { "disable-cgroup", VMSAN_WEAKENED_CGROUP },
  { "disable-netns", VMSAN_WEAKENED_NETNS },
};

VmsanWeakened
vmsan_weakened_parse (GVariant *options)
{
  VmsanWeakened weakened = 0;
  gboolean set;

  for (guint i = 0; i < VMSAN_N_WEAKENINGS; i++)
    if (g_variant_lookup (options, vmsan_weakenings[i].option, "b", &set) && set)
      weakened |= vmsan_weakenings[i].flag;
  return weakened;
}

void
vmsan_weakened_describe (VmsanWeakened self, GVariantDict *details)
{
  for (guint i = 0; i < VMSAN_N_WEAKENINGS; i++)
    if (self & vmsan_weakenings[i].flag)
      g_variant_dict_insert (details, vmsan_weakenings[i].option, "b", TRUE);
}
