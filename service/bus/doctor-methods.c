/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Doctor of org.vmsan.Manager. Promise: who is told all of it was allowed to remove it, or is root.
 */

#include "bus/bus-methods.h"
#include "doctor/doctor.h"
#include "sys/options.h"

static const VmsanOption doctor_options[] = {
  { "repair", "b" },
  { NULL, NULL },
};

gboolean
vmsan_bus_parse_doctor (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);

  if (!vmsan_options_check (options, doctor_options, error))
    return FALSE;
  call->changes = vmsan_options_get_boolean (options, "repair", FALSE);
  return TRUE;
}

static void
log_repairs (GPtrArray *findings, const char *actor)
{
  guint n = 0;

  for (guint i = 0; i < findings->len; i++)
    n += ((VmsanFinding *) g_ptr_array_index (findings, i))->repaired;
  if (n > 0)
    g_message ("Removed %u left-overs of machines, as %s asked for", n, actor);
}

static void
on_examined (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanBusCall *call = user_data;
  g_autoptr (GPtrArray) findings = vmsan_doctor_examine_finish (VMSAN_DOCTOR (source), result);
  GVariant *list = vmsan_findings_to_variant (findings, call->uid == 0 || call->changes);

  log_repairs (findings, call->actor);
  vmsan_bus_call_return_large (call, g_variant_new ("(@aa{sv})", list));
}

void
vmsan_bus_doctor (VmsanBusCall *call)
{
  vmsan_doctor_examine_async (call->bus->doctor, call->changes, on_examined, call);
}
