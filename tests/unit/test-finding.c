/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the doctor's findings leaves the service, and for whom. */

#include "doctor/finding.h"

#include <string.h>

static GPtrArray *
make_findings (void)
{
  GPtrArray *findings = vmsan_findings_new ();
  VmsanFinding *leak;

  vmsan_findings_add (findings, "kvm", VMSAN_SEVERITY_OK, NULL, NULL, "fine");
  vmsan_findings_add (findings, "damaged", VMSAN_SEVERITY_WARNING, "/secret/a", "mend it", "broken")
      ->is_confidential = TRUE;
  leak = vmsan_findings_add (findings, "leak-link", VMSAN_SEVERITY_ERROR, "vmsan1", NULL,
                             "%u secrets", 5u);
  leak->is_confidential = leak->is_leak = leak->repaired = TRUE;
  return findings;
}

static char *
get_text (GVariant *list, guint index, const char *key)
{
  g_autoptr (GVariant) dict = g_variant_get_child_value (list, index);
  char *text = NULL;

  g_assert_true (g_variant_lookup (dict, key, "s", &text));
  return text;
}

static void
assert_text (GVariant *list, guint index, const char *key, const char *expected)
{
  g_autofree char *text = get_text (list, index, key);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_all_of_it_for_administrators (void)
{
  g_autoptr (GPtrArray) findings = make_findings ();
  g_autoptr (GVariant) list = g_variant_ref_sink (vmsan_findings_to_variant (findings, TRUE));
  g_autoptr (GVariant) first = g_variant_get_child_value (list, 0);
  g_autoptr (GVariant) last = g_variant_get_child_value (list, 2);
  gboolean repaired = FALSE;

  g_assert_cmpuint (g_variant_n_children (list), ==, 3);
  assert_text (list, 0, "check", "kvm");
  assert_text (list, 0, "severity", "ok");
  assert_text (list, 0, "subject", "");
  assert_text (list, 0, "advice", "");
  assert_text (list, 1, "subject", "/secret/a");
  assert_text (list, 1, "advice", "mend it");
  assert_text (list, 2, "message", "5 secrets");
  g_assert_false (g_variant_lookup (first, "repaired", "b", &repaired));
  g_assert_true (g_variant_lookup (last, "repaired", "b", &repaired));
  g_assert_true (repaired);
}

static void
test_what_is_confidential_is_counted_for_others (void)
{
  g_autoptr (GPtrArray) findings = make_findings ();
  g_autoptr (GVariant) list = g_variant_ref_sink (vmsan_findings_to_variant (findings, FALSE));
  g_autofree char *all = g_variant_print (list, FALSE);
  g_autofree char *message = NULL;

  g_assert_cmpuint (g_variant_n_children (list), ==, 2);
  assert_text (list, 1, "check", "hidden");
  assert_text (list, 1, "severity", "error");
  message = get_text (list, 1, "message");
  g_assert_nonnull (strstr (message, "2 findings"));
  g_assert_null (strstr (all, "secret"));
  g_assert_null (strstr (all, "vmsan1"));
}

static void
test_nothing_is_counted_where_there_is_nothing (void)
{
  g_autoptr (GPtrArray) findings = vmsan_findings_new ();
  g_autoptr (GVariant) list = g_variant_ref_sink (vmsan_findings_to_variant (findings, FALSE));

  g_assert_cmpuint (g_variant_n_children (list), ==, 0);
}

static void
test_names_that_are_no_text_are_made_text (void)
{
  g_autoptr (GPtrArray) findings = vmsan_findings_new ();
  g_autoptr (GVariant) list = NULL;

  vmsan_findings_add (findings, "damaged", VMSAN_SEVERITY_WARNING, "a\xff", "b\xff", "%s", "c\xff");
  list = g_variant_ref_sink (vmsan_findings_to_variant (findings, TRUE));
  assert_text (list, 0, "subject", "a\357\277\275");
  assert_text (list, 0, "advice", "b\357\277\275");
  assert_text (list, 0, "message", "c\357\277\275");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/finding/all-of-it-for-administrators", test_all_of_it_for_administrators);
  g_test_add_func ("/finding/what-is-confidential-is-counted-for-others",
                   test_what_is_confidential_is_counted_for_others);
  g_test_add_func ("/finding/nothing-is-counted-where-there-is-nothing",
                   test_nothing_is_counted_where_there_is_nothing);
  g_test_add_func ("/finding/names-that-are-no-text-are-made-text",
                   test_names_that_are_no_text_are_made_text);
  return g_test_run ();
}
