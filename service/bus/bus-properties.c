/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: everything here may be seen by any local user. What may not is in GetDetails. */

#include "bus/bus-properties.h"

#include "config.h"

char *
vmsan_bus_vm_path (const char *id)
{
  return g_strconcat ("/org/vmsan/vms/", id, NULL);
}

char *
vmsan_bus_content_path (VmsanContentKind kind, const char *id)
{
  static const char *const parents[] = {
    [VMSAN_CONTENT_IMAGE] = "/org/vmsan/images/",
    [VMSAN_CONTENT_KERNEL] = "/org/vmsan/kernels/",
  };

  return g_strconcat (parents[kind], id, NULL);
}

/* ---- Tables -------------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  GVariant *(*get) (gconstpointer object);
  gboolean changing;
} Property;

#define VM_PROPERTY(name, expression)                                                              \
  static GVariant *vm_##name (gconstpointer object)                                                \
  {                                                                                                \
    const VmsanVmRecord *record = object;                                                          \
    return expression;                                                                             \
  }

#define CONTENT_PROPERTY(name, expression)                                                         \
  static GVariant *content_##name (gconstpointer object)                                           \
  {                                                                                                \
    const VmsanContent *content = object;                                                          \
    return expression;                                                                             \
  }

static GVariant *
take_path (char *path)
{
  g_autofree char *owned = path;

  return g_variant_new_object_path (owned);
}

/* What machines can get of a kernel. */
static GVariant *
describe_formats (const VmsanContent *kernel)
{
  const char *const formats[] = { kernel->format, "elf" };

  return g_variant_new_strv (formats, vmsan_content_has_vmlinux (kernel) ? 2 : 1);
}

VM_PROPERTY (id, g_variant_new_string (record->id))
VM_PROPERTY (name, g_variant_new_string (record->name))
VM_PROPERTY (owner, g_variant_new_uint32 (record->owner))
VM_PROPERTY (state, g_variant_new_string (vmsan_vm_state_to_string (record->state)))
VM_PROPERTY (reason, g_variant_new_string (record->reason))
VM_PROPERTY (driver, g_variant_new_string (record->driver))
VM_PROPERTY (acceleration, g_variant_new_string (record->acceleration))
VM_PROPERTY (vcpus, g_variant_new_uint32 (record->vcpus))
VM_PROPERTY (memory, g_variant_new_uint32 (record->memory_mib))
VM_PROPERTY (disk, g_variant_new_uint32 (record->disk_mib))
VM_PROPERTY (image, take_path (vmsan_bus_content_path (VMSAN_CONTENT_IMAGE, record->image_id)))
VM_PROPERTY (kernel, take_path (vmsan_bus_content_path (VMSAN_CONTENT_KERNEL, record->kernel_id)))
VM_PROPERTY (created, g_variant_new_uint64 (record->created_us))
VM_PROPERTY (timeout, g_variant_new_uint64 (record->timeout_at_us))

static const Property vm_properties[] = {
  { "Id", vm_id, FALSE },
  { "Name", vm_name, FALSE },
  { "Owner", vm_owner, FALSE },
  { "State", vm_state, TRUE },
  { "StateReason", vm_reason, TRUE },
  { "Driver", vm_driver, FALSE },
  { "Acceleration", vm_acceleration, TRUE },
  { "VCPUs", vm_vcpus, FALSE },
  { "MemoryMiB", vm_memory, FALSE },
  { "DiskMiB", vm_disk, FALSE },
  { "Image", vm_image, FALSE },
  { "Kernel", vm_kernel, FALSE },
  { "CreatedAt", vm_created, FALSE },
  { "TimeoutAt", vm_timeout, TRUE },
  { NULL },
};

CONTENT_PROPERTY (id, g_variant_new_string (content->id))
CONTENT_PROPERTY (name, g_variant_new_string (content->name))
CONTENT_PROPERTY (format, g_variant_new_string (content->format))
CONTENT_PROPERTY (size, g_variant_new_uint64 (content->size_bytes))
CONTENT_PROPERTY (added_at, g_variant_new_uint64 (content->added_us))
CONTENT_PROPERTY (added_by, g_variant_new_uint32 (content->added_by))
CONTENT_PROPERTY (version, g_variant_new_string (content->version))
CONTENT_PROPERTY (formats, describe_formats (content))
CONTENT_PROPERTY (no_elf, g_variant_new_string (content->no_elf))
CONTENT_PROPERTY (modules, g_variant_new_strv ((const char *const *) content->modules, -1))

