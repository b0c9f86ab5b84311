/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-store.h"

#include "storage-fixture.h"
#include "vm-fixture.h"

#include <errno.h>

typedef VmsanVmStore *(*StoreMaker) (StorageFixture *fixture);

static VmsanVmStore *
make_file_store (StorageFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  VmsanVmStore *store = vmsan_vm_store_file_new (fixture->root, &error);

  g_assert_no_error (error);
  return store;
}

static VmsanVmStore *
make_memory_store (StorageFixture *fixture)
{
  return vmsan_vm_store_memory_new ();
}

static void
save (VmsanVmStore *store, const VmsanVmRecord *record)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_vm_store_save (store, record, &error));
  g_assert_no_error (error);
}

static void
save_new (VmsanVmStore *store, const char *id)
{
  g_autoptr (VmsanVmRecord) record = vm_fixture_record (id);

  save (store, record);
}

/* Loads and expects exactly @ids, in their order, and @n_damaged problems. */
static GPtrArray *
load (VmsanVmStore *store, const char *ids, guint n_damaged, char ***problems)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) found = g_string_new (NULL);
  g_auto (GStrv) damaged = NULL;
  GPtrArray *records = vmsan_vm_store_load_all (store, &damaged, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < records->len; i++)
    {
      const VmsanVmRecord *record = g_ptr_array_index (records, i);

      g_string_append_printf (found, "%s%s", i > 0 ? " " : "", record->id);
    }
  g_assert_cmpstr (found->str, ==, ids);
  for (guint i = 0; damaged[i] != NULL; i++)
    g_test_message ("%s", damaged[i]);
  g_assert_cmpuint (g_strv_length (damaged), ==, n_damaged);
  if (problems != NULL)
    *problems = g_steal_pointer (&damaged);
  return records;
}

static void
assert_holds (VmsanVmStore *store, const char *ids)
{
  g_ptr_array_unref (load (store, ids, 0, NULL));
}

/* ---- What every store does ----------------------------------------------------------------- */

static void
conform_to_the_promise (StorageFixture *fixture, StoreMaker make)
{
  g_autoptr (VmsanVmStore) store = make (fixture);
  g_autoptr (VmsanVmRecord) record = vm_fixture_record ("bbbbbbbbbbbb");
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GPtrArray) again = NULL;

  assert_holds (store, "");
  save (store, record);
  save_new (store, "cccccccccccc");
  save_new (store, "aaaaaaaaaaaa");
  assert_holds (store, "aaaaaaaaaaaa bbbbbbbbbbbb cccccccccccc");

  /* What was saved is a copy, and so is what comes back. */
  vmsan_vm_record_set_text (&record->name, "changed");
  record->vcpus = 7;
  records = load (store, "aaaaaaaaaaaa bbbbbbbbbbbb cccccccccccc", 0, NULL);
  g_assert_cmpstr (((VmsanVmRecord *) g_ptr_array_index (records, 1))->name, ==, "bbbbbbbbbbbb");
  vmsan_vm_record_set_text (&((VmsanVmRecord *) g_ptr_array_index (records, 0))->name, "changed");
  again = load (store, "aaaaaaaaaaaa bbbbbbbbbbbb cccccccccccc", 0, NULL);
  g_assert_cmpstr (((VmsanVmRecord *) g_ptr_array_index (again, 0))->name, ==, "aaaaaaaaaaaa");
  g_assert_cmpuint (((VmsanVmRecord *) g_ptr_array_index (again, 1))->vcpus, ==, 1);
}

