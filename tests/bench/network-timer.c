/* SPDX-License-Identifier: GPL-2.0-or-later */

/* network-timer single ROUNDS
 *   Median ms of a set-up from a prepared network, of one without, of one by hand, of a tear-down,
 *   and of one by hand: in turns.
 * network-timer many COUNT
 *   ms for COUNT set-ups at once, and for as many tear-downs at once.
 * network-timer policy ROUNDS COUNT
 *   Median ms of a change between two policies of COUNT CIDRs.
 * network-timer beside COUNT ROUNDS
 *   Median ms of a set-up and a tear-down, beside COUNT other machines. */

#include "bare-network.h"
#include "machine-networks.h"
#include "raw-bus.h"
#include "times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_PREPARED 4
#define PAUSE_US   100000
#define ALLOW_ALL  "{'network-policy': <'allow-all'>}"

/* Measured times of one thing. */
typedef GArray Times;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Times, g_array_unref)

static Times *
times_new (void)
{
  return g_array_new (FALSE, FALSE, sizeof (gint64));
}

static void
times_add (Times *self, gint64 begin)
{
  gint64 taken = now_ns () - begin;

  g_array_append_val (self, taken);
}

static double
median_ms (Times *self)
{
  g_array_sort (self, compare_times);
  return g_array_index (self, gint64, self->len / 2) / 1e6;
}

/* The kernel still clears away what the last measure left, for some time after it is gone, and
 * keeps others waiting meanwhile. */
static void
pause_for_kernel (void)
{
  g_usleep (PAUSE_US);
}

static GPtrArray *
only (VmsanNetMachine *machine)
{
  GPtrArray *machines = g_ptr_array_new ();

  g_ptr_array_add (machines, machine);
  return machines;
}

static void
measure_one (
    Networks *networks, VmsanNetPolicy *policy, gboolean prepared, Times *set_up, Times *take_down)
{
  g_autoptr (GPtrArray) machines = g_ptr_array_new ();
  gint64 begin;

  networks_wait_for_prepared (networks);
  pause_for_kernel ();
  begin = now_ns ();
  g_ptr_array_add (machines, networks_add (networks, policy, prepared));
  networks_set_up (networks, machines);
  times_add (set_up, begin);
  networks_wait_for_prepared (networks);
  pause_for_kernel ();
  begin = now_ns ();
  networks_take_down (networks, machines);
  times_add (take_down, begin);
  networks_remove (networks, machines->pdata[0]);
}

static void
measure_bare (Networks *networks, VmsanNetPolicy *policy, Times *set_up, Times *take_down)
{
  guint slot = vmsan_net_manager_take_slot (networks->manager, FALSE);
  gint64 begin;

  pause_for_kernel ();
  begin = now_ns ();
  bare_network_set_up (networks, "bare", slot, policy);
  times_add (set_up, begin);
  pause_for_kernel ();
  begin = now_ns ();
  bare_network_take_down (networks, "bare", slot, policy);
  times_add (take_down, begin);
  vmsan_net_manager_release_slot (networks->manager, slot);
}

/* One machine is there all the time: the table of the first and the last are not theirs alone. */
static void
measure_single (Networks *networks, guint rounds)
{
  g_autoptr (VmsanNetPolicy) policy = networks_parse (networks, ALLOW_ALL);
  g_autoptr (GPtrArray) first = only (networks_add (networks, policy, FALSE));
  g_autoptr (Times) prepared = times_new ();
  g_autoptr (Times) without = times_new ();
  g_autoptr (Times) down = times_new ();
  g_autoptr (Times) bare_up = times_new ();
  g_autoptr (Times) bare_down = times_new ();

  networks_set_up (networks, first);
  for (guint i = 0; i < rounds; i++)
    {
      measure_one (networks, policy, TRUE, prepared, down);
      measure_one (networks, policy, FALSE, without, down);
      measure_bare (networks, policy, bare_up, bare_down);
    }
  networks_take_down (networks, first);
  networks_remove (networks, first->pdata[0]);
  printf ("%.3f %.3f %.3f %.3f %.3f\n", median_ms (prepared), median_ms (without),
          median_ms (bare_up), median_ms (down), median_ms (bare_down));
}

