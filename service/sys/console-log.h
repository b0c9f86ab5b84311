/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reading what vmsan-supervisor keeps of a monitor: the bounded log, and the status line. */

#pragma once

#include <gio/gio.h>

/* The last @max_bytes of the log in file @name of @dir_fd, or all there is; NUL-terminated, with
 * any bytes that a guest can write. @max_bytes must be at most half of the log's bound: that much
 * is whole at any time, while the supervisor writes as well. */
char *vmsan_console_log_read_tail (
    int dir_fd, const char *name, gsize max_bytes, gsize *out_size, GError **error);

/* The wait status, as of waitpid(2), from a status file. NOT_FOUND when there is none or it has no
 * line: the monitor is running, or was killed together with its supervisor. DAMAGED for anything
 * else. */
gboolean
vmsan_console_log_read_status (int dir_fd, const char *name, int *wait_status, GError **error);
