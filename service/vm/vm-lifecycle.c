/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: each verb is a plan of the same steps, so a restart gives what a creation gave, and
 * whatever ends a machine cleans up the same things. */

#include "agent/protocol.h"
#include "sys/error.h"
#include "sys/source.h"
#include "vm/vm-operation.h"
#include "vm/vm-steps.h"

/* All that a verb leads to is reviewed before any of it is done. */
static const VmsanHook create_reviewed[] = { VMSAN_HOOK_BEFORE_CREATE, VMSAN_HOOK_NONE };
static const VmsanHook create_and_start_reviewed[] = { VMSAN_HOOK_BEFORE_CREATE,
                                                       VMSAN_HOOK_BEFORE_START, VMSAN_HOOK_NONE };
static const VmsanHook start_reviewed[] = { VMSAN_HOOK_BEFORE_START, VMSAN_HOOK_NONE };
static const VmsanHook stop_reviewed[] = { VMSAN_HOOK_BEFORE_STOP, VMSAN_HOOK_NONE };
static const VmsanHook remove_reviewed[] = { VMSAN_HOOK_BEFORE_REMOVE, VMSAN_HOOK_NONE };
static const VmsanHook no_hooks[] = { VMSAN_HOOK_NONE };
static const VmsanHook stop_and_remove_reviewed[] = { VMSAN_HOOK_BEFORE_STOP,
                                                      VMSAN_HOOK_BEFORE_REMOVE, VMSAN_HOOK_NONE };

static const VmsanPlan create_plan = {
  .verb = VMSAN_VERB_CREATE,
  .phase = "create",
  .direction = VMSAN_PLAN_APPLY,
  .during = VMSAN_VM_CREATING,
  .after = VMSAN_VM_STOPPED,
  .reviewed = create_reviewed,
  .before_hook = VMSAN_HOOK_BEFORE_CREATE,
  .after_hook = VMSAN_HOOK_AFTER_CREATE,
  .steps = vmsan_create_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .record_ends = TRUE,
};

static const VmsanPlan create_and_start_plan = {
  .verb = VMSAN_VERB_CREATE,
  .phase = "create",
  .direction = VMSAN_PLAN_APPLY,
  .during = VMSAN_VM_CREATING,
  .after = VMSAN_VM_RUNNING,
  .reviewed = create_and_start_reviewed,
  .before_hook = VMSAN_HOOK_BEFORE_CREATE,
  .after_hook = VMSAN_HOOK_AFTER_CREATE,
  .steps = vmsan_all_steps,
  .start_index = VMSAN_N_CREATE_STEPS,
  .record_ends = TRUE,
};

static const VmsanPlan start_plan = {
  .verb = VMSAN_VERB_START,
  .phase = "start",
  .direction = VMSAN_PLAN_APPLY,
  .during = VMSAN_VM_STARTING,
  .after = VMSAN_VM_RUNNING,
  .reviewed = start_reviewed,
  .before_hook = VMSAN_HOOK_BEFORE_START,
  .after_hook = VMSAN_HOOK_AFTER_START,
  .steps = vmsan_run_steps,
  .start_index = VMSAN_PLAN_NO_START,
};

static void shut_down (VmsanVm *vm, GTask *task);

static const VmsanPlan stop_plan = {
  .verb = VMSAN_VERB_STOP,
  .phase = "stop",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .reviewed = stop_reviewed,
  .before_hook = VMSAN_HOOK_BEFORE_STOP,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = vmsan_run_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = shut_down,
};

/* The first part of a forced removal, which was reviewed as a whole; so is the second below. */
static const VmsanPlan kill_plan = {
  .verb = VMSAN_VERB_STOP,
  .phase = "stop",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .before_hook = VMSAN_HOOK_BEFORE_STOP,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = vmsan_run_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = shut_down,
};

static const VmsanPlan bury_plan = {
  .verb = VMSAN_VERB_BURY,
  .phase = "run",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .before_hook = VMSAN_HOOK_NONE,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = vmsan_run_steps,
  .start_index = VMSAN_PLAN_NO_START,
};

