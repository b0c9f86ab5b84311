/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: memory follows the disk. The record is saved before a step runs, and a state is shown
 * only after it was saved. */

#include "vm/vm-operation.h"

#include "sys/error.h"
#include "sys/source.h"

struct _VmsanOperation
{
  VmsanVm *vm;
  const VmsanPlan *plan;
  VmsanVmRecord *draft;
  VmsanVmState state_before;
  VmsanReview review;
  void (*after_review) (VmsanOperation *op);
  char *reason; /* for the hook and the record at its beginning */
  char *actor;
  GTask *task;
  GCancellable *cancellable; /* for steps */
  GSource *caller;           /* nullable; cancels the above when the caller cancels */
  guint n_steps;
  guint index;        /* APPLY: step being done; REVERT: steps left to undo */
  GError *error;      /* why it failed */
  GError *cause;      /* why it was cancelled, when there is more to say */
  GError *undo_error; /* first undo that failed */
  char *aside;        /* for the caller alone */
};

static VmsanStepObserver observer;

void
vmsan_operation_set_observer (VmsanStepObserver new_observer)
{
  observer = new_observer;
}

static gboolean
observe (VmsanOperation *op, const VmsanStep *step, VmsanStepMoment moment, GError **error)
{
  return observer == NULL || observer (op->plan->verb, step->name, moment, error);
}

static void
operation_free (VmsanOperation *op)
{
  vmsan_source_clear (&op->caller);
  g_clear_object (&op->cancellable);
  g_clear_pointer (&op->draft, vmsan_vm_record_free);
  g_clear_error (&op->error);
  g_clear_error (&op->cause);
  g_clear_error (&op->undo_error);
  vmsan_review_clear (&op->review);
  g_free (op->reason);
  g_free (op->actor);
  g_free (op->aside);
  g_free (op);
}

/* ---- Saving -------------------------------------------------------------------------------- */

typedef struct
{
  VmsanVmStore *store;
  VmsanVmRecord *record;
  gboolean remove;
} Save;

static void
save_free (Save *save)
{
  g_object_unref (save->store);
  vmsan_vm_record_free (save->record);
  g_free (save);
}

static void
save_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Save *save = data;
  GError *error = NULL;
  gboolean ok;

  if (save->remove)
    ok = vmsan_vm_store_remove (save->store, save->record->id, &error);
  else
    ok = vmsan_vm_store_save (save->store, save->record, &error);
  if (ok)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* Saves the draft, or removes the record; fsync may take long, so in a thread. Without the machine
 * as its source, or the thread might be the last to let it go. */
static void
save_draft (VmsanOperation *op, gboolean remove, GAsyncReadyCallback callback)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, op);
  Save *save = g_new0 (Save, 1);

  save->store = g_object_ref (op->vm->context->store);
  save->record = vmsan_vm_record_copy (op->draft);
  save->remove = remove;
  g_task_set_task_data (task, save, (GDestroyNotify) save_free);
  g_task_run_in_thread (task, save_in_thread);
}

/* ---- The end ------------------------------------------------------------------------------- */

static gboolean
is_cancelled (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
}

static void
return_error (VmsanOperation *op, GTask *task)
{
  if (is_cancelled (op->error))
    {
      g_clear_error (&op->error);
      op->error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_CANCELLED,
                               "“%s” of machine %s was cancelled and undone", op->plan->phase,
                               op->vm->record->id);
    }
  vmsan_vm_emit_error (op->vm, op->plan->phase, op->error, op->actor);
  vmsan_vm_add_aside (op->error, op->aside);
  g_task_return_error (task, g_steal_pointer (&op->error));
}

/* All at once: each looks for itself whether another operation is under way, and none depends on
 * the one before it to begin one. */
static void
wake_waiting (VmsanVm *vm)
{
  GQueue waiting = vm->waiting;
  GTask *task;

  g_queue_init (&vm->waiting);
  while ((task = g_queue_pop_head (&waiting)) != NULL)
    {
      g_task_return_boolean (task, TRUE);
      g_object_unref (task);
    }
}

/* Lets the machine go, tells the caller, and then lets whoever waits have it. */
static void
end (VmsanOperation *op)
{
  g_autoptr (VmsanVm) vm = g_object_ref (op->vm);
  g_autoptr (GTask) task = g_steal_pointer (&op->task);
  gboolean was_burial = op->plan->verb == VMSAN_VERB_BURY;

  vm->operation = NULL;
  if (op->error != NULL)
    return_error (op, task);
  else
    {
      if (op->plan->start_index < op->n_steps)
        vmsan_vm_emit_hook (vm, VMSAN_HOOK_AFTER_START, op->draft->reason, op->actor);
      vmsan_vm_emit_hook (vm, op->plan->after_hook, op->draft->reason, op->actor);
      g_task_return_boolean (task, TRUE);
    }
  operation_free (op);

  wake_waiting (vm);
  /* A burial that failed is not tried again at once: it would fail again. */
  if (!was_burial)
    vmsan_vm_check_monitor (vm);
}

