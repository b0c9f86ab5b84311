/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: names and types stay; new members may come. */

#include "config.h"

#include "output.h"

#include <stdio.h>
#include <string.h>

void
output_add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

void
output_add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

void
output_add_variant (JsonBuilder *builder, const char *name, GVariant *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_value (builder, json_gvariant_serialize (value));
}

/* The last part of an object path is the id. */
static const char *
path_id (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash != NULL ? slash + 1 : path;
}

void
output_begin_vm (JsonBuilder *builder, VmsanVM *vm)
{
  json_builder_begin_object (builder);
  output_add_string (builder, "id", vmsan_vm_get_id (vm));
  output_add_string (builder, "name", vmsan_vm_get_name (vm));
  output_add_int (builder, "owner", vmsan_vm_get_owner (vm));
  output_add_string (builder, "state", vmsan_vm_get_state (vm));
  output_add_string (builder, "state-reason", vmsan_vm_get_state_reason (vm));
  output_add_string (builder, "driver", vmsan_vm_get_driver (vm));
  output_add_string (builder, "acceleration", vmsan_vm_get_acceleration (vm));
  output_add_int (builder, "vcpus", vmsan_vm_get_vcpus (vm));
  output_add_int (builder, "memory-mib", vmsan_vm_get_memory_mib (vm));
  output_add_int (builder, "disk-mib", vmsan_vm_get_disk_mib (vm));
  output_add_string (builder, "image", path_id (vmsan_vm_get_image_path (vm)));
  output_add_string (builder, "kernel", path_id (vmsan_vm_get_kernel_path (vm)));
  output_add_int (builder, "created-at", vmsan_vm_get_created_at (vm));
  output_add_int (builder, "timeout-at", vmsan_vm_get_timeout_at (vm));
  output_add_string (builder, "object-path", vmsan_vm_get_object_path (vm));
}

void
output_add_image (JsonBuilder *builder, VmsanImage *image)
{
  json_builder_begin_object (builder);
  output_add_string (builder, "id", vmsan_image_get_id (image));
  output_add_string (builder, "name", vmsan_image_get_name (image));
  output_add_string (builder, "format", vmsan_image_get_format (image));
  output_add_int (builder, "size", (gint64) vmsan_image_get_size (image));
  output_add_int (builder, "added-at", vmsan_image_get_added_at (image));
  output_add_int (builder, "added-by", vmsan_image_get_added_by (image));
  json_builder_end_object (builder);
}

static void
add_strings (JsonBuilder *builder, const char *name, const char *const *strings)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (gsize i = 0; strings[i] != NULL; i++)
    json_builder_add_string_value (builder, strings[i]);
  json_builder_end_array (builder);
}

void
output_add_kernel (JsonBuilder *builder, VmsanKernel *kernel)
{
  g_auto (GStrv) modules = vmsan_kernel_get_modules (kernel);
  g_auto (GStrv) formats = vmsan_kernel_get_formats (kernel);

  json_builder_begin_object (builder);
  output_add_string (builder, "id", vmsan_kernel_get_id (kernel));
  output_add_string (builder, "name", vmsan_kernel_get_name (kernel));
  output_add_string (builder, "version", vmsan_kernel_get_version (kernel));
  add_strings (builder, "modules", (const char *const *) modules);
  output_add_string (builder, "format", vmsan_kernel_get_format (kernel));
  add_strings (builder, "formats", (const char *const *) formats);
  output_add_string (builder, "no-elf-reason", vmsan_kernel_get_no_elf_reason (kernel));
  output_add_int (builder, "size", (gint64) vmsan_kernel_get_size (kernel));
  output_add_int (builder, "added-at", vmsan_kernel_get_added_at (kernel));
  output_add_int (builder, "added-by", vmsan_kernel_get_added_by (kernel));
  json_builder_end_object (builder);
}

void
output_print (JsonBuilder *builder, gboolean pretty)
{
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = json_to_string (root, pretty);

  puts (text);
}
