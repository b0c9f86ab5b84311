/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The service from its first to its last moment; main() only adds the drivers. */

#pragma once

#include "vm/service-config.h"

#include <glib.h>

/* Makes the drivers, in order of preference. (transfer full) (element-type VmsanVmm) */
typedef GPtrArray *(*VmsanDaemonDrivers) (const VmsanConfig *config);

/* Runs until SIGTERM or SIGINT, or until the name on the bus is lost; returns the exit code. */
int vmsan_daemon_main (int argc, char **argv, VmsanDaemonDrivers drivers);
