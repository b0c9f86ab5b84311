/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what a machine says of itself is what the service said last, and a change is notified
 * once. The calls are in vmsan-vm-calls.c. */

#include "config.h"

#include "vmsan-vm-private.h"

#include "vmsan-client-private.h"
#include "vmsan-object-private.h"
#include "vmsan-properties.h"

/**
 * VmsanVM:
 *
 * One virtual machine of the service. There is one object for a machine in a [class@Client],
 * however often it is asked for. Its properties follow the service while the main context runs in
 * which the client was made.
 */

enum
{
  PROP_0,
  PROP_OBJECT_PATH,
  PROP_REMOVED,
  PROP_ID,
  PROP_NAME,
  PROP_OWNER,
  PROP_STATE,
  PROP_STATE_REASON,
  PROP_DRIVER,
  PROP_ACCELERATION,
  PROP_VCPUS,
  PROP_MEMORY_MIB,
  PROP_DISK_MIB,
  PROP_IMAGE_PATH,
  PROP_KERNEL_PATH,
  PROP_CREATED_AT,
  PROP_TIMEOUT_AT,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

/* What each property is called on the bus. */
static const char *const bus_names[N_PROPS] = {
  [PROP_ID] = "Id",
  [PROP_NAME] = "Name",
  [PROP_OWNER] = "Owner",
  [PROP_STATE] = "State",
  [PROP_STATE_REASON] = "StateReason",
  [PROP_DRIVER] = "Driver",
  [PROP_ACCELERATION] = "Acceleration",
  [PROP_VCPUS] = "VCPUs",
  [PROP_MEMORY_MIB] = "MemoryMiB",
  [PROP_DISK_MIB] = "DiskMiB",
  [PROP_IMAGE_PATH] = "Image",
  [PROP_KERNEL_PATH] = "Kernel",
  [PROP_CREATED_AT] = "CreatedAt",
  [PROP_TIMEOUT_AT] = "TimeoutAt",
};

G_DEFINE_FINAL_TYPE (VmsanVM, vmsan_vm, G_TYPE_OBJECT)

static void
vmsan_vm_finalize (GObject *object)
{
  VmsanVM *self = VMSAN_VM (object);

  vmsan_client_forget_vm (self->client, self->path);
  g_clear_object (&self->client);
  g_free (self->path);
  g_clear_pointer (&self->properties, g_hash_table_unref);
  G_OBJECT_CLASS (vmsan_vm_parent_class)->finalize (object);
}

static void
vmsan_vm_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  VmsanVM *self = VMSAN_VM (object);
  const char *name = id < N_PROPS ? bus_names[id] : NULL;

  if (id == PROP_OBJECT_PATH)
    g_value_set_string (value, self->path);
  else if (id == PROP_REMOVED)
    g_value_set_boolean (value, self->removed);
  else if (name == NULL)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  else if (G_VALUE_HOLDS_STRING (value))
    g_value_set_string (value, vmsan_properties_get_string (self->properties, name));
  else if (G_VALUE_HOLDS_UINT (value))
    g_value_set_uint (value, vmsan_properties_get_u32 (self->properties, name));
  else
    g_value_set_int64 (value, (gint64) vmsan_properties_get_u64 (self->properties, name));
}

