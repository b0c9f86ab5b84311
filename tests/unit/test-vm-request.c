/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-request.h"

#include "sys/error.h"

#include <string.h>

static VmsanConfig *config;

static VmsanVmRequest *
parse (GVariant *options, GError **error)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (options);

  return vmsan_vm_request_parse (owned, 1000, config, NULL, error);
}

/* A dictionary of one option. Consumes a floating @value. */
static GVariant *
option (const char *key, GVariant *value)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, key, value);
  return g_variant_dict_end (&dict);
}

static VmsanVmRequest *
take (const char *key, GVariant *value)
{
  g_autoptr (GError) error = NULL;
  VmsanVmRequest *request = parse (option (key, value), &error);

  g_assert_no_error (error);
  g_assert_nonnull (request);
  return request;
}

/* @words: what the message must have, so that the caller knows which value was meant. */
static void
refuse (const char *key, GVariant *value, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVmRequest) request = parse (option (key, value), &error);

  g_assert_null (request);
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_nothing_given_gives_the_defaults (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVmRequest) request = parse (g_variant_new ("a{sv}", NULL), &error);

  g_assert_no_error (error);
  g_assert_cmpuint (request->owner, ==, 1000);
  g_assert_null (request->name);
  g_assert_null (request->image);
  g_assert_null (request->kernel);
  g_assert_null (request->hostname);
  g_assert_cmpstr (request->driver, ==, "auto");
  g_assert_cmpstr (request->init, ==, "auto");
  g_assert_cmpstr (request->project, ==, "");
  g_assert_cmpuint (g_variant_n_children (request->labels), ==, 0);
  g_assert_cmpuint (request->vcpus, ==, config->default_vcpus);
  g_assert_cmpuint (request->memory_mib, ==, config->default_memory_mib);
  g_assert_cmpuint (request->disk_mib, ==, config->default_disk_mib);
  g_assert_cmpuint (request->timeout_ms, ==, 0);
  g_assert_true (request->start);
}

static void
test_everything_given_is_taken (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) options = g_variant_ref_sink (g_variant_new_parsed (
      "{'name': <'web-1'>, 'image': <'debian'>, 'kernel': <'host'>, 'vcpus': <uint32 2>, "
      "'memory-mib': <uint32 512>, 'disk-mib': <uint32 2048>, 'driver': <'qemu'>, 'hostname': "
      "<'web'>, 'init': <'/sbin/init'>, 'timeout-ms': <uint64 60000>, 'labels': <{'a': 'b'}>, "
      "'project': <'shop'>, 'start': <false>}"));
  g_autoptr (VmsanVmRequest) request = vmsan_vm_request_parse (options, 7, config, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (request->owner, ==, 7);
  g_assert_cmpstr (request->name, ==, "web-1");
  g_assert_cmpstr (request->image, ==, "debian");
  g_assert_cmpstr (request->kernel, ==, "host");
  g_assert_cmpuint (request->vcpus, ==, 2);
  g_assert_cmpuint (request->memory_mib, ==, 512);
  g_assert_cmpuint (request->disk_mib, ==, 2048);
  g_assert_cmpstr (request->driver, ==, "qemu");
  g_assert_cmpstr (request->hostname, ==, "web");
  g_assert_cmpstr (request->init, ==, "/sbin/init");
  g_assert_cmpuint (request->timeout_ms, ==, 60000);
  g_assert_cmpstr (request->project, ==, "shop");
  g_assert_false (request->start);
  g_assert_cmpuint (g_variant_n_children (request->labels), ==, 1);
}

static void
test_sizes_are_taken_up_to_their_bounds (void)
{
  static const struct
  {
    const char *key;
    guint32 min, max;
  } ranges[] = { { "vcpus", 1, 32 }, { "memory-mib", 64, 1048576 }, { "disk-mib", 32, 4194304 } };

  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++)
    {
      g_autofree char *words = g_strdup_printf ("“%s”", ranges[i].key);

      vmsan_vm_request_free (take (ranges[i].key, g_variant_new_uint32 (ranges[i].min)));
      vmsan_vm_request_free (take (ranges[i].key, g_variant_new_uint32 (ranges[i].max)));
      refuse (ranges[i].key, g_variant_new_uint32 (ranges[i].min - 1), words);
      refuse (ranges[i].key, g_variant_new_uint32 (ranges[i].max + 1), words);
      refuse (ranges[i].key, g_variant_new_uint32 (0), words);
      refuse (ranges[i].key, g_variant_new_uint32 (G_MAXUINT32), words);
    }
}

