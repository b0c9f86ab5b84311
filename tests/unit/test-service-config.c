/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/service-config.h"

#include "log-capture.h"
#include "sys/error.h"

#include <glib/gstdio.h>
#include <unistd.h>

static VmsanConfig *
load (const char *text, gssize length, GError **error)
{
  g_autofree char *path = NULL;
  VmsanConfig *config;
  int fd = g_file_open_tmp ("vmsan-config-XXXXXX", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_true (g_file_set_contents (path, text, length, NULL));
  config = vmsan_config_load (path, error);
  g_assert_no_errno (g_unlink (path));
  return config;
}

static VmsanConfig *
load_key (const char *group, const char *key, const char *value, GError **error)
{
  g_autofree char *text = g_strdup_printf ("[%s]\n%s=%s\n", group, key, value);

  return load (text, -1, error);
}

static void
assert_refused (const char *group, const char *key, const char *value)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanConfig) config = load_key (group, key, value, &error);
  g_autofree char *where = g_strdup_printf ("[%s] %s: ", group, key);
  g_autofree char *shown = g_strescape (value, NULL);

  g_test_message ("%s%s", where, shown);
  g_assert_null (config);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, where));
}

static void
assert_accepted (const char *group, const char *key, guint64 value)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);
  g_autoptr (VmsanConfig) config = load_key (group, key, text, &error);

  g_assert_no_error (error);
  g_assert_nonnull (config);
}

static const struct
{
  const char *group;
  const char *key;
  guint64 min;
  guint64 max;
} ranges[] = {
  { "Limits", "MaxVMs", 1, 16384 },
  { "Limits", "MaxVMsPerUser", 0, 16384 },
  { "Limits", "MaxVCPUsPerUser", 0, 1 << 20 },
  { "Limits", "MaxMemoryMiBPerUser", 0, 1ull << 40 },
  { "Limits", "MaxDiskMiBPerUser", 0, 1ull << 40 },
  { "Limits", "MaxImageMiB", 1, 1ull << 30 },
  { "Defaults", "VCPUs", 1, 32 },
  { "Defaults", "MemoryMiB", 64, 1048576 },
  { "Defaults", "DiskMiB", 32, 4194304 },
  { "Defaults", "StopDeadlineMs", 0, 600000 },
  { "Defaults", "StartDeadlineMs", 1000, 600000 },
  { "Ids", "FirstUid", 65536, 4294000000 },
  { "Ids", "BuilderFirstUid", 65536, 4294000000 },
  { "QEMU", "ConsoleMaxKiB", 16, 1048576 },
};

static void
test_numbers_are_taken_up_to_their_bounds (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++)
    {
      g_autofree char *above = g_strdup_printf ("%" G_GUINT64_FORMAT, ranges[i].max + 1);

      assert_accepted (ranges[i].group, ranges[i].key, ranges[i].min);
      assert_accepted (ranges[i].group, ranges[i].key, ranges[i].max);
      assert_refused (ranges[i].group, ranges[i].key, above);
      if (ranges[i].min > 0)
        {
          g_autofree char *below = g_strdup_printf ("%" G_GUINT64_FORMAT, ranges[i].min - 1);

          assert_refused (ranges[i].group, ranges[i].key, below);
        }
    }
}

static void
test_what_is_no_number_is_refused (void)
{
  static const char *const values[] = { "",     "-1",    "+1",  "1.5", "0x10",
                                        "many", "1000k", "1 2", "1e3", "18446744073709551616" };

  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++)
    for (guint v = 0; v < G_N_ELEMENTS (values); v++)
      assert_refused (ranges[i].group, ranges[i].key, values[v]);
}

static void
test_paths_must_be_absolute (void)
{
  assert_refused ("Service", "StateDirectory", "var/lib/vmsan");
  assert_refused ("Service", "StateDirectory", "");
  assert_refused ("Service", "RuntimeDirectory", "./run");
  assert_refused ("Cgroup", "Parent", "vmsan");
  assert_refused ("Defaults", "Driver", "");
  assert_refused ("QEMU", "Binary", "");
}