static const VmsanPlan remove_plan = {
  .verb = VMSAN_VERB_REMOVE,
  .phase = "remove",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_REMOVING,
  .reviewed = remove_reviewed,
  .before_hook = VMSAN_HOOK_BEFORE_REMOVE,
  .after_hook = VMSAN_HOOK_AFTER_REMOVE,
  .steps = vmsan_create_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .record_ends = TRUE,
};

static const VmsanPlan forced_remove_plan = {
  .verb = VMSAN_VERB_FORCE_REMOVE,
  .phase = "remove",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_REMOVING,
  .before_hook = VMSAN_HOOK_BEFORE_REMOVE,
  .after_hook = VMSAN_HOOK_AFTER_REMOVE,
  .steps = vmsan_all_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .record_ends = TRUE,
};

/* ---- Create and start ---------------------------------------------------------------------- */

void
vmsan_vm_create_async (VmsanVm *self,
                       gboolean start,
                       const char *actor,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  vmsan_operation_run_async (self, start ? &create_and_start_plan : &create_plan, "", actor,
                             cancellable, callback, user_data);
}

gboolean
vmsan_vm_create_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return vmsan_operation_run_finish (self, result, error);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_operation_run_finish (VMSAN_VM (source), result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

typedef struct
{
  char *actor;
  VmsanNetPolicy *checked;
} Start;

static void
start_free (Start *self)
{
  g_free (self->actor);
  vmsan_net_policy_unref (self->checked);
  g_free (self);
}

static void
refuse_start (VmsanVm *self, GTask *task, GError *error)
{
  const Start *data = g_task_get_task_data (task);

  vmsan_vm_emit_refusal (self, start_plan.phase, error, data->actor);
  g_task_return_error (task, error);
}

/* The ports are the machine's from the moment that its operation begins. Consumes @task. */
static void
start (VmsanVm *self, GTask *task)
{
  g_autoptr (GTask) owned = task;
  const Start *data = g_task_get_task_data (task);
  GError *error = NULL;

  /* No operation kept others from changing the policy while it was checked. */
  if (!vmsan_net_policy_equal (self->record->network, data->checked))
    refuse_start (self, task,
                  g_error_new (VMSAN_ERROR, VMSAN_ERROR_BUSY,
                               "Machine %s was changed at the same time: try again",
                               self->record->id));
  else if (!vmsan_vm_check_ports (self, data->checked, &error))
    refuse_start (self, task, error);
  else
    vmsan_operation_run_async (self, &start_plan, "", data->actor, g_task_get_cancellable (task),
                               on_started, g_steal_pointer (&owned));
}

static void
on_start_checked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = g_task_get_source_object (task);
  GError *error = NULL;

  if (vmsan_net_manager_check_finish (VMSAN_NET_MANAGER (source), result, &error))
    start (self, g_steal_pointer (&task));
  else
    refuse_start (self, task, error);
}

void
vmsan_vm_start_async (VmsanVm *self,
                      const char *actor,
                      GCancellable *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Start *data = g_new0 (Start, 1);
  GError *error = NULL;

  data->actor = g_strdup (actor);
  data->checked = vmsan_net_policy_ref (self->record->network);
  g_task_set_check_cancellable (task, FALSE); /* the operation has more to say */
  g_task_set_task_data (task, data, (GDestroyNotify) start_free);
  if (!vmsan_vm_check_verb (self, VMSAN_VERB_START, &error))
    refuse_start (self, task, error);
  else if (self->record->network->has_network)
    vmsan_net_manager_check_async (self->context->networks, data->checked, NULL, TRUE,
                                   on_start_checked, g_steal_pointer (&task));
  else
    start (self, g_steal_pointer (&task));
}

gboolean
vmsan_vm_start_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Stop ---------------------------------------------------------------------------------- */

static const char how_graceful[] = "graceful";
static const char how_forced[] = "forced";

