/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Networks that are deleted in batches. */

#include "net-fixture.h"

#include "net/net-reaper.h"

#include <string.h>

#define FIRST_SLOT  100
#define N_NETWORKS  20
#define DEADLINE_MS 10000

/* What the reaper's thread has told, and a gate that holds it. */
typedef struct
{
  GMutex lock;
  GCond changed;
  gboolean gate_closed;
  gboolean at_gate;
  guint n_told;
  guint n_failed;
  guint n_links_when_first_told;
} Told;

static void
told_init (Told *self)
{
  memset (self, 0, sizeof *self);
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
}

static void
told_clear (Told *self)
{
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
}

static guint
count_links (void)
{
  guint n = 0;

  for (guint i = 0; i < N_NETWORKS; i++)
    {
      g_autofree char *name = vmsan_net_host_link_name (FIRST_SLOT + i);

      n += if_nametoindex (name) != 0;
    }
  return n;
}

static void
on_reaped (const GError *error, gpointer data)
{
  Told *told = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&told->lock);

  if (told->n_told++ == 0)
    told->n_links_when_first_told = count_links ();
  told->n_failed += error != NULL;
  g_cond_broadcast (&told->changed);
}

static void
wait_at_gate (const GError *error, gpointer data)
{
  Told *told = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&told->lock);

  told->at_gate = TRUE;
  g_cond_broadcast (&told->changed);
  while (told->gate_closed)
    g_cond_wait (&told->changed, &told->lock);
}

/* Holds the reaper, so that what is added waits. */
static void
close_gate (VmsanNetReaper *reaper, Told *told)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&told->lock);

  told->gate_closed = TRUE;
  vmsan_net_reaper_add (reaper, "vmsan-gate", FIRST_SLOT + N_NETWORKS, wait_at_gate, told);
  while (!told->at_gate)
    g_cond_wait (&told->changed, &told->lock);
}

static void
open_gate (Told *told)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&told->lock);

  told->gate_closed = FALSE;
  g_cond_broadcast (&told->changed);
}

static void
wait_until_told (Told *told, guint n)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&told->lock);
  gint64 deadline = g_get_monotonic_time () + DEADLINE_MS * G_GINT64_CONSTANT (1000);

  while (told->n_told < n)
    g_assert_true (g_cond_wait_until (&told->changed, &told->lock, deadline));
}

static void
add_networks (NetFixture *f, VmsanNetReaper *reaper, Told *told)
{
  for (guint i = 0; i < N_NETWORKS; i++)
    {
      g_autofree char *name = g_strdup_printf ("vmsan-%u", i);
      g_autoptr (GError) error = NULL;

      vmsan_net_namespace_create (&f->setup, name, FIRST_SLOT + i, &error);
      g_assert_no_error (error);
      vmsan_net_reaper_add (reaper, name, FIRST_SLOT + i, on_reaped, told);
    }
}

static void
test_what_waits_goes_in_one_batch (NetFixture *f, gconstpointer data)
{
  VmsanNetReaper *reaper = vmsan_net_reaper_new (&f->setup);
  Told told;

  told_init (&told);
  close_gate (reaper, &told);
  add_networks (f, reaper, &told);
  g_assert_cmpuint (count_links (), ==, N_NETWORKS);
  open_gate (&told);
  wait_until_told (&told, N_NETWORKS);
  g_assert_cmpuint (told.n_links_when_first_told, ==, 0);
  g_assert_cmpuint (told.n_failed, ==, 0);
  net_fixture_assert_nothing_left (f);
  vmsan_net_reaper_free (reaper);
  told_clear (&told);
}

static void
test_one_that_fails_keeps_nobody_else_waiting (NetFixture *f, gconstpointer data)
{
  VmsanNetReaper *reaper = vmsan_net_reaper_new (&f->setup);
  Told told;

  told_init (&told);
  close_gate (reaper, &told);
  vmsan_net_reaper_add (reaper, "no name of ours", FIRST_SLOT, on_reaped, &told);
  add_networks (f, reaper, &told);
  open_gate (&told);
  wait_until_told (&told, N_NETWORKS + 1);
  g_assert_cmpuint (told.n_failed, ==, 1);
  net_fixture_assert_nothing_left (f);
  vmsan_net_reaper_free (reaper);
  told_clear (&told);
}

static void
test_draining_waits_for_what_is_left (NetFixture *f, gconstpointer data)
{
  VmsanNetReaper *reaper = vmsan_net_reaper_new (&f->setup);
  Told told;

  told_init (&told);
  g_assert_true (vmsan_net_reaper_drain (reaper, 0));
  close_gate (reaper, &told);
  add_networks (f, reaper, &told);
  g_assert_false (vmsan_net_reaper_drain (reaper, 20));
  g_assert_cmpuint (count_links (), ==, N_NETWORKS);
  open_gate (&told);
  g_assert_true (vmsan_net_reaper_drain (reaper, DEADLINE_MS));
  g_assert_cmpuint (told.n_told, ==, N_NETWORKS);
  net_fixture_assert_nothing_left (f);
  vmsan_net_reaper_free (reaper);
  told_clear (&told);
}

static void
test_what_waits_at_the_end_is_deleted (NetFixture *f, gconstpointer data)
{
  VmsanNetReaper *reaper = vmsan_net_reaper_new (&f->setup);
  Told told;

  told_init (&told);
  close_gate (reaper, &told);
  add_networks (f, reaper, &told);
  vmsan_net_reaper_free (reaper);
  open_gate (&told);
  wait_until_told (&told, N_NETWORKS);
  net_fixture_assert_nothing_left (f);
  told_clear (&told);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!net_world_enter ())
    {
      g_print ("1..0 # SKIP needs root, for namespaces of its own\n");
      return 0;
    }

  NET_FIXTURE_ADD ("/net/reaper/what-waits-goes-in-one-batch", test_what_waits_goes_in_one_batch);
  NET_FIXTURE_ADD ("/net/reaper/one-that-fails-keeps-nobody-else-waiting",
                   test_one_that_fails_keeps_nobody_else_waiting);
  NET_FIXTURE_ADD ("/net/reaper/draining-waits-for-what-is-left",
                   test_draining_waits_for_what_is_left);
  NET_FIXTURE_ADD ("/net/reaper/what-waits-at-the-end-is-deleted",
                   test_what_waits_at_the_end_is_deleted);
  return net_world_run_tests ();
}
