/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A machine whose operations have steps of the test's own, over a store that can fail. What happens
 * is written down in order, and compared as a whole. */

#pragma once

#include "vm/vm-operation.h"

#include "log-capture.h"
#include "storage-fixture.h"
#include "sys/source.h"
#include "vm-fixture.h"

#define ID "abcdefghijkl"

/* ---- A store that tells and fails ---------------------------------------------------------- */

#define TEST_TYPE_STORE (test_store_get_type ())
G_DECLARE_FINAL_TYPE (TestStore, test_store, TEST, STORE, GObject)

struct _TestStore
{
  GObject parent;
  VmsanVmStore *inner;
};

typedef struct
{
  StorageFixture storage;
  VmsanVmContext context;
  VmsanConfig *config;
  VmsanVm *vm;
  GMutex lock; /* of the following: saves come from threads */
  GString *events;
  guint n_saves;
  guint failing_save; /* counted from 1; 0 for none */
  gboolean fails_removal;
} World;

static World *world;

static void note (const char *format, ...) G_GNUC_PRINTF (1, 2);

G_GNUC_UNUSED static void
note (const char *format, ...)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&world->lock);
  va_list args;

  if (world->events->len > 0)
    g_string_append_c (world->events, '\n');
  va_start (args, format);
  g_string_append_vprintf (world->events, format, args);
  va_end (args);
}

G_GNUC_UNUSED static gboolean
store_save (VmsanVmStore *store, const VmsanVmRecord *record, GError **error)
{
  g_autofree char *steps = g_strjoinv (" ", record->steps);

  if (++world->n_saves == world->failing_save)
    {
      note ("save fails");
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE, "no space to save");
      return FALSE;
    }
  if (record->has_operation)
    note ("save %s %s[%s]", vmsan_vm_state_to_string (record->state),
          vmsan_verb_to_string (record->operation), steps);
  else
    note ("save %s", vmsan_vm_state_to_string (record->state));
  return vmsan_vm_store_save (TEST_STORE (store)->inner, record, error);
}

G_GNUC_UNUSED static gboolean
store_remove (VmsanVmStore *store, const char *id, GError **error)
{
  if (world->fails_removal)
    {
      note ("forget fails");
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "no removal");
      return FALSE;
    }
  note ("forget");
  return vmsan_vm_store_remove (TEST_STORE (store)->inner, id, error);
}

G_GNUC_UNUSED static GPtrArray *
store_load_all (VmsanVmStore *store, GStrv *damaged, GError **error)
{
  return vmsan_vm_store_load_all (TEST_STORE (store)->inner, damaged, error);
}

G_GNUC_UNUSED static void
store_iface_init (VmsanVmStoreInterface *iface)
{
  iface->load_all = store_load_all;
  iface->save = store_save;
  iface->remove = store_remove;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestStore,
                               test_store,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (VMSAN_TYPE_VM_STORE, store_iface_init))

G_GNUC_UNUSED static void
test_store_finalize (GObject *object)
{
  g_object_unref (TEST_STORE (object)->inner);
  G_OBJECT_CLASS (test_store_parent_class)->finalize (object);
}

G_GNUC_UNUSED static void
test_store_class_init (TestStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_store_finalize;
}

G_GNUC_UNUSED static void
test_store_init (TestStore *self)
{
  self->inner = vmsan_vm_store_memory_new ();
}

/* ---- Steps --------------------------------------------------------------------------------- */

static const char *failing_apply;  /* name of the step, or NULL */
static const char *failing_revert; /* letters of all that fail, or NULL */
static const char *hanging_apply;
static GTask *hanging;
static GSource *hanging_source; /* ends it when it is cancelled */

G_GNUC_UNUSED static void
finish_step (GTask *task, const char *what, const char *name, gboolean fails)
{
  if (fails)
    g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_FAILED, "%s of %s failed", what, name);
  else
    g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

