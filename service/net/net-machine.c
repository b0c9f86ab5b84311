/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a copy owns everything that is in it. */

#include "net/net-machine.h"

#include "sys/fd.h"

#include <fcntl.h>

char *
vmsan_net_machine_name_namespace (const char *id)
{
  return g_strconcat (VMSAN_NET_NAMESPACE_PREFIX, id, NULL);
}

VmsanNetMachine *
vmsan_net_machine_copy (const VmsanNetMachine *self)
{
  VmsanNetMachine *copy = g_new (VmsanNetMachine, 1);

  *copy = *self;
  copy->id = g_strdup (self->id);
  copy->policy = self->policy != NULL ? vmsan_net_policy_ref (self->policy) : NULL;
  copy->old_policy = self->old_policy != NULL ? vmsan_net_policy_ref (self->old_policy) : NULL;
  copy->runtime_dir_fd =
      self->runtime_dir_fd >= 0 ? fcntl (self->runtime_dir_fd, F_DUPFD_CLOEXEC, 3) : -1;
  copy->cgroup = self->cgroup != NULL ? vmsan_cgroup_ref (self->cgroup) : NULL;
  return copy;
}

void
vmsan_net_machine_free (VmsanNetMachine *self)
{
  g_free (self->id);
  g_clear_pointer (&self->policy, vmsan_net_policy_unref);
  g_clear_pointer (&self->old_policy, vmsan_net_policy_unref);
  vmsan_fd_close (&self->runtime_dir_fd);
  g_clear_pointer (&self->cgroup, vmsan_cgroup_unref);
  g_free (self);
}