static void
test_time_limits_are_bounded (void)
{
  const guint64 ten_years_ms = 10ull * 365 * 24 * 3600 * 1000;

  vmsan_vm_request_free (take ("timeout-ms", g_variant_new_uint64 (0)));
  vmsan_vm_request_free (take ("timeout-ms", g_variant_new_uint64 (1)));
  vmsan_vm_request_free (take ("timeout-ms", g_variant_new_uint64 (ten_years_ms)));
  refuse ("timeout-ms", g_variant_new_uint64 (ten_years_ms + 1), "time limit");
  refuse ("timeout-ms", g_variant_new_uint64 (G_MAXUINT64), "time limit");
}

static const char *const bad_names[] = { "_a",  ".a",    "-a",    "a/b",  "/",     "..",
                                         "é",   "aé",    "",      "a\nb", "a\n",   " a",
                                         "a b", "a\tb",  "a\033", "a:b",  "a\\b",  "a*",
                                         "~a",  "a\x7f", "%s",    "a;b",  "a$(b)", "\"a\"" };

static void
test_names_that_could_mean_anything_else_are_refused (void)
{
  g_autofree char *most = g_strnfill (63, 'n');
  g_autofree char *too_long = g_strnfill (64, 'n');
  g_autofree char *way_too_long = g_strnfill (65, 'n');

  for (guint i = 0; i < G_N_ELEMENTS (bad_names); i++)
    {
      refuse ("name", g_variant_new_string (bad_names[i]), "Name");
      refuse ("image", g_variant_new_string (bad_names[i]), "Image");
      refuse ("kernel", g_variant_new_string (bad_names[i]), "Kernel");
      refuse ("driver", g_variant_new_string (bad_names[i]), "Driver");
      if (bad_names[i][0] != '\0')
        refuse ("project", g_variant_new_string (bad_names[i]), "Project");
    }
  refuse ("name", g_variant_new_string (too_long), "Name");
  refuse ("name", g_variant_new_string (way_too_long), "Name");
  vmsan_vm_request_free (take ("name", g_variant_new_string (most)));
  vmsan_vm_request_free (take ("name", g_variant_new_string ("a_b.c-D9")));
  vmsan_vm_request_free (take ("name", g_variant_new_string ("0")));
}

static void
test_whole_ids_are_hexadecimal (void)
{
  g_autofree char *id = g_strnfill (64, 'a');
  g_autofree char *upper = g_strnfill (64, 'A');
  g_autofree char *path = g_strdup (id);

  memcpy (path, "../../../", 9);
  vmsan_vm_request_free (take ("image", g_variant_new_string (id)));
  vmsan_vm_request_free (take ("kernel", g_variant_new_string (id)));
  refuse ("image", g_variant_new_string (path), "Image");
  refuse ("kernel", g_variant_new_string (path), "Kernel");
  refuse ("image", g_variant_new_string (upper), "Image");
}

static void
test_hostnames_follow_their_rfc (void)
{
  static const char *const good[] = { "a", "0", "a-b", "a.b", "web-1.example", "A--b" };
  static const char *const bad[] = { "",     "-",    ".",    "-a",  "a-",  "a.",   ".a",
                                     "a..b", "a.-b", "a-.b", "a_b", "a b", "a\nb", "é" };
  g_autofree char *most = g_strnfill (63, 'h');
  g_autofree char *too_long = g_strnfill (64, 'h');

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    vmsan_vm_request_free (take ("hostname", g_variant_new_string (good[i])));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    refuse ("hostname", g_variant_new_string (bad[i]), "“hostname”");
  vmsan_vm_request_free (take ("hostname", g_variant_new_string (most)));
  refuse ("hostname", g_variant_new_string (too_long), "“hostname”");
}

static void
test_init_is_a_word_or_an_absolute_path (void)
{
  static const char *const good[] = { "auto", "none", "/init", "/a/b.c-d_e" };
  static const char *const bad[] = { "", "/", "init", "Auto", "./init", "/a b", "/a\n", "/é" };
  g_autofree char *most = g_strnfill (255, 'i');
  g_autofree char *too_long = g_strnfill (256, 'i');

  most[0] = too_long[0] = '/';
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    vmsan_vm_request_free (take ("init", g_variant_new_string (good[i])));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    refuse ("init", g_variant_new_string (bad[i]), "“init”");
  vmsan_vm_request_free (take ("init", g_variant_new_string (most)));
  refuse ("init", g_variant_new_string (too_long), "“init”");
}

static GVariant *
make_labels (guint n, guint value_length)
{
  GVariantBuilder labels;
  g_autofree char *value = g_strnfill (value_length, 'v');

  g_variant_builder_init (&labels, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *key = g_strdup_printf ("key%u", i);

      g_variant_builder_add (&labels, "{ss}", key, value);
    }
  return g_variant_builder_end (&labels);
}