typedef struct
{
  GCancellable *waiting; /* for the monitor's end */
  GSource *deadline;
  GSource *hurried; /* by a forced removal */
} Shutdown;

static void
shutdown_free (Shutdown *self)
{
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->hurried);
  g_clear_object (&self->waiting);
  g_free (self);
}

static void
on_shut_down (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Shutdown *shutdown = g_task_get_task_data (task);
  VmsanVm *vm = g_task_get_source_object (task);
  int status;

  vmsan_source_clear (&shutdown->deadline);
  vmsan_source_clear (&shutdown->hurried);
  if (vmsan_process_wait_finish (VMSAN_PROCESS (source), result, &status, NULL))
    vmsan_vm_record_set_text (&vmsan_operation_get_draft (vm)->reason, how_graceful);
  g_task_return_boolean (task, TRUE);
}

static gboolean
on_shutdown_deadline (gpointer user_data)
{
  g_cancellable_cancel (user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_shutdown_hurried (GCancellable *cancellable, gpointer user_data)
{
  g_cancellable_cancel (user_data);
  return G_SOURCE_REMOVE;
}

/* Asks the guest to shut down and waits for the monitor to end, until the deadline, if there is
 * any. */
static void
shut_down (VmsanVm *vm, GTask *task)
{
  g_autoptr (GTask) owned = task;
  Shutdown *shutdown = g_new0 (Shutdown, 1);
  guint deadline_ms = vm->stop_deadline_ms;
  GError *error = NULL;

  g_task_set_task_data (task, shutdown, (GDestroyNotify) shutdown_free);
  vmsan_vm_record_set_text (&vmsan_operation_get_draft (vm)->reason, how_forced);
  if (deadline_ms == 0)
    {
      g_task_return_boolean (task, TRUE);
      return;
    }
  if (vm->monitor == NULL || vm->control == NULL)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_GUEST_FAILED,
                               "Machine %s has no agent to ask for a shutdown", vm->record->id);
      return;
    }
  if (!vmsan_agent_control_shutdown (vm->control, vmsan_monitor_get_shutdown_action (vm->monitor),
                                     &error))
    {
      g_task_return_error (task, error);
      return;
    }

  shutdown->waiting = g_cancellable_new ();
  shutdown->deadline = g_timeout_source_new (deadline_ms);
  g_source_set_callback (shutdown->deadline, on_shutdown_deadline, g_object_ref (shutdown->waiting),
                         g_object_unref);
  g_source_attach (shutdown->deadline, NULL);
  shutdown->hurried = g_cancellable_source_new (g_task_get_cancellable (task));
  g_source_set_callback (shutdown->hurried, G_SOURCE_FUNC (on_shutdown_hurried),
                         g_object_ref (shutdown->waiting), g_object_unref);
  g_source_attach (shutdown->hurried, NULL);
  vmsan_process_wait_async (vmsan_monitor_get_process (vm->monitor), shutdown->waiting,
                            on_shut_down, g_object_ref (task));
}

static void
stop (VmsanVm *self,
      const VmsanPlan *plan,
      guint deadline_ms,
      const char *actor,
      GCancellable *cancellable,
      GAsyncReadyCallback callback,
      gpointer user_data)
{
  if (self->operation == NULL)
    self->stop_deadline_ms = deadline_ms;
  vmsan_operation_run_async (self, plan, deadline_ms > 0 ? "" : how_forced, actor, cancellable,
                             callback, user_data);
}

void
vmsan_vm_stop_async (VmsanVm *self,
                     guint deadline_ms,
                     const char *actor,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  stop (self, &stop_plan, deadline_ms, actor, cancellable, callback, user_data);
}

const char *
vmsan_vm_stop_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  if (!vmsan_operation_run_finish (self, result, error))
    return NULL;
  return g_str_equal (self->record->reason, how_graceful) ? how_graceful : how_forced;
}

