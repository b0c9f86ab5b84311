/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-record.h"

#include "sys/error.h"
#include "vm-fixture.h"

#include <json-glib/json-glib.h>

#define ID "abcdefghijkl"

static VmsanVmRecord *
full_record (void)
{
  VmsanVmRecord *record = vm_fixture_record (ID);

  vmsan_vm_record_set_text (&record->project, "shop");
  vmsan_vm_record_set_text (&record->reason, "said “so”\n[[{{\\\"/* ");
  vmsan_vm_record_set_text (&record->acceleration, "kvm");
  vmsan_vm_record_set_text (&record->boot_id, "7a0b1f4e-0000-4000-8000-123456789abc");
  g_variant_unref (record->labels);
  record->labels = g_variant_ref_sink (g_variant_new_parsed ("{'a': '[[[[[[[[[{{{{', 'b': 'é\"'}"));
  record->state = VMSAN_VM_STARTING;
  record->timeout_ms = 60000;
  record->timeout_at_us = 1800000000000000;
  record->pid = 4711;
  record->start_time = 123456789;
  record->boot_ms = 900;
  for (guint i = 0; i < VMSAN_VM_TOKEN_SIZE; i++)
    record->token[i] = 7 * i;
  record->has_operation = TRUE;
  record->operation = VMSAN_VERB_START;
  g_strfreev (record->steps);
  record->steps = g_strsplit ("runtime cgroup monitor guest", " ", -1);
  return record;
}

static char *
full_json (gsize *size)
{
  g_autoptr (VmsanVmRecord) record = full_record ();

  return vmsan_vm_record_to_json (record, size);
}

static void
assert_equal (const VmsanVmRecord *a, const VmsanVmRecord *b)
{
  g_autofree char *left = vmsan_vm_record_to_json (a, NULL);
  g_autofree char *right = vmsan_vm_record_to_json (b, NULL);

  g_assert_cmpstr (left, ==, right);
}

/* What is parsed is as good as what CreateVM makes, or nothing. */
static void
assert_sound (const VmsanVmRecord *record)
{
  g_assert_cmpstr (record->id, ==, ID);
  g_assert_true (vmsan_name_check (record->name, "Name", NULL));
  g_assert_true (vmsan_hostname_check (record->hostname, NULL));
  g_assert_true (vmsan_init_check (record->init, NULL));
  g_assert_true (vmsan_labels_check (record->labels, NULL));
  g_assert_cmpuint (record->vcpus, >=, 1);
  g_assert_cmpuint (record->vcpus, <=, 32);
  g_assert_cmpuint (record->uid, >=, 65536);
  g_assert_cmpuint (record->uid, !=, G_MAXUINT32);
  g_assert_cmpuint (record->state, <=, VMSAN_VM_STATE_LAST);
  g_assert_cmpuint (g_strv_length (record->steps), <=, VMSAN_VM_MAX_STEPS);
}

static void
refuse (const char *json, gssize size, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVmRecord) record =
      vmsan_vm_record_parse (json, size < 0 ? strlen (json) : (gsize) size, ID, &error);

  g_assert_null (record);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
  if (words != NULL && strstr (error->message, words) == NULL)
    g_error ("“%s” does not name “%s”", error->message, words);
}

/* The full record with one member set to @value, a piece of JSON; NULL: without it. */
static char *
with_member (const char *name, const char *value)
{
  g_autofree char *json = full_json (NULL);
  g_autoptr (JsonNode) root = json_from_string (json, NULL);
  JsonObject *object = json_node_get_object (root);

  if (value == NULL)
    json_object_remove_member (object, name);
  else
    json_object_set_member (object, name, json_from_string (value, NULL));
  return json_to_string (root, FALSE);
}

static void
refuse_member (const char *name, const char *value)
{
  g_autofree char *json = with_member (name, value);

  g_test_message ("%s: %.80s", name, value != NULL ? value : "(missing)");
  refuse (json, -1, name);
}

static void
accept_member (const char *name, const char *value)
{
  g_autofree char *json = with_member (name, value);
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVmRecord) record = vmsan_vm_record_parse (json, strlen (json), ID, &error);

  g_test_message ("%s: %.80s", name, value);
  g_assert_no_error (error);
  assert_sound (record);
}

