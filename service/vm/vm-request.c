/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing that is not acceptable gets past here, and nothing was changed before. */

#include "vm/vm-request.h"

#include "sys/error.h"
#include "vm/options.h"
#include "vm/vm-record.h"

#include <string.h>

#define MAX_LABELS      32
#define MAX_LABEL_BYTES 255
#define MAX_TIMEOUT_MS  (G_GUINT64_CONSTANT (1000) * 60 * 60 * 24 * 365 * 10)

static const VmsanOption create_options[] = {
  { "name", "s" },       { "image", "s" },      { "kernel", "s" },     { "vcpus", "u" },
  { "memory-mib", "u" }, { "disk-mib", "u" },   { "driver", "s" },     { "hostname", "s" },
  { "init", "s" },       { "timeout-ms", "t" }, { "labels", "a{ss}" }, { "project", "s" },
  { "start", "b" },      { NULL, NULL },
};

void
vmsan_vm_request_free (VmsanVmRequest *self)
{
  g_free (self->name);
  g_free (self->image);
  g_free (self->kernel);
  g_free (self->driver);
  g_free (self->hostname);
  g_free (self->init);
  g_free (self->project);
  g_clear_pointer (&self->labels, g_variant_unref);
  g_free (self);
}

static gboolean
check_range (const char *key, guint value, guint min, guint max, GError **error)
{
  if (value >= min && value <= max)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "Option “%s” is %u but must be %u to %u", key, value, min, max);
  return FALSE;
}

/* RFC 1123: labels of letters, digits and hyphens, no hyphen at either end. */
static gboolean
check_hostname (const char *hostname, GError **error)
{
  gsize length = strlen (hostname);
  gboolean ok = length >= 1 && length <= 63;

  for (gsize i = 0; ok && i < length; i++)
    {
      gboolean edge = i == 0 || i + 1 == length || hostname[i - 1] == '.' || hostname[i + 1] == '.';

      ok = g_ascii_isalnum (hostname[i]) || ((hostname[i] == '-' || hostname[i] == '.') && !edge);
    }
  if (!ok)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "Option “hostname” must be 1 to 63 letters, digits, “-” and “.”, with a letter or "
                 "digit beside each “.” and at both ends");
  return ok;
}

static gboolean
check_init (const char *init, GError **error)
{
  gsize length = strlen (init);
  gboolean ok = g_str_equal (init, "auto") || g_str_equal (init, "none") ||
                (init[0] == '/' && length > 1 && length <= 255);

  for (gsize i = 0; ok && i < length; i++)
    ok = g_ascii_isgraph (init[i]);
  if (!ok)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "Option “init” must be “auto”, “none” or the absolute path of a program, without "
                 "spaces and at most 255 bytes");
  return ok;
}

static gboolean
check_labels (GVariant *labels, GError **error)
{
  GVariantIter iter;
  const char *key, *value;

  if (g_variant_n_children (labels) > MAX_LABELS)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “labels” has more than %d labels", MAX_LABELS);
      return FALSE;
    }
  g_variant_iter_init (&iter, labels);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    if (!vmsan_name_check (key, "Label", error))
      return FALSE;
    else if (strlen (value) > MAX_LABEL_BYTES)
      {
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                     "Label “%s” is longer than %d bytes", key, MAX_LABEL_BYTES);
        return FALSE;
      }
  return TRUE;
}

static gboolean
check_reference (const char *value, const char *what, GError **error)
{
  return value == NULL || strlen (value) == 64 || vmsan_name_check (value, what, error);
}

gboolean
vmsan_timeout_check (guint64 timeout_ms, GError **error)
{
  if (timeout_ms <= MAX_TIMEOUT_MS)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "A time limit of %" G_GUINT64_FORMAT " ms is more than ten years; 0 means none",
               timeout_ms);
  return FALSE;
}

static gboolean
check (VmsanVmRequest *self, GError **error)
{
  return vmsan_timeout_check (self->timeout_ms, error) &&
         (self->name == NULL || vmsan_name_check (self->name, "Name", error)) &&
         check_reference (self->image, "Image", error) &&
         check_reference (self->kernel, "Kernel", error) &&
         vmsan_name_check (self->driver, "Driver", error) &&
         (self->hostname == NULL || check_hostname (self->hostname, error)) &&
         check_init (self->init, error) &&
         (self->project[0] == '\0' || vmsan_name_check (self->project, "Project", error)) &&
         check_labels (self->labels, error) && check_range ("vcpus", self->vcpus, 1, 32, error) &&
         check_range ("memory-mib", self->memory_mib, 64, 1048576, error) &&
         check_range ("disk-mib", self->disk_mib, 32, 4194304, error);
}

VmsanVmRequest *
vmsan_vm_request_parse (GVariant *options, uid_t owner, const VmsanConfig *config, GError **error)
{
  g_autoptr (VmsanVmRequest) self = g_new0 (VmsanVmRequest, 1);

  if (!vmsan_options_check (options, create_options, error))
    return NULL;

  self->owner = owner;
  self->name = g_strdup (vmsan_options_get_text (options, "name", NULL));
  self->image = g_strdup (vmsan_options_get_text (options, "image", NULL));
  self->kernel = g_strdup (vmsan_options_get_text (options, "kernel", NULL));
  self->driver = g_strdup (vmsan_options_get_text (options, "driver", config->default_driver));
  self->hostname = g_strdup (vmsan_options_get_text (options, "hostname", NULL));
  self->init = g_strdup (vmsan_options_get_text (options, "init", "auto"));
  self->project = g_strdup (vmsan_options_get_text (options, "project", ""));
  self->labels = g_variant_lookup_value (options, "labels", G_VARIANT_TYPE ("a{ss}"));
  if (self->labels == NULL)
    self->labels = g_variant_ref_sink (g_variant_new ("a{ss}", NULL));
  self->vcpus = vmsan_options_get_uint (options, "vcpus", config->default_vcpus);
  self->memory_mib = vmsan_options_get_uint (options, "memory-mib", config->default_memory_mib);
  self->disk_mib = vmsan_options_get_uint (options, "disk-mib", config->default_disk_mib);
  self->timeout_ms = vmsan_options_get_uint64 (options, "timeout-ms", 0);
  self->start = vmsan_options_get_boolean (options, "start", TRUE);
  return check (self, error) ? g_steal_pointer (&self) : NULL;
}
