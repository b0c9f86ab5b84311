/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The steps that a machine is made and booted with, in their order. */

#pragma once

#include "vm/vm-operation.h"

#define VMSAN_N_CREATE_STEPS 2

/* What a stopped machine has: directory, disk. NULL-terminated, as all of these. */
extern const VmsanStep *const vmsan_create_steps[];

/* What a running one has beside that: runtime directory, cgroup, network, monitor, guest. */
extern const VmsanStep *const vmsan_run_steps[];

/* Both. The first VMSAN_N_CREATE_STEPS are the former. */
extern const VmsanStep *const vmsan_all_steps[];
