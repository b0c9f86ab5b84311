/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Operations one at a time: their order, and what becomes of failed steps and saves. */

#include "operation-fixture.h"

/* ---- Success ------------------------------------------------------------------------------- */

static void
test_a_start_is_done_in_order (World *self, gconstpointer data)
{
  run_ok (self, &start_plan);
  assert_events (self, START_BEGINS "\n"
                                    "do a\ndo b\ndo c\n"
                                    "save running\n"
                                    "state starting > running\n"
                                    "AfterStart");
  assert_state (self, VMSAN_VM_RUNNING);
  assert_stored (self);
  g_assert_false (vmsan_vm_get_record (self->vm)->has_operation);
  g_assert_cmpuint (vmsan_vm_get_record (self->vm)->boot_ms, ==, 3);
}

static void
test_a_stop_undoes_in_reverse (World *self, gconstpointer data)
{
  run_ok (self, &stop_plan);
  assert_events (self, "BeforeStop\n"
                       "save stopping stop[a b c]\n"
                       "state running > stopping\n"
                       "undo c\nundo b\nundo a\n"
                       "save stopped\n"
                       "state stopping > stopped\n"
                       "AfterStop");
  assert_stored (self);
  g_assert_cmpstr (vmsan_vm_get_record (self->vm)->reason, ==, "because");
}

static void
test_a_creation_boots_between_its_steps (World *self, gconstpointer data)
{
  run_ok (self, &create_plan);
  assert_events (self, "BeforeCreate\n"
                       "save creating create[a b c]\n"
                       "do a\n"
                       "BeforeStart\n"
                       "do b\ndo c\n"
                       "save running\n"
                       "state creating > running\n"
                       "AfterStart\n"
                       "AfterCreate");
  assert_stored (self);
}

static void
test_a_removal_ends_with_the_record (World *self, gconstpointer data)
{
  run_ok (self, &remove_plan);
  assert_events (self, "BeforeRemove\n"
                       "save removing remove[a b c]\n"
                       "state stopped > removing\n"
                       "undo c\nundo b\nundo a\n"
                       "forget\n"
                       "state removing > removed\n"
                       "removed\n"
                       "AfterRemove");
  assert_nothing_stored (self);
  g_assert_true (self->vm->gone);
}

static void
test_a_change_is_shown_when_it_is_saved (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  VmsanVmRecord *changed = vmsan_vm_record_copy (vmsan_vm_get_record (self->vm));

  changed->timeout_at_us = G_MAXINT64 / 2;
  vmsan_operation_change_async (self->vm, &change_plan, changed, "uid:1", vm_fixture_keep_result,
                                &result);
  g_assert_cmpint (vmsan_vm_get_record (self->vm)->timeout_at_us, ==, 0);
  assert_ok (self, &result);
  g_assert_cmpint (vmsan_vm_get_record (self->vm)->timeout_at_us, ==, G_MAXINT64 / 2);
  assert_events (self, "save running");
  assert_stored (self);
}

/* ---- Failure of steps ---------------------------------------------------------------------- */

static const struct
{
  const char *step;
  const char *events;
} failures[] = {
  { "a", "do a\nundo a" },
  { "b", "do a\ndo b\nundo b\nundo a" },
  { "c", "do a\ndo b\ndo c\nundo c\nundo b\nundo a" },
};

static void
test_a_failed_step_is_undone_with_those_before (World *self, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      g_autofree char *expected =
          g_strdup_printf (START_BEGINS "\n%s\nsave stopped\nstate starting > stopped\n"
                                        "Error start",
                           failures[i].events);
      g_autofree char *words = g_strdup_printf ("doing of %s failed", failures[i].step);
      g_autofree char *told = g_strconcat (words, "; a secret of the guest", NULL);

      failing_apply = failures[i].step;
      run_fails (self, &start_plan, VMSAN_ERROR_FAILED, told);
      assert_events (self, expected);
      assert_state (self, VMSAN_VM_STOPPED);
      assert_stored (self);
      /* Anybody can read this. */
      g_assert_cmpstr (vmsan_vm_get_record (self->vm)->reason, ==, words);
    }
  failing_apply = NULL;
  run_ok (self, &start_plan);
}

