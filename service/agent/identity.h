/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who the guest is: its host name, its clock and its loopback interface.
 *
 * None of it may keep a guest from booting: what cannot be set is named on the console. */

#pragma once

#include <stdint.h>

/* Sets the host name, and /etc/hostname and /etc/hosts where these are plain files or missing. */
void agent_identity_set_hostname (const char *hostname);

void agent_identity_set_clock (uint64_t realtime_ns);
void agent_identity_bring_up_loopback (void);
