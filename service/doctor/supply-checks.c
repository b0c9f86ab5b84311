/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing is probed again: what the service has learnt at its start is told. */

#include "doctor/checks.h"

/* ---- Drivers ------------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  gboolean available;
  const char *acceleration;
  const char *version;
  const char *reason;
} Driver;

/* Its texts are valid as long as @values. */
static Driver
read_driver (const char *name, GVariant *values)
{
  Driver driver = { .name = name, .acceleration = "", .version = "", .reason = "" };

  g_variant_lookup (values, "available", "b", &driver.available);
  g_variant_lookup (values, "acceleration", "&s", &driver.acceleration);
  g_variant_lookup (values, "version", "&s", &driver.version);
  g_variant_lookup (values, "reason", "&s", &driver.reason);
  return driver;
}

/* A driver that does not work hurts when there is no other. */
static void
add_driver (GPtrArray *findings, const Driver *driver, guint n_available)
{
  if (driver->available)
    vmsan_findings_add (findings, "driver", VMSAN_SEVERITY_OK, driver->name, NULL,
                        "Machines can run under %s %s", driver->name, driver->version);
  else
    vmsan_findings_add (findings, "driver",
                        n_available > 0 ? VMSAN_SEVERITY_NOTE : VMSAN_SEVERITY_ERROR, driver->name,
                        "Do what the message says, and restart vmsand", "No machine can run: %s",
                        driver->reason);
}

static void
add_acceleration (GPtrArray *findings, const Driver *driver)
{
  if (g_str_equal (driver->acceleration, "kvm"))
    vmsan_findings_add (findings, "kvm", VMSAN_SEVERITY_OK, driver->name, NULL,
                        "Hardware virtualization works");
  else
    vmsan_findings_add (findings, "kvm", VMSAN_SEVERITY_NOTE, driver->name,
                        "For speed, use a host with hardware virtualization that is switched on",
                        "%s",
                        driver->reason[0] != '\0' ? driver->reason
                                                  : "Machines run in software emulation");
}

static guint
count_available (GVariant *drivers)
{
  GVariantIter iter;
  const char *name;
  GVariant *values;
  guint n = 0;

  g_variant_iter_init (&iter, drivers);
  while (g_variant_iter_loop (&iter, "{&s@a{sv}}", &name, &values))
    n += read_driver (name, values).available;
  return n;
}

void
vmsan_doctor_check_drivers (VmsanVmManager *manager, GPtrArray *findings)
{
  g_autoptr (GVariant) drivers = g_variant_ref_sink (vmsan_vm_manager_describe_drivers (manager));
  guint n_available = count_available (drivers);
  GVariantIter iter;
  const char *name;
  GVariant *values;

  g_variant_iter_init (&iter, drivers);
  while (g_variant_iter_loop (&iter, "{&s@a{sv}}", &name, &values))
    {
      Driver driver = read_driver (name, values);

      add_driver (findings, &driver, n_available);
      if (driver.available)
        add_acceleration (findings, &driver);
    }
}

/* ---- Images and kernels -------------------------------------------------------------------- */

static void
check_store (GPtrArray *findings, VmsanContentStore *store, const char *noun, const char *advice)
{
  g_autoptr (GPtrArray) all = vmsan_content_store_list (store);

  if (all->len > 0)
    vmsan_findings_add (findings, noun, VMSAN_SEVERITY_OK, NULL, NULL,
                        all->len == 1 ? "There is %u %s" : "There are %u %ss", all->len, noun);
  else
    vmsan_findings_add (findings, noun, VMSAN_SEVERITY_WARNING, NULL, advice,
                        "There is no %s, and no machine can be created without one", noun);
}

/* Ids of all that is in both stores. */
static GHashTable *
list_contents (VmsanVmManager *manager)
{
  GHashTable *ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  VmsanContentStore *const stores[] = { vmsan_vm_manager_get_images (manager),
                                        vmsan_vm_manager_get_kernels (manager) };

  for (guint i = 0; i < G_N_ELEMENTS (stores); i++)
    {
      g_autoptr (GPtrArray) all = vmsan_content_store_list (stores[i]);

      for (guint j = 0; j < all->len; j++)
        g_hash_table_add (ids, g_strdup (((VmsanContent *) g_ptr_array_index (all, j))->id));
    }
  return ids;
}

typedef struct
{
  GPtrArray *findings;
  GHashTable *contents;
} MachineCheck;

static void
require (MachineCheck *self, const VmsanVmRecord *record, const char *noun, const char *id)
{
  VmsanFinding *finding;

  if (g_hash_table_contains (self->contents, id))
    return;
  finding = vmsan_findings_add (self->findings, noun, VMSAN_SEVERITY_WARNING, record->id,
                                "Add the same again, or remove the machine",
                                "The %s %s of machine %s is not there, and it cannot be started",
                                noun, id, record->id);
  finding->is_confidential = TRUE;
}

/* An image or kernel that was found damaged when the service started is set aside. */
static gboolean
check_machine (VmsanVm *vm, gpointer user_data)
{
  const VmsanVmRecord *record = vmsan_vm_get_record (vm);

  require (user_data, record, "image", record->image_id);
  require (user_data, record, "kernel", record->kernel_id);
  return TRUE;
}

void
vmsan_doctor_check_contents (VmsanVmManager *manager, GPtrArray *findings)
{
  g_autoptr (GHashTable) contents = list_contents (manager);
  MachineCheck check = { findings, contents };

  check_store (findings, vmsan_vm_manager_get_images (manager), "image",
               "Add one: vmsan-client image add DIRECTORY --name NAME");
  check_store (findings, vmsan_vm_manager_get_kernels (manager), "kernel",
               "Add one: vmsan-client kernel add --from-host");
  vmsan_vm_manager_visit (manager, NULL, check_machine, &check);
}
