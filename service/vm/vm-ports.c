/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which machine has a port of the host.
 *
 * Promise: two machines never have the same, also when they start at the same time. Nothing is kept
 * for it that could be forgotten: who has a port follows from what each machine is doing. */

#include "sys/error.h"
#include "vm/vm-operation.h"
#include "vm/vm-table.h"

static gboolean
has_network_up (VmsanVm *vm)
{
  return vmsan_operation_starts (vm) || vm->monitor != NULL || vm->network_up;
}

/* The port of @policy that @port cannot have beside, or NULL. */
static const VmsanNetPort *
find_collision (const VmsanNetPolicy *policy, const VmsanNetPort *port)
{
  for (guint i = 0; !policy->skip_dnat && i < policy->ports->len; i++)
    if (vmsan_net_port_collides (g_ptr_array_index (policy->ports, i), port))
      return g_ptr_array_index (policy->ports, i);
  return NULL;
}

/* A change under way may still come to be, and may still fail. */
static gboolean
has_port (VmsanVm *vm, const VmsanNetPort *port)
{
  return find_collision (vm->record->network, port) != NULL ||
         (vm->operation != NULL &&
          find_collision (vmsan_operation_get_draft (vm)->network, port) != NULL);
}

static void
refuse (VmsanVm *self, VmsanVm *other, const VmsanNetPort *port, GError **error)
{
  g_autofree char *text = vmsan_net_port_to_string (port);
  g_autofree char *who = NULL;

  if (self->record->owner == other->record->owner || self->record->owner == 0)
    who = g_strdup_printf ("machine “%s” (%s)", other->record->name, other->record->id);
  else
    who = g_strdup ("another machine");
  g_set_error (
      error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
      "Port “%s” cannot be published: %s has port %u of the host; choose another host port "
      "or address, or stop that machine",
      text, who, port->host_port);
}

gboolean
vmsan_vm_check_ports (VmsanVm *self, const VmsanNetPolicy *policy, GError **error)
{
  VmsanVmTable *table = self->context->table;

  if (policy->ports->len == 0 || policy->skip_dnat)
    return TRUE;
  for (VmsanVm *vm = vmsan_vm_table_next (table, NULL); vm != NULL;
       vm = vmsan_vm_table_next (table, vm->record->id))
    {
      if (vm == self || !has_network_up (vm))
        continue;
      for (guint i = 0; i < policy->ports->len; i++)
        {
          const VmsanNetPort *port = g_ptr_array_index (policy->ports, i);

          if (!has_port (vm, port))
            continue;
          refuse (self, vm, port, error);
          return FALSE;
        }
    }
  return TRUE;
}
