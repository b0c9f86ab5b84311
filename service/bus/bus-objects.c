/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an object is on the bus exactly as long as what it stands for exists, and each change is
 * announced once. */

#include "bus/bus-objects.h"

#include "bus/bus-methods.h"
#include "bus/bus-properties.h"
#include "bus/interfaces.h"
#include "sys/error.h"

#define ROOT_PATH    "/org/vmsan"
#define MANAGER_PATH ROOT_PATH "/Manager"

/* The interface is the D-Bus specification's; GLib implements it only for objects of its own. */
static const char object_manager_xml[] =
    "<node><interface name='org.freedesktop.DBus.ObjectManager'>"
    "<method name='GetManagedObjects'>"
    "<arg name='objects' type='a{oa{sa{sv}}}' direction='out'/></method>"
    "<signal name='InterfacesAdded'><arg name='object' type='o'/>"
    "<arg name='interfaces' type='a{sa{sv}}'/></signal>"
    "<signal name='InterfacesRemoved'><arg name='object' type='o'/>"
    "<arg name='interfaces' type='as'/></signal>"
    "</interface></node>";

static const char *const content_interfaces[] = {
  [VMSAN_CONTENT_IMAGE] = "org.vmsan.Image",
  [VMSAN_CONTENT_KERNEL] = "org.vmsan.Kernel",
};

typedef enum
{
  COLLECTION_VMS,
  COLLECTION_IMAGES,
  COLLECTION_KERNELS,
  N_COLLECTIONS
} CollectionKind;

typedef struct
{
  VmsanBusObjects *objects;
  CollectionKind kind;
  const char *path;
  const GDBusInterfaceInfo *interface;
  guint registration;
} Collection;

struct _VmsanBusObjects
{
  VmsanBus *bus;
  GDBusNodeInfo *object_manager;
  guint root_registration;
  guint manager_registration;
  Collection collections[N_COLLECTIONS];
  GHashTable *vm_cache; /* VmsanVm → VmsanBusEntries */
};

/* ---- Members of collections ---------------------------------------------------------------- */

static VmsanContentStore *
store_of (Collection *collection)
{
  VmsanVmManager *manager = collection->objects->bus->manager;

  return collection->kind == COLLECTION_IMAGES ? vmsan_vm_manager_get_images (manager)
                                               : vmsan_vm_manager_get_kernels (manager);
}

/* Only whole ids are object names, not prefixes or names. */
static VmsanContent *
find_content (Collection *collection, const char *id)
{
  g_autoptr (VmsanContent) content = NULL;

  if (id == NULL || strlen (id) != 64)
    return NULL;
  content = vmsan_content_store_find (store_of (collection), id, NULL);
  return content != NULL && g_str_equal (content->id, id) ? g_steal_pointer (&content) : NULL;
}

static gboolean
member_exists (Collection *collection, const char *node)
{
  g_autoptr (VmsanContent) content = NULL;

  if (node == NULL)
    return FALSE;
  if (collection->kind == COLLECTION_VMS)
    return vmsan_vm_manager_get (collection->objects->bus->manager, node) != NULL;
  content = find_content (collection, node);
  return content != NULL;
}

static gboolean
add_vm_id (VmsanVm *vm, gpointer user_data)
{
  g_strv_builder_add (user_data, vmsan_vm_get_record (vm)->id);
  return TRUE;
}

static char **
enumerate_members (GDBusConnection *connection,
                   const char *sender,
                   const char *path,
                   gpointer user_data)
{
  Collection *collection = user_data;
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  if (collection->kind == COLLECTION_VMS)
    vmsan_vm_manager_visit (collection->objects->bus->manager, NULL, add_vm_id, ids);
  else
    {
      g_autoptr (GPtrArray) all = vmsan_content_store_list (store_of (collection));

      for (guint i = 0; i < all->len; i++)
        g_strv_builder_add (ids, ((VmsanContent *) g_ptr_array_index (all, i))->id);
    }
  return g_strv_builder_end (ids);
}

static GDBusInterfaceInfo **
introspect_member (GDBusConnection *connection,
                   const char *sender,
                   const char *path,
                   const char *node,
                   gpointer user_data)
{
  Collection *collection = user_data;
  GDBusInterfaceInfo **interfaces;

  if (!member_exists (collection, node))
    return NULL;
  interfaces = g_new0 (GDBusInterfaceInfo *, 2);
  interfaces[0] = g_dbus_interface_info_ref ((GDBusInterfaceInfo *) collection->interface);
  return interfaces;
}

/* ---- Methods and properties ---------------------------------------------------------------- */