static void
test_what_is_written_is_read_again (void)
{
  g_autoptr (VmsanVmRecord) record = full_record ();
  g_autoptr (VmsanVmRecord) back = NULL;
  g_autoptr (GError) error = NULL;
  gsize size = 0;
  g_autofree char *json = vmsan_vm_record_to_json (record, &size);

  g_assert_cmpuint (size, ==, strlen (json));
  back = vmsan_vm_record_parse (json, size, ID, &error);
  g_assert_no_error (error);
  assert_equal (record, back);
  g_assert_cmpmem (record->token, sizeof record->token, back->token, sizeof back->token);
  g_assert_true (g_variant_equal (record->labels, back->labels));
  g_assert_true (back->has_operation);
  g_assert_cmpuint (back->operation, ==, VMSAN_VERB_START);
  g_assert_cmpint (back->pid, ==, 4711);
}

static void
test_a_copy_shares_nothing (void)
{
  g_autoptr (VmsanVmRecord) record = full_record ();
  g_autoptr (VmsanVmRecord) same = full_record ();
  VmsanVmRecord *copy = vmsan_vm_record_copy (record);

  assert_equal (record, copy);
  vmsan_vm_record_set_text (&copy->name, "other");
  vmsan_vm_record_set_text (&copy->reason, NULL);
  copy->steps[0][0] = 'X';
  vmsan_vm_record_clear_run (copy);
  assert_equal (record, same);
  vmsan_vm_record_free (copy);
  assert_equal (record, same);
}

/* A guest's words may be in a reason; the record must be readable afterwards all the same. */
static void
test_any_reason_can_be_read_back (void)
{
  g_autofree char *no_utf8 = g_strnfill (100000, '\xff');
  g_autofree char *controls = g_strnfill (100000, '\x01');
  const char *const reasons[] = { "", "It ended", no_utf8, controls };

  for (guint i = 0; i < G_N_ELEMENTS (reasons); i++)
    {
      g_autoptr (VmsanVmRecord) record = full_record ();
      g_autoptr (VmsanVmRecord) back = NULL;
      g_autofree char *json = NULL;
      g_autoptr (GError) error = NULL;
      gsize size = 0;

      vmsan_vm_record_set_reason (record, reasons[i]);
      json = vmsan_vm_record_to_json (record, &size);
      back = vmsan_vm_record_parse (json, size, ID, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (back->reason, ==, record->reason);
    }
}

static void
test_a_cleared_run_leaves_no_secret (void)
{
  g_autoptr (VmsanVmRecord) record = full_record ();
  static const guint8 nothing[VMSAN_VM_TOKEN_SIZE];

  vmsan_vm_record_clear_run (record);
  g_assert_cmpmem (record->token, sizeof record->token, nothing, sizeof nothing);
  g_assert_cmpint (record->pid, ==, 0);
  g_assert_cmpint (record->timeout_at_us, ==, 0);
  g_assert_cmpstr (record->boot_id, ==, "");
  g_assert_cmpuint (record->timeout_ms, ==, 60000); /* of every run */
}

static void
test_a_record_cut_off_anywhere_is_damaged (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);

  for (gsize length = 0; length < size; length++)
    {
      /* Of its own, so that reading behind its end is noticed. */
      g_autofree char *part = g_memdup2 (json, length > 0 ? length : 1);

      refuse (part, length, NULL);
    }
}

static const char *const texts[] = { "id",       "name",  "driver",  "image",    "kernel",
                                     "hostname", "init",  "project", "reason",   "acceleration",
                                     "boot-id",  "state", "token",   "operation" };
static const char *const numbers[] = { "version",       "owner",      "vcpus",      "memory-mib",
                                       "disk-mib",      "created-us", "uid",        "timeout-ms",
                                       "timeout-at-us", "pid",        "start-time", "boot-ms",
                                       "slot",          "weakened" };

