/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which modules of a kernel a guest needs, in the order in which it has to load them. Read from
 * what depmod(8) leaves in the kernel's module directory. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  char *name; /* with underscores, without .ko */
  char *path; /* of the file, which may be compressed */
} KernelModule;

/* @directory: such as /lib/modules/6.1.0-cloud-amd64. An array of KernelModule, maybe empty; an
 * error when a module without which no guest comes up is neither there nor built in. */
GArray *kernel_modules_pick (const char *directory, GError **error);

/* Uncompresses @modules one behind the other into a sealed memory file. Returns its descriptor, or
 * -1; *@list becomes an a(st) of names and sizes, not floating. */
int kernel_modules_load (GArray *modules, GVariant **list, GError **error);
