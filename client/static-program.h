/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Programs that run where there is nothing but themselves, as in the jail. */

#pragma once

#include <gio/gio.h>

/* Refuses what is not an ELF program for this machine, or needs a dynamic loader. @name: what @fd
 * is called in messages. */
gboolean static_program_check (int fd, const char *name, GError **error);
