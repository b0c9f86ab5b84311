/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Operations that meet others: callers who cancel, removals by force, monitors that end. */

#include "operation-fixture.h"

/* ---- Two at a time ------------------------------------------------------------------------- */

/* Takes the first such line out of what happened; it must be there. */
static void
remove_event (World *self, const char *line)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autofree char *all = g_strconcat (self->events->str, "\n", NULL);
  char *found = strstr (all, line);

  g_assert_nonnull (found);
  memmove (found, found + strlen (line), strlen (found + strlen (line)) + 1);
  g_string_assign (self->events, all);
  g_string_truncate (self->events, self->events->len - 1);
}

static void
test_a_second_operation_is_busy (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) first = NULL;

  run (self, &start_plan, NULL, &first);
  run_fails (self, &start_plan, VMSAN_ERROR_BUSY, "busy");
  run_fails (self, &remove_plan, VMSAN_ERROR_BUSY, "busy");
  /* Each refusal is told, wherever the first one is by then, and changes nothing of it. */
  remove_event (self, "Error start\n");
  remove_event (self, "Error remove\n");
  assert_ok (self, &first);
  assert_events (self, START_BEGINS "\n"
                                    "do a\ndo b\ndo c\n"
                                    "save running\n"
                                    "state starting > running\n"
                                    "AfterStart");
}

static void
test_a_wrong_state_is_refused_before_anything (World *self, gconstpointer data)
{
  run_fails (self, &stop_plan, VMSAN_ERROR_WRONG_STATE, "stopped");
  run_fails (self, &create_plan, VMSAN_ERROR_WRONG_STATE, "stopped");
  assert_events (self, "Error stop\nError create");
}

/* ---- Cancelling ---------------------------------------------------------------------------- */

static void
test_cancelling_in_a_step_undoes_it (World *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;

  hanging_apply = "b";
  run (self, &start_plan, cancellable, &result);
  vm_fixture_wait_until (is_hanging, NULL);
  g_cancellable_cancel (cancellable);
  assert_fails (self, &result, VMSAN_ERROR_CANCELLED, "undone");
  assert_events (self, START_BEGINS "\n"
                                    "do a\ndo b\nundo b\nundo a\n"
                                    "save stopped\n"
                                    "state starting > stopped\n"
                                    "Error start");
  assert_stored (self);
}

static void
test_one_that_is_cancelled_already_does_no_step (World *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;

  g_cancellable_cancel (cancellable);
  run (self, &start_plan, cancellable, &result);
  assert_fails (self, &result, VMSAN_ERROR_CANCELLED, "undone");
  g_assert_null (strstr (self->events->str, "\ndo c"));
  assert_state (self, VMSAN_VM_STOPPED);
  assert_stored (self);
}

static void
test_a_caller_who_leaves_does_not_hurry_a_stop (World *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;

  run (self, &graceful_plan, cancellable, &result);
  vm_fixture_wait_until (is_hanging, NULL);
  g_cancellable_cancel (cancellable);
  run_loop ();
  g_assert_nonnull (hanging);
  vmsan_operation_abort (self->vm, NULL); /* nor does the end of the service */
  run_loop ();
  g_assert_nonnull (hanging);
  vmsan_operation_cancel (self->vm); /* but a forced removal does */
  assert_ok (self, &result);
  assert_events (self, "BeforeStop\n"
                       "save stopping stop[a b c]\n"
                       "state running > stopping\n"
                       "prelude\n"
                       "undo c\nundo b\nundo a\n"
                       "save stopped\n"
                       "state stopping > stopped\n"
                       "AfterStop");
}

static void
test_the_cause_of_an_abort_is_told (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_operation_abort (self->vm, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "nothing"));
  hanging_apply = "c";
  run (self, &start_plan, NULL, &result);
  vm_fixture_wait_until (is_hanging, NULL);
  vmsan_operation_abort (self->vm, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "it died"));
  vmsan_operation_abort (self->vm, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "too late"));
  assert_fails (self, &result, VMSAN_ERROR_VMM_FAILED, "it died");
  assert_state (self, VMSAN_VM_STOPPED);
}