G_GNUC_UNUSED static gboolean
on_step_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = g_steal_pointer (&hanging);

  vmsan_source_clear (&hanging_source);
  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
  g_object_unref (task);
  return G_SOURCE_REMOVE;
}

G_GNUC_UNUSED static void
hang_until_cancelled (GTask *task)
{
  hanging = task;
  hanging_source = g_cancellable_source_new (g_task_get_cancellable (task));
  g_source_set_callback (hanging_source, G_SOURCE_FUNC (on_step_cancelled), NULL, NULL);
  g_source_attach (hanging_source, NULL);
}

G_GNUC_UNUSED static void
apply_named (VmsanVm *vm, GTask *task, const char *name)
{
  /* What it was promised: the intent is on disk and shown. */
  g_assert_true (vmsan_vm_get_record (vm)->has_operation);
  g_assert_true (g_task_get_source_object (task) == vm);
  note ("do %s", name);
  if (g_strcmp0 (hanging_apply, name) == 0)
    {
      hang_until_cancelled (task);
      return;
    }
  vmsan_operation_get_draft (vm)->boot_ms++;
  if (g_strcmp0 (failing_apply, name) == 0)
    vmsan_operation_tell_caller (vm, g_strdup ("a secret of the guest"));
  finish_step (task, "doing", name, g_strcmp0 (failing_apply, name) == 0);
}

G_GNUC_UNUSED static void
revert_named (VmsanVm *vm, GTask *task, const char *name)
{
  note ("undo %s", name);
  finish_step (task, "undoing", name,
               failing_revert != NULL && strstr (failing_revert, name) != NULL);
}

