/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: whatever the service was doing when it ended, afterwards each machine is in a state of
 * the table, and nothing on the host is nobody's. */

#include "vm/vm-reconcile.h"

#include "sys/error.h"
#include "vm/vm-steps.h"

#define ADOPTION_HANDSHAKE_MS 10000
#define MAX_LISTED            65536

typedef struct
{
  const VmsanVmContext *context;
  GPtrArray *vms;
  guint pending; /* machines still being looked after, and one for ourselves */
} Reconcile;

static void
reconcile_free (Reconcile *self)
{
  g_ptr_array_unref (self->vms);
  g_free (self);
}

/* ---- What belongs to no machine ------------------------------------------------------------ */

/* What the thread that clears away needs, taken from the main context beforehand. */
typedef struct
{
  GHashTable *known; /* set of ids with a record */
  char *cgroup_parent;
  VmsanManagedRoot *state_root;
  VmsanManagedRoot *runtime_root;
} Leftovers;

static void
leftovers_free (Leftovers *self)
{
  g_hash_table_unref (self->known);
  g_free (self->cgroup_parent);
  vmsan_managed_root_unref (self->state_root);
  vmsan_managed_root_unref (self->runtime_root);
  g_free (self);
}

/* Only names that could be a machine's id are ours to clear away. */
static gboolean
is_leftover (Leftovers *self, const char *name)
{
  return vmsan_vm_id_is_valid (name) && !g_hash_table_contains (self->known, name);
}

static void
clear_cgroups (Leftovers *self)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_cgroup_list (self->cgroup_parent, &error);

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autoptr (GError) local_error = NULL;

      if (!is_leftover (self, names[i]))
        continue;
      g_message ("Ending what runs in the cgroup of machine %s, which has no record", names[i]);
      if (!vmsan_cgroup_destroy (self->cgroup_parent, names[i], &local_error))
        g_warning ("%s", local_error->message);
    }
}

/* A machine whose damaged record was moved aside may be repaired by a person: keep its disk. */
static gboolean
has_damaged_record (GStrv damaged, const char *id)
{
  for (guint i = 0; damaged != NULL && damaged[i] != NULL; i++)
    if (g_str_has_prefix (damaged[i], id))
      return TRUE;
  return FALSE;
}

static void
clear_directories (Leftovers *self, VmsanManagedRoot *root, const char *directory, GStrv damaged)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_managed_root_list (root, directory, MAX_LISTED, &error);

  if (names == NULL)
    g_warning ("Looking for left-overs: %s", error->message);
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autoptr (GError) local_error = NULL;
      g_autofree char *path =
          directory != NULL ? g_build_filename (directory, names[i], NULL) : g_strdup (names[i]);

      if (!is_leftover (self, names[i]) || has_damaged_record (damaged, names[i]))
        continue;
      g_message ("Deleting %s/%s, which belongs to no machine", vmsan_managed_root_get_path (root),
                 path);
      if (!vmsan_managed_root_delete (root, path, &local_error))
        g_warning ("%s", local_error->message);
    }
}

static void
clear_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Leftovers *self = data;
  g_auto (GStrv) damaged = vmsan_managed_root_list (self->state_root, "damaged", MAX_LISTED, NULL);

  clear_cgroups (self);
  clear_directories (self, self->runtime_root, NULL, NULL);
  clear_directories (self, self->state_root, "vms", damaged);
  g_task_return_boolean (task, TRUE);
}

static void
on_cleared (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;

  g_task_return_boolean (task, g_task_propagate_boolean (G_TASK (result), NULL));
}

static void
clear_leftovers (GTask *task)
{
  Reconcile *self = g_task_get_task_data (task);
  g_autoptr (GTask) clearing = g_task_new (NULL, NULL, on_cleared, g_object_ref (task));
  Leftovers *leftovers = g_new0 (Leftovers, 1);

  leftovers->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < self->vms->len; i++)
    {
      VmsanVm *vm = g_ptr_array_index (self->vms, i);

      if (!vm->gone)
        g_hash_table_add (leftovers->known, g_strdup (vm->record->id));
    }
  leftovers->cgroup_parent = g_strdup (self->context->config->cgroup_parent);
  leftovers->state_root = vmsan_managed_root_ref (self->context->state_root);
  leftovers->runtime_root = vmsan_managed_root_ref (self->context->runtime_root);
  g_task_set_task_data (clearing, leftovers, (GDestroyNotify) leftovers_free);
  g_task_run_in_thread (clearing, clear_in_thread);
}

static void
on_networks_started (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_manager_start_finish (VMSAN_NET_MANAGER (source), result, &error))
    g_warning ("Networks of machines: %s", error->message);
  clear_leftovers (task);
}