/* Who and how it is. */
static void
make_state_properties (void)
{
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  /**
   * VmsanVM:object-path:
   *
   * Its D-Bus object path.
   */
  props[PROP_OBJECT_PATH] = g_param_spec_string ("object-path", NULL, NULL, "", flags);
  /**
   * VmsanVM:removed:
   *
   * The service has it no more, whoever removed it. The other properties keep what they were.
   */
  props[PROP_REMOVED] = g_param_spec_boolean ("removed", NULL, NULL, FALSE, flags);
  /**
   * VmsanVM:id:
   *
   * Lower-case letters and digits, unique on this machine, never used again.
   */
  props[PROP_ID] = g_param_spec_string ("id", NULL, NULL, "", flags);
  /**
   * VmsanVM:name:
   *
   * As given when it was created; unique among the owner's machines.
   */
  props[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, "", flags);
  /**
   * VmsanVM:owner:
   *
   * The uid it belongs to.
   */
  props[PROP_OWNER] = g_param_spec_uint ("owner", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /**
   * VmsanVM:state:
   *
   * "creating", "stopped", "starting", "running", "paused", "stopping", "removing" or "error".
   */
  props[PROP_STATE] = g_param_spec_string ("state", NULL, NULL, "", flags);
  /**
   * VmsanVM:state-reason:
   *
   * Why it is in this state, in words; may be empty.
   */
  props[PROP_STATE_REASON] = g_param_spec_string ("state-reason", NULL, NULL, "", flags);
}

/* What it is made of. */
static void
make_shape_properties (void)
{
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  /**
   * VmsanVM:driver:
   *
   * "qemu" or "firecracker".
   */
  props[PROP_DRIVER] = g_param_spec_string ("driver", NULL, NULL, "", flags);
  /**
   * VmsanVM:acceleration:
   *
   * "kvm" or "emulation" while it runs, else empty.
   */
  props[PROP_ACCELERATION] = g_param_spec_string ("acceleration", NULL, NULL, "", flags);
  /**
   * VmsanVM:vcpus:
   *
   * Number of virtual CPUs.
   */
  props[PROP_VCPUS] = g_param_spec_uint ("vcpus", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /**
   * VmsanVM:memory-mib:
   *
   * Memory of the guest in MiB.
   */
  props[PROP_MEMORY_MIB] = g_param_spec_uint ("memory-mib", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /**
   * VmsanVM:disk-mib:
   *
   * Size of the private disk in MiB.
   */
  props[PROP_DISK_MIB] = g_param_spec_uint ("disk-mib", NULL, NULL, 0, G_MAXUINT, 0, flags);
  /**
   * VmsanVM:image-path:
   *
   * Object path of its image.
   */
  props[PROP_IMAGE_PATH] = g_param_spec_string ("image-path", NULL, NULL, "", flags);
  /**
   * VmsanVM:kernel-path:
   *
   * Object path of its kernel.
   */
  props[PROP_KERNEL_PATH] = g_param_spec_string ("kernel-path", NULL, NULL, "", flags);
  /**
   * VmsanVM:created-at:
   *
   * When it was created, in microseconds since 1970-01-01 UTC.
   */
  props[PROP_CREATED_AT] =
      g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, flags);
  /**
   * VmsanVM:timeout-at:
   *
   * When it will be stopped, in microseconds since 1970-01-01 UTC; 0: never.
   */
  props[PROP_TIMEOUT_AT] =
      g_param_spec_int64 ("timeout-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, flags);
}

static void
vmsan_vm_class_init (VmsanVMClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = vmsan_vm_finalize;
  object_class->get_property = vmsan_vm_get_property;
  make_state_properties ();
  make_shape_properties ();
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
vmsan_vm_init (VmsanVM *self)
{
}

VmsanVM *
vmsan_vm_new (VmsanClient *client, const char *path, GVariant *properties)
{
  VmsanVM *self = g_object_new (VMSAN_TYPE_VM, NULL);

  self->client = g_object_ref (client);
  self->path = g_strdup (path);
  self->properties = vmsan_properties_new (properties);
  return self;
}

void
vmsan_vm_update (VmsanVM *vm, GVariant *properties)
{
  GVariantIter iter;
  const char *name;
  GVariant *value;

  g_object_freeze_notify (G_OBJECT (vm));
  g_variant_iter_init (&iter, properties);
  while (g_variant_iter_loop (&iter, "{&sv}", &name, &value))
    {
      if (!vmsan_properties_set (vm->properties, name, value))
        continue;
      for (guint i = 1; i < N_PROPS; i++)
        if (g_strcmp0 (bus_names[i], name) == 0)
          g_object_notify_by_pspec (G_OBJECT (vm), props[i]);
    }
  g_object_thaw_notify (G_OBJECT (vm));
}

void
vmsan_vm_set_removed (VmsanVM *vm)
{
  if (vm->removed)
    return;
  vm->removed = TRUE;
  g_object_notify_by_pspec (G_OBJECT (vm), props[PROP_REMOVED]);
}

/**
 * vmsan_vm_get_object_path:
 * @vm: a machine
 *
 * Returns: (transfer none): its D-Bus object path
 */
const char *
vmsan_vm_get_object_path (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vm->path;
}

/**
 * vmsan_vm_get_removed:
 * @vm: a machine
 *
 * Returns: %TRUE when the service has it no more
 */
gboolean
vmsan_vm_get_removed (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), FALSE);
  return vm->removed;
}

/**
 * vmsan_vm_get_id:
 * @vm: a machine
 *
 * Returns: (transfer none): its id
 */
const char *
vmsan_vm_get_id (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Id");
}

/**
 * vmsan_vm_get_name:
 * @vm: a machine
 *
 * Returns: (transfer none): its name
 */
const char *
vmsan_vm_get_name (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Name");
}

/**
 * vmsan_vm_get_owner:
 * @vm: a machine
 *
 * Returns: the uid it belongs to
 */
guint
vmsan_vm_get_owner (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return vmsan_properties_get_u32 (vm->properties, "Owner");
}

/**
 * vmsan_vm_get_state:
 * @vm: a machine
 *
 * Returns: (transfer none): its state
 */
const char *
vmsan_vm_get_state (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "State");
}

/**
 * vmsan_vm_get_state_reason:
 * @vm: a machine
 *
 * Returns: (transfer none): why it is in its state, in words; may be empty
 */
const char *
vmsan_vm_get_state_reason (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "StateReason");
}