static void
on_final_saved (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  g_autoptr (GError) error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    {
      /* What is on disk still names the operation; the next start of the service ends it. Here
       * only a forced removal does. */
      g_warning ("Machine %s: %s", op->vm->record->id, error->message);
      op->draft->state = VMSAN_VM_ERROR;
      vmsan_vm_record_set_reason (op->draft, error->message);
      if (op->error == NULL)
        op->error = g_error_copy (error);
    }
  vmsan_vm_publish (op->vm, op->draft, op->actor);
  end (op);
}

static void
on_record_removed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    {
      g_warning ("Machine %s: %s", op->vm->record->id, error->message);
      op->draft->state = VMSAN_VM_ERROR;
      vmsan_vm_record_set_reason (op->draft, error->message);
      if (op->error == NULL)
        op->error = g_steal_pointer (&error);
      g_clear_error (&error);
      vmsan_vm_publish (op->vm, op->draft, op->actor);
      end (op);
      return;
    }

  g_autoptr (VmsanVm) vm = g_object_ref (op->vm);
  const VmsanVmContext *context = vm->context;

  vmsan_vm_emit_state (vm, vmsan_vm_state_to_string (vm->record->state), "removed", op->actor);
  vm->gone = TRUE;
  context->removed (context->data, vm);
  end (op);
}

static void
finish_record (VmsanOperation *op, VmsanVmState state)
{
  op->draft->has_operation = FALSE;
  g_strfreev (op->draft->steps);
  op->draft->steps = g_new0 (char *, 1);
  op->draft->state = state;
  save_draft (op, FALSE, on_final_saved);
}

/* All is done or undone: the record says so. */
static void
settle (VmsanOperation *op)
{
  gboolean failed = op->error != NULL;
  gboolean reverted = op->plan->direction == VMSAN_PLAN_REVERT;

  if (op->undo_error != NULL)
    {
      /* The record keeps its steps, so that a forced removal or the next start tries again. */
      g_warning ("Machine %s: undoing “%s” failed: %s", op->vm->record->id, op->plan->phase,
                 op->undo_error->message);
      vmsan_vm_record_set_reason (op->draft, op->undo_error->message);
      op->draft->state = VMSAN_VM_ERROR;
      if (op->error == NULL)
        op->error = g_error_copy (op->undo_error);
      save_draft (op, FALSE, on_final_saved);
    }
  else if (op->plan->record_ends && failed != reverted)
    save_draft (op, TRUE, on_record_removed);
  else if (failed)
    {
      vmsan_vm_record_set_reason (op->draft, op->error->message);
      finish_record (op, op->state_before);
    }
  else
    finish_record (op, op->plan->after);
}

/* ---- Undoing ------------------------------------------------------------------------------- */

static void revert_next (VmsanOperation *op);

static void
note_undo_error (VmsanOperation *op, GError *error)
{
  if (op->undo_error == NULL)
    op->undo_error = error;
  else
    g_error_free (error);
}

static void
on_reverted (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error) ||
      !observe (op, op->plan->steps[op->index], VMSAN_STEP_AFTER_REVERT, &error))
    note_undo_error (op, error);
  revert_next (op);
}

/* Undoes the last step that is left. One that fails does not keep the others from being undone. */
static void
revert_next (VmsanOperation *op)
{
  const VmsanStep *step;
  GError *error = NULL;

  if (op->index == 0)
    {
      settle (op);
      return;
    }
  step = op->plan->steps[--op->index];
  if (!observe (op, step, VMSAN_STEP_BEFORE_REVERT, &error))
    {
      note_undo_error (op, error);
      revert_next (op);
      return;
    }
  step->revert (op->vm, g_task_new (op->vm, NULL, on_reverted, op));
}

static void
on_prelude (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    g_debug ("%s", error->message);
  revert_next (user_data);
}

/* ---- Doing --------------------------------------------------------------------------------- */

static void apply_next (VmsanOperation *op);

/* Takes @error. */
static void
note_error (VmsanOperation *op, GError *error)
{
  if (op->cause != NULL && is_cancelled (error))
    {
      g_error_free (error);
      error = g_steal_pointer (&op->cause);
    }
  op->error = error;
}