static void
test_a_failed_creation_leaves_nothing (World *self, gconstpointer data)
{
  failing_apply = "a";
  run_fails (self, &create_plan, VMSAN_ERROR_FAILED, "doing of a failed");
  assert_events (self, "BeforeCreate\n"
                       "save creating create[a b c]\n"
                       "do a\nundo a\n"
                       "forget\n"
                       "state creating > removed\n"
                       "removed\n"
                       "Error create");
  assert_nothing_stored (self);
  g_assert_true (self->vm->gone);
}

static void
test_a_failed_undo_is_an_error_with_its_steps_kept (World *self, gconstpointer data)
{
  const VmsanVmRecord *record;

  failing_apply = "c";
  failing_revert = "b";
  run_fails (self, &start_plan, VMSAN_ERROR_FAILED, "doing of c failed");
  assert_events (self, START_BEGINS "\n"
                                    "do a\ndo b\ndo c\n"
                                    "undo c\nundo b\nundo a\n" /* the others all the same */
                                    "save error start[a b c]\n"
                                    "state starting > error\n"
                                    "Error start");
  assert_stored (self);
  record = vmsan_vm_get_record (self->vm);
  g_assert_true (record->has_operation);
  g_assert_cmpuint (g_strv_length (record->steps), ==, 3);
  g_assert_nonnull (strstr (record->reason, "undoing of b failed"));
  g_assert_true (log_capture_take ("undoing of b failed"));

  /* Then nothing but a removal by force is possible. */
  run_fails (self, &start_plan, VMSAN_ERROR_WRONG_STATE, "force");
  run_fails (self, &remove_plan, VMSAN_ERROR_WRONG_STATE, "force");
  assert_events (self, "Error start\nError remove");
}

static void
test_a_stop_that_cannot_undo_is_an_error (World *self, gconstpointer data)
{
  failing_revert = "ac";
  run_fails (self, &stop_plan, VMSAN_ERROR_FAILED, "undoing of c failed");
  assert_events (self, "BeforeStop\n"
                       "save stopping stop[a b c]\n"
                       "state running > stopping\n"
                       "undo c\nundo b\nundo a\n"
                       "save error stop[a b c]\n"
                       "state stopping > error\n"
                       "Error stop");
  g_assert_true (log_capture_take ("undoing of c failed"));
  assert_stored (self);
}

static void
test_a_creation_that_cannot_be_undone_keeps_its_record (World *self, gconstpointer data)
{
  failing_apply = "b";
  failing_revert = "a";
  run_fails (self, &create_plan, VMSAN_ERROR_FAILED, "doing of b failed");
  assert_events (self, "BeforeCreate\n"
                       "save creating create[a b c]\n"
                       "do a\n"
                       "BeforeStart\n"
                       "do b\nundo b\nundo a\n"
                       "save error create[a b c]\n"
                       "state creating > error\n"
                       "Error create");
  g_assert_true (log_capture_take ("undoing of a failed"));
  g_assert_false (self->vm->gone);
  assert_stored (self);
}

/* ---- Failure of saves ---------------------------------------------------------------------- */

static void
test_without_a_saved_intent_nothing_is_done (World *self, gconstpointer data)
{
  self->failing_save = 1;
  run_fails (self, &start_plan, VMSAN_ERROR_NO_SPACE, "no space");
  assert_events (self, "BeforeStart\nsave fails\nError start");
  assert_state (self, VMSAN_VM_STOPPED);
  g_assert_false (vmsan_vm_get_record (self->vm)->has_operation);
  assert_nothing_stored (self);
  /* And the next try is a try like any other. */
  run_ok (self, &start_plan);
}

static void
test_without_a_saved_intent_nothing_is_created (World *self, gconstpointer data)
{
  self->failing_save = 1;
  run_fails (self, &create_plan, VMSAN_ERROR_NO_SPACE, "no space");
  assert_events (self, "BeforeCreate\nsave fails\nremoved\nError create");
  g_assert_true (self->vm->gone);
}

static void
test_without_a_saved_end_the_state_is_error (World *self, gconstpointer data)
{
  self->failing_save = 2;
  run_fails (self, &start_plan, VMSAN_ERROR_NO_SPACE, "no space");
  assert_events (self, START_BEGINS "\n"
                                    "do a\ndo b\ndo c\n"
                                    "save fails\n"
                                    "state starting > error\n"
                                    "Error start");
  g_assert_true (log_capture_take ("no space"));
  assert_state (self, VMSAN_VM_ERROR);
}

