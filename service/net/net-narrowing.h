/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Comparing policies: whether one of them lets nothing through that the other does not. */

#pragma once

#include "net/net-policy.h"

/* Whether whatever @narrow lets through, @wide does too: connections to every address by every
 * protocol and port, whichever name led there; questions for names; published ports; bandwidth. And
 * whether it stays so when the owner changes one list of it later and leaves the others: what is
 * allowed in it must not hide behind what is denied, and what was denied stays so.
 * NOT_SUPPORTED names the first of these where @narrow has more. */
gboolean vmsan_net_policy_check_narrowing (const VmsanNetPolicy *narrow,
                                           const VmsanNetPolicy *wide,
                                           const VmsanNetPools *pools,
                                           GError **error);