/* A step that ends well although it was cancelled is undone all the same. */
static void
test_a_step_that_ends_well_when_cancelled_is_undone (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  GTask *step;

  hanging_apply = "a";
  run (self, &start_plan, NULL, &result);
  vm_fixture_wait_until (is_hanging, NULL);
  step = g_steal_pointer (&hanging);
  vmsan_source_clear (&hanging_source); /* it does not look */
  vmsan_operation_cancel (self->vm);
  finish_step (step, "doing", "a", FALSE);
  assert_fails (self, &result, VMSAN_ERROR_CANCELLED, "undone");
  g_assert_nonnull (strstr (self->events->str, "do a\nundo b\nundo a"));
  g_assert_null (strstr (self->events->str, "\ndo b"));
}

/* ---- A change that is taken back ------------------------------------------------------------ */

static GTask *retraction;

static void
retract_later (VmsanVm *vm, GTask *task)
{
  retraction = task;
}

static gboolean
is_retracting (gpointer data)
{
  return retraction != NULL;
}

static const VmsanPlan retracted_plan = {
  .verb = VMSAN_VERB_SET_TIMEOUT,
  .phase = "set-timeout",
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .retract = retract_later,
};

static void
begin_retraction (World *self, GAsyncResult **change)
{
  self->failing_save = 1;
  vmsan_operation_change_async (self->vm, &retracted_plan, vmsan_vm_record_copy (self->vm->record),
                                "uid:1", vm_fixture_keep_result, change);
  vm_fixture_wait_until (is_retracting, NULL);
  run_loop ();
}

/* Or two threads would work on what the change was about. */
static void
test_a_machine_is_busy_until_a_change_is_taken_back (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) change = NULL;

  begin_retraction (self, &change);
  g_assert_null (change);
  run_fails (self, &stop_plan, VMSAN_ERROR_BUSY, "busy");
  finish_step (g_steal_pointer (&retraction), "taking back", "it", FALSE);
  assert_fails (self, &change, VMSAN_ERROR_NO_SPACE, "no space");
  run_ok (self, &stop_plan);
}

static void
test_a_change_that_cannot_be_taken_back_ends (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) change = NULL;

  begin_retraction (self, &change);
  finish_step (g_steal_pointer (&retraction), "taking back", "it", TRUE);
  assert_fails (self, &change, VMSAN_ERROR_NO_SPACE, "no space");
  g_assert_true (log_capture_take ("taking back of it failed"));
}

/* ---- Forced removal ------------------------------------------------------------------------ */

static void
remove_by_force (World *self, GAsyncResult **result)
{
  vmsan_vm_remove_async (self->vm, TRUE, "uid:1", vm_fixture_keep_result, result);
}

static void
assert_removed (World *self, GAsyncResult **result)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (result);
  g_assert_true (vmsan_vm_remove_finish (self->vm, *result, &error));
  g_assert_no_error (error);
  g_clear_object (result);
}

static const VmsanVmState all_states[] = {
  VMSAN_VM_CREATING, VMSAN_VM_STOPPED,  VMSAN_VM_STARTING, VMSAN_VM_RUNNING,
  VMSAN_VM_PAUSED,   VMSAN_VM_STOPPING, VMSAN_VM_REMOVING, VMSAN_VM_ERROR,
};

/* With nothing of it left on the host: directories, cgroup and monitor are all missing. */
static void
test_force_removes_in_every_state (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (all_states); i++)
    {
      World own = { 0 };
      g_autoptr (GAsyncResult) result = NULL;

      set_up (&own, GUINT_TO_POINTER (all_states[i]));
      remove_by_force (&own, &result);
      assert_removed (&own, &result);
      g_assert_true (own.vm->gone);
      assert_nothing_stored (&own);
      tear_down (&own, NULL);
    }
}

