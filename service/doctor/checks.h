/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The checks that change nothing. Each adds at least one finding to @findings. */

#pragma once

#include "doctor/finding.h"
#include "vm/vm-manager.h"

/* What checks may use in a thread: nothing in it changes. */
typedef struct
{
  VmsanNetManager *networks;
  VmsanManagedRoot *state_root;
  VmsanManagedRoot *runtime_root;
  char *cgroup_parent;
  char *resolver;
  char *dnsmasq_binary;
} VmsanDoctorScope;

/* ---- supply-checks.c: what machines are made of; on the main context --------------------------
 */

/* "driver", "kvm": as the drivers were probed when the service started. */
void vmsan_doctor_check_drivers (VmsanVmManager *manager, GPtrArray *findings);

/* "image", "kernel" */
void vmsan_doctor_check_contents (VmsanVmManager *manager, GPtrArray *findings);

/* ---- All others block: worker thread --------------------------------------------------------- */

/* host-checks.c: "kernel-feature", "cgroups", "nftables", "dnsmasq" */
void vmsan_doctor_check_host (const VmsanDoctorScope *scope, GPtrArray *findings);

/* storage-checks.c: "state-directory", "runtime-directory", "damaged" */
void vmsan_doctor_check_storage (const VmsanDoctorScope *scope, GPtrArray *findings);

/* network-checks.c: "network-conflict", "uplink", "resolver" */
void vmsan_doctor_check_network (const VmsanDoctorScope *scope, GPtrArray *findings);
