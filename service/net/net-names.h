/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Names of network namespaces: files that namespaces are bound to, as ip-netns(8) does it.
 *
 * A bound namespace lives on without a process or descriptor in it. All functions work in the
 * calling thread's mount namespace. */

#pragma once

#include <glib.h>

/* Everything else in the directory is somebody else's. */
#define VMSAN_NET_NAME_PREFIX "vmsan-"

/* INVALID_ARGUMENT unless @name has the prefix and is a file name. */
gboolean vmsan_net_names_check (const char *name, GError **error);

/* Binds @namespace_fd; makes the directory, and a mount point that is shared of it, where that is
 * still to be done. EXISTS when @name is bound already; a file without a namespace is a left-over
 * and taken. On failure nothing is left but the directory. */
gboolean
vmsan_net_names_bind (const char *directory, const char *name, int namespace_fd, GError **error);

/* Opens (O_CLOEXEC), or -1; NOT_FOUND also for a file without a namespace. */
int vmsan_net_names_open (const char *directory, const char *name, GError **error);

/* What is gone is fine. */
gboolean vmsan_net_names_unbind (const char *directory, const char *name, GError **error);

/* All names with the prefix, also of files without a namespace. */
GStrv vmsan_net_names_list (const char *directory, GError **error);