static void
handle_call (VmsanBus *bus,
             const char *interface,
             const char *name,
             GDBusMethodInvocation *invocation)
{
  const VmsanBusMethod *method = vmsan_bus_methods_find (interface, name);

  if (method != NULL)
    vmsan_bus_call_dispatch (bus, method, invocation);
  else
    g_dbus_method_invocation_return_error (invocation, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                                           "%s.%s is not implemented", interface, name);
}

static void
on_member_call (GDBusConnection *connection,
                const char *sender,
                const char *path,
                const char *interface,
                const char *method,
                GVariant *parameters,
                GDBusMethodInvocation *invocation,
                gpointer user_data)
{
  Collection *collection = user_data;

  handle_call (collection->objects->bus, interface, method, invocation);
}

static GVariant *
get_member_property (GDBusConnection *connection,
                     const char *sender,
                     const char *path,
                     const char *interface,
                     const char *name,
                     GError **error,
                     gpointer user_data)
{
  Collection *collection = user_data;
  const char *id = strrchr (path, '/') + 1;
  g_autoptr (VmsanContent) content = NULL;
  GVariant *value = NULL;

  if (collection->kind == COLLECTION_VMS)
    {
      VmsanVm *vm = vmsan_vm_manager_get (collection->objects->bus->manager, id);

      value = vm != NULL ? vmsan_bus_vm_get_property (vm, name) : NULL;
    }
  else if ((content = find_content (collection, id)) != NULL)
    value = vmsan_bus_content_get_property (vmsan_content_store_get_kind (store_of (collection)),
                                            content, name);
  if (value == NULL)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "%s is gone", path);
  return value;
}

static const GDBusInterfaceVTable member_vtable = {
  on_member_call, get_member_property, NULL, { 0 }
};

static const GDBusInterfaceVTable *
dispatch_member (GDBusConnection *connection,
                 const char *sender,
                 const char *path,
                 const char *interface,
                 const char *node,
                 gpointer *out_user_data,
                 gpointer user_data)
{
  *out_user_data = user_data;
  return &member_vtable;
}

static const GDBusSubtreeVTable subtree_vtable = {
  enumerate_members, introspect_member, dispatch_member, { 0 }
};

static void
on_manager_call (GDBusConnection *connection,
                 const char *sender,
                 const char *path,
                 const char *interface,
                 const char *method,
                 GVariant *parameters,
                 GDBusMethodInvocation *invocation,
                 gpointer user_data)
{
  VmsanBusObjects *self = user_data;

  handle_call (self->bus, interface, method, invocation);
}

static GVariant *
get_manager_property (GDBusConnection *connection,
                      const char *sender,
                      const char *path,
                      const char *interface,
                      const char *name,
                      GError **error,
                      gpointer user_data)
{
  VmsanBusObjects *self = user_data;

  return vmsan_bus_manager_get_property (self->bus->manager, name);
}

static const GDBusInterfaceVTable manager_vtable = {
  on_manager_call, get_manager_property, NULL, { 0 }
};

/* ---- ObjectManager ------------------------------------------------------------------------- */

/* An entry of GetManagedObjects, floating. */
static GVariant *
new_managed_entry (const char *path, const char *interface, GVariant *properties)
{
  GVariantBuilder interfaces;

  g_variant_builder_init (&interfaces, G_VARIANT_TYPE ("a{sa{sv}}"));
  g_variant_builder_add (&interfaces, "{s@a{sv}}", interface, properties);
  return g_variant_new ("{oa{sa{sv}}}", path, &interfaces);
}

static void
entries_free (VmsanBusEntries *entries)
{
  g_variant_unref (entries->listed);
  g_variant_unref (entries->managed);
  g_free (entries);
}

const VmsanBusEntries *
vmsan_bus_objects_get_vm_entries (VmsanBusObjects *self, VmsanVm *vm)
{
  VmsanBusEntries *entries = g_hash_table_lookup (self->vm_cache, vm);
  g_autoptr (GVariant) properties = NULL;
  g_autofree char *path = NULL;

  if (entries != NULL)
    return entries;
  path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);
  properties = g_variant_ref_sink (vmsan_bus_vm_get_properties (vm));
  entries = g_new0 (VmsanBusEntries, 1);
  entries->listed = g_variant_ref_sink (g_variant_new ("{o@a{sv}}", path, properties));
  entries->managed = g_variant_ref_sink (new_managed_entry (path, "org.vmsan.VM", properties));
  g_hash_table_insert (self->vm_cache, vm, entries);
  return entries;
}

