/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a review waits for its own questions only, and a plugin that has left is asked nothing
 * more, but refuses what it was still to be asked about if it must agree. */

#include "bus/bus-plugins.h"

#include "sys/error.h"
#include "sys/source.h"

#define MAX_PLUGINS          64
#define MAX_PLUGINS_PER_USER 16

struct _VmsanBusPlugins
{
  VmsanBus *bus;
  GPtrArray *plugins;    /* VmsanBusPlugin, in the order in which they are asked */
  GPtrArray *unanswered; /* of bus-plugin.c; may outlive this */
};

static VmsanBusPlugin *
get_plugin (const GPtrArray *plugins, guint index)
{
  return g_ptr_array_index (plugins, index);
}

/* ---- Reviews ------------------------------------------------------------------------------- */

typedef struct
{
  VmsanBusPlugins *plugins;
  GPtrArray *left; /* who is still to be asked, from .index on */
  guint index;
  VmsanReview *review;
} Asking;

static void
asking_free (Asking *self)
{
  g_ptr_array_unref (self->left);
  g_free (self);
}

static gboolean
is_wanted (gpointer data, VmsanHook hook)
{
  const VmsanBusPlugins *self = data;

  for (guint i = 0; i < self->plugins->len; i++)
    if (vmsan_bus_plugin_is_asked_at (get_plugin (self->plugins, i), hook))
      return TRUE;
  return FALSE;
}

/* Whoever unregisters has done with it, but who is needed does not agree by dying. */
static gboolean
has_a_say (const VmsanBusPlugin *plugin, VmsanHook hook)
{
  return vmsan_bus_plugin_is_asked_at (plugin, hook) &&
         (plugin->registered || (plugin->left_bus && !plugin->fail_open));
}

static void ask_next (GTask *task);

static void
on_asked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_bus_plugin_ask_finish (result, &error))
    ask_next (g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/* Consumes @task. */
static void
ask_next (GTask *task)
{
  g_autoptr (GTask) owned = task;
  Asking *asking = g_task_get_task_data (task);

  while (asking->index < asking->left->len)
    {
      VmsanBusPlugin *plugin = get_plugin (asking->left, asking->index++);

      if (!has_a_say (plugin, asking->review->hook))
        continue;
      vmsan_bus_plugin_ask_async (plugin, asking->plugins->bus->connection,
                                  asking->plugins->unanswered, asking->review,
                                  g_task_get_cancellable (task), on_asked,
                                  g_steal_pointer (&owned));
      return;
    }
  g_task_return_boolean (task, TRUE);
}

static gpointer
ref_plugin (gconstpointer plugin, gpointer data)
{
  return vmsan_bus_plugin_ref ((VmsanBusPlugin *) plugin);
}

static void
review_async (gpointer data,
              VmsanReview *review,
              GCancellable *cancellable,
              GAsyncReadyCallback callback,
              gpointer user_data)
{
  VmsanBusPlugins *self = data;
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Asking *asking = g_new0 (Asking, 1);

  asking->plugins = self;
  asking->review = review;
  asking->left = g_ptr_array_copy (self->plugins, ref_plugin, NULL);
  g_task_set_task_data (task, asking, (GDestroyNotify) asking_free);
  ask_next (task);
}

static gboolean
review_finish (gpointer data, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static const VmsanReviewer reviewer = { is_wanted, review_async, review_finish };

/* ---- Registration -------------------------------------------------------------------------- */

VmsanBusPlugins *
vmsan_bus_plugins_new (VmsanBus *bus)
{
  VmsanBusPlugins *self = g_new0 (VmsanBusPlugins, 1);

  self->bus = bus;
  self->plugins = g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_bus_plugin_unref);
  self->unanswered = g_ptr_array_new ();
  vmsan_vm_manager_set_reviewer (bus->manager, &reviewer, self);
  return self;
}

void
vmsan_bus_plugins_free (VmsanBusPlugins *self)
{
  vmsan_vm_manager_set_reviewer (self->bus->manager, NULL, NULL);
  g_ptr_array_unref (self->plugins);
  g_ptr_array_unref (self->unanswered);
  g_free (self);
}

static gboolean
check_unique (VmsanBusPlugins *self, const VmsanBusPlugin *plugin, GError **error)
{
  for (guint i = 0; i < self->plugins->len; i++)
    {
      const VmsanBusPlugin *other = get_plugin (self->plugins, i);

      if (g_str_equal (other->bus_name, plugin->bus_name) &&
          g_str_equal (other->path, plugin->path))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
                       "The object at %s is registered already; unregister it first", plugin->path);
          return FALSE;
        }
      if (g_str_equal (other->name, plugin->name))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
                       "There is a plugin “%s” of uid %u already; choose another name",
                       plugin->name, other->uid);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