static void
measure_many (Networks *networks, guint count)
{
  g_autoptr (VmsanNetPolicy) policy = networks_parse (networks, ALLOW_ALL);
  g_autoptr (GPtrArray) machines = g_ptr_array_new ();
  gint64 begin, up, down;

  networks_wait_for_prepared (networks);
  begin = now_ns ();
  for (guint i = 0; i < count; i++)
    g_ptr_array_add (machines, networks_add (networks, policy, TRUE));
  networks_set_up (networks, machines);
  up = now_ns () - begin;
  begin = now_ns ();
  networks_take_down (networks, machines);
  down = now_ns () - begin;
  for (guint i = 0; i < count; i++)
    networks_remove (networks, machines->pdata[i]);
  printf ("%.3f %.3f\n", up / 1e6, down / 1e6);
}

/* @count networks, none beside another, so that they stay as many. */
static VmsanNetPolicy *
make_long_policy (Networks *networks, guint count, guint first)
{
  g_autoptr (GString) options = g_string_new ("{'allowed-cidrs': <[");
  VmsanNetPolicy *policy;

  for (guint i = 0; i < count; i++)
    g_string_append_printf (options, "%s'%u.%u.%u.0/28'", i > 0 ? ", " : "", first, i / 250,
                            i % 250);
  g_string_append (options, "]>}");
  policy = networks_parse (networks, options->str);
  return policy;
}

static void
measure_policy (Networks *networks, guint rounds, guint count)
{
  g_autoptr (VmsanNetPolicy) a = make_long_policy (networks, count, 20);
  g_autoptr (VmsanNetPolicy) b = make_long_policy (networks, count, 30);
  g_autoptr (GPtrArray) machines = only (networks_add (networks, a, FALSE));
  g_autoptr (Times) times = times_new ();

  networks_set_up (networks, machines);
  for (guint i = 0; i < rounds; i++)
    {
      gint64 begin;

      pause_for_kernel ();
      begin = now_ns ();
      networks_change (networks, machines->pdata[0], i % 2 == 0 ? b : a);
      times_add (times, begin);
    }
  networks_take_down (networks, machines);
  networks_remove (networks, machines->pdata[0]);
  printf ("%.3f\n", median_ms (times));
}

static void
measure_beside (Networks *networks, guint count, guint rounds)
{
  g_autoptr (VmsanNetPolicy) policy = networks_parse (networks, ALLOW_ALL);
  g_autoptr (GPtrArray) others = g_ptr_array_new ();
  g_autoptr (Times) up = times_new ();
  g_autoptr (Times) down = times_new ();

  for (guint i = 0; i < count; i++)
    g_ptr_array_add (others, networks_add (networks, policy, FALSE));
  networks_set_up (networks, others);
  for (guint i = 0; i < rounds; i++)
    measure_one (networks, policy, TRUE, up, down);
  networks_take_down (networks, others);
  for (guint i = 0; i < count; i++)
    networks_remove (networks, others->pdata[i]);
  printf ("%.3f %.3f\n", median_ms (up), median_ms (down));
}

int
main (int argc, char **argv)
{
  guint first = argc > 2 ? (guint) atoi (argv[2]) : 0;
  guint second = argc > 3 ? (guint) atoi (argv[3]) : 0;
  Networks networks;

  if (first == 0)
    die ("Usage: see the head of network-timer.c");
  networks_init (&networks, N_PREPARED);
  if (strcmp (argv[1], "single") == 0)
    measure_single (&networks, first);
  else if (strcmp (argv[1], "many") == 0)
    measure_many (&networks, first);
  else if (strcmp (argv[1], "policy") == 0 && second > 0)
    measure_policy (&networks, first, second);
  else if (strcmp (argv[1], "beside") == 0 && second > 0)
    measure_beside (&networks, first, second);
  else
    die ("Usage: see the head of network-timer.c");
  networks_clear (&networks);
  return 0;
}
