/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "vm/vm-state.h"

#include "sys/error.h"

#include <string.h>

/* Written out once more, by hand: a change of the table must be meant. One letter per verb, in the
 * order of VmsanVerb: create start stop remove force-remove set-timeout exec bury recover. */
static const struct
{
  VmsanVmState state;
  const char *name;
  const char *verbs;
} expected[] = {
  { VMSAN_VM_CREATING, "creating", "c---f----r" }, { VMSAN_VM_STOPPED, "stopped", "-s-rf-n---" },
  { VMSAN_VM_STARTING, "starting", "----f----r" }, { VMSAN_VM_RUNNING, "running", "--t-flneb-" },
  { VMSAN_VM_PAUSED, "paused", "--t-fln-b-" },     { VMSAN_VM_STOPPING, "stopping", "----f----r" },
  { VMSAN_VM_REMOVING, "removing", "----f----r" }, { VMSAN_VM_ERROR, "error", "----f----r" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (expected) == VMSAN_VM_STATE_LAST + 1);

static void
test_every_state_allows_its_verbs_and_no_other (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_assert_cmpuint (strlen (expected[i].verbs), ==, VMSAN_VERB_LAST + 1);
      for (guint verb = 0; verb <= VMSAN_VERB_LAST; verb++)
        {
          g_autoptr (GError) error = NULL;
          gboolean allowed =
              vmsan_vm_state_allows (expected[i].state, verb, "abcdefghijkl", &error);

          g_test_message ("%s: %s", expected[i].name, vmsan_verb_to_string (verb));
          g_assert_cmpint (allowed, ==, expected[i].verbs[verb] != '-');
          if (allowed)
            {
              g_assert_no_error (error);
              continue;
            }
          g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_WRONG_STATE);
          g_assert_nonnull (strstr (error->message, "abcdefghijkl"));
          g_assert_nonnull (strstr (error->message, expected[i].name));
          g_assert_nonnull (strstr (error->message, vmsan_verb_to_string (verb)));
        }
    }
}

static void
test_a_forced_removal_leads_out_of_everything (void)
{
  for (guint state = 0; state <= VMSAN_VM_STATE_LAST; state++)
    g_assert_true (vmsan_vm_state_allows (state, VMSAN_VERB_FORCE_REMOVE, "x", NULL));
}

static void
test_names_lead_back (void)
{
  for (guint state = 0; state <= VMSAN_VM_STATE_LAST; state++)
    {
      VmsanVmState back = VMSAN_VM_STATE_LAST + 1;

      g_assert_cmpstr (vmsan_vm_state_to_string (state), ==, expected[state].name);
      g_assert_true (vmsan_vm_state_from_string (vmsan_vm_state_to_string (state), &back));
      g_assert_cmpuint (back, ==, state);
    }
  for (guint verb = 0; verb <= VMSAN_VERB_LAST; verb++)
    {
      VmsanVerb back = VMSAN_VERB_LAST + 1;

      g_assert_true (vmsan_verb_from_string (vmsan_verb_to_string (verb), &back));
      g_assert_cmpuint (back, ==, verb);
    }
}

static void
test_other_names_lead_nowhere (void)
{
  static const char *const others[] = { "", "Running", "run", "running ", "unknown", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      VmsanVmState state = VMSAN_VM_PAUSED;
      VmsanVerb verb = VMSAN_VERB_STOP;

      g_assert_false (vmsan_vm_state_from_string (others[i], &state));
      g_assert_false (vmsan_verb_from_string (others[i], &verb));
      g_assert_cmpuint (state, ==, VMSAN_VM_PAUSED);
      g_assert_cmpuint (verb, ==, VMSAN_VERB_STOP);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/vm-state/every-state-allows-its-verbs-and-no-other",
                   test_every_state_allows_its_verbs_and_no_other);
  g_test_add_func ("/vm-state/a-forced-removal-leads-out-of-everything",
                   test_a_forced_removal_leads_out_of_everything);
  g_test_add_func ("/vm-state/names-lead-back", test_names_lead_back);
  g_test_add_func ("/vm-state/other-names-lead-nowhere", test_other_names_lead_nowhere);
  return g_test_run ();
}
