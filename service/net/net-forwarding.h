/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The host's forwarding for machines: switched on where its uplinks need it, and on record so that
 * it can be switched off again, also by a later run of the service. Blocks: worker thread. One call
 * at a time. */

#pragma once

#include "net/net-address.h"

/* Puts on record what has to be changed for the default routes of now; empty when nothing has. The
 * links are among those below from here on, so that the host's rules can be made before the change.
 * @state_fd: the directory of the record. (transfer full) */
GStrv vmsan_net_forwarding_prepare (int state_fd, const VmsanNetPools *pools, GError **error);

/* Makes the changes. On failure none stays. */
gboolean vmsan_net_forwarding_enable (const char *const *changes, GError **error);

/* Sets everything back that is still as it was set. What is gone is fine. */
gboolean vmsan_net_forwarding_restore (int state_fd, GError **error);

/* What is changed now, as "SETTING=VALUE…" with the value from before. (transfer full) */
GStrv vmsan_net_forwarding_list_changes (int state_fd);

/* The links that were switched on for machines, and whether all of IPv6 was. When somebody else has
 * made the host a router since, none. (transfer full) */
GStrv vmsan_net_forwarding_list_links (int state_fd, gboolean *ipv6);
