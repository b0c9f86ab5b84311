/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which policy of a machine is in force, for the next run of the service. */

#pragma once

#include "net/net-machine.h"

/* @policy: NULL while it changes, and nobody knows. @resolvers: those that it was made for. */
gboolean vmsan_net_in_force_note (const VmsanNetMachine *machine,
                                  const VmsanNetPolicy *policy,
                                  const GArray *resolvers,
                                  GError **error);

/* Whether it is the machine's own, for @resolvers. */
gboolean vmsan_net_in_force_is (const VmsanNetMachine *machine, const GArray *resolvers);
