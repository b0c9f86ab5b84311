/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A Firecracker that runs, and its machine. */

#pragma once

#include "vmm/firecracker/fc-request.h"
#include "vmm/vmm.h"

#define VMSAN_TYPE_FC_MONITOR (vmsan_fc_monitor_get_type ())
G_DECLARE_FINAL_TYPE (VmsanFcMonitor, vmsan_fc_monitor, VMSAN, FC_MONITOR, VmsanMonitor)

/* Takes @process, which vmsan_fc_jail_spawn() has started for the machine with this runtime
 * directory. (transfer full) */
VmsanFcMonitor *
vmsan_fc_monitor_new (const char *runtime_dir, VmsanProcess *process, GError **error);

/* Waits for its API, asks for the version, and makes the machine. On failure it has ended. */
void vmsan_fc_monitor_set_up_async (VmsanFcMonitor *self,
                                    const VmsanVmmSpec *spec,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
gboolean
vmsan_fc_monitor_set_up_finish (VmsanFcMonitor *self, GAsyncResult *result, GError **error);

/* For one of an earlier run of the service, which has its machine. */
gboolean vmsan_fc_monitor_reconnect (VmsanFcMonitor *self, GError **error);

/* What an exit code of Firecracker means; NULL for one that says nothing. Static. */
const char *vmsan_fc_monitor_explain_exit (int exit_code);