static void
test_every_member_must_be_there_with_its_type (void)
{
  static const char *const no_texts[] = { "1", "null", "true", "[]", "{}", "[\"x\"]", "1.5" };
  static const char *const no_numbers[] = { "\"1\"", "null", "true", "[]", "{}", "1.5", "\"\"" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      if (!g_str_equal (texts[i], "operation"))
        refuse_member (texts[i], NULL);
      for (guint v = 0; v < G_N_ELEMENTS (no_texts); v++)
        refuse_member (texts[i], no_texts[v]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      refuse_member (numbers[i], NULL);
      for (guint v = 0; v < G_N_ELEMENTS (no_numbers); v++)
        refuse_member (numbers[i], no_numbers[v]);
    }
  refuse_member ("labels", NULL);
  refuse_member ("labels", "[]");
  refuse_member ("labels", "\"a\"");
  refuse_member ("labels", "{\"a\": 1}");
  refuse_member ("labels", "{\"a\": {}}");
  refuse_member ("labels", "{\"a\": null}");
  refuse_member ("steps", NULL);
  refuse_member ("steps", "{}");
  refuse_member ("steps", "\"guest\"");
  refuse_member ("steps", "[1]");
  refuse_member ("steps", "[\"guest\", null]");
  refuse_member ("steps", "[[\"guest\"]]");
}

static void
test_numbers_must_be_in_their_ranges (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      refuse_member (numbers[i], "-1");
      refuse_member (numbers[i], "-9223372036854775808");
    }
  refuse_member ("version", "0");
  refuse_member ("owner", "4294967295");
  refuse_member ("vcpus", "0");
  refuse_member ("vcpus", "33");
  refuse_member ("vcpus", "4294967297"); /* 1 in 32 bits */
  refuse_member ("memory-mib", "63");
  refuse_member ("memory-mib", "1048577");
  refuse_member ("disk-mib", "31");
  refuse_member ("disk-mib", "4194305");
  refuse_member ("uid", "0");
  refuse_member ("uid", "1000");
  refuse_member ("uid", "65535");
  refuse_member ("uid", "4294967295");
  refuse_member ("uid", "4294967296");
  refuse_member ("pid", "2147483648");
  refuse_member ("boot-ms", "4294967296");
  accept_member ("owner", "0");
  accept_member ("owner", "4294967294");
  accept_member ("vcpus", "32");
  accept_member ("uid", "65536");
  accept_member ("timeout-at-us", "9223372036854775807");
}

/* json-glib makes a double or something else of what does not fit; whatever it is, it is bounded.
 */
static void
test_numbers_beyond_64_bits_do_no_harm (void)
{
  static const char *const values[] = { "9223372036854775808", "18446744073709551615",
                                        "18446744073709551617", "1e400",
                                        "99999999999999999999999999999999999999" };
  gsize size = 0;
  g_autofree char *json = full_json (&size);

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autofree char *needle = g_strdup ("\"vcpus\" : 1");
      char *at = strstr (json, needle);
      g_autoptr (GString) changed = NULL;
      g_autoptr (VmsanVmRecord) record = NULL;

      g_assert_nonnull (at);
      changed = g_string_new_len (json, at - json);
      g_string_append_printf (changed, "\"vcpus\" : %s", values[i]);
      g_string_append (changed, at + strlen (needle));
      record = vmsan_vm_record_parse (changed->str, changed->len, ID, NULL);
      if (record != NULL)
        assert_sound (record);
    }
}

static void
test_texts_must_follow_the_rules (void)
{
  g_autofree char *long_reason = g_strnfill (4097, 'r');
  g_autofree char *quoted = g_strdup_printf ("\"%s\"", long_reason);

  refuse_member ("id", "\"abcdefghijkm\"");
  refuse_member ("id", "\"\"");
  refuse_member ("name", "\"../../etc\"");
  refuse_member ("name", "\"\"");
  refuse_member ("name", "\"-a\"");
  refuse_member ("driver", "\"\"");
  refuse_member ("driver", "\"../x\"");
  refuse_member ("image",
                 "\"../../../../../../../../../../../../../../../../../../../etc/passwd\"");
  refuse_member ("image", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"");
  refuse_member ("kernel", "\"aaaa\"");
  refuse_member ("hostname", "\"a\\nb\"");
  refuse_member ("hostname", "\"-\"");
  refuse_member ("init", "\"init\"");
  refuse_member ("init", "\"/a b\"");
  refuse_member ("project", "\"a/b\"");
  refuse_member ("reason", quoted);
  refuse_member ("token", "\"00\"");
  refuse_member ("token", "\"gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg\"");
  refuse_member ("labels", "{\"a b\": \"x\"}");
  refuse_member ("labels", "{\"\": \"x\"}");
}

