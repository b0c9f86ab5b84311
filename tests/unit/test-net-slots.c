/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "net/net-slots.h"

#define N_SLOTS   64
#define N_THREADS 4

static void
test_each_is_given_once_until_it_is_released (void)
{
  g_autoptr (VmsanNetSlots) slots = vmsan_net_slots_new (4);
  gboolean seen[4] = { FALSE };

  for (guint i = 0; i < 4; i++)
    {
      guint slot = vmsan_net_slots_take (slots, 0);

      g_assert_cmpuint (slot, <, 4);
      g_assert_false (seen[slot]);
      seen[slot] = TRUE;
    }
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, VMSAN_NET_NO_SLOT);
  vmsan_net_slots_release (slots, 2);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, 2);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, VMSAN_NET_NO_SLOT);
}

static void
test_what_was_released_is_given_last (void)
{
  g_autoptr (VmsanNetSlots) slots = vmsan_net_slots_new (4);

  for (guint i = 0; i < 9; i++)
    {
      g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, i % 4);
      vmsan_net_slots_release (slots, i % 4);
    }
}

static void
test_claimed_ones_are_not_given (void)
{
  g_autoptr (VmsanNetSlots) slots = vmsan_net_slots_new (3);

  vmsan_net_slots_claim (slots, 0);
  vmsan_net_slots_claim (slots, 1);
  vmsan_net_slots_claim (slots, 7); /* the pool was larger once */
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, 2);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, VMSAN_NET_NO_SLOT);
  vmsan_net_slots_release (slots, 7);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, VMSAN_NET_NO_SLOT);
}

static void
test_spare_ones_are_left (void)
{
  g_autoptr (VmsanNetSlots) slots = vmsan_net_slots_new (4);

  g_assert_cmpuint (vmsan_net_slots_take (slots, 4), ==, VMSAN_NET_NO_SLOT);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 2), ==, 0);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 2), ==, 1);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 2), ==, VMSAN_NET_NO_SLOT);
  g_assert_cmpuint (vmsan_net_slots_take (slots, 0), ==, 2);
}

typedef struct
{
  VmsanNetSlots *slots;
  gint n_takers[N_SLOTS];
} Contest;

static gpointer
take_and_release (gpointer data)
{
  Contest *contest = data;

  for (guint i = 0; i < 20000; i++)
    {
      guint slot = vmsan_net_slots_take (contest->slots, 0);

      g_assert_cmpuint (slot, <, N_SLOTS);
      g_assert_cmpint (g_atomic_int_add (&contest->n_takers[slot], 1), ==, 0);
      g_atomic_int_add (&contest->n_takers[slot], -1);
      vmsan_net_slots_release (contest->slots, slot);
    }
  return NULL;
}

static void
test_threads_never_share_one (void)
{
  Contest contest = { .slots = vmsan_net_slots_new (N_SLOTS) };
  GThread *threads[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("test", take_and_release, &contest);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  vmsan_net_slots_free (contest.slots);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/slots/each-is-given-once-until-it-is-released",
                   test_each_is_given_once_until_it_is_released);
  g_test_add_func ("/net/slots/what-was-released-is-given-last",
                   test_what_was_released_is_given_last);
  g_test_add_func ("/net/slots/claimed-ones-are-not-given", test_claimed_ones_are_not_given);
  g_test_add_func ("/net/slots/spare-ones-are-left", test_spare_ones_are_left);
  g_test_add_func ("/net/slots/threads-never-share-one", test_threads_never_share_one);
  return g_test_run ();
}