static void
fail (VmsanOperation *op, GError *error)
{
  note_error (op, error);
  /* The step that failed may have done half of its work. */
  op->index = MIN (op->index + 1, op->n_steps);
  revert_next (op);
}

static void
on_applied (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error) ||
      !observe (op, op->plan->steps[op->index], VMSAN_STEP_AFTER_APPLY, &error))
    {
      fail (op, error);
      return;
    }
  op->index++;
  apply_next (op);
}

static void
apply_next (VmsanOperation *op)
{
  const VmsanStep *step = op->plan->steps[op->index];
  GError *error = NULL;
  GTask *task;

  if (step == NULL)
    {
      settle (op);
      return;
    }
  if (op->index == op->plan->start_index)
    vmsan_vm_emit_hook (op->vm, VMSAN_HOOK_BEFORE_START, "", op->actor);
  if (g_cancellable_set_error_if_cancelled (op->cancellable, &error) ||
      !observe (op, step, VMSAN_STEP_BEFORE_APPLY, &error))
    {
      fail (op, error);
      return;
    }
  /* Its own error says more than that it was cancelled, and what succeeded all the same is undone
   * before the next step. */
  task = g_task_new (op->vm, op->cancellable, on_applied, op);
  g_task_set_check_cancellable (task, FALSE);
  step->apply (op->vm, task);
}

/* ---- The beginning ------------------------------------------------------------------------- */

/* Nothing was done, so nothing is shown; a new machine never came to be. */
static void
end_without_beginning (VmsanOperation *op)
{
  if (op->plan->direction == VMSAN_PLAN_APPLY && op->plan->record_ends)
    {
      op->vm->gone = TRUE;
      op->vm->context->removed (op->vm->context->data, op->vm);
    }
  end (op);
}

static void
show_draft (VmsanOperation *op)
{
  g_autoptr (VmsanNetPolicy) old = vmsan_net_policy_ref (op->vm->record->network);

  vmsan_vm_publish (op->vm, op->draft, op->actor);
  if (op->plan->verb == VMSAN_VERB_START && !vmsan_net_policy_equal (old, op->draft->network))
    vmsan_vm_emit_policy (op->vm, old, op->review.changed_by);
}

static void
on_intent_saved (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    {
      op->error = error;
      end_without_beginning (op);
      return;
    }
  show_draft (op);

  if (op->plan->direction == VMSAN_PLAN_APPLY)
    {
      apply_next (op);
      return;
    }
  op->index = op->n_steps;
  if (op->plan->prelude != NULL)
    op->plan->prelude (op->vm, g_task_new (op->vm, op->cancellable, on_prelude, op));
  else
    revert_next (op);
}

static gboolean
on_caller_cancelled (GCancellable *caller, gpointer user_data)
{
  g_cancellable_cancel (user_data);
  return G_SOURCE_REMOVE;
}

/* Not a handler, which could not be taken off while it runs. */
static void
follow_caller (VmsanOperation *op, GCancellable *caller)
{
  op->caller = g_cancellable_source_new (caller);
  g_source_set_callback (op->caller, G_SOURCE_FUNC (on_caller_cancelled),
                         g_object_ref (op->cancellable), g_object_unref);
  g_source_attach (op->caller, NULL);
}

static void
write_intent (VmsanOperation *op)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  for (guint i = 0; i < op->n_steps; i++)
    g_strv_builder_add (names, op->plan->steps[i]->name);
  g_strfreev (op->draft->steps);
  op->draft->steps = g_strv_builder_end (names);
  op->draft->has_operation = TRUE;
  op->draft->operation = op->plan->verb;
  op->draft->state = op->plan->during;
  vmsan_vm_record_set_reason (op->draft, op->reason);
}

static void
on_reviewed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  GError *error = NULL;

  op->vm->in_review = FALSE;
  if (vmsan_vm_review_finish (op->vm, result, &error))
    {
      op->after_review (op);
      return;
    }
  note_error (op, error);
  op->aside = g_steal_pointer (&op->review.aside);
  end_without_beginning (op);
}

/* Goes on with @after_review when nobody objects. */
static void
review (VmsanOperation *op, void (*after_review) (VmsanOperation *op))
{
  if (!vmsan_vm_is_review_wanted (op->vm, op->plan->reviewed))
    {
      after_review (op);
      return;
    }
  op->after_review = after_review;
  op->review.draft = op->draft;
  op->review.actor = op->actor;
  op->vm->in_review = TRUE;
  vmsan_vm_review_async (op->vm, &op->review, op->plan->reviewed, op->cancellable, on_reviewed, op);
}