static void
test_the_first_error_is_told_when_a_save_fails_as_well (World *self, gconstpointer data)
{
  failing_apply = "a";
  self->failing_save = 2;
  run_fails (self, &start_plan, VMSAN_ERROR_FAILED, "doing of a failed");
  g_assert_true (log_capture_take ("no space"));
  assert_state (self, VMSAN_VM_ERROR);
}

static void
test_a_record_that_stays_is_an_error (World *self, gconstpointer data)
{
  self->fails_removal = TRUE;
  run_fails (self, &remove_plan, VMSAN_ERROR_FAILED, "no removal");
  g_assert_true (log_capture_take ("no removal"));
  assert_state (self, VMSAN_VM_ERROR);
  g_assert_false (self->vm->gone);
}

/* A full disk must not turn a machine that runs into one that can only be removed. */
static void
test_a_change_that_is_not_saved_changes_nothing (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  self->failing_save = 1;
  vmsan_vm_set_timeout_async (self->vm, 1000, "uid:1", vm_fixture_keep_result, &result);
  vm_fixture_wait_for_result (&result);
  g_assert_false (vmsan_vm_set_timeout_finish (self->vm, result, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE);
  assert_events (self, "save fails\nError set-timeout");
  assert_state (self, VMSAN_VM_RUNNING);
  g_assert_cmpint (vmsan_vm_get_record (self->vm)->timeout_at_us, ==, 0);
  g_assert_false (vmsan_vm_get_record (self->vm)->has_operation);
}

/* ---- With the service's own steps ---------------------------------------------------------- */

/* A record may name a driver that a service of another version had. */
static void
test_a_machine_without_its_driver_does_not_start (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  vmsan_vm_start_async (self->vm, "uid:1", NULL, vm_fixture_keep_result, &result);
  vm_fixture_wait_for_result (&result);
  g_assert_false (vmsan_vm_start_finish (self->vm, result, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "“null”"));
  assert_state (self, VMSAN_VM_STOPPED);
  g_assert_false (storage_exists (&self->storage, ID));
}

static gboolean
is_stopped (gpointer data)
{
  VmsanVm *vm = data;

  return vm->operation == NULL && vm->record->state == VMSAN_VM_STOPPED;
}

static void
test_a_machine_is_stopped_at_its_time_limit (World *self, gconstpointer data)
{
  const gint64 limit_us = g_get_real_time () + 20000;

  self->vm->record->timeout_at_us = limit_us;
  vmsan_vm_arm_timeout (self->vm);
  vm_fixture_wait_until (is_stopped, self->vm);
  g_assert_cmpint (g_get_real_time (), >=, limit_us);
  g_assert_cmpint (vmsan_vm_get_record (self->vm)->timeout_at_us, ==, 0);
  g_assert_null (self->vm->timeout);
  assert_stored (self);
}

static gboolean
has_warned (gpointer data)
{
  return log_capture_count () > 0;
}

static void
test_a_stop_at_the_time_limit_that_fails_is_tried_again (World *self, gconstpointer data)
{
  self->failing_save = 1;
  self->vm->record->timeout_at_us = 1;
  vmsan_vm_arm_timeout (self->vm);
  vm_fixture_wait_until (has_warned, NULL);
  g_assert_true (log_capture_take ("could not be stopped at its time limit"));
  assert_state (self, VMSAN_VM_RUNNING);
  g_assert_nonnull (self->vm->timeout);
  g_assert_cmpint (g_source_get_ready_time (self->vm->timeout) - g_get_monotonic_time (), >,
                   5000000);
  /* When that time has come. */
  g_source_set_ready_time (self->vm->timeout, 0);
  vm_fixture_wait_until (is_stopped, self->vm);
}

/* ---- The observer -------------------------------------------------------------------------- */

static const char *observed_step;
static VmsanStepMoment observed_moment;

static gboolean
fail_once (VmsanVerb verb, const char *step, VmsanStepMoment moment, GError **error)
{
  if (moment != observed_moment || g_strcmp0 (step, observed_step) != 0)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "observed");
  return FALSE;
}