void
vmsan_vm_bury_async (VmsanVm *self,
                     const char *reason,
                     const char *actor,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  vmsan_operation_run_async (self, &bury_plan, reason, actor, NULL, callback, user_data);
}

gboolean
vmsan_vm_bury_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return vmsan_operation_run_finish (self, result, error);
}

/* ---- Remove -------------------------------------------------------------------------------- */

typedef struct
{
  char *actor;
  gboolean killed;
  VmsanReview review;      /* of all of it */
  gboolean stop_agreed;    /* or asked for */
  gboolean removal_agreed; /* or asked for */
} Removal;

static void
removal_free (Removal *self)
{
  vmsan_review_clear (&self->review);
  g_clear_pointer (&self->review.draft, vmsan_vm_record_free);
  g_free (self->actor);
  g_free (self);
}

static void
on_removed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_operation_run_finish (VMSAN_VM (source), result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void remove_by_force (VmsanVm *self, GTask *task);

static void
on_killed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanVm *self = VMSAN_VM (source);
  g_autoptr (GError) error = NULL;

  /* What a stop could not undo, the removal tries again. */
  if (!vmsan_operation_run_finish (self, result, &error))
    g_message ("Machine %s: %s; removing it all the same", self->record->id, error->message);
  remove_by_force (self, user_data);
}

/* The operation that was under way has ended; it may have been the machine's own end. */
static void
on_waited (GObject *source, GAsyncResult *result, gpointer user_data)
{
  remove_by_force (VMSAN_VM (source), user_data);
}

/* Ends what is under way, then what runs, then the machine. Consumes @task. */
static void
remove_by_force (VmsanVm *self, GTask *task)
{
  g_autoptr (GTask) owned = task;
  Removal *removal = g_task_get_task_data (task);

  if (self->gone)
    g_task_return_boolean (task, TRUE);
  else if (self->operation != NULL)
    {
      g_queue_push_tail (&self->waiting,
                         g_task_new (self, NULL, on_waited, g_steal_pointer (&owned)));
      vmsan_operation_cancel (self);
    }
  else if (!removal->killed && vmsan_vm_check_verb (self, VMSAN_VERB_STOP, NULL))
    {
      removal->killed = TRUE; /* or it was tried */
      stop (self, &kill_plan, 0, removal->actor, NULL, on_killed, g_steal_pointer (&owned));
    }
  else
    vmsan_operation_run_async (self, &forced_remove_plan, "forced", removal->actor, NULL,
                               on_removed, g_steal_pointer (&owned));
}

static void review_first_removal (VmsanVm *self);

static void
on_removal_reviewed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *self = VMSAN_VM (source);
  Removal *removal = g_task_get_task_data (task);
  GError *error = NULL;

  if (vmsan_vm_review_finish (self, result, &error))
    {
      review_first_removal (self); /* the machine may run by now, and its stop not be agreed to */
      return;
    }
  g_queue_pop_head (&self->removals);
  vmsan_vm_emit_error (self, forced_remove_plan.phase, error, removal->actor);
  vmsan_vm_add_aside (error, removal->review.aside);
  g_task_return_error (task, error);
  g_object_unref (task);
  review_first_removal (self);
}

/* What still has to be agreed to; the machine's state may have changed while the rest was. */
static const VmsanHook *
get_hooks_left (VmsanVm *self, const Removal *removal)
{
  if (self->monitor == NULL || removal->stop_agreed)
    return removal->removal_agreed ? no_hooks : remove_reviewed;
  return removal->removal_agreed ? stop_reviewed : stop_and_remove_reviewed;
}

/* Before what is under way is cancelled and what runs is killed, so not as a part of an operation.
 * One at a time, or who calls often would have those who review ask and wait for each call. */
