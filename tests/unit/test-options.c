/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/options.h"

#include "sys/error.h"

#include <string.h>

static const VmsanOption known[] = {
  { "text", "s" }, { "number", "u" },     { "large", "t" },
  { "flag", "b" }, { "labels", "a{ss}" }, { NULL, NULL },
};

/* Like "{'text': <'x'>}", without the type in front. */
static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *options = g_variant_parse (G_VARIANT_TYPE ("a{sv}"), text, NULL, NULL, &error);

  g_assert_no_error (error);
  return options;
}

static void
assert_refused (const char *text, VmsanError code, const char *words)
{
  g_autoptr (GVariant) options = parse (text);
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_options_check (options, known, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, words));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_every_type_is_taken (void)
{
  g_autoptr (GVariant) options = parse ("{'text': <'x'>, 'number': <uint32 4294967295>, 'large': "
                                        "<uint64 18446744073709551615>, 'flag': <true>, 'labels': "
                                        "<{'a': 'b'}>}");
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_options_check (options, known, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (vmsan_options_get_text (options, "text", "no"), ==, "x");
  g_assert_cmpuint (vmsan_options_get_uint (options, "number", 0), ==, G_MAXUINT32);
  g_assert_cmpuint (vmsan_options_get_uint64 (options, "large", 0), ==, G_MAXUINT64);
  g_assert_true (vmsan_options_get_boolean (options, "flag", FALSE));
}

static void
test_what_is_not_given_is_the_fallback (void)
{
  g_autoptr (GVariant) options = parse ("{}");

  g_assert_true (vmsan_options_check (options, known, NULL));
  g_assert_cmpstr (vmsan_options_get_text (options, "text", "fallback"), ==, "fallback");
  g_assert_null (vmsan_options_get_text (options, "text", NULL));
  g_assert_cmpuint (vmsan_options_get_uint (options, "number", 7), ==, 7);
  g_assert_cmpuint (vmsan_options_get_uint64 (options, "large", 8), ==, 8);
  g_assert_true (vmsan_options_get_boolean (options, "flag", TRUE));
}

static void
test_unknown_keys_are_named_with_those_there_are (void)
{
  assert_refused ("{'colour': <'red'>}", VMSAN_ERROR_UNKNOWN_OPTION, "“colour”");
  assert_refused ("{'colour': <'red'>}", VMSAN_ERROR_UNKNOWN_OPTION, "text, number, large, flag");
  assert_refused ("{'Text': <'x'>}", VMSAN_ERROR_UNKNOWN_OPTION, "“Text”");
  assert_refused ("{'': <'x'>}", VMSAN_ERROR_UNKNOWN_OPTION, "“”");
  assert_refused ("{'text': <'x'>, 'number ': <uint32 1>}", VMSAN_ERROR_UNKNOWN_OPTION,
                  "“number ”");
  /* Nothing that a terminal obeys comes back in the message. */
  assert_refused ("{'\\u001b[2Jé\\n': <'x'>}", VMSAN_ERROR_UNKNOWN_OPTION, "“\\033[2J");
}

static void
test_a_very_long_key_makes_no_very_long_message (void)
{
  g_autofree char *key = g_strnfill (100000, 'k');
  g_autofree char *text = g_strdup_printf ("{'%s': <1>}", key);
  g_autoptr (GVariant) options = parse (text);
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_options_check (options, known, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNKNOWN_OPTION);
  g_assert_cmpuint (strlen (error->message), <, 300);
}

static void
test_an_empty_table_says_that_there_are_none (void)
{
  static const VmsanOption none[] = { { NULL, NULL } };
  g_autoptr (GVariant) options = parse ("{'x': <1>}");
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_options_check (options, none, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNKNOWN_OPTION);
  g_assert_nonnull (strstr (error->message, "none"));
}

static void
test_wrong_types_are_refused_and_named (void)
{
  static const char *const values[] = { "'x'",       "uint32 1", "uint64 1",      "true",
                                        "{'a':'b'}", "1",        "1.5",           "byte 0x01",
                                        "int64 1",   "['x']",    "{'a': <'b'>}",  "<'x'>",
                                        "('x', 1)",  "handle 1", "objectpath '/'" };

  for (const VmsanOption *option = known; option->key != NULL; option++)
    for (guint i = 0; i < G_N_ELEMENTS (values); i++)
      {
        g_autofree char *text = g_strdup_printf ("{'%s': <%s>}", option->key, values[i]);
        g_autofree char *words = g_strdup_printf ("“%s”", option->key);
        g_autoptr (GVariant) options = parse (text);
        g_autoptr (GVariant) value = g_variant_lookup_value (options, option->key, NULL);

        if (g_str_equal (g_variant_get_type_string (value), option->type))
          g_assert_true (vmsan_options_check (options, known, NULL));
        else
          assert_refused (text, VMSAN_ERROR_INVALID_ARGUMENT, words);
      }
}

static void
test_a_key_twice_is_refused (void)
{
  assert_refused ("{'text': <'x'>, 'number': <uint32 1>, 'text': <'y'>}",
                  VMSAN_ERROR_INVALID_ARGUMENT, "“text” is given twice");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/options/every-type-is-taken", test_every_type_is_taken);
  g_test_add_func ("/options/what-is-not-given-is-the-fallback",
                   test_what_is_not_given_is_the_fallback);
  g_test_add_func ("/options/unknown-keys-are-named-with-those-there-are",
                   test_unknown_keys_are_named_with_those_there_are);
  g_test_add_func ("/options/a-very-long-key-makes-no-very-long-message",
                   test_a_very_long_key_makes_no_very_long_message);
  g_test_add_func ("/options/an-empty-table-says-that-there-are-none",
                   test_an_empty_table_says_that_there_are_none);
  g_test_add_func ("/options/wrong-types-are-refused-and-named",
                   test_wrong_types_are_refused_and_named);
  g_test_add_func ("/options/a-key-twice-is-refused", test_a_key_twice_is_refused);
  return g_test_run ();
}