static void
test_force_waits_for_what_it_cancels (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) start = NULL;
  g_autoptr (GAsyncResult) removal = NULL;

  hanging_apply = "b";
  run (self, &start_plan, NULL, &start);
  vm_fixture_wait_until (is_hanging, NULL);
  remove_by_force (self, &removal);
  assert_fails (self, &start, VMSAN_ERROR_CANCELLED, "undone");
  assert_removed (self, &removal);
  assert_events (self,
                 START_BEGINS "\n"
                              "do a\ndo b\nundo b\nundo a\n"
                              "save stopped\n"
                              "state starting > stopped\n"
                              "Error start\n"
                              "BeforeRemove\n"
                              "save removing force-remove[directory disk runtime cgroup network "
                              "monitor guest]\n"
                              "state stopped > removing\n"
                              "forget\n"
                              "state removing > removed\n"
                              "removed\n"
                              "AfterRemove");
}

static void
test_force_hurries_a_stop (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) stop = NULL;
  g_autoptr (GAsyncResult) removal = NULL;

  run (self, &graceful_plan, NULL, &stop);
  vm_fixture_wait_until (is_hanging, NULL);
  remove_by_force (self, &removal);
  assert_ok (self, &stop);
  assert_removed (self, &removal);
}

static void
on_woken (GObject *source, GAsyncResult *result, gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
is_four (gpointer data)
{
  return *(guint *) data == 4;
}

/* All of them end, whichever of them does the work. */
static void
test_any_number_may_wait (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) start = NULL;
  guint n_woken = 0;

  hanging_apply = "a";
  run (self, &start_plan, NULL, &start);
  vm_fixture_wait_until (is_hanging, NULL);
  for (guint i = 0; i < 3; i++)
    vmsan_vm_remove_async (self->vm, TRUE, "uid:1", on_woken, &n_woken);
  /* As the end of the service does. */
  g_queue_push_tail (&self->vm->waiting, g_task_new (self->vm, NULL, on_woken, &n_woken));
  vm_fixture_wait_until (is_four, &n_woken);
  assert_fails (self, &start, VMSAN_ERROR_CANCELLED, "undone");
  g_assert_true (self->vm->gone);
  assert_nothing_stored (self);
}

static void
test_who_waits_for_a_removal_finds_it_done (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) plain = NULL;
  guint n_woken = 0;

  run (self, &remove_plan, NULL, &plain);
  for (guint i = 0; i < 3; i++)
    vmsan_vm_remove_async (self->vm, TRUE, "uid:1", on_woken, &n_woken);
  g_queue_push_tail (&self->vm->waiting, g_task_new (self->vm, NULL, on_woken, &n_woken));
  vm_fixture_wait_until (is_four, &n_woken);
  assert_ok (self, &plain);
  g_assert_nonnull (strstr (self->events->str, "removed"));
  g_assert_null (strstr (self->events->str, "force-remove"));
}

/* ---- The monitor's end --------------------------------------------------------------------- */

static gboolean
is_stopped (gpointer data)
{
  VmsanVm *vm = data;

  return vm->operation == NULL && vm->record->state == VMSAN_VM_STOPPED;
}

/* Its end may come when nobody can act on it: between the last step and the last save. */
static void
test_a_monitor_that_ended_meanwhile_is_buried (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  run (self, &start_plan, NULL, &result);
  self->vm->monitor_ended = TRUE;
  self->vm->monitor_status = 1;
  self->vm->monitor_exit = g_strdup ("it was killed");
  assert_ok (self, &result);
  vm_fixture_wait_until (is_stopped, self->vm);
  g_assert_nonnull (strstr (self->events->str, "state starting > running\nAfterStart\n"
                                               "save stopping bury["));
  g_assert_cmpstr (vmsan_vm_get_record (self->vm)->reason, ==, "it was killed");
  assert_stored (self);
}

