/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-table.h"

#include "sys/error.h"
#include "vm-fixture.h"
#include "vm/vm-private.h"

static const VmsanVmContext context;

static VmsanVm *
add (VmsanVmTable *table, const char *id, const char *name, uid_t owner, uid_t uid)
{
  VmsanVmRecord *record = vm_fixture_record (id);
  g_autoptr (VmsanVm) vm = NULL;

  vmsan_vm_record_set_text (&record->name, name);
  record->owner = owner;
  record->uid = uid;
  vm = vmsan_vm_new (&context, record);
  vmsan_vm_table_add (table, vm);
  return vm;
}

static void
assert_finds (VmsanVmTable *table, const char *name, uid_t caller, const char *id)
{
  g_autoptr (GError) error = NULL;
  VmsanVm *vm = vmsan_vm_table_find (table, name, caller, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (vmsan_vm_get_record (vm)->id, ==, id);
}

static void
assert_does_not_find (VmsanVmTable *table, const char *name, uid_t caller, VmsanError code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_vm_table_find (table, name, caller, &error));
  g_assert_error (error, VMSAN_ERROR, (int) code);
}

static void
test_ids_names_and_prefixes_find (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();

  add (table, "abcdaaaaaaaa", "web", 1000, 70000);
  add (table, "abcdbbbbbbbb", "db", 1000, 70001);
  add (table, "xyzzaaaaaaaa", "cache", 1001, 70002);

  assert_finds (table, "abcdaaaaaaaa", 1001, "abcdaaaaaaaa");
  assert_finds (table, "web", 1000, "abcdaaaaaaaa");
  assert_finds (table, "cache", 1000, "xyzzaaaaaaaa");
  assert_finds (table, "xyzz", 1000, "xyzzaaaaaaaa");
  assert_finds (table, "abcda", 1000, "abcdaaaaaaaa");
  assert_finds (table, "abcdb", 1000, "abcdbbbbbbbb");
  assert_does_not_find (table, "abcd", 1000, VMSAN_ERROR_AMBIGUOUS);
  assert_does_not_find (table, "abc", 1000, VMSAN_ERROR_NOT_FOUND); /* too short to be meant */
  assert_does_not_find (table, "xyzzb", 1000, VMSAN_ERROR_NOT_FOUND);
  assert_does_not_find (table, "xyzzaaaaaaaaa", 1000, VMSAN_ERROR_NOT_FOUND);
  assert_does_not_find (table, "", 1000, VMSAN_ERROR_NOT_FOUND);
  assert_does_not_find (table, "zzzzzzzzzzzz", 1000, VMSAN_ERROR_NOT_FOUND);
}

static void
test_everybody_has_names_of_their_own (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  VmsanVm *second;

  add (table, "aaaaaaaaaaaa", "web", 1000, 70000);
  second = add (table, "bbbbbbbbbbbb", "web", 1001, 70001);
  assert_finds (table, "web", 1000, "aaaaaaaaaaaa");
  assert_finds (table, "web", 1001, "bbbbbbbbbbbb");
  assert_does_not_find (table, "web", 0, VMSAN_ERROR_AMBIGUOUS);

  vmsan_vm_table_remove (table, second);
  assert_finds (table, "web", 0, "aaaaaaaaaaaa");
  assert_finds (table, "web", 1001, "aaaaaaaaaaaa");
}

/* Somebody may name a machine like another's id or its beginning; that must catch nobody else. */
static void
test_a_name_never_hides_an_id (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();

  add (table, "aaaaaaaaaaaa", "victim", 1000, 70000);
  add (table, "bbbbbbbbbbbb", "aaaaaaaaaaaa", 1001, 70001);
  add (table, "cccccccccccc", "aaaa", 1001, 70002);
  assert_finds (table, "aaaaaaaaaaaa", 1000, "aaaaaaaaaaaa");
  assert_finds (table, "aaaaaaaaaaaa", 1001, "aaaaaaaaaaaa");
  assert_finds (table, "aaaa", 1000, "aaaaaaaaaaaa");
  assert_finds (table, "aaaa", 1001, "cccccccccccc");
}

static void
test_what_is_removed_is_not_found (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanVm) vm = g_object_ref (add (table, "aaaaaaaaaaaa", "web", 1000, 70000));

  vmsan_vm_table_remove (table, vm);
  g_assert_cmpuint (vmsan_vm_table_get_size (table), ==, 0);
  g_assert_null (vmsan_vm_table_get (table, "aaaaaaaaaaaa"));
  assert_does_not_find (table, "web", 1000, VMSAN_ERROR_NOT_FOUND);
  vmsan_vm_table_remove (table, vm); /* twice is once */
  g_assert_cmpuint (vmsan_vm_table_get_size (table), ==, 0);
}

