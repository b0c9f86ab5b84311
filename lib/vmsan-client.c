/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: one object for one machine, kept current by the service's signals through three match
 * rules however many machines there are, and across restarts of the service. The calls are in
 * vmsan-client-calls.c. */

#include "config.h"

#include "vmsan-client-private.h"

#include "vmsan-call.h"
#include "vmsan-error-private.h"
#include "vmsan-object-private.h"
#include "vmsan-properties.h"

#include <glib/gi18n-lib.h>

/**
 * VmsanClient:
 *
 * The service vmsand, as a program sees it: makes and finds machines, images and kernels.
 *
 * Functions without a suffix are asynchronous, those with `_sync` block until the service answers,
 * which takes as long as a machine needs to boot or a person to type a password. A client, and all
 * that comes from it, belongs to the thread that made it; signals and property changes are
 * reported in the main context that was current then.
 */
struct _VmsanClient
{
  GObject parent;

  GDBusConnection *connection;
  gboolean interactive;
  gboolean available;
  gboolean loaded;        /* properties came at least once */
  GHashTable *properties; /* of the manager; see vmsan-properties.h */
  GHashTable *vms;        /* path -> VmsanVM, weak */

  guint name_watch;
  guint subscriptions[3];
};

enum
{
  PROP_0,
  PROP_CONNECTION,
  PROP_INTERACTIVE,
  PROP_AVAILABLE,
  PROP_VERSION,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

enum
{
  SIGNAL_HOOK,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

static void initable_init (GInitableIface *iface);
static void async_initable_init (GAsyncInitableIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (VmsanClient,
                               vmsan_client,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_INITABLE, initable_init)
                                   G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_INITABLE,
                                                          async_initable_init))

/* ---- Machines ------------------------------------------------------------------------------ */

/* A machine holds the client, never the other way round. */
void
vmsan_client_forget_vm (VmsanClient *client, const char *path)
{
  g_hash_table_remove (client->vms, path);
}

VmsanVM *
vmsan_client_take_vm (VmsanClient *client, const char *path, GVariant *properties)
{
  VmsanVM *vm = g_hash_table_lookup (client->vms, path);

  if (vm != NULL)
    {
      vmsan_vm_update (vm, properties);
      return g_object_ref (vm);
    }
  vm = vmsan_vm_new (client, path, properties);
  g_hash_table_insert (client->vms, g_strdup (path), vm);
  return vm;
}

static void
refreshed_vm (GObject *object, GAsyncResult *result, gpointer user_data)
{
  VmsanVM *vm = VMSAN_VM (object);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) properties = g_task_propagate_pointer (G_TASK (result), &error);

