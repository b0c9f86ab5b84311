/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Networks of machines as the service makes them, without machines, on a host of the program's own:
 * its links, rules and settings are in namespaces that are gone with it (net-world.h). Names of
 * namespaces are bound where process 1 has them, as always; so the program is for tests/bench/run,
 * whose process 1 has a file system of its own. Every failure ends the program. */

#pragma once

#include "net-world.h"

#include "net/net-manager.h"

typedef struct
{
  NetWorld *world;
  VmsanNetPools pools;
  VmsanNetManager *manager;
  char *directory; /* of all files */
  guint n_prepared;
  guint next;
} Networks;

/* Enters the namespaces: first of all, while there is one thread. @n_prepared: that wait. */
void networks_init (Networks *self, guint n_prepared);
void networks_clear (Networks *self);

/* @options: as text of a{sv}. */
VmsanNetPolicy *networks_parse (Networks *self, const char *options);

/* Waits until all networks are prepared that should be. */
void networks_wait_for_prepared (Networks *self);

/* A new machine, with a slot; @soon as vmsan_net_manager_take_slot() has it. */
VmsanNetMachine *networks_add (Networks *self, VmsanNetPolicy *policy, gboolean soon);

/* Its slot is free again. */
void networks_remove (Networks *self, VmsanNetMachine *machine);

/* What the service does for @machines, of VmsanNetMachine, all at once; returns when it is done. */
void networks_set_up (Networks *self, GPtrArray *machines);
void networks_take_down (Networks *self, GPtrArray *machines);
void networks_change (Networks *self, VmsanNetMachine *machine, VmsanNetPolicy *policy);