/**
 * vmsan_vm_get_driver:
 * @vm: a machine
 *
 * Returns: (transfer none): "qemu" or "firecracker"
 */
const char *
vmsan_vm_get_driver (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Driver");
}

/**
 * vmsan_vm_get_acceleration:
 * @vm: a machine
 *
 * Returns: (transfer none): "kvm" or "emulation" while it runs, else an empty string
 */
const char *
vmsan_vm_get_acceleration (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Acceleration");
}

/**
 * vmsan_vm_get_vcpus:
 * @vm: a machine
 *
 * Returns: number of virtual CPUs
 */
guint
vmsan_vm_get_vcpus (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return vmsan_properties_get_u32 (vm->properties, "VCPUs");
}

/**
 * vmsan_vm_get_memory_mib:
 * @vm: a machine
 *
 * Returns: memory of the guest in MiB
 */
guint
vmsan_vm_get_memory_mib (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return vmsan_properties_get_u32 (vm->properties, "MemoryMiB");
}

/**
 * vmsan_vm_get_disk_mib:
 * @vm: a machine
 *
 * Returns: size of the private disk in MiB
 */
guint
vmsan_vm_get_disk_mib (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return vmsan_properties_get_u32 (vm->properties, "DiskMiB");
}

/**
 * vmsan_vm_get_image_path:
 * @vm: a machine
 *
 * Returns: (transfer none): object path of its image
 */
const char *
vmsan_vm_get_image_path (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Image");
}

/**
 * vmsan_vm_get_kernel_path:
 * @vm: a machine
 *
 * Returns: (transfer none): object path of its kernel
 */
const char *
vmsan_vm_get_kernel_path (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), NULL);
  return vmsan_properties_get_string (vm->properties, "Kernel");
}

/**
 * vmsan_vm_get_created_at:
 * @vm: a machine
 *
 * Returns: when it was created, in microseconds since 1970-01-01 UTC
 */
gint64
vmsan_vm_get_created_at (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return (gint64) vmsan_properties_get_u64 (vm->properties, "CreatedAt");
}

/**
 * vmsan_vm_get_timeout_at:
 * @vm: a machine
 *
 * Returns: when it will be stopped, in microseconds since 1970-01-01 UTC; 0: never
 */
gint64
vmsan_vm_get_timeout_at (VmsanVM *vm)
{
  g_return_val_if_fail (VMSAN_IS_VM (vm), 0);
  return (gint64) vmsan_properties_get_u64 (vm->properties, "TimeoutAt");
}
