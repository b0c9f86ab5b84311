/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: however the files are replaced (written, renamed, linked elsewhere), the new ones are
 * followed. */

#include "net/net-resolvers-watch.h"

#include "net/net-resolvers.h"
#include "sys/source.h"

#include <gio/gio.h>
#include <stdlib.h>

#define DELAY_MS 200

struct _VmsanNetResolversWatch
{
  void (*changed) (gpointer data);
  gpointer data;
  GPtrArray *monitors; /* GFileMonitor */
  GSource *soon;
};

static gboolean on_soon (gpointer user_data);

static void
on_event (VmsanNetResolversWatch *self)
{
  vmsan_source_clear (&self->soon);
  self->soon = g_timeout_source_new (DELAY_MS);
  g_source_set_callback (self->soon, on_soon, self, NULL);
  g_source_attach (self->soon, NULL);
}

static void
monitor (VmsanNetResolversWatch *self, const char *path)
{
  g_autofree char *directory = path != NULL ? g_path_get_dirname (path) : NULL;
  g_autoptr (GFile) file = path != NULL ? g_file_new_for_path (path) : NULL;
  g_autoptr (GError) error = NULL;
  GFileMonitor *made;

  /* A directory that is not there would be looked for again and again. */
  if (path == NULL || !g_file_test (directory, G_FILE_TEST_IS_DIR))
    return;
  made = g_file_monitor_file (file, G_FILE_MONITOR_NONE, NULL, &error);
  if (made == NULL)
    {
      g_message ("Changes of %s will not be noticed: %s", path, error->message);
      return;
    }
  g_signal_connect_swapped (made, "changed", G_CALLBACK (on_event), self);
  g_ptr_array_add (self->monitors, made);
}

static void
stop (gpointer data)
{
  g_file_monitor_cancel (data);
  g_object_unref (data);
}

static void
make_monitors (VmsanNetResolversWatch *self)
{
  g_autofree char *target = realpath (VMSAN_NET_RESOLV_CONF, NULL);

  g_ptr_array_set_size (self->monitors, 0);
  monitor (self, VMSAN_NET_RESOLV_CONF);
  if (g_strcmp0 (target, VMSAN_NET_RESOLV_CONF) != 0)
    monitor (self, target);
  monitor (self, VMSAN_NET_RESOLVED_CONF);
}

/* The link may lead elsewhere now, or the directory be there. */
static gboolean
on_soon (gpointer user_data)
{
  VmsanNetResolversWatch *self = user_data;

  g_clear_pointer (&self->soon, g_source_unref);
  make_monitors (self);
  self->changed (self->data);
  return G_SOURCE_REMOVE;
}

VmsanNetResolversWatch *
vmsan_net_resolvers_watch_new (void (*changed) (gpointer data), gpointer data)
{
  VmsanNetResolversWatch *self = g_new0 (VmsanNetResolversWatch, 1);

  self->changed = changed;
  self->data = data;
  self->monitors = g_ptr_array_new_with_free_func (stop);
  make_monitors (self);
  return self;
}

void
vmsan_net_resolvers_watch_free (VmsanNetResolversWatch *self)
{
  vmsan_source_clear (&self->soon);
  g_ptr_array_unref (self->monitors);
  g_free (self);
}
