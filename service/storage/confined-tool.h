/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the helper programs of storage/ run in: ids that nothing else on the host uses, and a root
 * with the system's programs and libraries, read-only, and nothing else. */

#pragma once

#include "sys/process.h"

#define VMSAN_TOOL_ID_COUNT 65536

/* Where our own tools report why they gave up; see image-builder/report.h. */
#define VMSAN_TOOL_REPORT_FD 3

/* Sets the first of VMSAN_TOOL_ID_COUNT host uids and gids that tools run as. The default lies
 * above what container managers hand out (systemd's "Users, Groups, UIDs and GIDs"). Call it before
 * there are threads. */
void vmsan_tool_set_ids (uid_t first);
uid_t vmsan_tool_get_id (void);

/* Path of mke2fs, or NULL: UNAVAILABLE, naming the package. */
const char *vmsan_tool_find_mke2fs (GError **error);

/* The binds that every tool needs, and room for @n_more. (transfer full) (element-type VmsanBind)
 */
GArray *vmsan_tool_new_binds (guint n_more);

/* Adds the bind of a descriptor, for the tool to write to. */
void vmsan_tool_add_writable (GArray *binds, int fd, const char *target);

/* The program of a tool of ours, to be executed: a descriptor, or -1 and UNAVAILABLE. */
int vmsan_tool_open (const char *program, GError **error);

/* An empty file for the tool's VMSAN_TOOL_REPORT_FD, or -1. */
int vmsan_tool_new_report (GError **error);

/* Replaces the @error of a tool that failed with what it reported, if it did. What a tool says is
 * as hostile as what it read: it is bounded, and one line of text. */
void vmsan_tool_explain (int report_fd, GError **error);
