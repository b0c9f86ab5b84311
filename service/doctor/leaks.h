/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What machines that are no more have left on the host.
 *
 * Machines come and go while it is looked for, and what an operation is busy with is no leak. So it
 * is looked twice, and between the two looks, on the main context, it is asked whose each thing is.
 * A machine is in the list before it has anything, and leaves it when nothing of it is left; ids
 * are never used again, and a slot that nobody has is reserved. Thus what was there at the first
 * look, is nobody's in between, and is still there at the second look, nobody will ever take away.
 */

#pragma once

#include "doctor/checks.h"

typedef enum
{
  VMSAN_LEAK_BY_ID,   /* .name ends with the id of a machine */
  VMSAN_LEAK_BY_SLOT, /* .name ends with the number of a slot */
  VMSAN_LEAK_NOBODYS, /* what is found is nobody's, as the finder holds a lock */
} VmsanLeakOwner;

typedef struct
{
  const char *check; /* "leak-link" */
  VmsanLeakOwner owner;
  const char *prefix; /* of .name */

  /* Names of all that there is of the kind, machines' as well. NULL with @error. */
  GStrv (*list) (const VmsanDoctorScope *scope, GError **error);
  /* Where it is, and how bad that is. */
  char *(*describe) (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity);
  /* What is gone is fine. */
  gboolean (*destroy) (const VmsanDoctorScope *scope, const char *name, GError **error);
} VmsanLeakKind;

/* leak-kinds.c: in the order in which they are to be removed; ended by one without a check. */
extern const VmsanLeakKind vmsan_leak_kinds[];

typedef struct
{
  const VmsanLeakKind *kind;
  char *name;
} VmsanLeak;

/* ---- Worker thread --------------------------------------------------------------------------- */

/* The first look: all that machines could have on the host, bounded for each kind. (transfer full)
 * (element-type VmsanLeak) */
GPtrArray *vmsan_leaks_look (const VmsanDoctorScope *scope);

/* The second: a finding for each of @leaks that is still there, which with @repair is removed. */
void vmsan_leaks_judge (const VmsanDoctorScope *scope,
                        GPtrArray *leaks,
                        gboolean repair,
                        GPtrArray *findings);

/* ---- Main context ------------------------------------------------------------------------------
 */

/* Leaves those in @leaks that no machine has, and reserves their slots, which are added to
 * @reserved (guint) and to be released. */
void vmsan_leaks_keep_nobodys (GPtrArray *leaks, VmsanVmManager *manager, GArray *reserved);