static const Property image_properties[] = {
  { "Id", content_id },
  { "Name", content_name },
  { "Format", content_format },
  { "Size", content_size },
  { "AddedAt", content_added_at },
  { "AddedBy", content_added_by },
  { NULL },
};

static const Property kernel_properties[] = {
  { "Id", content_id },
  { "Name", content_name },
  { "KernelVersion", content_version },
  { "Modules", content_modules },
  { "Format", content_format },
  { "Formats", content_formats },
  { "NoElfReason", content_no_elf },
  { "Size", content_size },
  { "AddedAt", content_added_at },
  { "AddedBy", content_added_by },
  { NULL },
};

static const Property *const content_properties[] = {
  [VMSAN_CONTENT_IMAGE] = image_properties,
  [VMSAN_CONTENT_KERNEL] = kernel_properties,
};

static GVariant *
manager_version (gconstpointer object)
{
  return g_variant_new_string (PACKAGE_VERSION);
}

static GVariant *
manager_features (gconstpointer object)
{
  return g_variant_new_strv (NULL, 0);
}

static GVariant *
manager_drivers (gconstpointer object)
{
  return vmsan_vm_manager_describe_drivers ((VmsanVmManager *) object);
}

static const Property manager_properties[] = {
  { "Version", manager_version },
  { "Features", manager_features },
  { "Drivers", manager_drivers },
  { NULL },
};

/* ---- Reading ------------------------------------------------------------------------------- */

static GVariant *
get_one (const Property *properties, gconstpointer object, const char *name)
{
  for (; properties->name != NULL; properties++)
    if (g_str_equal (properties->name, name))
      return properties->get (object);
  return NULL;
}

/* The name as a value, made once: thousands of machines hold the same ones. */
static GVariant *
shared_name (const char *name)
{
  static GHashTable *names; /* static string → GVariant */
  GVariant *value;

  if (names == NULL)
    names = g_hash_table_new (NULL, NULL);
  value = g_hash_table_lookup (names, name);
  if (value == NULL)
    {
      value = g_variant_ref_sink (g_variant_new_string (name));
      g_hash_table_insert (names, (gpointer) name, value);
    }
  return value;
}

static GVariant *
get_all (const Property *properties, gconstpointer object, gboolean only_changing)
{
  GVariantBuilder all;

  g_variant_builder_init (&all, G_VARIANT_TYPE_VARDICT);
  for (; properties->name != NULL; properties++)
    if (!only_changing || properties->changing)
      g_variant_builder_add_value (&all, g_variant_new_dict_entry (shared_name (properties->name),
                                                                   g_variant_new_variant (
                                                                       properties->get (object))));
  return g_variant_builder_end (&all);
}

GVariant *
vmsan_bus_vm_get_property (VmsanVm *vm, const char *name)
{
  return get_one (vm_properties, vmsan_vm_get_record (vm), name);
}

GVariant *
vmsan_bus_vm_get_properties (VmsanVm *vm)
{
  return get_all (vm_properties, vmsan_vm_get_record (vm), FALSE);
}

GVariant *
vmsan_bus_vm_get_changing_properties (VmsanVm *vm)
{
  return get_all (vm_properties, vmsan_vm_get_record (vm), TRUE);
}

GVariant *
vmsan_bus_content_get_property (VmsanContentKind kind, VmsanContent *content, const char *name)
{
  return get_one (content_properties[kind], content, name);
}

GVariant *
vmsan_bus_content_get_properties (VmsanContentKind kind, VmsanContent *content)
{
  return get_all (content_properties[kind], content, FALSE);
}

GVariant *
vmsan_bus_manager_get_property (VmsanVmManager *manager, const char *name)
{
  return get_one (manager_properties, manager, name);
}

GVariant *
vmsan_bus_manager_get_properties (VmsanVmManager *manager)
{
  return get_all (manager_properties, manager, FALSE);
}
