/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the machine at least has to do for a machine's network: the same kernel objects, made one
 * after the other by one thread, with all rules in one transaction; and nothing looked at, noted or
 * undone. Names are bound in the calling thread's mount namespace. Failures end the program. */

#pragma once

#include "machine-networks.h"

void bare_network_set_up (Networks *networks, const char *name, guint slot, VmsanNetPolicy *policy);
void
bare_network_take_down (Networks *networks, const char *name, guint slot, VmsanNetPolicy *policy);
