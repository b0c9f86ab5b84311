/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a unique name is never used twice in the life of a bus, so what was learned of one holds
 * until it leaves, and is forgotten then. */

#include "bus/bus-callers.h"

#include "sys/error.h"

struct _VmsanBusCallers
{
  GObject parent;
  GDBusConnection *connection;
  GHashTable *callers; /* unique name → Caller */
};

typedef struct
{
  VmsanBusCaller public;
  gboolean known;
  guint subscription;
  GDBusConnection *connection;
  GQueue waiting; /* GTask, until the bus has answered */
} Caller;

G_DEFINE_FINAL_TYPE (VmsanBusCallers, vmsan_bus_callers, G_TYPE_OBJECT)

void
vmsan_bus_caller_free (VmsanBusCaller *self)
{
  g_object_unref (self->gone);
  g_free (self);
}

/* A copy: the caller may leave before the task's callback runs. */
static void
return_caller (GTask *task, const Caller *caller)
{
  VmsanBusCaller *copy = g_new0 (VmsanBusCaller, 1);

  copy->uid = caller->public.uid;
  copy->gone = g_object_ref (caller->public.gone);
  g_task_return_pointer (task, copy, (GDestroyNotify) vmsan_bus_caller_free);
  g_object_unref (task);
}

static void
caller_free (Caller *caller)
{
  g_dbus_connection_signal_unsubscribe (caller->connection, caller->subscription);
  g_object_unref (caller->connection);
  g_object_unref (caller->public.gone);
  g_queue_clear (&caller->waiting);
  g_free (caller);
}

static void
vmsan_bus_callers_finalize (GObject *object)
{
  VmsanBusCallers *self = VMSAN_BUS_CALLERS (object);

  g_hash_table_unref (self->callers);
  g_object_unref (self->connection);
  G_OBJECT_CLASS (vmsan_bus_callers_parent_class)->finalize (object);
}

static void
vmsan_bus_callers_class_init (VmsanBusCallersClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_bus_callers_finalize;
}

static void
vmsan_bus_callers_init (VmsanBusCallers *self)
{
  self->callers =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) caller_free);
}

VmsanBusCallers *
vmsan_bus_callers_new (GDBusConnection *connection)
{
  VmsanBusCallers *self = g_object_new (VMSAN_TYPE_BUS_CALLERS, NULL);

  self->connection = g_object_ref (connection);
  return self;
}

static void
refuse_waiting (Caller *caller, const char *reason)
{
  GTask *task;

  while ((task = g_queue_pop_head (&caller->waiting)) != NULL)
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_NOT_AUTHORIZED,
                               "The caller could not be identified: %s", reason);
      g_object_unref (task);
    }
}

static void
on_name_owner_changed (GDBusConnection *connection,
                       const char *sender,
                       const char *path,
                       const char *interface,
                       const char *signal,
                       GVariant *parameters,
                       gpointer user_data)
{
  VmsanBusCallers *self = user_data;
  const char *name, *old_owner, *new_owner;
  Caller *caller;

  g_variant_get (parameters, "(&s&s&s)", &name, &old_owner, &new_owner);
  caller = g_hash_table_lookup (self->callers, name);
  if (caller == NULL || new_owner[0] != '\0')
    return;
  refuse_waiting (caller, "it left the bus");
  g_cancellable_cancel (caller->public.gone);
  g_hash_table_remove (self->callers, name);
}

typedef struct
{
  VmsanBusCallers *self;
  char *name;
} Question;

static void
on_uid (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Question *question = user_data;
  g_autoptr (VmsanBusCallers) self = question->self;
  g_autofree char *name = question->name;
  Caller *caller = g_hash_table_lookup (self->callers, name);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  GTask *task;
  guint32 uid;

  g_free (question);
  if (caller == NULL)
    return; /* it left meanwhile, and those who waited know */
  if (reply == NULL)
    {
      refuse_waiting (caller, error->message);
      g_hash_table_remove (self->callers, name);
      return;
    }

  g_variant_get (reply, "(u)", &uid);
  caller->public.uid = uid;
  caller->known = TRUE;
  while ((task = g_queue_pop_head (&caller->waiting)) != NULL)
    return_caller (task, caller);
}

static Caller *
start_asking (VmsanBusCallers *self, const char *name)
{
  Caller *caller = g_new0 (Caller, 1);
  Question *question = g_new0 (Question, 1);

  g_queue_init (&caller->waiting);
  caller->public.gone = g_cancellable_new ();
  caller->connection = g_object_ref (self->connection);
  /* First the match, then the question: a caller that leaves in between is seen by one of them. */
  caller->subscription =
      g_dbus_connection_signal_subscribe (self->connection, "org.freedesktop.DBus",
                                          "org.freedesktop.DBus", "NameOwnerChanged",
                                          "/org/freedesktop/DBus", name, G_DBUS_SIGNAL_FLAGS_NONE,
                                          on_name_owner_changed, self, NULL);
  g_hash_table_insert (self->callers, g_strdup (name), caller);

  question->self = g_object_ref (self);
  question->name = g_strdup (name);
  g_dbus_connection_call (self->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                          "org.freedesktop.DBus", "GetConnectionUnixUser",
                          g_variant_new ("(s)", name), G_VARIANT_TYPE ("(u)"),
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_uid, question);
  return caller;
}

void
vmsan_bus_callers_identify_async (VmsanBusCallers *self,
                                  const char *unique_name,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  GTask *task = g_task_new (self, NULL, callback, user_data);
  Caller *caller = g_hash_table_lookup (self->callers, unique_name);

  if (caller != NULL && caller->known)
    {
      return_caller (task, caller);
      return;
    }
  if (caller == NULL)
    caller = start_asking (self, unique_name);
  g_queue_push_tail (&caller->waiting, task);
}

VmsanBusCaller *
vmsan_bus_callers_identify_finish (VmsanBusCallers *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
