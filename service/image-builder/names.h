/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The names of entries in an archive. */

#pragma once

#include <stddef.h>

#define NAME_LENGTH_MAX 4000 /* with the scratch directory in front, less than PATH_MAX */
#define NAME_DEPTH_MAX  256

enum NameVerdict
{
  NAME_FINE,
  NAME_ROOT,     /* the root directory itself; @clean is "." */
  NAME_ESCAPES,  /* has a component ".." */
  NAME_TOO_LONG, /* or has too many components */
};

/* Makes @name relative and plain, as tar does: without leading or doubled slashes and "."
 * components. @clean has at least NAME_LENGTH_MAX + 1 bytes. */
enum NameVerdict name_clean (const char *name, char *clean);
