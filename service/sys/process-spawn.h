/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Starting a child as a VmsanSpawnSpec says: the parent's side. Used by process.c only. */

#pragma once

#include "sys/process.h"

typedef struct
{
  pid_t pid;
  int pidfd;
} VmsanSpawned;

/* Returns when the child has executed its program, or has failed to and is reaped. */
gboolean
vmsan_process_spawn_child (const VmsanSpawnSpec *spec, VmsanSpawned *spawned, GError **error);
