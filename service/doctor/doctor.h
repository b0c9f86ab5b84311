/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Examines the host: whether machines can be made and run here, what is in their way, and what was
 * left of machines that are no more. One examination at a time; who asks for a look while one is
 * under way gets the next one's result, together with all others who do. */

#pragma once

#include "doctor/finding.h"
#include "vm/vm-manager.h"

#define VMSAN_TYPE_DOCTOR (vmsan_doctor_get_type ())
G_DECLARE_FINAL_TYPE (VmsanDoctor, vmsan_doctor, VMSAN, DOCTOR, GObject)

VmsanDoctor *vmsan_doctor_new (VmsanVmManager *manager);

/* With @repair, removes what is nobody's. Never fails: what could not be looked at is a finding.
 * (transfer full) (element-type VmsanFinding) */
void vmsan_doctor_examine_async (VmsanDoctor *self,
                                 gboolean repair,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
GPtrArray *vmsan_doctor_examine_finish (VmsanDoctor *self, GAsyncResult *result);