#define STEP(letter)                                                                               \
  static void apply_##letter (VmsanVm *vm, GTask *task)                                            \
  {                                                                                                \
    apply_named (vm, task, #letter);                                                               \
  }                                                                                                \
  static void revert_##letter (VmsanVm *vm, GTask *task)                                           \
  {                                                                                                \
    revert_named (vm, task, #letter);                                                              \
  }                                                                                                \
  static const VmsanStep step_##letter = { #letter, apply_##letter, revert_##letter };

STEP (a)
STEP (b)
STEP (c)

G_GNUC_UNUSED static const VmsanStep *const steps[] = { &step_a, &step_b, &step_c, NULL };
G_GNUC_UNUSED static const VmsanStep *const no_steps[] = { NULL };

G_GNUC_UNUSED static const VmsanPlan start_plan = {
  .verb = VMSAN_VERB_START,
  .phase = "start",
  .direction = VMSAN_PLAN_APPLY,
  .during = VMSAN_VM_STARTING,
  .after = VMSAN_VM_RUNNING,
  .before_hook = VMSAN_HOOK_BEFORE_START,
  .after_hook = VMSAN_HOOK_AFTER_START,
  .steps = steps,
  .start_index = VMSAN_PLAN_NO_START,
};

G_GNUC_UNUSED static const VmsanPlan create_plan = {
  .verb = VMSAN_VERB_CREATE,
  .phase = "create",
  .direction = VMSAN_PLAN_APPLY,
  .during = VMSAN_VM_CREATING,
  .after = VMSAN_VM_RUNNING,
  .before_hook = VMSAN_HOOK_BEFORE_CREATE,
  .after_hook = VMSAN_HOOK_AFTER_CREATE,
  .steps = steps,
  .start_index = 1,
  .record_ends = TRUE,
};

G_GNUC_UNUSED static void
wait_for_cancel (VmsanVm *vm, GTask *task)
{
  note ("prelude");
  hang_until_cancelled (task);
}

G_GNUC_UNUSED static const VmsanPlan stop_plan = {
  .verb = VMSAN_VERB_STOP,
  .phase = "stop",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .before_hook = VMSAN_HOOK_BEFORE_STOP,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = steps,
  .start_index = VMSAN_PLAN_NO_START,
};

G_GNUC_UNUSED static const VmsanPlan graceful_plan = {
  .verb = VMSAN_VERB_STOP,
  .phase = "stop",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_STOPPING,
  .after = VMSAN_VM_STOPPED,
  .before_hook = VMSAN_HOOK_BEFORE_STOP,
  .after_hook = VMSAN_HOOK_AFTER_STOP,
  .steps = steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = wait_for_cancel,
};

G_GNUC_UNUSED static const VmsanPlan remove_plan = {
  .verb = VMSAN_VERB_REMOVE,
  .phase = "remove",
  .direction = VMSAN_PLAN_REVERT,
  .during = VMSAN_VM_REMOVING,
  .before_hook = VMSAN_HOOK_BEFORE_REMOVE,
  .after_hook = VMSAN_HOOK_AFTER_REMOVE,
  .steps = steps,
  .start_index = VMSAN_PLAN_NO_START,
  .record_ends = TRUE,
};

G_GNUC_UNUSED static const VmsanPlan change_plan = {
  .verb = VMSAN_VERB_SET_TIMEOUT,
  .phase = "set-timeout",
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
};

/* ---- The world ----------------------------------------------------------------------------- */

G_GNUC_UNUSED static void
on_hook (gpointer data, const VmsanHookEvent *event)
{
  static const char *const names[] = {
    [VMSAN_HOOK_NONE] = "none",
    [VMSAN_HOOK_BEFORE_CREATE] = "BeforeCreate",
    [VMSAN_HOOK_AFTER_CREATE] = "AfterCreate",
    [VMSAN_HOOK_BEFORE_START] = "BeforeStart",
    [VMSAN_HOOK_AFTER_START] = "AfterStart",
    [VMSAN_HOOK_BEFORE_STOP] = "BeforeStop",
    [VMSAN_HOOK_AFTER_STOP] = "AfterStop",
    [VMSAN_HOOK_BEFORE_REMOVE] = "BeforeRemove",
    [VMSAN_HOOK_AFTER_REMOVE] = "AfterRemove",
  };

  g_assert_true (data == world);
  g_assert_cmpstr (event->id, ==, ID);
  g_assert_cmpuint (event->owner, ==, 1000);
  g_assert_nonnull (event->actor);
  if (event->hook == VMSAN_HOOK_STATE_CHANGED)
    note ("state %s > %s", event->old_state, event->new_state);
  else if (event->hook == VMSAN_HOOK_ERROR)
    {
      g_assert_nonnull (event->error);
      g_assert_null (strstr (event->error->message, "secret"));
      note ("Error %s", event->phase);
    }
  else
    note ("%s", names[event->hook]);
}

G_GNUC_UNUSED static void
on_removed (gpointer data, VmsanVm *vm)
{
  g_assert_true (vm == world->vm);
  note ("removed");
}

G_GNUC_UNUSED static void
set_up (World *self, gconstpointer data)
{
  VmsanVmRecord *record = vm_fixture_record (ID);

  world = self;
  storage_set_up (&self->storage, NULL);
  g_mutex_init (&self->lock);
  self->events = g_string_new (NULL);
  self->config = vmsan_config_load (NULL, NULL);
  vmsan_vm_record_set_text (&self->config->cgroup_parent, "/vmsan-unit-test-none");
  self->context = (VmsanVmContext){
    .config = self->config,
    .state_root = self->storage.root,
    .runtime_root = self->storage.root,
    .store = g_object_new (TEST_TYPE_STORE, NULL),
    .vmms = g_ptr_array_new (),
    .emit_hook = on_hook,
    .removed = on_removed,
    .data = self,
  };
  record->state = GPOINTER_TO_UINT (data);
  self->vm = vmsan_vm_new (&self->context, record);
  failing_apply = failing_revert = hanging_apply = NULL;
}

G_GNUC_UNUSED static void
tear_down (World *self, gconstpointer data)
{
  g_assert_null (hanging);
  g_assert_null (self->vm->operation);
  g_assert_true (g_queue_is_empty (&self->vm->waiting));
  vmsan_operation_set_observer (NULL);
  /* Nobody else holds it, no thread either: a machine must end on the main context. */
  run_loop ();
  g_assert_cmpuint (G_OBJECT (self->vm)->ref_count, ==, 1);
  g_object_unref (self->vm);
  g_object_unref (self->context.store);
  g_ptr_array_unref (self->context.vmms);
  vmsan_config_free (self->config);
  g_string_free (self->events, TRUE);
  g_mutex_clear (&self->lock);
  log_capture_assert_empty ();
  storage_tear_down (&self->storage, NULL);
  world = NULL;
}

/* What happened since the last time. */
G_GNUC_UNUSED static void
assert_events (World *self, const char *expected)
{
  g_autofree char *events = g_strdup (self->events->str);

  g_string_truncate (self->events, 0);
  g_assert_cmpstr (events, ==, expected);
}

G_GNUC_UNUSED static void
run (World *self, const VmsanPlan *plan, GCancellable *cancellable, GAsyncResult **result)
{
  vmsan_operation_run_async (self->vm, plan, "because", "uid:1", cancellable,
                             vm_fixture_keep_result, result);
}

G_GNUC_UNUSED static void
assert_ok (World *self, GAsyncResult **result)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (result);
  g_assert_true (vmsan_operation_run_finish (self->vm, *result, &error));
  g_assert_no_error (error);
  g_clear_object (result);
}

G_GNUC_UNUSED static void
assert_fails (World *self, GAsyncResult **result, VmsanError code, const char *words)
{
  g_autoptr (GError) error = NULL;

  vm_fixture_wait_for_result (result);
  g_assert_false (vmsan_operation_run_finish (self->vm, *result, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
  g_clear_object (result);
}

G_GNUC_UNUSED static void
run_ok (World *self, const VmsanPlan *plan)
{
  g_autoptr (GAsyncResult) result = NULL;

  run (self, plan, NULL, &result);
  assert_ok (self, &result);
}

G_GNUC_UNUSED static void
run_fails (World *self, const VmsanPlan *plan, VmsanError code, const char *words)
{
  g_autoptr (GAsyncResult) result = NULL;

  run (self, plan, NULL, &result);
  assert_fails (self, &result, code, words);
}

G_GNUC_UNUSED static void
assert_state (World *self, VmsanVmState state)
{
  g_assert_cmpstr (vmsan_vm_state_to_string (vmsan_vm_get_record (self->vm)->state), ==,
                   vmsan_vm_state_to_string (state));
}

/* Memory follows the disk: what others see is what is stored. */
G_GNUC_UNUSED static void
assert_stored (World *self)
{
  g_auto (GStrv) damaged = NULL;
  g_autoptr (GPtrArray) records = vmsan_vm_store_load_all (self->context.store, &damaged, NULL);
  g_autofree char *stored = NULL;
  g_autofree char *shown = vmsan_vm_record_to_json (vmsan_vm_get_record (self->vm), NULL);

  g_assert_cmpuint (records->len, ==, 1);
  stored = vmsan_vm_record_to_json (g_ptr_array_index (records, 0), NULL);
  g_assert_cmpstr (stored, ==, shown);
}

G_GNUC_UNUSED static void
assert_nothing_stored (World *self)
{
  g_auto (GStrv) damaged = NULL;
  g_autoptr (GPtrArray) records = vmsan_vm_store_load_all (self->context.store, &damaged, NULL);

  g_assert_cmpuint (records->len, ==, 0);
}

G_GNUC_UNUSED static gboolean
is_hanging (gpointer data)
{
  return hanging != NULL;
}

#define START_BEGINS                                                                               \
  "BeforeStart\n"                                                                                  \
  "save starting start[a b c]\n"                                                                   \
  "state stopped > starting"

#define world_test(path, state, function)                                                          \
  g_test_add (path, World, GUINT_TO_POINTER (state), set_up, function, tear_down)