static void
add_object (GVariantBuilder *objects, char *path, const char *interface, GVariant *properties)
{
  g_autofree char *owned_path = path;

  g_variant_builder_add_value (objects, new_managed_entry (path, interface, properties));
}

typedef struct
{
  VmsanBusObjects *self;
  GVariantBuilder builder;
} Managed;

static gboolean
add_managed_vm (VmsanVm *vm, gpointer user_data)
{
  Managed *managed = user_data;

  g_variant_builder_add_value (&managed->builder,
                               vmsan_bus_objects_get_vm_entries (managed->self, vm)->managed);
  return TRUE;
}

static void
add_managed_contents (GVariantBuilder *objects, VmsanContentStore *store)
{
  VmsanContentKind kind = vmsan_content_store_get_kind (store);
  g_autoptr (GPtrArray) all = vmsan_content_store_list (store);

  for (guint i = 0; i < all->len; i++)
    {
      VmsanContent *content = g_ptr_array_index (all, i);

      add_object (objects, vmsan_bus_content_path (kind, content->id), content_interfaces[kind],
                  vmsan_bus_content_get_properties (kind, content));
    }
}

static void
on_root_call (GDBusConnection *connection,
              const char *sender,
              const char *path,
              const char *interface,
              const char *method,
              GVariant *parameters,
              GDBusMethodInvocation *invocation,
              gpointer user_data)
{
  VmsanBusObjects *self = user_data;
  VmsanVmManager *manager = self->bus->manager;
  Managed managed = { .self = self };

  g_variant_builder_init (&managed.builder, G_VARIANT_TYPE ("a{oa{sa{sv}}}"));
  add_object (&managed.builder, g_strdup (MANAGER_PATH), "org.vmsan.Manager",
              vmsan_bus_manager_get_properties (manager));
  add_managed_contents (&managed.builder, vmsan_vm_manager_get_images (manager));
  add_managed_contents (&managed.builder, vmsan_vm_manager_get_kernels (manager));
  vmsan_vm_manager_visit (manager, NULL, add_managed_vm, &managed);
  vmsan_bus_reply_in_thread (invocation, g_variant_new ("(@a{oa{sa{sv}}})",
                                                        g_variant_builder_end (&managed.builder)));
}

static const GDBusInterfaceVTable root_vtable = { on_root_call, NULL, NULL, { 0 } };

/* ---- Announcements ------------------------------------------------------------------------- */

static void
emit (VmsanBusObjects *self,
      const char *path,
      const char *interface,
      const char *signal,
      GVariant *parameters)
{
  g_dbus_connection_emit_signal (self->bus->connection, NULL, path, interface, signal, parameters,
                                 NULL);
}

static void
emit_added (VmsanBusObjects *self, const char *path, const char *interface, GVariant *properties)
{
  GVariantBuilder interfaces;

  g_variant_builder_init (&interfaces, G_VARIANT_TYPE ("a{sa{sv}}"));
  g_variant_builder_add (&interfaces, "{s@a{sv}}", interface, properties);
  emit (self, ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
        g_variant_new ("(oa{sa{sv}})", path, &interfaces));
}

static void
emit_removed (VmsanBusObjects *self, const char *path, const char *interface)
{
  const char *interfaces[] = { interface, NULL };

  emit (self, ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
        g_variant_new ("(o^as)", path, interfaces));
}

static void
on_vm_added (VmsanVmManager *manager, VmsanVm *vm, VmsanBusObjects *self)
{
  g_autofree char *path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);

  emit_added (self, path, "org.vmsan.VM", vmsan_bus_vm_get_properties (vm));
}

static void
on_vm_removed (VmsanVmManager *manager, VmsanVm *vm, VmsanBusObjects *self)
{
  g_autofree char *path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);

  g_hash_table_remove (self->vm_cache, vm);
  emit_removed (self, path, "org.vmsan.VM");
}

static void
on_vm_changed (VmsanVmManager *manager, VmsanVm *vm, VmsanBusObjects *self)
{
  g_autofree char *path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);
  const char *invalidated[] = { NULL };

  g_hash_table_remove (self->vm_cache, vm);
  emit (self, path, "org.freedesktop.DBus.Properties", "PropertiesChanged",
        g_variant_new ("(s@a{sv}^as)", "org.vmsan.VM", vmsan_bus_vm_get_changing_properties (vm),
                       invalidated));
}

static void
on_content_added (VmsanContentStore *store, VmsanContent *content, VmsanBusObjects *self)
{
  VmsanContentKind kind = vmsan_content_store_get_kind (store);
  g_autofree char *path = vmsan_bus_content_path (kind, content->id);

  emit_added (self, path, content_interfaces[kind],
              vmsan_bus_content_get_properties (kind, content));
}

