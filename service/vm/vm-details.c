/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What only the owner and administrators see of a machine. */

#include "vm/vm-private.h"

#include "sys/console-log.h"
#include "sys/fd.h"
#include "vm/vm-state.h"

#include <fcntl.h>

#define CONSOLE_BYTES (16 * 1024)

/* The runtime directory is in memory, so this does not wait for a disk. */
char *
vmsan_vm_read_console (VmsanVm *self, gsize max_bytes)
{
  vmsan_autofd int dir_fd =
      vmsan_managed_root_open_at (self->context->runtime_root, self->record->id,
                                  O_RDONLY | O_DIRECTORY, 0, NULL);
  g_autofree char *bytes = NULL;
  g_autofree char *text = NULL;
  GString *safe;
  gsize size = 0;

  if (dir_fd >= 0)
    bytes = vmsan_console_log_read_tail (dir_fd, VMSAN_VMM_CONSOLE_FILE, max_bytes, &size, NULL);
  if (bytes == NULL)
    return NULL;
  text = g_utf8_make_valid (bytes, size);
  safe = g_string_sized_new (size);
  for (const char *c = text; *c != '\0'; c = g_utf8_next_char (c))
    {
      gunichar character = g_utf8_get_char (c);

      if (character == '\n' || character == '\t' || !g_unichar_iscntrl (character))
        g_string_append_unichar (safe, character);
    }
  return g_string_free (safe, FALSE);
}

GVariant *
vmsan_vm_get_network_details (VmsanVm *self, const VmsanVmRecord *record)
{
  g_autoptr (GVariant) policy = g_variant_ref_sink (vmsan_net_policy_to_variant (record->network));
  VmsanNetSlotAddresses addresses;
  g_auto (GStrv) conflicts = NULL;
  GVariantDict network;

  g_variant_dict_init (&network, policy);
  if (record->slot != VMSAN_VM_NO_SLOT)
    {
      vmsan_net_pools_get_addresses (vmsan_net_manager_get_pools (self->context->networks),
                                     record->slot, &addresses);
      g_variant_dict_insert (&network, "address", "s", addresses.own4);
      if (addresses.own6[0] != '\0')
        g_variant_dict_insert (&network, "address6", "s", addresses.own6);
      conflicts = vmsan_net_manager_get_conflicts (self->context->networks);
    }
  if (conflicts != NULL)
    g_variant_dict_insert (&network, "conflicts", "^as", conflicts);
  return g_variant_dict_end (&network);
}

GVariant *
vmsan_vm_get_details (VmsanVm *self)
{
  const VmsanVmRecord *record = self->record;
  g_autofree char *console = NULL;
  GVariantDict details;

  g_variant_dict_init (&details, NULL);
  g_variant_dict_insert (&details, "uid", "u", (guint32) record->uid);
  g_variant_dict_insert (&details, "hostname", "s", record->hostname);
  g_variant_dict_insert (&details, "init", "s", record->init);
  g_variant_dict_insert (&details, "project", "s", record->project);
  g_variant_dict_insert_value (&details, "labels", record->labels);
  g_variant_dict_insert_value (&details, "network", vmsan_vm_get_network_details (self, record));
  g_variant_dict_insert (&details, "timeout-ms", "t", record->timeout_ms);
  if ((console = vmsan_vm_read_console (self, CONSOLE_BYTES)) != NULL)
    g_variant_dict_insert (&details, "console", "s", console);
  vmsan_weakened_describe (record->weakened, &details);
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
