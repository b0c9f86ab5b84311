/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Operations that are reviewed: nothing is done before it is agreed to, nothing at all when it is
 * not, and whoever hurries gets through. */

#include "monitor-fixture.h"
#include "operation-fixture.h"

#include "vm/vm-review.h"

static const VmsanHook start_hooks[] = { VMSAN_HOOK_BEFORE_START, VMSAN_HOOK_NONE };
static const VmsanHook create_hooks[] = { VMSAN_HOOK_BEFORE_CREATE, VMSAN_HOOK_BEFORE_START,
                                          VMSAN_HOOK_NONE };
static const VmsanHook stop_hooks[] = { VMSAN_HOOK_BEFORE_STOP, VMSAN_HOOK_NONE };

/* The fixture's plans, reviewed. */
static VmsanPlan reviewed_start, reviewed_create, reviewed_stop, reviewed_change;

/* ---- A reviewer ---------------------------------------------------------------------------- */

static VmsanHook unwanted; /* what it does not want to see */
static VmsanHook refused;
static gboolean holds;
static GTask *held;
static GSource *held_source;
static const char *new_hostname; /* what it changes, or NULL */

static gboolean
is_wanted (gpointer data, VmsanHook hook)
{
  g_assert_true (data == world);
  return hook != unwanted;
}

static void
answer (GTask *task, VmsanReview *review)
{
  if (review->hook == refused)
    {
      review->aside = g_strdup ("a secret reason");
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VETOED, "refused");
      return;
    }
  if (new_hostname != NULL)
    vmsan_vm_record_set_text (&review->draft->hostname, new_hostname);
  g_task_return_boolean (task, TRUE);
}

static gboolean
on_held_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = g_steal_pointer (&held);

  vmsan_source_clear (&held_source);
  g_task_return_boolean (task, TRUE); /* which it is not, as its cancellable is */
  g_object_unref (task);
  return G_SOURCE_REMOVE;
}

static void
review_async (gpointer data,
              VmsanReview *review,
              GCancellable *cancellable,
              GAsyncReadyCallback callback,
              gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);

  note ("review %d by %s", review->hook, review->actor);
  if (!holds)
    {
      answer (task, review);
      return;
    }
  g_task_set_task_data (task, review, NULL);
  held = g_steal_pointer (&task);
  held_source = g_cancellable_source_new (cancellable);
  g_source_set_callback (held_source, G_SOURCE_FUNC (on_held_cancelled), NULL, NULL);
  g_source_attach (held_source, NULL);
}