static void
test_pages_come_in_the_order_of_ids (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  static const char *const ids[] = { "mmmmmmmmmmmm", "aaaaaaaaaaaa", "zzzzzzzzzzzz" };

  g_assert_null (vmsan_vm_table_next (table, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    add (table, ids[i], ids[i], 1000, 70000 + i);

  g_assert_true (vmsan_vm_table_next (table, NULL) == vmsan_vm_table_get (table, ids[1]));
  g_assert_true (vmsan_vm_table_next (table, "") == vmsan_vm_table_get (table, ids[1]));
  g_assert_true (vmsan_vm_table_next (table, ids[1]) == vmsan_vm_table_get (table, ids[0]));
  g_assert_true (vmsan_vm_table_next (table, ids[0]) == vmsan_vm_table_get (table, ids[2]));
  g_assert_null (vmsan_vm_table_next (table, ids[2]));
  /* A page may end with a machine that is gone when the next one is asked for. */
  g_assert_true (vmsan_vm_table_next (table, "bbbbbbbbbbbb") == vmsan_vm_table_get (table, ids[0]));
  g_assert_null (vmsan_vm_table_next (table, "zzzzzzzzzzzzz"));
}

/* ---- Room ---------------------------------------------------------------------------------- */

static VmsanConfig *
small_limits (void)
{
  VmsanConfig *config = vmsan_config_load (NULL, NULL);

  config->max_vms = 4;
  config->max_vms_per_user = 2;
  config->max_vcpus_per_user = 3;
  config->max_memory_mib_per_user = 300;
  config->max_disk_mib_per_user = 200;
  return config;
}

static void
assert_room (VmsanVmTable *table, const VmsanVmRequest *request, const VmsanConfig *config)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_vm_table_check_room (table, request, config, &error));
  g_assert_no_error (error);
}

static void
assert_no_room (VmsanVmTable *table,
                const VmsanVmRequest *request,
                const VmsanConfig *config,
                VmsanError code,
                const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_vm_table_check_room (table, request, config, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_each_limit_is_reached_and_not_passed (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  VmsanVmRequest request = { .owner = 1000, .vcpus = 2, .memory_mib = 172, .disk_mib = 136 };

  /* It has 1 vCPU, 128 MiB of memory and 64 MiB of disk. */
  add (table, "aaaaaaaaaaaa", "web", 1000, 70000);
  assert_room (table, &request, config);
  request.vcpus = 3;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVCPUsPerUser");
  request.vcpus = 2;
  request.memory_mib = 173;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxMemoryMiBPerUser");
  request.memory_mib = 172;
  request.disk_mib = 137;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxDiskMiBPerUser");
  request.disk_mib = 136;
  config->max_vms_per_user = 1;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVMsPerUser");
  config->max_vms_per_user = 0;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVMsPerUser");
}

static void
test_limits_do_not_overflow (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  VmsanVmRequest request = { .owner = 1000, .vcpus = 1, .memory_mib = 64, .disk_mib = 32 };

  add (table, "aaaaaaaaaaaa", "web", 1000, 70000);
  request.vcpus = G_MAXUINT;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVCPUsPerUser");
  request.vcpus = 1;
  request.memory_mib = G_MAXUINT;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxMemoryMiBPerUser");
  request.memory_mib = 64;
  request.disk_mib = G_MAXUINT;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxDiskMiBPerUser");
  /* Limits that were lowered below what is used already. */
  request.disk_mib = 32;
  config->max_memory_mib_per_user = 64;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxMemoryMiBPerUser");
}

static void
test_one_user_takes_no_room_of_another (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  VmsanVmRequest request = { .owner = 1001, .vcpus = 3, .memory_mib = 300, .disk_mib = 200 };
  VmsanVm *vm;

  add (table, "aaaaaaaaaaaa", "a", 1000, 70000);
  vm = add (table, "bbbbbbbbbbbb", "b", 1000, 70001);
  assert_room (table, &request, config);
  request.owner = 1000;
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVMsPerUser");

  /* What is removed gives its room back, all of it. */
  vmsan_vm_table_remove (table, vm);
  request.vcpus = 2;
  request.memory_mib = 172;
  request.disk_mib = 136;
  assert_room (table, &request, config);
}

static void
test_root_is_bound_by_the_host_only (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  VmsanVmRequest request = { .owner = 0, .vcpus = 32, .memory_mib = 4096, .disk_mib = 4096 };

  add (table, "aaaaaaaaaaaa", "a", 0, 70000);
  add (table, "bbbbbbbbbbbb", "b", 0, 70001);
  add (table, "cccccccccccc", "c", 0, 70002);
  assert_room (table, &request, config);
  add (table, "dddddddddddd", "d", 0, 70003);
  assert_no_room (table, &request, config, VMSAN_ERROR_LIMIT_EXCEEDED, "MaxVMs");
}

static void
test_a_name_is_given_once_per_owner (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  VmsanVmRequest request = {
    .owner = 1000, .name = (char *) "web", .vcpus = 1, .memory_mib = 64, .disk_mib = 32
  };

  add (table, "aaaaaaaaaaaa", "web", 1000, 70000);
  assert_no_room (table, &request, config, VMSAN_ERROR_EXISTS, "“web”");
  request.owner = 1001;
  assert_room (table, &request, config);
  request.owner = 0;
  assert_room (table, &request, config);
}

/* ---- New ids and uids ---------------------------------------------------------------------- */

static void
test_new_ids_are_valid_and_all_different (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < 10000; i++)
    {
      char *id = vmsan_vm_table_new_id (table);

      g_assert_true (vmsan_vm_id_is_valid (id));
      g_assert_true (g_hash_table_add (seen, id));
    }
}

static void
test_uids_stay_in_their_range_until_all_are_used (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  VmsanVm *some = NULL;
  uid_t uid;

  config->first_uid = 100000;
  config->uid_count = 10;
  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *id = vmsan_vm_table_new_id (table);

      uid = vmsan_vm_table_new_uid (table, config);
      g_assert_cmpuint (uid, >=, 100000);
      g_assert_cmpuint (uid, <, 100010);
      g_assert_true (g_hash_table_add (seen, GUINT_TO_POINTER (uid)));
      some = add (table, id, id, 1000, uid);
    }
  g_assert_cmpuint (vmsan_vm_table_new_uid (table, config), ==, 0);

  uid = vmsan_vm_get_record (some)->uid;
  vmsan_vm_table_remove (table, some);
  g_assert_cmpuint (vmsan_vm_table_new_uid (table, config), ==, uid);
}

