/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Changes of the host's rules, by whomever, as the kernel tells of them. */

#pragma once

#include <glib.h>

/* A socket of the calling thread's namespace, not blocking, that can be read after each change; -1
 * with @error. */
int vmsan_net_ruleset_follow (GError **error);

/* Reads all that it has to tell. TRUE when something may have changed outside of the table for
 * machines, which also is so when there was too much to tell. */
gboolean vmsan_net_ruleset_take_changes (int fd);
