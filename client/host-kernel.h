/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernels that are installed on this machine, and which of them is best for guests. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  char *version;
  char *kernel_path;       /* ROOT/boot/vmlinuz-VERSION */
  char *modules_directory; /* ROOT/lib/modules/VERSION */
} HostKernel;

/* @root: "" or another root directory. @version: NULL for the best: the newest one made for cloud
 * guests, which is small and boots fastest, else the running one, else the newest. @running: what
 * uname -r says. */
HostKernel *
host_kernel_find (const char *root, const char *version, const char *running, GError **error);

void host_kernel_free (HostKernel *kernel);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HostKernel, host_kernel_free)
