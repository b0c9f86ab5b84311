/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The root of the guest: an overlay of the read-only image and the private disk.
 *
 * The image may lack everything but one program, and it may be hostile: what is missing is made in
 * the overlay, and links in it are not followed where the agent mounts. */

#pragma once

#include "agent/error.h"

/* By which the two disks are known: what virtio-blk tells of each (at most 20 bytes). */
typedef struct
{
  char image[24];
  char disk[24];
} AgentSerials;

/* Their device nodes; empty: not there. */
typedef struct
{
  char image[64];
  char disk[64];
} AgentDisks;

/* /proc, /sys, /dev and the console of the initramfs. */
bool agent_rootfs_mount_basics (AgentError *error);

/* Looks for the two disks; false while one is missing. */
bool agent_rootfs_find_disks (const AgentSerials *serials, AgentDisks *disks);

/* Mounts the disks and their overlay, and makes it the root of this process. @format is the
 * image's file system. Then the initramfs is emptied. */
bool agent_rootfs_enter (const AgentDisks *disks, const char *format, AgentError *error);

/* Writes everything out and makes the file systems read-only, as far as that is possible. */
void agent_rootfs_quiesce (void);
