/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Changing what a machine may reach.
 *
 * Promise: what is in force and what is on record agree, whatever fails: the rules change first, as
 * they may be refused, and go back when the record cannot be saved. */

#include "sys/error.h"
#include "sys/source.h"
#include "vm/vm-operation.h"

#include <fcntl.h>

/* Between tries to make a machine follow the host's name servers, at most. */
#define MAX_REFRESH_DELAY_S 60

static const char phase[] = "set-network-policy";

static const VmsanStep *const no_steps[] = { NULL };

static void put_draft_in_force (VmsanVm *vm, GTask *task);
static void put_back (VmsanVm *vm, GTask *task);

static const VmsanHook reviewed[] = { VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE, VMSAN_HOOK_NONE };

static const VmsanPlan policy_plan = {
  .verb = VMSAN_VERB_SET_NETWORK_POLICY,
  .phase = phase,
  .reviewed = reviewed,
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = put_draft_in_force,
  .retract = put_back,
};

/* For the policy that the machine has: nothing changes that could be objected to. */
static const VmsanPlan again_plan = {
  .verb = VMSAN_VERB_SET_NETWORK_POLICY,
  .phase = phase,
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = put_draft_in_force,
  .retract = put_back,
};

typedef struct
{
  VmsanNetPolicy *old;
  VmsanNetPolicy *wanted;
  const VmsanPlan *plan;
  char *actor;
  gboolean runs;
} Change;

static void
change_free (Change *self)
{
  vmsan_net_policy_unref (self->old);
  vmsan_net_policy_unref (self->wanted);
  g_free (self->actor);
  g_free (self);
}

VmsanNetMachine *
vmsan_vm_describe_network (VmsanVm *self, GError **error)
{
  const VmsanVmContext *context = self->context;
  const VmsanVmRecord *record = self->record;
  g_autoptr (VmsanNetMachine) machine = g_new0 (VmsanNetMachine, 1);

  machine->id = g_strdup (record->id);
  machine->slot = record->slot;
  machine->uid = record->uid;
  machine->policy = vmsan_net_policy_ref (record->network);
  machine->runtime_dir_fd = vmsan_managed_root_open_at (context->runtime_root, record->id,
                                                        O_RDONLY | O_DIRECTORY, 0, error);
  if (machine->runtime_dir_fd < 0)
    return NULL;
  machine->cgroup = vmsan_cgroup_open (context->config->cgroup_parent, record->id, error);
  return machine->cgroup != NULL ? g_steal_pointer (&machine) : NULL;
}

static void
on_in_force (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_net_manager_set_policy_finish (VMSAN_NET_MANAGER (source), result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* Puts @policy in force in place of @old. Consumes @task. */
static void
put_in_force (VmsanVm *vm, VmsanNetPolicy *policy, VmsanNetPolicy *old, GTask *task)
{
  GError *error = NULL;
  g_autoptr (VmsanNetMachine) machine = vmsan_vm_describe_network (vm, &error);

  if (machine == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  vmsan_net_policy_unref (machine->policy);
  machine->policy = vmsan_net_policy_ref (policy);
  machine->old_policy = vmsan_net_policy_ref (old);
  vmsan_net_manager_set_policy_async (vm->context->networks, machine, on_in_force, task);
}

/* A machine that is stopped gets the new policy with its next start. Consumes @task. */
static void
put_draft_in_force (VmsanVm *vm, GTask *task)
{
  if (vm->monitor != NULL)
    {
      put_in_force (vm, vmsan_operation_get_draft (vm)->network, vm->record->network, task);
      return;
    }
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

/* Consumes @task. */
static void
put_back (VmsanVm *vm, GTask *task)
{
  if (vm->monitor != NULL)
    {
      put_in_force (vm, vm->record->network, vmsan_operation_get_draft (vm)->network, task);
      return;
    }
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = VMSAN_VM (source);
  Change *change = g_task_get_task_data (task);
  GError *error = NULL;

  if (vmsan_operation_run_finish (vm, result, &error))
    {
      if (!vmsan_net_policy_equal (change->old, vm->record->network))
        vmsan_vm_emit_policy (vm, change->old, change->actor);
      g_task_return_boolean (task, TRUE);
      return;
    }
  g_task_return_error (task, error);
}

static void
refuse (VmsanVm *self, GTask *task, GError *error)
{
  const Change *change = g_task_get_task_data (task);

  /* Nobody asked for the same policy again, and the service tries once more by itself. */
  if (change->plan != &again_plan)
    vmsan_vm_emit_refusal (self, phase, error, change->actor);
  g_task_return_error (task, error);
}

static gboolean
check_change (VmsanVm *self, const Change *change, GError **error)
{
  if (!change->old->has_network)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                   "Machine %s has no network: create one with “network” “nat” instead",
                   self->record->id);
      return FALSE;
    }
  /* What was looked at may be something else by now, and the wanted policy was made of it. */
  if (!vmsan_net_policy_equal (self->record->network, change->old) ||
      change->runs != (self->monitor != NULL))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                   "Machine %s was changed at the same time: try again", self->record->id);
      return FALSE;
    }
  return vmsan_vm_check_verb (self, VMSAN_VERB_SET_NETWORK_POLICY, error) &&
         (!change->runs || vmsan_vm_check_ports (self, change->wanted, error));
}

