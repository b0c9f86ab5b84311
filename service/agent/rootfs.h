/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The root of the guest: an overlay of the read-only image and the private disk.
 *
 * The image may lack everything but one program, and it may be hostile: what is missing is made in
 * the overlay, and links in it are not followed where the agent mounts. */

#pragma once

#include "agent/error.h"

typedef struct
{
  char image[64]; /* device of the disk with serial "base" */
  char disk[64];  /* the same, "upper" */
} AgentDisks;

/* /proc, /sys, /dev and the console of the initramfs. */
bool agent_rootfs_mount_basics (AgentError *error);

/* Looks for the two disks; false while one is missing. */
bool agent_rootfs_find_disks (AgentDisks *disks);

/* Mounts the disks and their overlay, and makes it the root of this process. @format is the
 * image's file system. Then the initramfs is emptied. */
bool agent_rootfs_enter (const AgentDisks *disks, const char *format, AgentError *error);

/* Writes everything out and makes the file systems read-only, as far as that is possible. */
void agent_rootfs_quiesce (void);
