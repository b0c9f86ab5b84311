/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is too little here is what a creation is refused for. */

#include "doctor/checks.h"

#include <sys/statvfs.h>

/* As much as one machine's private disk takes by default when it is full. */
#define ROOMY_BYTES ((guint64) 1 << 30)

/* Sockets and logs. */
#define RUNTIME_MIN_FREE_BYTES ((guint64) 16 << 20)

#define MAX_DAMAGED 65536

static guint64
get_free_bytes (VmsanManagedRoot *root)
{
  struct statvfs vfs;

  return fstatvfs (vmsan_managed_root_get_fd (root), &vfs) == 0
             ? (guint64) vfs.f_bavail * vfs.f_frsize
             : 0;
}

static void
check_directory (GPtrArray *findings,
                 const char *check,
                 VmsanManagedRoot *root,
                 guint64 needed_bytes,
                 guint64 roomy_bytes)
{
  const char *path = vmsan_managed_root_get_path (root);
  guint64 free_mib = get_free_bytes (root) >> 20;
  g_autoptr (GError) error = NULL;

  if (!vmsan_managed_root_check_mount (root, needed_bytes, FALSE, FALSE, &error))
    vmsan_findings_add (findings, check, VMSAN_SEVERITY_ERROR, path,
                        "Free some space, or configure another directory in vmsand.conf", "%s",
                        error->message);
  else if (free_mib < roomy_bytes >> 20)
    vmsan_findings_add (findings, check, VMSAN_SEVERITY_WARNING, path,
                        "Free some space before machines fill what is left",
                        "Only %" G_GUINT64_FORMAT " MiB are free", free_mib);
  else
    vmsan_findings_add (findings, check, VMSAN_SEVERITY_OK, path, NULL,
                        "%" G_GUINT64_FORMAT " MiB are free", free_mib);
}

/* A record that cannot be read may be a machine whose disk somebody wants to have back, so these
 * are never removed here. */
static void
check_damaged (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names =
      vmsan_managed_root_list (scope->state_root, "damaged", MAX_DAMAGED, &error);

  if (names == NULL)
    vmsan_findings_add (findings, "damaged", VMSAN_SEVERITY_WARNING, NULL,
                        "Look into the state directory", "%s", error->message);
  else if (names[0] == NULL)
    vmsan_findings_add (findings, "damaged", VMSAN_SEVERITY_OK, NULL, NULL,
                        "No record, image or kernel was found damaged");
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      g_autofree char *path = g_build_filename (vmsan_managed_root_get_path (scope->state_root),
                                                "damaged", names[i], NULL);
      VmsanFinding *finding = vmsan_findings_add (
          findings, "damaged", VMSAN_SEVERITY_WARNING, path,
          "Repair it and move it back while vmsand is stopped, or delete it; a machine's disk is "
          "kept until then",
          "It could not be read when the service started, and was set aside");

      finding->is_confidential = TRUE;
    }
}

void
vmsan_doctor_check_storage (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  check_directory (findings, "state-directory", scope->state_root, VMSAN_VM_MIN_FREE_BYTES,
                   ROOMY_BYTES);
  check_directory (findings, "runtime-directory", scope->runtime_root, RUNTIME_MIN_FREE_BYTES, 0);
  check_damaged (scope, findings);
}