static void
test_what_cannot_be_read_does_not_become_the_default (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanConfig) config = NULL;

  assert_refused ("Service", "StateDirectory", "/var/lib/\\q");
  assert_refused ("QEMU", "Binary", "qemu\xff");
  assert_refused ("Limits", "MaxVMs", "\xff");
  config = load ("MaxVMs=1\n", -1, &error);
  g_assert_null (config);
  g_assert_nonnull (error);
}

static void
test_uids_never_begin_again_at_root (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanConfig) config = NULL;

  config = load ("[Ids]\nFirstUid=3000000000\nCount=1048576\n", -1, &error);
  g_assert_no_error (error);
  g_clear_pointer (&config, vmsan_config_free);
  assert_refused ("Ids", "Count", "1048577");
  assert_refused ("Ids", "Count", "0");
  assert_refused ("Ids", "Count", "-1");

  config = load ("[Ids]\nFirstUid=4294000000\nCount=1048576\n", -1, &error);
  g_assert_null (config);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "[Ids] Count: "));
  g_clear_error (&error);

  /* 4294000000 + 967295 - 1 is the last uid that there is. */
  config = load ("[Ids]\nFirstUid=4294000000\nCount=967295\n", -1, &error);
  g_assert_no_error (error);
  g_clear_pointer (&config, vmsan_config_free);
  config = load ("[Ids]\nFirstUid=4294000000\nCount=967296\n", -1, &error);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
}

static void
test_machines_and_builder_share_no_uid (void)
{
  static const char *const overlapping[] = {
    "[Ids]\nCount=65537\n",
    "[Ids]\nFirstUid=100000\nBuilderFirstUid=100000\n",
    "[Ids]\nFirstUid=165535\nCount=1\nBuilderFirstUid=100000\n",
    "[Ids]\nFirstUid=100000\nCount=1000000\nBuilderFirstUid=200000\n",
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanConfig) config = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (overlapping); i++)
    {
      g_assert_null (load (overlapping[i], -1, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "[Ids] BuilderFirstUid: "));
      g_clear_error (&error);
    }
  config = load ("[Ids]\nFirstUid=165536\nCount=1\nBuilderFirstUid=100000\n", -1, &error);
  g_assert_no_error (error);
  g_assert_nonnull (config);
}

static void
test_unknown_keys_are_warned_of (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanConfig) config =
      load ("[Limits]\nMaxVMs=7\nMaxVms=8\n[Nothing]\nMaxVMs=9\n", -1, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (config->max_vms, ==, 7);
  g_assert_true (log_capture_take ("unknown key MaxVms in [Limits]"));
  g_assert_true (log_capture_take ("unknown group [Nothing]"));
  log_capture_assert_empty ();
}

static void
test_a_file_that_is_not_there_is_an_error (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_config_load ("/nonexistent/vmsand.conf", &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "/nonexistent/vmsand.conf"));
}

static void
assert_same (const VmsanConfig *a, const VmsanConfig *b)
{
  g_assert_cmpstr (a->state_directory, ==, b->state_directory);
  g_assert_cmpstr (a->runtime_directory, ==, b->runtime_directory);
  g_assert_cmpstr (a->libexec_directory, ==, b->libexec_directory);
  g_assert_cmpstr (a->default_driver, ==, b->default_driver);
  g_assert_cmpstr (a->cgroup_parent, ==, b->cgroup_parent);
  g_assert_cmpstr (a->qemu_binary, ==, b->qemu_binary);
  g_assert_cmpuint (a->max_vms, ==, b->max_vms);
  g_assert_cmpuint (a->max_vms_per_user, ==, b->max_vms_per_user);
  g_assert_cmpuint (a->max_vcpus_per_user, ==, b->max_vcpus_per_user);
  g_assert_cmpuint (a->max_memory_mib_per_user, ==, b->max_memory_mib_per_user);
  g_assert_cmpuint (a->max_disk_mib_per_user, ==, b->max_disk_mib_per_user);
  g_assert_cmpuint (a->max_image_mib, ==, b->max_image_mib);
  g_assert_cmpuint (a->default_vcpus, ==, b->default_vcpus);
  g_assert_cmpuint (a->default_memory_mib, ==, b->default_memory_mib);
  g_assert_cmpuint (a->default_disk_mib, ==, b->default_disk_mib);
  g_assert_cmpuint (a->stop_deadline_ms, ==, b->stop_deadline_ms);
  g_assert_cmpuint (a->start_deadline_ms, ==, b->start_deadline_ms);
  g_assert_cmpuint (a->first_uid, ==, b->first_uid);
  g_assert_cmpuint (a->uid_count, ==, b->uid_count);
  g_assert_cmpuint (a->builder_first_uid, ==, b->builder_first_uid);
  g_assert_cmpuint (a->console_max_kib, ==, b->console_max_kib);
}