check_room (VmsanBusPlugins *self, uid_t uid, GError **error)
{
  guint n_own = 0;

  for (guint i = 0; i < self->plugins->len; i++)
    n_own += get_plugin (self->plugins, i)->uid == uid;
  if (self->plugins->len < MAX_PLUGINS && n_own < MAX_PLUGINS_PER_USER)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "There are %u plugins, %u of them of uid %u; %d are allowed, %d of a user: "
               "unregister some",
               self->plugins->len, n_own, uid, MAX_PLUGINS, MAX_PLUGINS_PER_USER);
  return FALSE;
}

static void
unregister (VmsanBusPlugins *self, VmsanBusPlugin *plugin)
{
  plugin->registered = FALSE;
  vmsan_source_clear (&plugin->departure);
  g_ptr_array_remove (self->plugins, plugin);
}

typedef struct
{
  VmsanBusPlugins *plugins;
  VmsanBusPlugin *plugin; /* which holds the source that holds this */
} Departure;

static gboolean
on_gone (GCancellable *gone, gpointer user_data)
{
  Departure *departure = user_data;

  g_message ("Plugin “%s” of uid %u left the bus and is asked no more", departure->plugin->name,
             departure->plugin->uid);
  departure->plugin->left_bus = TRUE;
  unregister (departure->plugins, departure->plugin);
  return G_SOURCE_REMOVE;
}

static void
follow (VmsanBusPlugins *self, VmsanBusPlugin *plugin, GCancellable *gone)
{
  Departure *departure = g_new0 (Departure, 1);

  departure->plugins = self;
  departure->plugin = plugin;
  plugin->departure = g_cancellable_source_new (gone);
  g_source_set_callback (plugin->departure, G_SOURCE_FUNC (on_gone), departure, g_free);
  g_source_attach (plugin->departure, NULL);
}

gboolean
vmsan_bus_plugins_add (VmsanBusPlugins *self,
                       VmsanBusPlugin *plugin,
                       GCancellable *gone,
                       GError **error)
{
  guint index = 0;

  if (!check_unique (self, plugin, error) || !check_room (self, plugin->uid, error))
    return FALSE;
  /* Behind those that registered before it with the same priority. */
  while (index < self->plugins->len &&
         get_plugin (self->plugins, index)->priority <= plugin->priority)
    index++;
  g_ptr_array_insert (self->plugins, (int) index, vmsan_bus_plugin_ref (plugin));
  plugin->registered = TRUE;
  follow (self, plugin, gone);
  return TRUE;
}

gboolean
vmsan_bus_plugins_remove (VmsanBusPlugins *self,
                          const char *bus_name,
                          const char *path,
                          GError **error)
{
  for (guint i = 0; i < self->plugins->len; i++)
    {
      VmsanBusPlugin *plugin = get_plugin (self->plugins, i);

      if (g_str_equal (plugin->bus_name, bus_name) && g_str_equal (plugin->path, path))
        {
          unregister (self, plugin);
          return TRUE;
        }
    }
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
               "You have no plugin at %s; the connection that registered it must unregister it",
               path);
  return FALSE;
}

GVariant *
vmsan_bus_plugins_list (VmsanBusPlugins *self)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < self->plugins->len; i++)
    g_variant_builder_add_value (&list, vmsan_bus_plugin_describe (get_plugin (self->plugins, i)));
  return g_variant_builder_end (&list);
}
