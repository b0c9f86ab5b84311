/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest's Ethernet device, as the host wants it.
 *
 * Addresses and routes are permanent and made before the image's init runs, so they are there from
 * its first program on. An init that has a configuration of its own for the device, such as
 * systemd-networkd with a matching .network file, dhcpcd or ifupdown, may replace them: the image
 * is the user's, and what it asks for in that way it gets. One without leaves them alone. */

#pragma once

#include "agent/net-config.h"

/* The index of the first Ethernet device that is hardware to the guest; virtual ones that the
 * kernel makes by itself (dummy, bond, tunnels) are passed over. 0: there is none, yet. */
int agent_net_find_device (void);

/* Brings up the device of index @device, without autoconfiguration, and gives it the addresses and
 * default routes. */
bool agent_net_set_up (const AgentNetConfig *config, int device, AgentError *error);

/* Puts a file with the resolvers in the place of /etc/resolv.conf, whatever that is: where it is a
 * link, that goes and what it leads to stays. Without resolvers the image's is left. */
bool agent_net_write_resolvers (const AgentNetConfig *config, AgentError *error);