static void
replace_and_remove (StorageFixture *fixture, StoreMaker make)
{
  g_autoptr (VmsanVmStore) store = make (fixture);
  g_autoptr (VmsanVmRecord) record = vm_fixture_record ("bbbbbbbbbbbb");
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GError) error = NULL;

  save (store, record);
  record->vcpus = 7;
  save (store, record);
  records = load (store, "bbbbbbbbbbbb", 0, NULL);
  g_assert_cmpuint (((VmsanVmRecord *) g_ptr_array_index (records, 0))->vcpus, ==, 7);

  save_new (store, "aaaaaaaaaaaa");
  g_assert_true (vmsan_vm_store_remove (store, "bbbbbbbbbbbb", &error));
  g_assert_no_error (error);
  assert_holds (store, "aaaaaaaaaaaa");
  g_assert_true (vmsan_vm_store_remove (store, "bbbbbbbbbbbb", &error));
  g_assert_true (vmsan_vm_store_remove (store, "zzzzzzzzzzzz", &error));
  g_assert_no_error (error);
  save (store, record);
  assert_holds (store, "aaaaaaaaaaaa bbbbbbbbbbbb");
}

typedef struct
{
  VmsanVmStore *store;
  guint number;
} Writer;

static gpointer
write_many (gpointer data)
{
  const Writer *writer = data;
  g_autofree char *id = g_strdup_printf ("writer%06u", writer->number);
  g_autoptr (VmsanVmRecord) record = vm_fixture_record (id);

  for (guint i = 1; i <= 20; i++)
    {
      record->boot_ms = i;
      if (!vmsan_vm_store_save (writer->store, record, NULL))
        return NULL;
    }
  return GINT_TO_POINTER (1);
}

