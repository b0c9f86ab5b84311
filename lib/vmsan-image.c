/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: what an image says never changes; it is content-addressed. */

#include "config.h"

#include "vmsan-image.h"

#include "vmsan-call.h"
#include "vmsan-object-private.h"
#include "vmsan-properties.h"

/**
 * VmsanImage:
 *
 * A root file system that machines are made from. Images are found with
 * [method@Client.list_images] and [method@Client.get_image], and made with
 * [method@Client.add_image].
 */
struct _VmsanImage
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
  PROP_FORMAT,
  PROP_SIZE,
  PROP_ADDED_AT,
  PROP_ADDED_BY,
  N_PROPS,
};

static GParamSpec *props[N_PROPS];

G_DEFINE_FINAL_TYPE (VmsanImage, vmsan_image, G_TYPE_OBJECT)

static void
vmsan_image_finalize (GObject *object)
{
  VmsanImage *self = VMSAN_IMAGE (object);

  g_clear_object (&self->client);
  g_free (self->path);
  g_clear_pointer (&self->properties, g_hash_table_unref);
  G_OBJECT_CLASS (vmsan_image_parent_class)->finalize (object);
}

static void
vmsan_image_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  VmsanImage *self = VMSAN_IMAGE (object);

  switch (id)
    {
    case PROP_OBJECT_PATH:
      g_value_set_string (value, self->path);
      break;
    case PROP_ID:
      g_value_set_string (value, vmsan_image_get_id (self));
      break;
    case PROP_NAME:
      g_value_set_string (value, vmsan_image_get_name (self));
      break;
    case PROP_FORMAT:
      g_value_set_string (value, vmsan_image_get_format (self));
      break;
    case PROP_SIZE:
      g_value_set_uint64 (value, vmsan_image_get_size (self));
      break;
    case PROP_ADDED_AT:
      g_value_set_int64 (value, vmsan_image_get_added_at (self));
      break;
    case PROP_ADDED_BY:
      g_value_set_uint (value, vmsan_image_get_added_by (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
vmsan_image_class_init (VmsanImageClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = vmsan_image_finalize;
  object_class->get_property = vmsan_image_get_property;

  /**
   * VmsanImage:object-path:
   *
   * Its D-Bus object path.
   */
  props[PROP_OBJECT_PATH] = g_param_spec_string ("object-path", NULL, NULL, "", flags);
  /**
   * VmsanImage:id:
   *
   * SHA-256 of the stored content, in hexadecimal.
   */
  props[PROP_ID] = g_param_spec_string ("id", NULL, NULL, "", flags);
  /**
   * VmsanImage:name:
   *
   * Name, or empty.
   */
  props[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, "", flags);
  /**
   * VmsanImage:format:
   *
   * "ext4", "squashfs" or "erofs".
   */
  props[PROP_FORMAT] = g_param_spec_string ("format", NULL, NULL, "", flags);
  /**
   * VmsanImage:size:
   *
   * Stored bytes.
   */
  props[PROP_SIZE] = g_param_spec_uint64 ("size", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * VmsanImage:added-at:
   *
   * When it was added, in microseconds since 1970-01-01 UTC.
   */
  props[PROP_ADDED_AT] =
      g_param_spec_int64 ("added-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, flags);
  /**
   * VmsanImage:added-by:
   *
   * The uid that added it.
   */
  props[PROP_ADDED_BY] = g_param_spec_uint ("added-by", NULL, NULL, 0, G_MAXUINT, 0, flags);
  g_object_class_install_properties (object_class, N_PROPS, props);
}

static void
vmsan_image_init (VmsanImage *self)
{
}

VmsanImage *
vmsan_image_new (VmsanClient *client, const char *path, GVariant *properties)
{
  VmsanImage *self = g_object_new (VMSAN_TYPE_IMAGE, NULL);

  self->client = g_object_ref (client);
  self->path = g_strdup (path);
  self->properties = vmsan_properties_new (properties);
  return self;
}

/**
 * vmsan_image_get_object_path:
 * @image: an image
 *
 * Returns: (transfer none): its D-Bus object path
 */
const char *
vmsan_image_get_object_path (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), NULL);
  return image->path;
}

/**
 * vmsan_image_get_id:
 * @image: an image
 *
 * Returns: (transfer none): SHA-256 of the stored content, in hexadecimal
 */
const char *
vmsan_image_get_id (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), NULL);
  return vmsan_properties_get_string (image->properties, "Id");
}

/**
 * vmsan_image_get_name:
 * @image: an image
 *
 * Returns: (transfer none): its name, or an empty string
 */
const char *
vmsan_image_get_name (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), NULL);
  return vmsan_properties_get_string (image->properties, "Name");
}

/**
 * vmsan_image_get_format:
 * @image: an image
 *
 * Returns: (transfer none): "ext4", "squashfs" or "erofs"
 */
const char *
vmsan_image_get_format (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), NULL);
  return vmsan_properties_get_string (image->properties, "Format");
}

/**
 * vmsan_image_get_size:
 * @image: an image
 *
 * Returns: stored bytes
 */
guint64
vmsan_image_get_size (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), 0);
  return vmsan_properties_get_u64 (image->properties, "Size");
}

/**
 * vmsan_image_get_added_at:
 * @image: an image
 *
 * Returns: when it was added, in microseconds since 1970-01-01 UTC
 */
gint64
vmsan_image_get_added_at (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), 0);
  return (gint64) vmsan_properties_get_u64 (image->properties, "AddedAt");
}

/**
 * vmsan_image_get_added_by:
 * @image: an image
 *
 * Returns: the uid that added it
 */
guint
vmsan_image_get_added_by (VmsanImage *image)
{
  g_return_val_if_fail (VMSAN_IS_IMAGE (image), 0);
  return vmsan_properties_get_u32 (image->properties, "AddedBy");
}

/**
 * vmsan_image_remove:
 * @image: an image
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Removes the image. Fails with %VMSAN_ERROR_IN_USE while a machine is made from it.
 */
void
vmsan_image_remove (VmsanImage *image,
                    GCancellable *cancellable,
                    GAsyncReadyCallback callback,
                    gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_IMAGE (image));

  const VmsanCall call = {
    .path = image->path,
    .interface = VMSAN_INTERFACE_IMAGE,
    .method = "Remove",
    .reply_type = G_VARIANT_TYPE_UNIT,
  };

  vmsan_call_begin (image->client, &call, g_task_new (image, cancellable, callback, user_data),
                    vmsan_call_return_true);
}

/**
 * vmsan_image_remove_finish:
 * @image: an image
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_image_remove_finish (VmsanImage *image, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, image), FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * vmsan_image_remove_sync:
 * @image: an image
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Removes the image, and waits for that.
 *
 * Returns: %TRUE when it is gone
 */
gboolean
vmsan_image_remove_sync (VmsanImage *image, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_image_remove (image, cancellable, vmsan_sync_done, &sync);
  return vmsan_image_remove_finish (image, vmsan_sync_end (&sync), error);
}
