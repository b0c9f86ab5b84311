/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a VmsanVM is made of, for its two source files. */

#pragma once

#include "vmsan-client.h"

struct _VmsanVM
{
  GObject parent;

  VmsanClient *client;
  char *path;
  GHashTable *properties; /* see vmsan-properties.h */
  gboolean removed;
};