static void
save_from_threads (StorageFixture *fixture, StoreMaker make)
{
  g_autoptr (VmsanVmStore) store = make (fixture);
  GThread *threads[4];
  Writer writers[4];
  g_autoptr (GPtrArray) records = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      writers[i] = (Writer){ store, i };
      threads[i] = g_thread_new ("writer", write_many, &writers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_nonnull (g_thread_join (threads[i]));
  records = load (store, "writer000000 writer000001 writer000002 writer000003", 0, NULL);
  for (guint i = 0; i < records->len; i++)
    g_assert_cmpuint (((VmsanVmRecord *) g_ptr_array_index (records, i))->boot_ms, ==, 20);
}

#define BOTH(name)                                                                                 \
  static void test_files_##name (StorageFixture *fixture, gconstpointer data)                      \
  {                                                                                                \
    name (fixture, make_file_store);                                                               \
  }                                                                                                \
  static void test_memory_##name (StorageFixture *fixture, gconstpointer data)                     \
  {                                                                                                \
    name (fixture, make_memory_store);                                                             \
  }

BOTH (conform_to_the_promise)
BOTH (replace_and_remove)
BOTH (save_from_threads)

/* ---- What files do beside that ------------------------------------------------------------- */

static void
test_records_outlive_their_store (StorageFixture *fixture, gconstpointer data)
{
  VmsanVmStore *store = make_file_store (fixture);
  g_autoptr (VmsanVmStore) next = NULL;
  g_autofree char *path = storage_path (fixture, "vms/aaaaaaaaaaaa.json");
  struct stat st;

  save_new (store, "aaaaaaaaaaaa");
  g_object_unref (store);
  next = make_file_store (fixture);
  assert_holds (next, "aaaaaaaaaaaa");
  /* It has a secret in it. */
  g_assert_no_errno (stat (path, &st));
  g_assert_cmpint (st.st_mode & 07777, ==, 0600);
}

static guint
count_damaged (StorageFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_managed_root_list (fixture->root, "damaged", 1000, &error);

  g_assert_no_error (error);
  return g_strv_length (names);
}

static void
test_a_damaged_record_is_set_aside_and_all_others_are_loaded (StorageFixture *fixture,
                                                              gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_auto (GStrv) problems = NULL;
  g_auto (GStrv) names = NULL;
  g_autofree char *moved = NULL;
  g_autofree char *text = NULL;

  save_new (store, "aaaaaaaaaaaa");
  save_new (store, "cccccccccccc");
  storage_write (fixture, "vms/bbbbbbbbbbbb.json", "{ not a record");
  g_ptr_array_unref (load (store, "aaaaaaaaaaaa cccccccccccc", 1, &problems));
  g_assert_nonnull (strstr (problems[0], "bbbbbbbbbbbb.json"));
  g_assert_nonnull (strstr (problems[0], "damaged"));

  /* Kept as it was, and out of the way. */
  g_assert_false (storage_exists (fixture, "vms/bbbbbbbbbbbb.json"));
  names = vmsan_managed_root_list (fixture->root, "damaged", 10, NULL);
  g_assert_cmpuint (g_strv_length (names), ==, 1);
  moved = g_build_filename (fixture->root_path, "damaged", names[0], NULL);
  g_assert_true (g_file_get_contents (moved, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "{ not a record");
  assert_holds (store, "aaaaaaaaaaaa cccccccccccc");
}

static void
test_the_same_record_can_be_damaged_again (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);

  for (guint i = 1; i <= 5; i++)
    {
      storage_write (fixture, "vms/bbbbbbbbbbbb.json", "");
      g_ptr_array_unref (load (store, "", 1, NULL));
      g_assert_cmpuint (count_damaged (fixture), ==, i);
    }
}

static void
test_a_record_under_another_name_is_damaged (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_autofree char *from = storage_path (fixture, "vms/aaaaaaaaaaaa.json");
  g_autofree char *to = storage_path (fixture, "vms/bbbbbbbbbbbb.json");

  save_new (store, "aaaaaaaaaaaa");
  g_assert_no_errno (rename (from, to));
  g_ptr_array_unref (load (store, "", 1, NULL));
}

/* Each must neither make the service wait, nor be followed, nor keep the others from loading. */
static void
test_entries_that_are_no_files_are_set_aside (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_autofree char *directory = storage_path (fixture, "vms/dddddddddddd.json");
  g_autofree char *fifo = storage_path (fixture, "vms/ffffffffffff.json");
  g_autofree char *link = storage_path (fixture, "vms/llllllllllll.json");
  g_autofree char *dangling = storage_path (fixture, "vms/mmmmmmmmmmmm.json");
  g_autofree char *target = g_build_filename (fixture->directory, "outside", NULL);
  g_autofree char *text = NULL;

  save_new (store, "aaaaaaaaaaaa");
  g_assert_no_errno (mkdir (directory, 0700));
  g_assert_no_errno (mkfifo (fifo, 0600));
  g_assert_true (g_file_set_contents (target, "outside", -1, NULL));
  g_assert_no_errno (symlink (target, link));
  g_assert_no_errno (symlink ("/nonexistent", dangling));
  g_ptr_array_unref (load (store, "aaaaaaaaaaaa", 4, NULL));
  g_assert_true (g_file_get_contents (target, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "outside");
  assert_holds (store, "aaaaaaaaaaaa");
}

static void
test_names_that_are_no_ids_are_reported (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_auto (GStrv) problems = NULL;

  save_new (store, "aaaaaaaaaaaa");
  storage_write (fixture, "vms/\xff\xfe.json", "{}");
  storage_write (fixture, "vms/a b\n.json", "{}");
  storage_write (fixture, "vms/UPPERCASEABC.json", "{}");
  g_ptr_array_unref (load (store, "aaaaaaaaaaaa", 3, &problems));
  for (guint i = 0; problems[i] != NULL; i++)
    g_assert_true (g_utf8_validate (problems[i], -1, NULL));
  g_assert_true (storage_exists (fixture, "vms/aaaaaaaaaaaa.json"));
  g_assert_false (storage_exists (fixture, "vms/UPPERCASEABC.json"));
}

static void
test_a_record_that_is_too_long_is_set_aside (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_autofree char *text = g_strnfill (VMSAN_VM_RECORD_MAX_BYTES + 1, ' ');

  storage_write (fixture, "vms/bbbbbbbbbbbb.json", text);
  g_ptr_array_unref (load (store, "", 1, NULL));
}

static void
test_what_a_crash_left_is_cleared_away (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_autofree char *machine = storage_path (fixture, "vms/aaaaaaaaaaaa");

  save_new (store, "aaaaaaaaaaaa");
  g_assert_no_errno (mkdir (machine, 0700));
  storage_write (fixture, "vms/.aaaaaaaaaaaa.json.new", "{ half");
  storage_write (fixture, "vms/.bbbbbbbbbbbb.json.new", "");
  storage_write (fixture, "vms/notes.txt", "not ours");
  assert_holds (store, "aaaaaaaaaaaa");
  g_assert_false (storage_exists (fixture, "vms/.aaaaaaaaaaaa.json.new"));
  g_assert_false (storage_exists (fixture, "vms/.bbbbbbbbbbbb.json.new"));
  g_assert_true (storage_exists (fixture, "vms/aaaaaaaaaaaa"));
  g_assert_true (storage_exists (fixture, "vms/notes.txt"));
}

/* A directory in the way makes saving fail; what was there before must still be. */
static void
test_a_save_that_fails_says_so_and_changes_nothing (StorageFixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanVmStore) store = make_file_store (fixture);
  g_autoptr (VmsanVmRecord) record = vm_fixture_record ("aaaaaaaaaaaa");
  g_autofree char *obstacle = storage_path (fixture, "vms/.aaaaaaaaaaaa.json.new");
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GError) error = NULL;

  save (store, record);
  g_assert_no_errno (mkdir (obstacle, 0700));
  record->vcpus = 7;
  g_assert_false (vmsan_vm_store_save (store, record, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "aaaaaaaaaaaa"));
  g_assert_no_errno (rmdir (obstacle));
  records = load (store, "aaaaaaaaaaaa", 0, NULL);
  g_assert_cmpuint (((VmsanVmRecord *) g_ptr_array_index (records, 0))->vcpus, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  storage_test ("/vm-store/files/conform-to-the-promise", test_files_conform_to_the_promise);
  storage_test ("/vm-store/memory/conforms-to-the-promise", test_memory_conform_to_the_promise);
  storage_test ("/vm-store/files/replace-and-remove", test_files_replace_and_remove);
  storage_test ("/vm-store/memory/replaces-and-removes", test_memory_replace_and_remove);
  storage_test ("/vm-store/files/save-from-threads", test_files_save_from_threads);
  storage_test ("/vm-store/memory/saves-from-threads", test_memory_save_from_threads);
  storage_test ("/vm-store/files/outlive-their-store", test_records_outlive_their_store);
  storage_test ("/vm-store/files/a-damaged-record-is-set-aside-and-all-others-are-loaded",
                test_a_damaged_record_is_set_aside_and_all_others_are_loaded);
  storage_test ("/vm-store/files/the-same-record-can-be-damaged-again",
                test_the_same_record_can_be_damaged_again);
  storage_test ("/vm-store/files/a-record-under-another-name-is-damaged",
                test_a_record_under_another_name_is_damaged);
  storage_test ("/vm-store/files/entries-that-are-no-files-are-set-aside",
                test_entries_that_are_no_files_are_set_aside);
  storage_test ("/vm-store/files/names-that-are-no-ids-are-reported",
                test_names_that_are_no_ids_are_reported);
  storage_test ("/vm-store/files/a-record-that-is-too-long-is-set-aside",
                test_a_record_that_is_too_long_is_set_aside);
  storage_test ("/vm-store/files/what-a-crash-left-is-cleared-away",
                test_what_a_crash_left_is_cleared_away);
  storage_test ("/vm-store/files/a-save-that-fails-says-so-and-changes-nothing",
                test_a_save_that_fails_says_so_and_changes_nothing);
  return g_test_run ();
}