static void
on_content_removed (VmsanContentStore *store, VmsanContent *content, VmsanBusObjects *self)
{
  VmsanContentKind kind = vmsan_content_store_get_kind (store);
  g_autofree char *path = vmsan_bus_content_path (kind, content->id);

  emit_removed (self, path, content_interfaces[kind]);
}

static void
follow (VmsanBusObjects *self)
{
  VmsanVmManager *manager = self->bus->manager;
  VmsanContentStore *images = vmsan_vm_manager_get_images (manager);
  VmsanContentStore *kernels = vmsan_vm_manager_get_kernels (manager);

  g_signal_connect (manager, "vm-added", G_CALLBACK (on_vm_added), self);
  g_signal_connect (manager, "vm-removed", G_CALLBACK (on_vm_removed), self);
  g_signal_connect (manager, "vm-changed", G_CALLBACK (on_vm_changed), self);
  g_signal_connect (images, "added", G_CALLBACK (on_content_added), self);
  g_signal_connect (images, "removed", G_CALLBACK (on_content_removed), self);
  g_signal_connect (kernels, "added", G_CALLBACK (on_content_added), self);
  g_signal_connect (kernels, "removed", G_CALLBACK (on_content_removed), self);
}

static void
unfollow (VmsanBusObjects *self)
{
  VmsanVmManager *manager = self->bus->manager;

  g_signal_handlers_disconnect_by_data (manager, self);
  g_signal_handlers_disconnect_by_data (vmsan_vm_manager_get_images (manager), self);
  g_signal_handlers_disconnect_by_data (vmsan_vm_manager_get_kernels (manager), self);
}

/* ---- Registration -------------------------------------------------------------------------- */

static gboolean
register_collection (VmsanBusObjects *self,
                     CollectionKind kind,
                     const char *path,
                     const GDBusInterfaceInfo *interface,
                     GError **error)
{
  Collection *collection = &self->collections[kind];

  collection->objects = self;
  collection->kind = kind;
  collection->path = path;
  collection->interface = interface;
  /* Unenumerated: a call need not list all members to find that its own is there. */
  collection->registration =
      g_dbus_connection_register_subtree (self->bus->connection, path, &subtree_vtable,
                                          G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES,
                                          collection, NULL, error);
  return collection->registration != 0;
}

static gboolean
register_all (VmsanBusObjects *self, GError **error)
{
  GDBusConnection *connection = self->bus->connection;

  self->root_registration =
      g_dbus_connection_register_object (connection, ROOT_PATH, self->object_manager->interfaces[0],
                                         &root_vtable, self, NULL, error);
  if (self->root_registration == 0)
    return FALSE;
  self->manager_registration =
      g_dbus_connection_register_object (connection, MANAGER_PATH,
                                         (GDBusInterfaceInfo *) &org_vmsan_manager_interface,
                                         &manager_vtable, self, NULL, error);
  return self->manager_registration != 0 &&
         register_collection (self, COLLECTION_VMS, ROOT_PATH "/vms", &org_vmsan_vm_interface,
                              error) &&
         register_collection (self, COLLECTION_IMAGES, ROOT_PATH "/images",
                              &org_vmsan_image_interface, error) &&
         register_collection (self, COLLECTION_KERNELS, ROOT_PATH "/kernels",
                              &org_vmsan_kernel_interface, error);
}

VmsanBusObjects *
vmsan_bus_objects_new (VmsanBus *bus, GError **error)
{
  VmsanBusObjects *self = g_new0 (VmsanBusObjects, 1);

  self->bus = bus;
  self->object_manager = g_dbus_node_info_new_for_xml (object_manager_xml, NULL);
  self->vm_cache = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) entries_free);
  follow (self);
  if (!register_all (self, error))
    {
      vmsan_bus_objects_free (self);
      return NULL;
    }
  return self;
}

void
vmsan_bus_objects_free (VmsanBusObjects *self)
{
  GDBusConnection *connection = self->bus->connection;

  unfollow (self);
  for (guint i = 0; i < N_COLLECTIONS; i++)
    if (self->collections[i].registration != 0)
      g_dbus_connection_unregister_subtree (connection, self->collections[i].registration);
  if (self->manager_registration != 0)
    g_dbus_connection_unregister_object (connection, self->manager_registration);
  if (self->root_registration != 0)
    g_dbus_connection_unregister_object (connection, self->root_registration);
  g_hash_table_unref (self->vm_cache);
  g_dbus_node_info_unref (self->object_manager);
  g_free (self);
}