static void
on_change_checked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = g_task_get_source_object (task);
  const Change *change = g_task_get_task_data (task);
  VmsanVmRecord *changed;
  GError *error = NULL;

  if (!vmsan_net_manager_check_finish (VMSAN_NET_MANAGER (source), result, &error) ||
      !check_change (self, change, &error))
    {
      refuse (self, task, error);
      return;
    }
  changed = vmsan_vm_record_copy (self->record);
  vmsan_net_policy_unref (changed->network);
  changed->network = vmsan_net_policy_ref (change->wanted);
  vmsan_operation_change_async (self, change->plan, changed, change->actor, on_changed,
                                g_steal_pointer (&task));
}

/* A refusal comes before the operation: its failure would be told to all, ports and names too. */
static void
set_policy (VmsanVm *self,
            const VmsanPlan *plan,
            VmsanNetPolicy *policy,
            const char *actor,
            GAsyncReadyCallback callback,
            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  Change *change = g_new0 (Change, 1);
  GError *error = NULL;

  change->old = vmsan_net_policy_ref (self->record->network);
  change->wanted = vmsan_net_policy_ref (policy);
  change->plan = plan;
  change->actor = g_strdup (actor);
  change->runs = self->monitor != NULL;
  g_task_set_task_data (task, change, (GDestroyNotify) change_free);
  if (check_change (self, change, &error))
    vmsan_net_manager_check_async (self->context->networks, policy, change->old, change->runs,
                                   on_change_checked, g_steal_pointer (&task));
  else
    refuse (self, task, error);
}

void
vmsan_vm_set_network_policy_async (VmsanVm *self,
                                   VmsanNetPolicy *policy,
                                   const char *actor,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  set_policy (self, &policy_plan, policy, actor, callback, user_data);
}

gboolean
vmsan_vm_set_network_policy_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Again --------------------------------------------------------------------------------- */

static gboolean
on_refresh_again (gpointer user_data)
{
  VmsanVm *self = user_data;

  g_clear_pointer (&self->refresh_again, g_source_unref);
  vmsan_vm_refresh_network (self);
  return G_SOURCE_REMOVE;
}

/* Nobody else tells that the machine still has old name servers. The source does not hold the
 * machine, and ends with its monitor. */
static void
refresh_later (VmsanVm *self)
{
  self->refresh_delay_s = CLAMP (2 * self->refresh_delay_s, 1, MAX_REFRESH_DELAY_S);
  vmsan_source_clear (&self->refresh_again);
  self->refresh_again = g_timeout_source_new_seconds (self->refresh_delay_s);
  g_source_set_callback (self->refresh_again, on_refresh_again, self, NULL);
  g_source_attach (self->refresh_again, NULL);
}

static void
on_refreshed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanVm *self = VMSAN_VM (source);
  g_autoptr (GError) error = NULL;

  if (vmsan_vm_set_network_policy_finish (self, result, &error))
    self->refresh_delay_s = 0;
  else if (self->monitor == NULL || self->context->quiescing)
    g_debug ("Machine %s keeps its old name servers: %s", self->record->id, error->message);
  /* Something began while this one was being checked, and may have read the old ones. */
  else if (self->operation != NULL && g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_BUSY))
    vmsan_vm_refresh_network (self);
  /* Of a state that only a stop or a removal leads out of. */
  else if (g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_WRONG_STATE))
    g_message ("Machine %s keeps its old name servers: %s", self->record->id, error->message);
  else
    {
      refresh_later (self);
      g_message ("Machine %s keeps its old name servers, until another try in %u s: %s",
                 self->record->id, self->refresh_delay_s, error->message);
    }
}

static void
on_idle (GObject *source, GAsyncResult *result, gpointer user_data)
{
  vmsan_vm_refresh_network (VMSAN_VM (source));
}

void
vmsan_vm_refresh_network (VmsanVm *self)
{
  vmsan_source_clear (&self->refresh_again);
  if (self->operation != NULL)
    g_queue_push_tail (&self->waiting, g_task_new (self, NULL, on_idle, NULL));
  else if (self->monitor != NULL && self->record->network->has_network)
    set_policy (self, &again_plan, self->record->network, "service", on_refreshed, NULL);
}