/* The installed file shows each key as "#Key=default"; nothing else in it begins like that. */
static char *
uncomment (const char *text, GPtrArray *documented)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GString) plain = g_string_new (NULL);
  g_autofree char *group = NULL;

  for (guint i = 0; lines[i] != NULL; i++)
    {
      const char *equals = strchr (lines[i], '=');

      if (lines[i][0] == '[')
        {
          g_free (group);
          group = g_strndup (lines[i] + 1, strcspn (lines[i] + 1, "]"));
          g_string_append_printf (plain, "%s\n", lines[i]);
        }
      else if (lines[i][0] == '#' && g_ascii_isalpha (lines[i][1]) && equals != NULL)
        {
          g_autofree char *key = g_strndup (lines[i] + 1, equals - lines[i] - 1);

          g_assert_nonnull (group);
          g_ptr_array_add (documented, g_strconcat (group, "/", key, NULL));
          g_string_append_printf (plain, "%s\n", lines[i] + 1);
        }
      else
        g_assert_true (lines[i][0] == '#' || lines[i][0] == '\0');
    }
  return g_string_free (g_steal_pointer (&plain), FALSE);
}

static void
test_the_installed_file_shows_all_keys_and_their_defaults (void)
{
  const char *path = g_getenv ("VMSAN_CONFIG_FILE");
  g_autoptr (GPtrArray) documented = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) keys = vmsan_config_list_keys ();
  g_autoptr (VmsanConfig) defaults = vmsan_config_load (NULL, NULL);
  g_autoptr (VmsanConfig) shown = NULL;
  g_autoptr (VmsanConfig) installed = NULL;
  g_autofree char *text = NULL;
  g_autofree char *plain = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (path);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  plain = uncomment (text, documented);
  g_assert_cmpuint (documented->len, ==, g_strv_length (keys));
  for (guint i = 0; keys[i] != NULL; i++)
    g_assert_true (g_ptr_array_find_with_equal_func (documented, keys[i], g_str_equal, NULL));

  shown = load (plain, -1, &error);
  g_assert_no_error (error);
  assert_same (shown, defaults);
  installed = vmsan_config_load (path, &error);
  g_assert_no_error (error);
  assert_same (installed, defaults);
  log_capture_assert_empty ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  log_capture_init ();

  g_test_add_func ("/service-config/numbers-are-taken-up-to-their-bounds",
                   test_numbers_are_taken_up_to_their_bounds);
  g_test_add_func ("/service-config/what-is-no-number-is-refused",
                   test_what_is_no_number_is_refused);
  g_test_add_func ("/service-config/paths-must-be-absolute", test_paths_must_be_absolute);
  g_test_add_func ("/service-config/what-cannot-be-read-does-not-become-the-default",
                   test_what_cannot_be_read_does_not_become_the_default);
  g_test_add_func ("/service-config/uids-never-begin-again-at-root",
                   test_uids_never_begin_again_at_root);
  g_test_add_func ("/service-config/machines-and-builder-share-no-uid",
                   test_machines_and_builder_share_no_uid);
  g_test_add_func ("/service-config/unknown-keys-are-warned-of", test_unknown_keys_are_warned_of);
  g_test_add_func ("/service-config/a-file-that-is-not-there-is-an-error",
                   test_a_file_that_is_not_there_is_an_error);
  g_test_add_func ("/service-config/the-installed-file-shows-all-keys-and-their-defaults",
                   test_the_installed_file_shows_all_keys_and_their_defaults);
  return g_test_run ();
}
