/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A driver for tests: its monitor is a real confined process that holds no machine.
 *
 * So lifecycle, crash and bus tests have real processes, cgroups, uids and exit codes within
 * milliseconds. It lives in tests/ and is never part of the shipped service.
 *
 * What goes wrong is ordered in a key file, which is read again at each operation, so that a test
 * can change it while the service runs. A missing file orders nothing. Its keys, all in [null]:
 *
 *   fail=probe;spawn;adopt;boot;pause;connect;power-button  these fail with VMM_FAILED
 *   hang=spawn;boot;pause;connect;power-button  these only end when cancelled
 *   die-after-ms=N  a monitor spawned now ends by itself after N milliseconds
 *   exit-code=N     and with this exit code
 *   elf-driver=true  "null-elf" works, which is another driver beside "null"
 *   agent=PATH      a monitor spawned now runs this guest agent, serving on the host; without it
 *                   nobody ever answers on a stream */

#pragma once

#include "vmm/vmm.h"

#define VMSAN_TYPE_NULL_VMM (vmsan_null_vmm_get_type ())
G_DECLARE_FINAL_TYPE (VmsanNullVmm, vmsan_null_vmm, VMSAN, NULL_VMM, VmsanVmm)

/* @monitor_path: the null-monitor program; @orders_path: the key file, or NULL. (transfer full) */
VmsanVmm *vmsan_null_vmm_new (const char *monitor_path, const char *orders_path);

/* The same from VMSAN_NULL_MONITOR and VMSAN_NULL_ORDERS, for a test build of the service. */
VmsanVmm *vmsan_null_vmm_new_from_environment (void);

/* One that needs ELF kernels, and looks at what it gets. */
VmsanVmm *vmsan_null_elf_vmm_new_from_environment (void);