static void
test_an_observer_can_fail_every_moment (World *self, gconstpointer data)
{
  vmsan_operation_set_observer (fail_once);
  observed_step = "b";
  observed_moment = VMSAN_STEP_BEFORE_APPLY;
  run_fails (self, &start_plan, VMSAN_ERROR_FAILED, "observed");
  g_assert_null (strstr (self->events->str, "\ndo b"));
  g_assert_nonnull (strstr (self->events->str, "do a\nundo b\nundo a"));
  assert_state (self, VMSAN_VM_STOPPED);

  observed_moment = VMSAN_STEP_AFTER_APPLY;
  run_fails (self, &start_plan, VMSAN_ERROR_FAILED, "observed");
  g_assert_nonnull (strstr (self->events->str, "do a\ndo b\nundo b\nundo a"));
  assert_state (self, VMSAN_VM_STOPPED);

  observed_moment = VMSAN_STEP_BEFORE_REVERT;
  run_ok (self, &start_plan);
  run_fails (self, &stop_plan, VMSAN_ERROR_FAILED, "observed");
  g_assert_nonnull (strstr (self->events->str, "undo c\nundo a"));
  assert_state (self, VMSAN_VM_ERROR);
  g_assert_true (log_capture_take ("observed"));
}

static void
add_step_tests (void)
{
  world_test ("/vm-operation/a-start-is-done-in-order", VMSAN_VM_STOPPED,
              test_a_start_is_done_in_order);
  world_test ("/vm-operation/a-stop-undoes-in-reverse", VMSAN_VM_RUNNING,
              test_a_stop_undoes_in_reverse);
  world_test ("/vm-operation/a-creation-boots-between-its-steps", VMSAN_VM_CREATING,
              test_a_creation_boots_between_its_steps);
  world_test ("/vm-operation/a-removal-ends-with-the-record", VMSAN_VM_STOPPED,
              test_a_removal_ends_with_the_record);
  world_test ("/vm-operation/a-change-is-shown-when-it-is-saved", VMSAN_VM_RUNNING,
              test_a_change_is_shown_when_it_is_saved);
  world_test ("/vm-operation/a-failed-step-is-undone-with-those-before", VMSAN_VM_STOPPED,
              test_a_failed_step_is_undone_with_those_before);
  world_test ("/vm-operation/a-failed-creation-leaves-nothing", VMSAN_VM_CREATING,
              test_a_failed_creation_leaves_nothing);
  world_test ("/vm-operation/a-failed-undo-is-an-error-with-its-steps-kept", VMSAN_VM_STOPPED,
              test_a_failed_undo_is_an_error_with_its_steps_kept);
  world_test ("/vm-operation/a-stop-that-cannot-undo-is-an-error", VMSAN_VM_RUNNING,
              test_a_stop_that_cannot_undo_is_an_error);
  world_test ("/vm-operation/a-creation-that-cannot-be-undone-keeps-its-record", VMSAN_VM_CREATING,
              test_a_creation_that_cannot_be_undone_keeps_its_record);
  world_test ("/vm-operation/a-machine-without-its-driver-does-not-start", VMSAN_VM_STOPPED,
              test_a_machine_without_its_driver_does_not_start);
  world_test ("/vm-operation/a-machine-is-stopped-at-its-time-limit", VMSAN_VM_RUNNING,
              test_a_machine_is_stopped_at_its_time_limit);
  world_test ("/vm-operation/a-stop-at-the-time-limit-that-fails-is-tried-again", VMSAN_VM_RUNNING,
              test_a_stop_at_the_time_limit_that_fails_is_tried_again);
  world_test ("/vm-operation/an-observer-can-fail-every-moment", VMSAN_VM_STOPPED,
              test_an_observer_can_fail_every_moment);
}

static void
add_save_tests (void)
{
  world_test ("/vm-operation/without-a-saved-intent-nothing-is-done", VMSAN_VM_STOPPED,
              test_without_a_saved_intent_nothing_is_done);
  world_test ("/vm-operation/without-a-saved-intent-nothing-is-created", VMSAN_VM_CREATING,
              test_without_a_saved_intent_nothing_is_created);
  world_test ("/vm-operation/without-a-saved-end-the-state-is-error", VMSAN_VM_STOPPED,
              test_without_a_saved_end_the_state_is_error);
  world_test ("/vm-operation/the-first-error-is-told-when-a-save-fails-as-well", VMSAN_VM_STOPPED,
              test_the_first_error_is_told_when_a_save_fails_as_well);
  world_test ("/vm-operation/a-record-that-stays-is-an-error", VMSAN_VM_STOPPED,
              test_a_record_that_stays_is_an_error);
  world_test ("/vm-operation/a-change-that-is-not-saved-changes-nothing", VMSAN_VM_RUNNING,
              test_a_change_that_is_not_saved_changes_nothing);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  log_capture_init ();

  add_step_tests ();
  add_save_tests ();
  return g_test_run ();
}
