/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the commands about images and about kernels do in the same way. */

#pragma once

#include "app.h"

#include <json-glib/json-glib.h>

/* The functions are those of one of libvmsan's types; a content is an object of that type. */
typedef struct
{
  const char *name_at_least_one; /* both translated when they are shown */
  const char *could_not_list;
  GPtrArray *(*list) (VmsanClient *client, GCancellable *cancellable, GError **error);
  gpointer (*get) (VmsanClient *client,
                   const char *name,
                   GCancellable *cancellable,
                   GError **error);
  gboolean (*remove) (gpointer content, GCancellable *cancellable, GError **error);
  const char *(*get_id) (gpointer content);
  void (*add_json) (JsonBuilder *builder, gpointer content);
  void (*print_table) (GPtrArray *contents);
} ContentKind;

/* For the tables: a function of the type itself in the place of one of any. */
#define CONTENT_GET(function)                                                                      \
  ((gpointer (*) (VmsanClient *, const char *, GCancellable *, GError **)) (function))
#define CONTENT_REMOVE(function) ((gboolean (*) (gpointer, GCancellable *, GError **)) (function))
#define CONTENT_ID(function)     ((const char *(*) (gpointer)) (function))
#define CONTENT_JSON(function)   ((void (*) (JsonBuilder *, gpointer)) (function))

/* What was just added: its id, or all of it with --json. */
void content_print (App *app, const ContentKind *kind, gpointer content);

/* Whole commands. */
int content_run_list (App *app, const ContentKind *kind, int argc, char **argv);
int content_run_remove (App *app, const ContentKind *kind, int argc, char **argv);
