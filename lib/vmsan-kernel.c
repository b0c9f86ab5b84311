/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what a kernel says never changes; it is content-addressed. */

#include "config.h"

#include "vmsan-kernel.h"

#include "vmsan-call.h"
#include "vmsan-object-private.h"
#include "vmsan-properties.h"

/**
 * VmsanKernel:
 *
 * A kernel that machines boot, with its modules. Kernels are found with
 * [method@Client.list_kernels] and [method@Client.get_kernel], and made with
 * [method@Client.add_kernel].
 */
struct _VmsanKernel
{
  GObject parent;

  VmsanClient *client;
  char *path;
  GHashTable *properties;
};

enum
{
  PROP_0,
  PROP_OBJECT_PATH,
  PROP_ID,
  PROP_NAME,
  PROP_VERSION,
  PROP_MODULES,
  PROP_FORMAT,
  PROP_FORMATS,
  PROP_NO_ELF_REASON,
  PROP_SIZE,
  PROP_ADDED_AT,
  PROP_ADDED_BY,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (VmsanKernel, vmsan_kernel, G_TYPE_OBJECT)

static void
vmsan_kernel_finalize (GObject *object)
{
  VmsanKernel *self = VMSAN_KERNEL (object);

  g_clear_object (&self->client);
  g_free (self->path);
  g_clear_pointer (&self->properties, g_hash_table_unref);
  G_OBJECT_CLASS (vmsan_kernel_parent_class)->finalize (object);
}

static void
vmsan_kernel_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  VmsanKernel *self = VMSAN_KERNEL (object);