/* NULL when it was refused, and the caller told. */
static VmsanOperation *
begin (VmsanVm *vm,
       const VmsanPlan *plan,
       const char *actor,
       GAsyncReadyCallback callback,
       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (vm, NULL, callback, user_data);
  VmsanOperation *op;
  GError *error = NULL;

  if (vm->context->quiescing && plan->direction == VMSAN_PLAN_APPLY)
    error = g_error_new (VMSAN_ERROR, VMSAN_ERROR_BUSY, "The service is stopping; try again");
  else
    vmsan_vm_check_verb (vm, plan->verb, &error);
  if (error != NULL)
    {
      vmsan_vm_emit_error (vm, plan->phase, error, actor);
      g_task_return_error (task, error);
      return NULL;
    }
  op = g_new0 (VmsanOperation, 1);
  op->vm = vm; /* the task holds it */
  op->plan = plan;
  op->draft = vmsan_vm_record_copy (vm->record);
  op->state_before = vm->record->state;
  op->actor = g_strdup (actor);
  op->task = g_steal_pointer (&task);
  op->cancellable = g_cancellable_new ();
  while (plan->steps[op->n_steps] != NULL)
    op->n_steps++;
  vm->operation = op;
  return op;
}

static void
begin_steps (VmsanOperation *op)
{
  vmsan_vm_emit_hook (op->vm, op->plan->before_hook, op->reason, op->actor);
  write_intent (op);
  save_draft (op, FALSE, on_intent_saved);
}

void
vmsan_operation_run_async (VmsanVm *vm,
                           const VmsanPlan *plan,
                           const char *reason,
                           const char *actor,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  VmsanOperation *op = begin (vm, plan, actor, callback, user_data);

  if (op == NULL)
    return;
  op->reason = g_strdup (reason);
  if (cancellable != NULL && plan->direction == VMSAN_PLAN_APPLY)
    follow_caller (op, cancellable);
  review (op, begin_steps);
}

gboolean
vmsan_operation_run_finish (VmsanVm *vm, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
on_retracted (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;
  g_autoptr (GError) error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    g_warning ("Machine %s: undoing “%s” failed: %s", op->vm->record->id, op->plan->phase,
               error->message);
  end (op);
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;

  if (g_task_propagate_boolean (G_TASK (result), &op->error))
    vmsan_vm_publish (op->vm, op->draft, op->actor);
  else if (op->plan->retract != NULL)
    {
      op->plan->retract (op->vm, g_task_new (op->vm, NULL, on_retracted, op));
      return;
    }
  end (op);
}

static void
on_change_prelude (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanOperation *op = user_data;

  if (g_task_propagate_boolean (G_TASK (result), &op->error))
    save_draft (op, FALSE, on_changed);
  else
    end (op);
}

static void
begin_change (VmsanOperation *op)
{
  if (op->plan->prelude != NULL)
    op->plan->prelude (op->vm, g_task_new (op->vm, NULL, on_change_prelude, op));
  else
    save_draft (op, FALSE, on_changed);
}

void
vmsan_operation_change_async (VmsanVm *vm,
                              const VmsanPlan *plan,
                              VmsanVmRecord *changed,
                              const char *actor,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (VmsanVmRecord) draft = changed;
  VmsanOperation *op = begin (vm, plan, actor, callback, user_data);

  if (op == NULL)
    return;
  vmsan_vm_record_free (op->draft);
  op->draft = g_steal_pointer (&draft);
  review (op, begin_change);
}

VmsanVmRecord *
vmsan_operation_get_draft (VmsanVm *vm)
{
  return vm->operation->draft;
}

gboolean
vmsan_operation_starts (VmsanVm *vm)
{
  const VmsanOperation *op = vm->operation;

  return op != NULL && op->plan->direction == VMSAN_PLAN_APPLY &&
         (op->plan->verb == VMSAN_VERB_START || op->plan->start_index < op->n_steps);
}

const char *
vmsan_operation_get_actor (VmsanVm *vm)
{
  return vm->operation->actor;
}

void
vmsan_operation_tell_caller (VmsanVm *vm, char *aside)
{
  g_free (vm->operation->aside);
  vm->operation->aside = aside;
}

void
vmsan_operation_cancel (VmsanVm *vm)
{
  if (vm->operation != NULL)
    g_cancellable_cancel (vm->operation->cancellable);
}

void
vmsan_operation_abort (VmsanVm *vm, GError *cause)
{
  g_autoptr (GError) owned = cause;
  VmsanOperation *op = vm->operation;

  if (op == NULL || (op->plan->direction != VMSAN_PLAN_APPLY && !vm->in_review))
    return;
  if (op->cause == NULL)
    op->cause = g_steal_pointer (&owned);
  g_cancellable_cancel (op->cancellable);
}