/* The host's side for those that run on, and nothing for anybody else. */
static void
start_networks (GTask *task)
{
  Reconcile *self = g_task_get_task_data (task);
  g_autoptr (GPtrArray) machines =
      g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_net_machine_free);

  for (guint i = 0; i < self->vms->len; i++)
    {
      VmsanVm *vm = g_ptr_array_index (self->vms, i);
      g_autoptr (GError) error = NULL;
      VmsanNetMachine *machine;

      if (vm->gone || vm->monitor == NULL || !vm->record->network->has_network)
        continue;
      machine = vmsan_vm_describe_network (vm, &error);
      if (machine != NULL)
        g_ptr_array_add (machines, machine);
      else
        g_warning ("The network of machine %s: %s", vm->record->id, error->message);
    }
  vmsan_net_manager_start_async (self->context->networks, machines, on_networks_started,
                                 g_object_ref (task));
}

/* One machine less to look after. Consumes @task. */
static void
done_one (GTask *task)
{
  g_autoptr (GTask) owned = task;
  Reconcile *self = g_task_get_task_data (task);

  if (--self->pending == 0)
    start_networks (task);
}

/* ---- One machine --------------------------------------------------------------------------- */

static void
on_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (!vmsan_vm_recover_finish (VMSAN_VM (source), result, &error))
    g_warning ("Machine %s: %s", VMSAN_VM (source)->record->id, error->message);
  done_one (user_data);
}

static void
on_control_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanVm *vm = VMSAN_VM (source);
  g_autoptr (GError) error = NULL;

  if (vmsan_vm_open_control_finish (vm, result, &error))
    vmsan_agent_control_list (vm->control, NULL);
  else
    g_warning ("Machine %s runs, but its agent does not answer: %s", vm->record->id,
               error->message);
}

/* Finds the monitor of a machine that ran when the service ended. FALSE with the reason, in words,
 * when it does not run any more. */
static gboolean
adopt (VmsanVm *vm, char **reason)
{
  const VmsanVmContext *context = vm->context;
  VmsanVmm *vmm = vmsan_vm_find_vmm (context, vm->record->driver);
  g_autoptr (VmsanCgroup) cgroup = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  g_autofree char *runtime_dir =
      g_build_filename (vmsan_managed_root_get_path (context->runtime_root), vm->record->id, NULL);
  g_autoptr (GError) error = NULL;
  VmsanMonitor *monitor;

  if (!g_str_equal (vm->record->boot_id, context->boot_id))
    {
      *reason = g_strdup ("the host was restarted");
      return FALSE;
    }
  cgroup = vmsan_cgroup_open (context->config->cgroup_parent, vm->record->id, &error);
  if (cgroup != NULL)
    process = vmsan_process_adopt (vm->record->pid, vm->record->start_time, cgroup, &error);
  if (process == NULL || vmm == NULL)
    {
      *reason = g_strdup ("the virtual machine monitor ended while the service was away");
      return FALSE;
    }
  monitor = vmsan_vmm_adopt (vmm, runtime_dir, process, &error);
  if (monitor == NULL)
    {
      *reason = g_strdup_printf ("the virtual machine monitor could not be taken over: %s",
                                 error->message);
      return FALSE;
    }
  vmsan_vm_take_monitor (vm, monitor);
  vmsan_vm_arm_timeout (vm);
  vmsan_vm_open_control_async (vm, vm->record->token, ADOPTION_HANDSHAKE_MS, NULL,
                               on_control_opened, NULL);
  return TRUE;
}

static void
look_after (VmsanVm *vm, GTask *task)
{
  VmsanVmState state = vm->record->state;
  g_autofree char *reason = NULL;

  if (vmsan_vm_needs_recovery (vm) || state == VMSAN_VM_CREATING || state == VMSAN_VM_STARTING ||
      state == VMSAN_VM_STOPPING || state == VMSAN_VM_REMOVING)
    vmsan_vm_recover_async (vm, on_ended, g_object_ref (task));
  else if ((state == VMSAN_VM_RUNNING || state == VMSAN_VM_PAUSED) && !adopt (vm, &reason))
    vmsan_vm_bury_async (vm, reason, "service", on_ended, g_object_ref (task));
  else
    done_one (g_object_ref (task));
}

void
vmsan_vm_reconcile_async (const VmsanVmContext *context,
                          GPtrArray *vms,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, user_data);
  Reconcile *self = g_new0 (Reconcile, 1);

  self->context = context;
  self->vms = g_ptr_array_ref (vms);
  self->pending = vms->len + 1;
  g_task_set_task_data (task, self, (GDestroyNotify) reconcile_free);
  for (guint i = 0; i < vms->len; i++)
    look_after (g_ptr_array_index (vms, i), task);
  done_one (g_object_ref (task));
}

gboolean
vmsan_vm_reconcile_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