  switch (id)
    {
    case PROP_OBJECT_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_ID:
      g_value_set_string (value, vmsan_kernel_get_id (self));
      break;
    case PROP_NAME:
      g_value_set_string (value, vmsan_kernel_get_name (self));
      break;
    case PROP_VERSION:
      g_value_set_string (value, vmsan_kernel_get_version (self));
      break;
    case PROP_MODULES:
      g_value_take_boxed (value, vmsan_kernel_get_modules (self));
      break;
    case PROP_FORMAT:
      g_value_set_string (value, vmsan_kernel_get_format (self));
      break;
    case PROP_FORMATS:
      g_value_take_boxed (value, vmsan_kernel_get_formats (self));
      break;
    case PROP_NO_ELF_REASON:
      g_value_set_string (value, vmsan_kernel_get_no_elf_reason (self));
      break;
    case PROP_SIZE:
      g_value_set_uint64 (value, vmsan_kernel_get_size (self));
      break;
    case PROP_ADDED_AT:
      g_value_set_int64 (value, vmsan_kernel_get_added_at (self));
      break;
    case PROP_ADDED_BY:
      g_value_set_uint (value, vmsan_kernel_get_added_by (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
vmsan_kernel_class_init (VmsanKernelClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = vmsan_kernel_finalize;
  object_class->get_property = vmsan_kernel_get_property;

  /**
   * VmsanKernel:object-path:
   *
   * Its D-Bus object path.
   */
  props[PROP_OBJECT_PATH] = g_param_spec_string ("object-path", NULL, NULL, "", flags);
  /**
   * VmsanKernel:id:
   *
   * SHA-256 over the kernel and its modules, in hexadecimal.
   */
  props[PROP_ID] = g_param_spec_string ("id", NULL, NULL, "", flags);
  /**
   * VmsanKernel:name:
   *
   * Name, or empty.
   */
  props[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, "", flags);
  /**
   * VmsanKernel:version:
   *
   * What `uname -r` says in the guest; may be empty.
   */
  props[PROP_VERSION] = g_param_spec_string ("version", NULL, NULL, "", flags);
  /**
   * VmsanKernel:modules:
   *
   * Names of its modules, in load order.
   */
  props[PROP_MODULES] = g_param_spec_boxed ("modules", NULL, NULL, G_TYPE_STRV, flags);
  /**
   * VmsanKernel:format:
   *
   * What was added: "bzimage" or "elf".
   */
  props[PROP_FORMAT] = g_param_spec_string ("format", NULL, NULL, "", flags);
  /**
   * VmsanKernel:formats:
   *
   * What machines can get: its format, and "elf" when that was packed in a bzImage.
   */
  props[PROP_FORMATS] = g_param_spec_boxed ("formats", NULL, NULL, G_TYPE_STRV, flags);
  /**
   * VmsanKernel:no-elf-reason:
   *
   * Why "elf" is not among its formats; empty when it is.
   */
  props[PROP_NO_ELF_REASON] = g_param_spec_string ("no-elf-reason", NULL, NULL, "", flags);
  /**
   * VmsanKernel:size:
   *
   * Stored bytes, modules and what was unpacked included.
   */
  props[PROP_SIZE] = g_param_spec_uint64 ("size", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * VmsanKernel:added-at:
   *
   * When it was added, in microseconds since 1970-01-01 UTC.
   */
  props[PROP_ADDED_AT] =
      g_param_spec_int64 ("added-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, flags);
  /**
   * VmsanKernel:added-by:
   *
   * The uid that added it.
   */
  props[PROP_ADDED_BY] = g_param_spec_uint ("added-by", NULL, NULL, 0, G_MAXUINT, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
vmsan_kernel_init (VmsanKernel *self)
{
}

VmsanKernel *
vmsan_kernel_new (VmsanClient *client, const char *path, GVariant *properties)
{
  VmsanKernel *self = g_object_new (VMSAN_TYPE_KERNEL, NULL);

  self->client = g_object_ref (client);
  self->path = g_strdup (path);
  self->properties = vmsan_properties_new (properties);
  return self;
}

/**
 * vmsan_kernel_get_object_path:
 * @kernel: a kernel
 *
 * Returns: (transfer none): its D-Bus object path
 */
const char *
vmsan_kernel_get_object_path (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return kernel->path;
}

/**
 * vmsan_kernel_get_id:
 * @kernel: a kernel
 *
 * Returns: (transfer none): SHA-256 over the kernel and its modules, in hexadecimal
 */
const char *
vmsan_kernel_get_id (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_get_string (kernel->properties, "Id");
}

/**
 * vmsan_kernel_get_name:
 * @kernel: a kernel
 *
 * Returns: (transfer none): its name, or an empty string
 */
const char *
vmsan_kernel_get_name (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_get_string (kernel->properties, "Name");
}

/**
 * vmsan_kernel_get_version:
 * @kernel: a kernel
 *
 * Returns: (transfer none): what `uname -r` says in the guest; may be empty
 */
const char *
vmsan_kernel_get_version (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_get_string (kernel->properties, "KernelVersion");
}

/**
 * vmsan_kernel_get_modules:
 * @kernel: a kernel
 *
 * Returns: (transfer full): names of its modules, in load order
 */
char **
vmsan_kernel_get_modules (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_dup_strv (kernel->properties, "Modules");
}

/**
 * vmsan_kernel_get_format:
 * @kernel: a kernel
 *
 * Returns: (transfer none): what was added: "bzimage" or "elf"
 */
const char *
vmsan_kernel_get_format (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_get_string (kernel->properties, "Format");
}

/**
 * vmsan_kernel_get_formats:
 * @kernel: a kernel
 *
 * Returns: (transfer full): what machines can get: its format, and "elf" when that was packed in a
 *   bzImage
 */
char **
vmsan_kernel_get_formats (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_dup_strv (kernel->properties, "Formats");
}

/**
 * vmsan_kernel_get_no_elf_reason:
 * @kernel: a kernel
 *
 * Firecracker cannot run machines with a kernel that has one.
 *
 * Returns: (transfer none): why "elf" is not among its formats; empty when it is
 */
const char *
vmsan_kernel_get_no_elf_reason (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), NULL);
  return vmsan_properties_get_string (kernel->properties, "NoElfReason");
}

/**
 * vmsan_kernel_get_size:
 * @kernel: a kernel
 *
 * Returns: stored bytes, modules and what was unpacked included
 */
guint64
vmsan_kernel_get_size (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), 0);
  return vmsan_properties_get_u64 (kernel->properties, "Size");
}

/**
 * vmsan_kernel_get_added_at:
 * @kernel: a kernel
 *
 * Returns: when it was added, in microseconds since 1970-01-01 UTC
 */
gint64
vmsan_kernel_get_added_at (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), 0);
  return (gint64) vmsan_properties_get_u64 (kernel->properties, "AddedAt");
}

/**
 * vmsan_kernel_get_added_by:
 * @kernel: a kernel
 *
 * Returns: the uid that added it
 */
guint
vmsan_kernel_get_added_by (VmsanKernel *kernel)
{
  g_return_val_if_fail (VMSAN_IS_KERNEL (kernel), 0);
  return vmsan_properties_get_u32 (kernel->properties, "AddedBy");
}

/**
 * vmsan_kernel_remove:
 * @kernel: a kernel
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Removes the kernel. Fails with %VMSAN_ERROR_IN_USE while a machine boots it.
 */
void
vmsan_kernel_remove (VmsanKernel *kernel,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_KERNEL (kernel));

  const VmsanCall call = {
    .path = kernel->path,
    .interface = VMSAN_INTERFACE_KERNEL,
    .method = "Remove",
    .reply_type = G_VARIANT_TYPE_UNIT,
  };

  vmsan_call_begin (kernel->client, &call, g_task_new (kernel, cancellable, callback, user_data),
                    vmsan_call_return_true);
}

/**
 * vmsan_kernel_remove_finish:
 * @kernel: a kernel
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_kernel_remove_finish (VmsanKernel *kernel, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, kernel), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_kernel_remove_sync:
 * @kernel: a kernel
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Removes the kernel, and waits for that.
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_kernel_remove_sync (VmsanKernel *kernel, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_kernel_remove (kernel, cancellable, vmsan_sync_done, &sync);
  return vmsan_kernel_remove_finish (kernel, vmsan_sync_end (&sync), error);
}
