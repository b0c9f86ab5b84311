/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing that is not acceptable gets past here, and nothing was changed before. */

#include "vm/vm-request.h"

#include "sys/error.h"
#include "sys/options.h"
#include "vm/vm-rules.h"

#include <string.h>

#define MAX_TIMEOUT_MS (G_GUINT64_CONSTANT (1000) * 60 * 60 * 24 * 365 * 10)

static const VmsanOption create_options[] = {
  { "name", "s" },           { "image", "s" },           { "kernel", "s" },
  { "vcpus", "u" },          { "memory-mib", "u" },      { "disk-mib", "u" },
  { "driver", "s" },         { "hostname", "s" },        { "init", "s" },
  { "timeout-ms", "t" },     { "labels", "a{ss}" },      { "project", "s" },
  { "start", "b" },          { "disable-seccomp", "b" }, { "disable-pid-ns", "b" },
  { "disable-cgroup", "b" }, { "disable-netns", "b" },   { NULL, NULL },
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
  g_clear_pointer (&self->network, vmsan_net_policy_unref);
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

static gboolean
check_reference (const char *value, const char *what, GError **error)
{
  /* Whole ids, which are longer than names; the store knows whether there is such a one. */
  return value == NULL || (strlen (value) == 64 && strspn (value, "0123456789abcdef") == 64) ||
         vmsan_name_check (value, what, error);
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

/* The policy is enforced in the namespace that would not be there. */
static gboolean
check_weakened (const VmsanVmRequest *self, GError **error)
{
  if (!(self->weakened & VMSAN_WEAKENED_NETNS) || !self->network->has_network)
    return TRUE;
  g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "Option “disable-netns” is for machines without a network: give “network” "
                       "“none”, too");
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
         (self->hostname == NULL || vmsan_hostname_check (self->hostname, error)) &&
         vmsan_init_check (self->init, error) &&
         (self->project[0] == '\0' || vmsan_name_check (self->project, "Project", error)) &&
         vmsan_labels_check (self->labels, error) && check_weakened (self, error) &&
         check_range ("vcpus", self->vcpus, 1, 32, error) &&
         check_range ("memory-mib", self->memory_mib, 64, 1048576, error) &&
         check_range ("disk-mib", self->disk_mib, 32, 4194304, error);
}

VmsanVmRequest *
vmsan_vm_request_parse (GVariant *options,
                        uid_t owner,
                        const VmsanConfig *config,
                        const VmsanNetPools *pools,
                        GError **error)
{
  const VmsanOption *const known[] = { create_options, vmsan_net_policy_options, NULL };
  g_autoptr (VmsanVmRequest) self = g_new0 (VmsanVmRequest, 1);

  if (!vmsan_options_check_all (options, known, error))
    return NULL;
  self->network = vmsan_net_policy_parse (options, NULL, pools, error);
  if (self->network == NULL || !vmsan_net_policy_check_caller (self->network, NULL, owner, error))
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
  self->weakened = vmsan_weakened_parse (options);
  self->start = vmsan_options_get_boolean (options, "start", TRUE);
  return check (self, error) ? g_steal_pointer (&self) : NULL;
}
