/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Network settings, those of /proc/sys/net, through a procfs of our own.
 *
 * Each network namespace has its own settings, and a thread finds those of the namespace that it is
 * in; all of them have the same place in the kernel's cache of names, which is searched one by one.
 * So with a thousand namespaces the usual /proc would cost more than the settings, and a fresh one
 * costs 0.1 ms. It is writable, too, where a service sees /proc/sys read-only, and nobody else sees
 * it. */

#pragma once

#include <glib.h>

/* A new procfs, mounted nowhere, or -1. */
int vmsan_net_sysctl_mount (GError **error);

/* A directory of the settings of the thread's namespace, like "ipv4/conf" or "."; it stays that of
 * this namespace. -1 with NOT_FOUND where the kernel has none. */
int vmsan_net_sysctl_open (int proc_fd, const char *directory, GError **error);

/* @path relative to such a directory. NOT_FOUND where the kernel has none. */
gboolean
vmsan_net_sysctl_write (int directory_fd, const char *path, const char *value, GError **error);
char *vmsan_net_sysctl_read (int directory_fd, const char *path, GError **error);
gboolean vmsan_net_sysctl_exists (int directory_fd, const char *path);
