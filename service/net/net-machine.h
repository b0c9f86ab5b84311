/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What there is to know of a machine in order to give it a network. */

#pragma once

#include "net/net-policy.h"
#include "sys/cgroup.h"

/* A caller lends one for the length of a call; who needs it longer takes a copy. */
typedef struct
{
  char *id;
  guint slot;
  VmsanNetPolicy *policy;
  VmsanNetPolicy *old_policy; /* for a change: what is in force; else NULL */
  int runtime_dir_fd;         /* where it is noted what is in force; -1: nowhere */
  uid_t uid;
  VmsanCgroup *cgroup; /* nullable; its resolver runs in it and ends with it */
} VmsanNetMachine;

/* Its namespace is named after it, for "ip netns". (transfer full) */
#define VMSAN_NET_NAMESPACE_PREFIX "vmsan-"
char *vmsan_net_machine_name_namespace (const char *id);

VmsanNetMachine *vmsan_net_machine_copy (const VmsanNetMachine *self);
void vmsan_net_machine_free (VmsanNetMachine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetMachine, vmsan_net_machine_free)
