/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Connections of the host that a change of published ports is about. */

#pragma once

#include "net/net-host-table.h"

/* Makes the host forget connections to ports that a machine had under @old (NULL: none) and has not
 * any more, and those that were begun to ports before it had them, which would lead to nobody as
 * long as they go on. Call when the table has changed; blocks. */
gboolean vmsan_net_host_ports_cut (const VmsanNetHost *self,
                                   const VmsanNetMember *member,
                                   const VmsanNetPolicy *old,
                                   GError **error);