static void
test_states_and_operations_must_be_known_and_fit (void)
{
  refuse_member ("state", "\"flying\"");
  refuse_member ("state", "\"\"");
  refuse_member ("state", "\"Running\"");
  refuse_member ("operation", "\"fly\"");
  /* There is no way out of an operation that claims to run in a state at rest. */
  refuse_member ("state", "\"running\"");
  refuse_member ("state", "\"stopped\"");
  accept_member ("state", "\"creating\"");
  accept_member ("state", "\"error\"");
  accept_member ("steps", "[]");
  accept_member ("steps", "[\"of a later version\"]");
  refuse_member ("steps", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
                          "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]");
}

static void
test_labels_are_bounded_as_for_create_vm (void)
{
  g_autoptr (GString) many = g_string_new ("{");
  g_autofree char *long_value = g_strnfill (256, 'v');
  g_autofree char *long_label = g_strdup_printf ("{\"a\": \"%s\"}", long_value);

  for (guint i = 0; i < 33; i++)
    g_string_append_printf (many, "%s\"k%u\": \"v\"", i > 0 ? "," : "", i);
  g_string_append (many, "}");
  refuse_member ("labels", many->str);
  refuse_member ("labels", long_label);
  accept_member ("labels", "{}");
  accept_member ("labels", "{\"a\": \"]]]]]]]]]]]]]]]]]]]]]]]]]]\"}");
}

/* Version 1 knew no networks: its machines have none. */
static void
test_an_older_version_is_migrated (void)
{
  g_autofree char *json = with_member ("version", "1");
  g_autoptr (VmsanVmRecord) record = NULL;
  g_autoptr (GError) error = NULL;

  record = vmsan_vm_record_parse (json, strlen (json), ID, &error);
  g_assert_no_error (error);
  g_assert_false (record->network->has_network);
  g_assert_cmpuint (record->slot, ==, VMSAN_VM_NO_SLOT);
}