static void
test_labels_are_bounded (void)
{
  vmsan_vm_request_free (take ("labels", make_labels (32, 255)));
  vmsan_vm_request_free (take ("labels", g_variant_new_parsed ("{'a': '[{\"é\\n'}")));
  refuse ("labels", make_labels (33, 1), "“labels”");
  refuse ("labels", make_labels (1, 256), "“key0”");
  refuse ("labels", g_variant_new_parsed ("{'a b': 'x'}"), "Label");
  refuse ("labels", g_variant_new_parsed ("{'': 'x'}"), "Label");
  refuse ("labels", g_variant_new_parsed ("{'a': 'x', 'b': 'y', 'a': 'z'}"), "“a” is given twice");
}

static void
test_a_confinement_is_weakened_only_as_asked_for (void)
{
  g_autoptr (VmsanVmRequest) plain = take ("disable-seccomp", g_variant_new_boolean (FALSE));
  g_autoptr (VmsanVmRequest) seccomp = take ("disable-seccomp", g_variant_new_boolean (TRUE));
  g_autoptr (VmsanVmRequest) pid_ns = take ("disable-pid-ns", g_variant_new_boolean (TRUE));
  g_autoptr (VmsanVmRequest) cgroup = take ("disable-cgroup", g_variant_new_boolean (TRUE));
  g_autoptr (VmsanVmRequest) netns = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (plain->weakened, ==, 0);
  g_assert_cmpuint (seccomp->weakened, ==, VMSAN_WEAKENED_SECCOMP);
  g_assert_cmpuint (pid_ns->weakened, ==, VMSAN_WEAKENED_PID_NS);
  g_assert_cmpuint (cgroup->weakened, ==, VMSAN_WEAKENED_CGROUP);
  refuse ("disable-netns", g_variant_new_boolean (TRUE), "“network” “none”");
  netns = parse (g_variant_new_parsed ("{'disable-netns': <true>, 'network': <'none'>}"), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (netns->weakened, ==, VMSAN_WEAKENED_NETNS);
}

static void
test_wrong_types_and_unknown_keys_are_refused (void)
{
  static const char *const keys[] = {
    "name",   "image",           "kernel",         "vcpus",          "memory-mib",   "disk-mib",
    "driver", "hostname",        "init",           "timeout-ms",     "labels",       "project",
    "start",  "disable-seccomp", "disable-pid-ns", "disable-cgroup", "disable-netns"
  };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autofree char *words = g_strdup_printf ("“%s”", keys[i]);

      refuse (keys[i], g_variant_new_int32 (1), words);
      refuse (keys[i], g_variant_new_variant (g_variant_new_string ("x")), words);
    }
  g_assert_null (parse (option ("allowed-hosts", g_variant_new_string ("x")), &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNKNOWN_OPTION);
  g_assert_nonnull (strstr (error->message, "“allowed-hosts”"));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  config = vmsan_config_load (NULL, NULL);

  g_test_add_func ("/vm-request/nothing-given-gives-the-defaults",
                   test_nothing_given_gives_the_defaults);
  g_test_add_func ("/vm-request/everything-given-is-taken", test_everything_given_is_taken);
  g_test_add_func ("/vm-request/a-confinement-is-weakened-only-as-asked-for",
                   test_a_confinement_is_weakened_only_as_asked_for);
  g_test_add_func ("/vm-request/sizes-are-taken-up-to-their-bounds",
                   test_sizes_are_taken_up_to_their_bounds);
  g_test_add_func ("/vm-request/time-limits-are-bounded", test_time_limits_are_bounded);
  g_test_add_func ("/vm-request/names-that-could-mean-anything-else-are-refused",
                   test_names_that_could_mean_anything_else_are_refused);
  g_test_add_func ("/vm-request/whole-ids-are-hexadecimal", test_whole_ids_are_hexadecimal);
  g_test_add_func ("/vm-request/hostnames-follow-their-rfc", test_hostnames_follow_their_rfc);
  g_test_add_func ("/vm-request/init-is-a-word-or-an-absolute-path",
                   test_init_is_a_word_or_an_absolute_path);
  g_test_add_func ("/vm-request/labels-are-bounded", test_labels_are_bounded);
  g_test_add_func ("/vm-request/wrong-types-and-unknown-keys-are-refused",
                   test_wrong_types_and_unknown_keys_are_refused);
  status = g_test_run ();
  vmsan_config_free (config);
  return status;
}
