/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files of one monitor: its logs, and what it must be able to read. */

#pragma once

#include "vmm/vmm.h"

/* Makes the console log, open for reading and writing, and the file @status_name for the
 * supervisor's last word, in the runtime directory. */
gboolean vmsan_monitor_files_open_logs (
    const VmsanVmmSpec *spec, const char *status_name, int *log_fd, int *status_fd, GError **error);

/* The bound of the console log; no less than the supervisor takes. */
guint64 vmsan_monitor_files_get_log_bytes (const VmsanVmmSpec *spec);

/* The largest file that is written to: the disk, which a guest that took over its monitor must not
 * make longer until the host is full, or the console log. */
guint64 vmsan_monitor_files_get_largest (const VmsanVmmSpec *spec);

/* Refuses a file that a monitor could not open by its name, with the machine's uid; a bind does not
 * change a file's mode. @what: "kernel" and the like, for the message. */
gboolean vmsan_monitor_files_check_readable (int fd, const char *what, GError **error);
