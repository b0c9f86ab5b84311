/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Changes of the host's rules, by whomever, as the kernel tells of them (net-watch.h). */

#pragma once

#include <glib.h>
#include <linux/netlink.h>

/* Whether a message of the group NFNLGRP_NFTABLES is about something outside of the table for
 * machines. */
gboolean vmsan_net_ruleset_is_of_others (const struct nlmsghdr *message);