static void
test_a_uid_is_not_used_soon_again (void)
{
  g_autoptr (VmsanVmTable) table = vmsan_vm_table_new ();
  g_autoptr (VmsanConfig) config = small_limits ();
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  config->first_uid = 100000;
  config->uid_count = 100;
  for (guint i = 0; i < 100; i++)
    {
      uid_t uid = vmsan_vm_table_new_uid (table, config);
      VmsanVm *vm = add (table, "aaaaaaaaaaaa", "a", 1000, uid);

      g_assert_true (g_hash_table_add (seen, GUINT_TO_POINTER (uid)));
      vmsan_vm_table_remove (table, vm);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/vm-table/ids-names-and-prefixes-find", test_ids_names_and_prefixes_find);
  g_test_add_func ("/vm-table/everybody-has-names-of-their-own",
                   test_everybody_has_names_of_their_own);
  g_test_add_func ("/vm-table/a-name-never-hides-an-id", test_a_name_never_hides_an_id);
  g_test_add_func ("/vm-table/what-is-removed-is-not-found", test_what_is_removed_is_not_found);
  g_test_add_func ("/vm-table/pages-come-in-the-order-of-ids", test_pages_come_in_the_order_of_ids);
  g_test_add_func ("/vm-table/each-limit-is-reached-and-not-passed",
                   test_each_limit_is_reached_and_not_passed);
  g_test_add_func ("/vm-table/limits-do-not-overflow", test_limits_do_not_overflow);
  g_test_add_func ("/vm-table/one-user-takes-no-room-of-another",
                   test_one_user_takes_no_room_of_another);
  g_test_add_func ("/vm-table/root-is-bound-by-the-host-only", test_root_is_bound_by_the_host_only);
  g_test_add_func ("/vm-table/a-name-is-given-once-per-owner", test_a_name_is_given_once_per_owner);
  g_test_add_func ("/vm-table/new-ids-are-valid-and-all-different",
                   test_new_ids_are_valid_and_all_different);
  g_test_add_func ("/vm-table/uids-stay-in-their-range-until-all-are-used",
                   test_uids_stay_in_their_range_until_all_are_used);
  g_test_add_func ("/vm-table/a-uid-is-not-used-soon-again", test_a_uid_is_not_used_soon_again);
  return g_test_run ();
}
