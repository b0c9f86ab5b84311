/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A plugin: an object of another process that is asked before something happens to a machine. */

#pragma once

#include "vm/vm-review.h"

#include <gio/gio.h>
#include <sys/types.h>

/* Reference-counted: who is asked may be unregistered meanwhile. */
typedef struct
{
  char *bus_name; /* unique */
  char *path;
  uid_t uid;

  char *name;
  guint32 hooks; /* bit N: it is asked at VmsanHook N */
  gint32 priority;
  guint deadline_ms;
  gboolean fail_open;

  gboolean registered;
  gboolean left_bus;  /* rather than being unregistered */
  GSource *departure; /* when its process leaves the bus */
  guint64 n_questions;
  guint64 n_failures;
} VmsanBusPlugin;

/* @options as of RegisterPlugin: INVALID_ARGUMENT, UNKNOWN_OPTION. */
VmsanBusPlugin *vmsan_bus_plugin_new (
    const char *bus_name, const char *path, uid_t uid, GVariant *options, GError **error);
VmsanBusPlugin *vmsan_bus_plugin_ref (VmsanBusPlugin *self);
void vmsan_bus_plugin_unref (VmsanBusPlugin *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanBusPlugin, vmsan_bus_plugin_unref)

gboolean vmsan_bus_plugin_is_asked_at (const VmsanBusPlugin *self, VmsanHook hook);

/* As an entry of ListPlugins. (transfer floating) a{sv} */
GVariant *vmsan_bus_plugin_describe (const VmsanBusPlugin *self);

/* Asks it about @review, and changes the review's draft as it answers. VETOED where it refuses, or
 * is needed and does not answer as it should in time, or has too many questions unanswered to be
 * asked. LIMIT_EXCEEDED where it is the machine's owner who has too many under way. All questions
 * share @unanswered, an array without a free function; it is for them alone. */
void vmsan_bus_plugin_ask_async (VmsanBusPlugin *self,
                                 GDBusConnection *connection,
                                 GPtrArray *unanswered,
                                 VmsanReview *review,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean vmsan_bus_plugin_ask_finish (GAsyncResult *result, GError **error);