static void
review_first_removal (VmsanVm *self)
{
  GTask *task = g_queue_peek_head (&self->removals);
  const VmsanHook *hooks;
  Removal *removal;

  if (task == NULL)
    return;
  removal = g_task_get_task_data (task);
  hooks = get_hooks_left (self, removal);
  if (vmsan_vm_is_review_wanted (self, hooks))
    {
      removal->stop_agreed |= self->monitor != NULL;
      removal->removal_agreed = TRUE;
      vmsan_review_clear (&removal->review);
      g_clear_pointer (&removal->review.draft, vmsan_vm_record_free);
      removal->review =
          (VmsanReview){ .draft = vmsan_vm_record_copy (self->record), .actor = removal->actor };
      vmsan_vm_review_async (self, &removal->review, hooks, NULL, on_removal_reviewed,
                             g_object_ref (task));
      return;
    }
  while ((task = g_queue_pop_head (&self->removals)) != NULL)
    remove_by_force (self, task);
}

void
vmsan_vm_remove_async (VmsanVm *self,
                       gboolean force,
                       const char *actor,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  Removal *removal = g_new0 (Removal, 1);

  removal->actor = g_strdup (actor);
  g_task_set_task_data (task, removal, (GDestroyNotify) removal_free);
  if (force)
    {
      g_queue_push_tail (&self->removals, g_steal_pointer (&task));
      if (self->removals.length == 1)
        review_first_removal (self);
    }
  else
    vmsan_operation_run_async (self, &remove_plan, "", actor, NULL, on_removed,
                               g_steal_pointer (&task));
}

gboolean
vmsan_vm_remove_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Time limit ---------------------------------------------------------------------------- */

static const VmsanStep *const no_steps[] = { NULL };

static const VmsanPlan timeout_plan = {
  .verb = VMSAN_VERB_SET_TIMEOUT,
  .phase = "set-timeout",
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
};

void
vmsan_vm_set_timeout_async (VmsanVm *self,
                            guint64 timeout_ms,
                            const char *actor,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  VmsanVmRecord *changed = vmsan_vm_record_copy (self->record);

  changed->timeout_at_us = 0;
  if (timeout_ms > 0)
    changed->timeout_at_us =
        g_get_real_time () + (gint64) MIN (timeout_ms, G_MAXINT64 / 4000) * 1000;
  vmsan_operation_change_async (self, &timeout_plan, changed, actor, callback, user_data);
}

gboolean
vmsan_vm_set_timeout_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return vmsan_operation_run_finish (self, result, error);
}

/* ---- Recovery ------------------------------------------------------------------------------ */

/* What the service was doing when it ended is undone, or finished where it was taking away. A
 * machine that was being made is gone afterwards, as for the caller who never got it. */
static const VmsanPlan recover_to_nothing_plan = {
  .verb = VMSAN_VERB_FORCE_REMOVE,
  .phase = "reconcile",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_REMOVING,
  .after_hook = VMSAN_HOOK_AFTER_REMOVE,
  .steps = vmsan_all_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .record_ends = TRUE,
};

static const VmsanPlan recover_to_stopped_plan = {
  .verb = VMSAN_VERB_RECOVER,
  .phase = "reconcile",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = vmsan_run_steps,
  .start_index = VMSAN_PLAN_NO_START,
};

gboolean
vmsan_vm_needs_recovery (VmsanVm *self)
{
  return self->record->has_operation;
}

void
vmsan_vm_recover_async (VmsanVm *self, GAsyncReadyCallback callback, gpointer user_data)
{
  VmsanVerb verb = self->record->has_operation ? self->record->operation : VMSAN_VERB_START;
  g_autofree char *reason = g_strdup_printf ("“%s” was interrupted by the end of the service",
                                             vmsan_verb_to_string (verb));
  const VmsanPlan *plan = &recover_to_stopped_plan;

  if (verb == VMSAN_VERB_CREATE || verb == VMSAN_VERB_REMOVE || verb == VMSAN_VERB_FORCE_REMOVE)
    plan = &recover_to_nothing_plan;
  vmsan_operation_run_async (self, plan, reason, "service", NULL, callback, user_data);
}

gboolean
vmsan_vm_recover_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return vmsan_operation_run_finish (self, result, error);
}
