/* SPDX-License-Identifier: GPL-2.0-or-later */

/* News of devices from the kernel (NETLINK_KOBJECT_UEVENT). They only say that it is time to look
 * again: some may be lost, and what /sys shows is the truth. */

#pragma once

/* A non-blocking descriptor that is readable when something changed, or -1. */
int agent_uevents_open (void);

/* Reads and forgets what is there. */
void agent_uevents_drain (int fd);
