/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One verb for several machines, all at the same time. What needs a password is asked for one
 * machine after the other. */

#pragma once

#include "app.h"

typedef struct
{
  void (*report) (const char *name, const char *message); /* says that it failed */
  void (*begin) (VmsanVM *vm, gpointer user_data, GAsyncReadyCallback callback, gpointer data);
  gboolean (*finish) (VmsanVM *vm, GAsyncResult *result, gpointer user_data, GError **error);
} Verb;

/* @names ends with NULL. Returns the exit code of the first that failed. */
int verb_run (App *app, const Verb *verb, char **names, gpointer user_data);
