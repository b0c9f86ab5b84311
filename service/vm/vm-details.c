/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What only the owner and administrators see of a machine. */

#include "vm/vm-private.h"

#include "vm/vm-state.h"

GVariant *
vmsan_vm_get_details (VmsanVm *self)
{
  const VmsanVmRecord *record = self->record;
  GVariantDict details;

  g_variant_dict_init (&details, NULL);
  g_variant_dict_insert (&details, "uid", "u", (guint32) record->uid);
  g_variant_dict_insert (&details, "hostname", "s", record->hostname);
  g_variant_dict_insert (&details, "init", "s", record->init);
  g_variant_dict_insert (&details, "project", "s", record->project);
  g_variant_dict_insert_value (&details, "labels", record->labels);
  g_variant_dict_insert (&details, "timeout-ms", "t", record->timeout_ms);
  if (record->has_operation)
    g_variant_dict_insert (&details, "operation", "s", vmsan_verb_to_string (record->operation));
  if (record->pid > 0)
    {
      g_autofree char *cgroup =
          g_build_filename (self->context->config->cgroup_parent, record->id, NULL);

      g_variant_dict_insert (&details, "pid", "u", (guint32) record->pid);
      g_variant_dict_insert (&details, "boot-ms", "u", record->boot_ms);
      g_variant_dict_insert (&details, "cgroup", "s", cgroup);
    }
  return g_variant_dict_end (&details);
}