static gboolean
review_finish (gpointer data, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static const VmsanReviewer reviewer = { is_wanted, review_async, review_finish };

static void
release (void)
{
  g_autoptr (GTask) task = g_steal_pointer (&held);

  vmsan_source_clear (&held_source);
  answer (task, g_task_get_task_data (task));
}

static void
set_up_review (World *self, gconstpointer data)
{
  set_up (self, data);
  self->context.reviewer = &reviewer;
  self->context.reviewer_data = self;
  unwanted = refused = VMSAN_HOOK_NONE;
  holds = FALSE;
  new_hostname = NULL;
}

/* As what the text begins with says. */
static char *
review_note (VmsanHook hook)
{
  return g_strdup_printf ("review %d by uid:1", hook);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_what_is_agreed_to_is_done (World *self, gconstpointer data)
{
  g_autofree char *reviewed = review_note (VMSAN_HOOK_BEFORE_START);
  g_autofree char *expected = g_strconcat (reviewed,
                                           "\n" START_BEGINS "\n"
                                           "do a\ndo b\ndo c\n"
                                           "save running\n"
                                           "state starting > running\n"
                                           "AfterStart",
                                           NULL);

  run_ok (self, &reviewed_start);
  assert_events (self, expected);
  assert_stored (self);
}

static void
test_without_a_reviewer_nobody_is_waited_for (World *self, gconstpointer data)
{
  unwanted = VMSAN_HOOK_BEFORE_START;
  run_ok (self, &reviewed_start);
  g_assert_true (g_str_has_prefix (self->events->str, START_BEGINS));
}

static void
test_a_refused_start_does_nothing (World *self, gconstpointer data)
{
  g_autofree char *reviewed = review_note (VMSAN_HOOK_BEFORE_START);
  g_autofree char *expected = g_strconcat (reviewed, "\nError start", NULL);

  refused = VMSAN_HOOK_BEFORE_START;
  run_fails (self, &reviewed_start, VMSAN_ERROR_VETOED, "refused; a secret reason");
  assert_events (self, expected);
  assert_state (self, VMSAN_VM_STOPPED);
  assert_nothing_stored (self);
  /* And the next one is one like any other. */
  refused = VMSAN_HOOK_NONE;
  run_ok (self, &reviewed_start);
}

static void
test_a_refused_creation_never_was (World *self, gconstpointer data)
{
  g_autofree char *created = review_note (VMSAN_HOOK_BEFORE_CREATE);
  g_autofree char *started = review_note (VMSAN_HOOK_BEFORE_START);
  g_autofree char *expected = g_strconcat (created, "\n", started, "\nremoved\nError create", NULL);

  /* Both are asked before the first step. */
  refused = VMSAN_HOOK_BEFORE_START;
  run_fails (self, &reviewed_create, VMSAN_ERROR_VETOED, "refused");
  assert_events (self, expected);
  assert_nothing_stored (self);
  g_assert_true (self->vm->gone);
}

static void
test_a_changed_draft_is_what_is_done (World *self, gconstpointer data)
{
  new_hostname = "other";
  run_ok (self, &reviewed_start);
  g_assert_cmpstr (vmsan_vm_get_record (self->vm)->hostname, ==, "other");
  assert_stored (self);
}

static void
test_a_change_is_reviewed_too (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  refused = VMSAN_HOOK_BEFORE_STOP;
  vmsan_operation_change_async (self->vm, &reviewed_change,
                                vmsan_vm_record_copy (vmsan_vm_get_record (self->vm)), "uid:1",
                                vm_fixture_keep_result, &result);
  assert_fails (self, &result, VMSAN_ERROR_VETOED, "refused");
  assert_nothing_stored (self);
}

static void
test_a_machine_is_busy_while_it_is_reviewed (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  holds = TRUE;
  run (self, &reviewed_start, NULL, &result);
  g_assert_nonnull (held);
  assert_state (self, VMSAN_VM_STOPPED);
  run_fails (self, &remove_plan, VMSAN_ERROR_BUSY, "plugins are asked");
  release ();
  assert_ok (self, &result);
  assert_state (self, VMSAN_VM_RUNNING);
}

static void
test_a_caller_who_cancels_is_let_go (World *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;

  holds = TRUE;
  run (self, &reviewed_start, cancellable, &result);
  g_cancellable_cancel (cancellable);
  assert_fails (self, &result, VMSAN_ERROR_CANCELLED, "cancelled");
  assert_nothing_stored (self);
  g_assert_null (strstr (self->events->str, "save"));
}

/* The end of the service, or of the machine; once it is agreed to, a stop goes on. */
static void
test_a_stop_is_aborted_only_while_it_is_reviewed (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;

  holds = TRUE;
  run (self, &reviewed_stop, NULL, &result);
  vmsan_operation_abort (self->vm,
                         g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED, "it ended meanwhile"));
  assert_fails (self, &result, VMSAN_ERROR_VMM_FAILED, "it ended meanwhile");
  assert_state (self, VMSAN_VM_RUNNING);

  run (self, &reviewed_stop, NULL, &result);
  release ();
  run_loop ();
  vmsan_operation_abort (self->vm, NULL);
  assert_ok (self, &result);
  assert_state (self, VMSAN_VM_STOPPED);
}

static void
test_a_refused_removal_by_force_leaves_what_is_under_way (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) start = NULL;
  g_autoptr (GAsyncResult) removal = NULL;
  g_autoptr (GError) error = NULL;

  refused = VMSAN_HOOK_BEFORE_REMOVE;
  hanging_apply = "b";
  run (self, &start_plan, NULL, &start);
  vm_fixture_wait_until (is_hanging, NULL);
  vmsan_vm_remove_async (self->vm, TRUE, "uid:1", vm_fixture_keep_result, &removal);
  vm_fixture_wait_for_result (&removal);
  g_assert_false (vmsan_vm_remove_finish (self->vm, removal, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VETOED);
  g_assert_cmpstr (error->message, ==, "refused; a secret reason");
  g_assert_nonnull (hanging);
  g_assert_false (g_cancellable_is_cancelled (g_task_get_cancellable (hanging)));

  vmsan_operation_cancel (self->vm);
  assert_fails (self, &start, VMSAN_ERROR_CANCELLED, "cancelled");
}

/* However many ask for it. */
static void
test_removals_by_force_are_reviewed_once (World *self, gconstpointer data)
{
  GAsyncResult *results[3] = { NULL, NULL, NULL };
  g_autofree char *reviewed = review_note (VMSAN_HOOK_BEFORE_REMOVE);

  holds = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    vmsan_vm_remove_async (self->vm, TRUE, "uid:1", vm_fixture_keep_result, &results[i]);
  run_loop ();
  assert_events (self, reviewed);
  refused = VMSAN_HOOK_BEFORE_REMOVE;
  release ();
  vm_fixture_wait_for_result (&results[0]);
  g_assert_false (vmsan_vm_remove_finish (self->vm, results[0], NULL));

  /* The others may be of somebody else, and are asked about for themselves. */
  refused = VMSAN_HOOK_NONE;
  g_assert_nonnull (held);
  release ();
  for (guint i = 1; i < G_N_ELEMENTS (results); i++)
    {
      vm_fixture_wait_for_result (&results[i]);
      g_assert_true (vmsan_vm_remove_finish (self->vm, results[i], NULL));
    }
  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    g_object_unref (results[i]);
}

/* It was stopped when its removal was asked about. */
static void
test_a_machine_that_started_meanwhile_is_asked_about_again (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) removal = NULL;
  g_autoptr (GError) error = NULL;

  holds = TRUE;
  refused = VMSAN_HOOK_BEFORE_STOP;
  vmsan_vm_remove_async (self->vm, TRUE, "uid:1", vm_fixture_keep_result, &removal);
  run_loop ();
  self->vm->monitor = g_object_new (TEST_TYPE_MONITOR, NULL);
  holds = FALSE;
  release ();
  vm_fixture_wait_for_result (&removal);
  g_assert_false (vmsan_vm_remove_finish (self->vm, removal, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VETOED);
  vmsan_vm_drop_monitor (self->vm);
}

/* Or its end would wait for it. */
static void
test_nothing_is_reviewed_when_the_service_ends (World *self, gconstpointer data)
{
  self->context.quiescing = TRUE;
  run_fails (self, &reviewed_stop, VMSAN_ERROR_BUSY, "stopping");
  assert_state (self, VMSAN_VM_RUNNING);
}

static void
make_plans (void)
{
  reviewed_start = start_plan;
  reviewed_start.reviewed = start_hooks;
  reviewed_create = create_plan;
  reviewed_create.reviewed = create_hooks;
  reviewed_stop = stop_plan;
  reviewed_stop.reviewed = stop_hooks;
  reviewed_change = change_plan;
  reviewed_change.reviewed = stop_hooks;
}

#define review_test(path, state, function)                                                         \
  g_test_add ("/vm-review/" path, World, GUINT_TO_POINTER (state), set_up_review, function,        \
              tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  log_capture_init ();
  make_plans ();

  review_test ("what-is-agreed-to-is-done", VMSAN_VM_STOPPED, test_what_is_agreed_to_is_done);
  review_test ("without-a-reviewer-nobody-is-waited-for", VMSAN_VM_STOPPED,
               test_without_a_reviewer_nobody_is_waited_for);
  review_test ("a-refused-start-does-nothing", VMSAN_VM_STOPPED, test_a_refused_start_does_nothing);
  review_test ("a-refused-creation-never-was", VMSAN_VM_CREATING,
               test_a_refused_creation_never_was);
  review_test ("a-changed-draft-is-what-is-done", VMSAN_VM_STOPPED,
               test_a_changed_draft_is_what_is_done);
  review_test ("a-change-is-reviewed-too", VMSAN_VM_RUNNING, test_a_change_is_reviewed_too);
  review_test ("a-machine-is-busy-while-it-is-reviewed", VMSAN_VM_STOPPED,
               test_a_machine_is_busy_while_it_is_reviewed);
  review_test ("a-caller-who-cancels-is-let-go", VMSAN_VM_STOPPED,
               test_a_caller_who_cancels_is_let_go);
  review_test ("a-stop-is-aborted-only-while-it-is-reviewed", VMSAN_VM_RUNNING,
               test_a_stop_is_aborted_only_while_it_is_reviewed);
  review_test ("a-refused-removal-by-force-leaves-what-is-under-way", VMSAN_VM_STOPPED,
               test_a_refused_removal_by_force_leaves_what_is_under_way);
  review_test ("removals-by-force-are-reviewed-once", VMSAN_VM_STOPPED,
               test_removals_by_force_are_reviewed_once);
  review_test ("a-machine-that-started-meanwhile-is-asked-about-again", VMSAN_VM_STOPPED,
               test_a_machine_that_started_meanwhile_is_asked_about_again);
  review_test ("nothing-is-reviewed-when-the-service-ends", VMSAN_VM_RUNNING,
               test_nothing_is_reviewed_when_the_service_ends);
  return g_test_run ();
}