/* Version 2 knew no weakened confinement. */
static void
test_what_an_older_version_did_not_know_is_not_read (void)
{
  g_autofree char *json = with_member ("version", "2");
  g_autoptr (VmsanVmRecord) record = NULL;
  g_autoptr (GError) error = NULL;

  refuse_member ("weakened", "16");
  record = vmsan_vm_record_parse (json, strlen (json), ID, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (record->weakened, ==, 0);
}

static void
test_a_network_is_checked_like_a_callers (void)
{
  refuse_member ("network", "null");
  refuse_member ("network", "{\"network\": 1}");
  refuse_member ("network", "{\"unknown\": \"x\"}");
  refuse_member ("network", "{\"network\": \"nat\", \"allowed-cidrs\": [\"10.0.0.1/8\"]}");
  refuse_member ("network", "{\"network\": \"nat\", \"network-policy\": \"maybe\"}");
}

static void
test_a_newer_version_is_refused_and_said_so (void)
{
  g_autofree char *json = with_member ("version", "4");

  refuse (json, -1, "newer");
}

static void
test_the_id_must_be_the_one_of_the_file (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);
  static const char *const others[] = { "abcdefghijkm", "abcdefghijk", "", "../../../etc" };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (vmsan_vm_record_parse (json, size, others[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
}

static void
test_deep_nesting_is_refused_before_it_recurses (void)
{
  const gsize size = VMSAN_VM_RECORD_MAX_BYTES;
  g_autofree char *arrays = g_strnfill (size, '[');
  g_autofree char *objects = g_malloc (size);
  g_autofree char *tricky = g_strnfill (size, '[');

  refuse (arrays, size, NULL);
  for (gsize i = 0; i + 5 <= size; i += 5)
    memcpy (objects + i, "{\"\":", 5);
  refuse (objects, size - size % 5, NULL);
  /* Closed more often than opened, in a text and in a comment: neither buys depth. */
  memcpy (tricky, "[\"]]]]]]]]]]\"", 13);
  refuse (tricky, size, NULL);
  memcpy (tricky, "/*\"*/[[[[[[[[", 13);
  refuse (tricky, size, NULL);
  memcpy (tricky, "]]]]]]]]]]]]]", 13);
  refuse (tricky, size, NULL);
}

static void
test_what_is_no_plain_json_is_refused (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);
  g_autofree char *with_nul = g_memdup2 (json, size + 8);
  g_autofree char *commented = g_strconcat ("/* x */ ", json, NULL);
  g_autofree char *huge = g_strnfill (VMSAN_VM_RECORD_MAX_BYTES + 1, ' ');

  memcpy (with_nul + size, "\0garbage", 8);
  refuse (with_nul, size + 8, NULL);
  for (gsize at = 0; at < size; at += 7)
    {
      g_autofree char *holed = g_memdup2 (json, size);

      holed[at] = '\0';
      refuse (holed, size, NULL);
    }
  refuse (commented, -1, NULL);
  refuse (huge, -1, NULL);
  refuse ("", 0, NULL);
  refuse ("null", -1, NULL);
  refuse ("[]", -1, NULL);
  refuse ("\"text\"", -1, NULL);
  refuse ("{}", -1, "version");
  refuse ("\xff\xfe", -1, NULL);
}

static void
test_texts_that_are_no_utf8_are_refused (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);
  char *at = strstr (json, "shop");
  g_autofree char *escaped = NULL;
  g_autofree char *half = NULL;
  VmsanVmRecord *record;

  g_assert_nonnull (at);
  at[0] = '\xff';
  refuse (json, size, NULL);
  at[0] = 's';

  /* Half of a surrogate pair, and an escaped NUL. */
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GString) changed = g_string_new (json);

      g_string_replace (changed, "[[[[[[[[[{{{{", i == 0 ? "\\ud800x" : "a\\u0000b", 0);
      record = vmsan_vm_record_parse (changed->str, changed->len, ID, NULL);
      if (record != NULL)
        {
          assert_sound (record);
          vmsan_vm_record_free (record);
        }
    }
}

/* JSON says nothing about a name twice; the last counts, and is checked like any other. */
static void
test_the_last_of_two_members_counts (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);
  g_autoptr (GString) good = g_string_new (json);
  g_autoptr (GString) bad = g_string_new (json);
  g_autoptr (VmsanVmRecord) record = NULL;
  g_autoptr (GError) error = NULL;

  g_string_replace (good, "\"vcpus\" :", "\"vcpus\" : 99, \"vcpus\" :", 1);
  record = vmsan_vm_record_parse (good->str, good->len, ID, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (record->vcpus, ==, 1);
  g_string_replace (bad, "\"owner\" :", "\"vcpus\" : 99, \"owner\" :", 1);
  g_string_replace (bad, "\"pid\" :", "\"vcpus\" : 99, \"pid\" :", 1);
  refuse (bad->str, bad->len, "vcpus");
}

static void
test_random_damage_gives_a_sound_record_or_none (void)
{
  gsize size = 0;
  g_autofree char *json = full_json (&size);
  g_autoptr (GRand) random = g_rand_new_with_seed (20240229);
  static const char pieces[] = "{}[]:,\"\\u0/*-+.eE 19\n\t\xff\x80tfn";
  guint sound = 0;

  for (guint round = 0; round < 4000; round++)
    {
      g_autofree char *mutated = g_memdup2 (json, size);
      gsize length = size;
      guint changes = g_rand_int_range (random, 1, 5);
      VmsanVmRecord *record;

      while (changes-- > 0)
        {
          gsize at = g_rand_int_range (random, 0, length);

          switch (g_rand_int_range (random, 0, 3))
            {
            case 0:
              mutated[at] = g_rand_int_range (random, 0, 256);
              break;
            case 1:
              mutated[at] = pieces[g_rand_int_range (random, 0, sizeof pieces - 1)];
              break;
            default:
              memmove (mutated + at, mutated + at + 1, length - at - 1);
              length--;
              break;
            }
        }
      record = vmsan_vm_record_parse (mutated, length, ID, NULL);
      if (record != NULL)
        {
          assert_sound (record);
          vmsan_vm_record_free (record);
          sound++;
        }
    }
  /* Some hit white space or a number; if none or all were sound, nothing was tried. */
  g_assert_cmpuint (sound, >, 0);
  g_assert_cmpuint (sound, <, 4000);
}

