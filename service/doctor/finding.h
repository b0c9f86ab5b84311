/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the doctor has to say about one thing. */

#pragma once

#include <glib.h>

/**
 * VmsanSeverity:
 * @VMSAN_SEVERITY_OK: as it should be
 * @VMSAN_SEVERITY_NOTE: works, and is worth knowing
 * @VMSAN_SEVERITY_WARNING: something does not work, or will not for long
 * @VMSAN_SEVERITY_ERROR: machines cannot be made or run, or something runs that should not
 */
typedef enum
{
  VMSAN_SEVERITY_OK,
  VMSAN_SEVERITY_NOTE,
  VMSAN_SEVERITY_WARNING,
  VMSAN_SEVERITY_ERROR,
} VmsanSeverity;

typedef struct
{
  const char *check; /* a stable name, "kvm" */
  VmsanSeverity severity;
  char *subject; /* what it is about, "/var/lib/vmsan"; may be empty */
  char *message; /* how it is */
  char *advice;  /* what to do; may be empty */

  gboolean is_confidential; /* about what may be somebody's machine: only for administrators */
  gboolean is_leak;         /* can be repaired */
  gboolean repaired;        /* of a leak */
} VmsanFinding;

/* (element-type VmsanFinding) (transfer full) */
GPtrArray *vmsan_findings_new (void);

/* Adds one; @subject and @advice may be NULL. (transfer none) */
VmsanFinding *vmsan_findings_add (GPtrArray *findings,
                                  const char *check,
                                  VmsanSeverity severity,
                                  const char *subject,
                                  const char *advice,
                                  const char *format,
                                  ...) G_GNUC_PRINTF (6, 7);

/* aa{sv} for org.vmsan.Manager.Doctor, floating. Unless @all, those that are confidential are not
 * in it, but for their number. */
GVariant *vmsan_findings_to_variant (GPtrArray *findings, gboolean all);
