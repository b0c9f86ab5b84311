/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Machines that run and follow the host's name servers: what becomes of tries that meet another
 * operation or fail. There is no network here, so all of them fail in the end. */

#include "monitor-fixture.h"
#include "operation-fixture.h"

#include "net/net-nft.h"
#include "vmm/vmm.h"

static guint n_descriptors; /* open when a test begins */

static void
set_up_running (World *self, gconstpointer data)
{
  VmsanNetConfig config = { .resolver = "", .dnsmasq = "", .state_fd = -1 };
  VmsanNetPolicy *policy = vmsan_net_policy_new_none ();
  g_autoptr (GError) error = NULL;

  set_up (self, data);
  vmsan_net_pools_parse (self->config->ipv4_pool, self->config->ipv6_pool, &config.pools, &error);
  g_assert_no_error (error);
  self->context.networks = vmsan_net_manager_new (&config);
  policy->has_network = TRUE;
  vmsan_net_policy_unref (self->vm->record->network);
  self->vm->record->network = policy;
  self->vm->monitor = g_object_new (TEST_TYPE_MONITOR, NULL);
  n_descriptors = storage_count_descriptors ();
}

static gboolean
is_given_up (gpointer data)
{
  return G_OBJECT (data)->ref_count == 1;
}

/* The thread that checked a policy may hold the networks for a moment longer, and another closes
 * what it asked nftables with; neither wakes anybody. */
static gboolean
threads_are_done (World *self)
{
  return is_given_up (self->context.networks) && storage_count_descriptors () <= n_descriptors;
}

static void
tear_down_running (World *self, gconstpointer data)
{
  vmsan_vm_drop_monitor (self->vm);
  vm_fixture_wait_until (is_given_up, self->vm);
  while (!threads_are_done (self))
    {
      run_loop ();
      g_usleep (1000);
    }
  g_object_unref (self->context.networks);
  tear_down (self, data);
}

static gboolean
waits_to_try_again (gpointer data)
{
  return VMSAN_VM (data)->refresh_again != NULL;
}

static void
try_again_now (World *self)
{
  g_source_set_ready_time (self->vm->refresh_again, 0);
  while (self->vm->refresh_again != NULL && g_source_get_ready_time (self->vm->refresh_again) == 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_one_that_fails_is_tried_again (World *self, gconstpointer data)
{
  static const guint delays[] = { 1, 2, 4, 8, 16, 32, 60, 60 };

  vmsan_vm_refresh_network (self->vm);
  for (guint i = 0; i < G_N_ELEMENTS (delays); i++)
    {
      vm_fixture_wait_until (waits_to_try_again, self->vm);
      g_assert_cmpuint (self->vm->refresh_delay_s, ==, delays[i]);
      try_again_now (self);
    }
  vm_fixture_wait_until (waits_to_try_again, self->vm);
}

static void
test_a_machine_that_ends_is_left_alone (World *self, gconstpointer data)
{
  vmsan_vm_refresh_network (self->vm);
  vm_fixture_wait_until (waits_to_try_again, self->vm);
  vmsan_vm_drop_monitor (self->vm);
  g_assert_null (self->vm->refresh_again);
  g_assert_cmpuint (self->vm->refresh_delay_s, ==, 0);
}

static void
test_a_service_that_ends_tries_no_more (World *self, gconstpointer data)
{
  vmsan_vm_refresh_network (self->vm);
  self->context.quiescing = TRUE;
  vm_fixture_wait_until (is_given_up, self->vm);
  g_assert_null (self->vm->refresh_again);
}

static GTask *change_task;

static void
change_later (VmsanVm *vm, GTask *task)
{
  change_task = task;
}

static const VmsanPlan long_change_plan = {
  .verb = VMSAN_VERB_SET_TIMEOUT,
  .phase = "set-timeout",
  .steps = no_steps,
  .start_index = VMSAN_PLAN_NO_START,
  .prelude = change_later,
};

static gboolean
has_queued (gpointer data)
{
  return !g_queue_is_empty (&VMSAN_VM (data)->waiting);
}

/* What begins while the try is being checked keeps it from beginning, and not from coming later. */
static void
test_one_that_meets_an_operation_waits_for_it (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) change = NULL;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_nft_check (&error))
    {
      g_test_skip (error->message);
      return;
    }
  vmsan_vm_refresh_network (self->vm);
  vmsan_operation_change_async (self->vm, &long_change_plan,
                                vmsan_vm_record_copy (self->vm->record), "uid:1",
                                vm_fixture_keep_result, &change);
  g_assert_nonnull (change_task);
  vm_fixture_wait_until (has_queued, self->vm);
  g_assert_null (self->vm->refresh_again);
  assert_events (self, "");
  finish_step (g_steal_pointer (&change_task), "changing", "it", FALSE);
  assert_ok (self, &change);
  vm_fixture_wait_until (waits_to_try_again, self->vm);
  assert_events (self, "save running\nError set-network-policy");
}

#define running_test(path, function)                                                               \
  g_test_add (path, World, GUINT_TO_POINTER (VMSAN_VM_RUNNING), set_up_running, function,          \
              tear_down_running)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  log_capture_init ();

  running_test ("/vm-refresh/one-that-fails-is-tried-again", test_one_that_fails_is_tried_again);
  running_test ("/vm-refresh/a-machine-that-ends-is-left-alone",
                test_a_machine_that_ends_is_left_alone);
  running_test ("/vm-refresh/a-service-that-ends-tries-no-more",
                test_a_service_that_ends_tries_no_more);
  running_test ("/vm-refresh/one-that-meets-an-operation-waits-for-it",
                test_one_that_meets_an_operation_waits_for_it);
  return g_test_run ();
}