static void
test_ids_are_twelve_small_letters_and_digits (void)
{
  static const char *const bad[] = { "",
                                     "abcdefghijk",
                                     "abcdefghijklm",
                                     "1bcdefghijkl",
                                     "Abcdefghijkl",
                                     "abcdefghijkL",
                                     "abcdefghij.l",
                                     "abcdef/hijkl",
                                     "abcdefghijk\n",
                                     "..aaaaaaaaaa" };

  g_assert_true (vmsan_vm_id_is_valid (ID));
  g_assert_true (vmsan_vm_id_is_valid ("a00000000000"));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (vmsan_vm_id_is_valid (bad[i]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/vm-record/what-is-written-is-read-again", test_what_is_written_is_read_again);
  g_test_add_func ("/vm-record/a-copy-shares-nothing", test_a_copy_shares_nothing);
  g_test_add_func ("/vm-record/any-reason-can-be-read-back", test_any_reason_can_be_read_back);
  g_test_add_func ("/vm-record/a-cleared-run-leaves-no-secret",
                   test_a_cleared_run_leaves_no_secret);
  g_test_add_func ("/vm-record/a-record-cut-off-anywhere-is-damaged",
                   test_a_record_cut_off_anywhere_is_damaged);
  g_test_add_func ("/vm-record/every-member-must-be-there-with-its-type",
                   test_every_member_must_be_there_with_its_type);
  g_test_add_func ("/vm-record/numbers-must-be-in-their-ranges",
                   test_numbers_must_be_in_their_ranges);
  g_test_add_func ("/vm-record/numbers-beyond-64-bits-do-no-harm",
                   test_numbers_beyond_64_bits_do_no_harm);
  g_test_add_func ("/vm-record/texts-must-follow-the-rules", test_texts_must_follow_the_rules);
  g_test_add_func ("/vm-record/states-and-operations-must-be-known-and-fit",
                   test_states_and_operations_must_be_known_and_fit);
  g_test_add_func ("/vm-record/labels-are-bounded-as-for-create-vm",
                   test_labels_are_bounded_as_for_create_vm);
  g_test_add_func ("/vm-record/an-older-version-is-migrated", test_an_older_version_is_migrated);
  g_test_add_func ("/vm-record/what-an-older-version-did-not-know-is-not-read",
                   test_what_an_older_version_did_not_know_is_not_read);
  g_test_add_func ("/vm-record/a-network-is-checked-like-a-callers",
                   test_a_network_is_checked_like_a_callers);
  g_test_add_func ("/vm-record/a-newer-version-is-refused-and-said-so",
                   test_a_newer_version_is_refused_and_said_so);
  g_test_add_func ("/vm-record/the-id-must-be-the-one-of-the-file",
                   test_the_id_must_be_the_one_of_the_file);
  g_test_add_func ("/vm-record/deep-nesting-is-refused-before-it-recurses",
                   test_deep_nesting_is_refused_before_it_recurses);
  g_test_add_func ("/vm-record/what-is-no-plain-json-is-refused",
                   test_what_is_no_plain_json_is_refused);
  g_test_add_func ("/vm-record/texts-that-are-no-utf8-are-refused",
                   test_texts_that_are_no_utf8_are_refused);
  g_test_add_func ("/vm-record/the-last-of-two-members-counts",
                   test_the_last_of_two_members_counts);
  g_test_add_func ("/vm-record/random-damage-gives-a-sound-record-or-none",
                   test_random_damage_gives_a_sound_record_or_none);
  g_test_add_func ("/vm-record/ids-are-twelve-small-letters-and-digits",
                   test_ids_are_twelve_small_letters_and_digits);
  return g_test_run ();
}