static void
test_a_monitor_that_ended_during_a_change_is_buried (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_vm_set_timeout_async (self->vm, 60000, "uid:1", vm_fixture_keep_result, &result);
  self->vm->monitor_ended = TRUE;
  self->vm->monitor_exit = g_strdup ("it was killed");
  assert_ok (self, &result);
  vm_fixture_wait_until (is_stopped, self->vm);
  g_assert_cmpint (vmsan_vm_get_record (self->vm)->timeout_at_us, ==, 0);
}

static gboolean
has_warned (gpointer data)
{
  return log_capture_count () > 0;
}

static void
test_a_burial_that_fails_is_not_tried_for_ever (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  self->failing_save = 3;
  run (self, &start_plan, NULL, &result);
  self->vm->monitor_ended = TRUE;
  self->vm->monitor_exit = g_strdup ("it was killed");
  assert_ok (self, &result);
  vm_fixture_wait_until (has_warned, NULL);
  g_assert_true (log_capture_take ("no space"));
  run_loop ();
  g_assert_null (self->vm->operation);
  g_assert_cmpuint (self->n_saves, ==, 3);
  /* A stop still leads out. */
  run_ok (self, &stop_plan);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  log_capture_init ();

  world_test ("/vm-concurrency/a-second-operation-is-busy", VMSAN_VM_STOPPED,
              test_a_second_operation_is_busy);
  world_test ("/vm-concurrency/a-wrong-state-is-refused-before-anything", VMSAN_VM_STOPPED,
              test_a_wrong_state_is_refused_before_anything);
  world_test ("/vm-concurrency/cancelling-in-a-step-undoes-it", VMSAN_VM_STOPPED,
              test_cancelling_in_a_step_undoes_it);
  world_test ("/vm-concurrency/one-that-is-cancelled-already-does-no-step", VMSAN_VM_STOPPED,
              test_one_that_is_cancelled_already_does_no_step);
  world_test ("/vm-concurrency/a-caller-who-leaves-does-not-hurry-a-stop", VMSAN_VM_RUNNING,
              test_a_caller_who_leaves_does_not_hurry_a_stop);
  world_test ("/vm-concurrency/the-cause-of-an-abort-is-told", VMSAN_VM_STOPPED,
              test_the_cause_of_an_abort_is_told);
  world_test ("/vm-concurrency/a-step-that-ends-well-when-cancelled-is-undone", VMSAN_VM_STOPPED,
              test_a_step_that_ends_well_when_cancelled_is_undone);
  world_test ("/vm-concurrency/a-machine-is-busy-until-a-change-is-taken-back", VMSAN_VM_RUNNING,
              test_a_machine_is_busy_until_a_change_is_taken_back);
  world_test ("/vm-concurrency/a-change-that-cannot-be-taken-back-ends", VMSAN_VM_RUNNING,
              test_a_change_that_cannot_be_taken_back_ends);
  g_test_add_func ("/vm-concurrency/force-removes-in-every-state",
                   test_force_removes_in_every_state);
  world_test ("/vm-concurrency/force-waits-for-what-it-cancels", VMSAN_VM_STOPPED,
              test_force_waits_for_what_it_cancels);
  world_test ("/vm-concurrency/force-hurries-a-stop", VMSAN_VM_RUNNING, test_force_hurries_a_stop);
  world_test ("/vm-concurrency/any-number-may-wait", VMSAN_VM_STOPPED, test_any_number_may_wait);
  world_test ("/vm-concurrency/who-waits-for-a-removal-finds-it-done", VMSAN_VM_STOPPED,
              test_who_waits_for_a_removal_finds_it_done);
  world_test ("/vm-concurrency/a-monitor-that-ended-meanwhile-is-buried", VMSAN_VM_STOPPED,
              test_a_monitor_that_ended_meanwhile_is_buried);
  world_test ("/vm-concurrency/a-monitor-that-ended-during-a-change-is-buried", VMSAN_VM_RUNNING,
              test_a_monitor_that_ended_during_a_change_is_buried);
  world_test ("/vm-concurrency/a-burial-that-fails-is-not-tried-for-ever", VMSAN_VM_STOPPED,
              test_a_burial_that_fails_is_not_tried_for_ever);
  return g_test_run ();
}