  if (properties != NULL)
    vmsan_vm_update (vm, properties);
  else if (g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    vmsan_vm_set_removed (vm);
}

static void
return_properties (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_task_return_pointer (task, g_variant_get_child_value (reply, 0),
                         (GDestroyNotify) g_variant_unref);
  g_object_unref (task);
}

/* What happened while the service was away was not signalled. */
static void
refresh_vms (VmsanClient *self)
{
  g_autoptr (GList) vms = g_hash_table_get_values (self->vms);

  for (GList *l = vms; l != NULL; l = l->next)
    vmsan_call_get_all (self, vmsan_vm_get_object_path (l->data), VMSAN_INTERFACE_VM,
                        g_task_new (l->data, NULL, refreshed_vm, NULL), return_properties);
}

/* ---- Signals of the service ---------------------------------------------------------------- */

static void
on_hook (GDBusConnection *connection,
         const char *sender,
         const char *path,
         const char *interface,
         const char *name,
         GVariant *parameters,
         gpointer user_data)
{
  g_signal_emit (user_data, signals[SIGNAL_HOOK], g_quark_from_string (name), name, parameters);
}

/* A listener may drop the last reference while it is told. */
static VmsanVM *
ref_vm (VmsanClient *self, const char *path)
{
  VmsanVM *vm = g_hash_table_lookup (self->vms, path);

  return vm != NULL ? g_object_ref (vm) : NULL;
}

static void
on_properties_changed (GDBusConnection *connection,
                       const char *sender,
                       const char *path,
                       const char *interface,
                       const char *name,
                       GVariant *parameters,
                       gpointer user_data)
{
  VmsanClient *self = user_data;
  g_autoptr (GVariant) changed = NULL;
  g_autoptr (VmsanVM) vm = ref_vm (self, path);

  if (vm == NULL || !g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  changed = g_variant_get_child_value (parameters, 1);
  vmsan_vm_update (vm, changed);
}

static void
on_interfaces_removed (GDBusConnection *connection,
                       const char *sender,
                       const char *path,
                       const char *interface,
                       const char *name,
                       GVariant *parameters,
                       gpointer user_data)
{
  g_autoptr (VmsanVM) vm = NULL;
  const char *removed;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(oas)")))
    return;
  g_variant_get_child (parameters, 0, "&o", &removed);
  vm = ref_vm (user_data, removed);
  if (vm != NULL)
    vmsan_vm_set_removed (vm);
}

static void
set_available (VmsanClient *self, gboolean available)
{
  if (self->available == available)
    return;
  self->available = available;
  g_object_notify_by_pspec (G_OBJECT (self), props[PROP_AVAILABLE]);
}

static void
refreshed_manager (GObject *object, GAsyncResult *result, gpointer user_data)
{
  VmsanClient *self = VMSAN_CLIENT (object);
  g_autoptr (GVariant) properties = g_task_propagate_pointer (G_TASK (result), NULL);
  g_autofree char *version = g_strdup (vmsan_client_get_version (self));

  if (properties == NULL)
    return;
  g_hash_table_unref (self->properties);
  self->properties = vmsan_properties_new (properties);
  if (g_strcmp0 (version, vmsan_client_get_version (self)) != 0)
    g_object_notify_by_pspec (object, props[PROP_VERSION]);
}

static void
on_name_appeared (GDBusConnection *connection,
                  const char *name,
                  const char *owner,
                  gpointer user_data)
{
  VmsanClient *self = user_data;

  /* The first time, what was loaded is current. */
  if (!self->available && self->loaded)
    {
      vmsan_call_get_all (self, VMSAN_OBJECT_MANAGER, VMSAN_INTERFACE_MANAGER,
                          g_task_new (self, NULL, refreshed_manager, NULL), return_properties);
      refresh_vms (self);
    }
  set_available (self, TRUE);
}

static void
on_name_vanished (GDBusConnection *connection, const char *name, gpointer user_data)
{
  set_available (user_data, FALSE);
}

/* The subscriptions belong to the client and are undone before it is freed; a signal that is in a
 * queue then is dropped by GDBus. */
static void
subscribe (VmsanClient *self)
{
  self->subscriptions[0] =
      g_dbus_connection_signal_subscribe (self->connection, VMSAN_BUS_NAME, VMSAN_INTERFACE_MANAGER,
                                          NULL, VMSAN_OBJECT_MANAGER, NULL,
                                          G_DBUS_SIGNAL_FLAGS_NONE, on_hook, self, NULL);
  self->subscriptions[1] =
      g_dbus_connection_signal_subscribe (self->connection, VMSAN_BUS_NAME,
                                          "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                          NULL, VMSAN_INTERFACE_VM, G_DBUS_SIGNAL_FLAGS_NONE,
                                          on_properties_changed, self, NULL);
  self->subscriptions[2] =
      g_dbus_connection_signal_subscribe (self->connection, VMSAN_BUS_NAME,
                                          "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
                                          VMSAN_OBJECT_ROOT, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                          on_interfaces_removed, self, NULL);
  self->name_watch =
      g_bus_watch_name_on_connection (self->connection, VMSAN_BUS_NAME,
                                      G_BUS_NAME_WATCHER_FLAGS_NONE, on_name_appeared,
                                      on_name_vanished, self, NULL);
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_client_dispose (GObject *object)
{
  VmsanClient *self = VMSAN_CLIENT (object);

  if (self->connection != NULL)
    for (guint i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
      if (self->subscriptions[i] != 0)
        g_dbus_connection_signal_unsubscribe (self->connection, self->subscriptions[i]);
  memset (self->subscriptions, 0, sizeof self->subscriptions);
  if (self->name_watch != 0)
    g_bus_unwatch_name (self->name_watch);
  self->name_watch = 0;
  G_OBJECT_CLASS (vmsan_client_parent_class)->dispose (object);
}

static void
vmsan_client_finalize (GObject *object)
{
  VmsanClient *self = VMSAN_CLIENT (object);

  /* Machines hold the client, so none is left. */
  g_hash_table_unref (self->vms);
  g_hash_table_unref (self->properties);
  g_clear_object (&self->connection);
  G_OBJECT_CLASS (vmsan_client_parent_class)->finalize (object);
}

static void
vmsan_client_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  VmsanClient *self = VMSAN_CLIENT (object);

  switch (id)
    {
    case PROP_CONNECTION:
      g_value_set_object (value, self->connection);
      break;
    case PROP_INTERACTIVE:
      g_value_set_boolean (value, self->interactive);
      break;
    case PROP_AVAILABLE:
      g_value_set_boolean (value, self->available);
      break;
    case PROP_VERSION:
      g_value_set_string (value, vmsan_client_get_version (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
vmsan_client_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  VmsanClient *self = VMSAN_CLIENT (object);

  switch (id)
    {
    case PROP_CONNECTION:
      self->connection = g_value_dup_object (value);
      break;
    case PROP_INTERACTIVE:
      vmsan_client_set_interactive (self, g_value_get_boolean (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
vmsan_client_class_init (VmsanClientClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  /* For the messages of errors; the program that uses this library has a domain of its own. */
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");

  object_class->dispose = vmsan_client_dispose;
  object_class->finalize = vmsan_client_finalize;
  object_class->get_property = vmsan_client_get_property;
  object_class->set_property = vmsan_client_set_property;

  /**
   * VmsanClient:connection:
   *
   * The bus connection; the shared one to the system bus unless another is given.
   */
  props[PROP_CONNECTION] =
      g_param_spec_object ("connection", NULL, NULL, G_TYPE_DBUS_CONNECTION,
                           G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  /**
   * VmsanClient:interactive:
   *
   * Whether calls may make the service ask for a password.
   */
  props[PROP_INTERACTIVE] =
      g_param_spec_boolean ("interactive", NULL, NULL, TRUE,
                            G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_EXPLICIT_NOTIFY |
                                G_PARAM_STATIC_STRINGS);
  /**
   * VmsanClient:available:
   *
   * Whether the service is on the bus. A call starts it when it is not.
   */
  props[PROP_AVAILABLE] =
      g_param_spec_boolean ("available", NULL, NULL, FALSE,
                            G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  /**
   * VmsanClient:version:
   *
   * The service's version.
   */
  props[PROP_VERSION] =
      g_param_spec_string ("version", NULL, NULL, "",
                           G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, props);

  /**
   * VmsanClient::hook:
   * @client: the client
   * @name: name of the signal, such as "AfterStart" or "NetworkPolicyChanged"; it is also the
   * detail
   * @parameters: what came with it: a tuple, as in the D-Bus interface `org.vmsan.Manager`
   *
   * Something happened to a machine.
   */
  signals[SIGNAL_HOOK] =
      g_signal_new ("hook", VMSAN_TYPE_CLIENT, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0, NULL, NULL,
                    NULL, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_VARIANT);
}

static void
vmsan_client_init (VmsanClient *self)
{
  g_autoptr (GVariant) none = g_variant_ref_sink (vmsan_call_options (NULL));

  self->vms = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->properties = vmsan_properties_new (none);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

/* The first call starts the service when it is not there, and says so when that fails. */
static void
init_loaded (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  VmsanClient *self = g_task_get_source_object (task);
  g_autoptr (GVariant) properties = g_variant_get_child_value (reply, 0);

  g_hash_table_unref (self->properties);
  self->properties = vmsan_properties_new (properties);
  self->loaded = TRUE;
  self->available = TRUE;
  vmsan_call_return_true (task, reply, fds);
}

static void
init_load (VmsanClient *self, GTask *task)
{
  vmsan_call_get_all (self, VMSAN_OBJECT_MANAGER, VMSAN_INTERFACE_MANAGER, task, init_loaded);
}

static void
prefix_no_bus (GError *error)
{
  g_prefix_error (&error, "%s",
                  _ ("Could not connect to the system bus, which the service vmsand is on: "));
}

static void
init_connected (GObject *object, GAsyncResult *result, gpointer user_data)
{
  GTask *task = user_data;
  VmsanClient *self = g_task_get_source_object (task);
  GError *error = NULL;

  self->connection = g_bus_get_finish (result, &error);
  if (self->connection == NULL)
    {
      prefix_no_bus (error);
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  subscribe (self);
  init_load (self, task);
}

static void
vmsan_client_init_async (GAsyncInitable *initable,
                         int io_priority,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  VmsanClient *self = VMSAN_CLIENT (initable);
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  if (self->connection == NULL)
    {
      g_bus_get (G_BUS_TYPE_SYSTEM, cancellable, init_connected, task);
      return;
    }
  subscribe (self);
  init_load (self, task);
}

static gboolean
vmsan_client_init_finish (GAsyncInitable *initable, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
vmsan_client_initable_init (GInitable *initable, GCancellable *cancellable, GError **error)
{
  VmsanClient *self = VMSAN_CLIENT (initable);
  g_auto (VmsanSync) sync = { 0 };
  GAsyncResult *result;

  if (self->connection == NULL)
    self->connection = g_bus_get_sync (G_BUS_TYPE_SYSTEM, cancellable, error);
  if (self->connection == NULL)
    {
      if (error != NULL)
        prefix_no_bus (*error);
      return FALSE;
    }
  /* In the caller's main context, not in the sync's. */
  subscribe (self);
  vmsan_sync_begin (&sync);
  init_load (self, g_task_new (self, cancellable, vmsan_sync_done, &sync));
  result = vmsan_sync_end (&sync);
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
initable_init (GInitableIface *iface)
{
  iface->init = vmsan_client_initable_init;
}

static void
async_initable_init (GAsyncInitableIface *iface)
{
  iface->init_async = vmsan_client_init_async;
  iface->init_finish = vmsan_client_init_finish;
}

/**
 * vmsan_client_new:
 * @cancellable: (nullable): to give up
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Connects to the service on the system bus, and starts it when it does not run.
 */
void
vmsan_client_new (GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_async_initable_new_async (VMSAN_TYPE_CLIENT, G_PRIORITY_DEFAULT, cancellable, callback,
                              user_data, NULL);
}

/**
 * vmsan_client_new_finish:
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): a client, or %NULL with @error set
 */
VmsanClient *
vmsan_client_new_finish (GAsyncResult *result, GError **error)
{
  g_autoptr (GObject) source = g_async_result_get_source_object (result);
  GObject *object = g_async_initable_new_finish (G_ASYNC_INITABLE (source), result, error);

  return object != NULL ? VMSAN_CLIENT (object) : NULL;
}

/**
 * vmsan_client_new_sync:
 * @cancellable: (nullable): to give up
 * @error: return location for an error
 *
 * Connects to the service on the system bus, and waits for that.
 *
 * Returns: (transfer full) (nullable): a client, or %NULL with @error set
 */
VmsanClient *
vmsan_client_new_sync (GCancellable *cancellable, GError **error)
{
  return g_initable_new (VMSAN_TYPE_CLIENT, cancellable, error, NULL);
}

/* ---- Properties ---------------------------------------------------------------------------- */

/**
 * vmsan_client_get_connection:
 * @client: a client
 *
 * Returns: (transfer none): the bus connection
 */
GDBusConnection *
vmsan_client_get_connection (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), NULL);
  return client->connection;
}

/**
 * vmsan_client_get_interactive:
 * @client: a client
 *
 * Returns: whether calls may make the service ask for a password
 */
gboolean
vmsan_client_get_interactive (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), FALSE);
  return client->interactive;
}

/**
 * vmsan_client_set_interactive:
 * @client: a client
 * @interactive: whether calls may make the service ask for a password
 *
 * Without it, what would need a password fails with %VMSAN_ERROR_AUTHORIZATION_REQUIRED.
 */
void
vmsan_client_set_interactive (VmsanClient *client, gboolean interactive)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  interactive = interactive != FALSE;
  if (client->interactive == interactive)
    return;
  client->interactive = interactive;
  g_object_notify_by_pspec (G_OBJECT (client), props[PROP_INTERACTIVE]);
}

/**
 * vmsan_client_get_available:
 * @client: a client
 *
 * Returns: whether the service is on the bus
 */
gboolean
vmsan_client_get_available (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), FALSE);
  return client->available;
}

/**
 * vmsan_client_get_version:
 * @client: a client
 *
 * Returns: (transfer none): the service's version, such as "0.1.0"
 */
const char *
vmsan_client_get_version (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), NULL);
  return vmsan_properties_get_string (client->properties, "Version");
}

/**
 * vmsan_client_get_features:
 * @client: a client
 *
 * Returns: (transfer full): names of what the service can do beyond version 0.1
 */
char **
vmsan_client_get_features (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), NULL);
  return vmsan_properties_dup_strv (client->properties, "Features");
}

/**
 * vmsan_client_get_drivers:
 * @client: a client
 *
 * Returns: (transfer full) (nullable): `a{sa{sv}}`: by driver name "available" (`b`),
 *   "acceleration" (`s`), "version" (`s`) and "reason" (`s`)
 */
GVariant *
vmsan_client_get_drivers (VmsanClient *client)
{
  g_return_val_if_fail (VMSAN_IS_CLIENT (client), NULL);
  return vmsan_properties_ref_variant (client->properties, "Drivers", G_VARIANT_TYPE ("a{sa{sv}}"));
}
