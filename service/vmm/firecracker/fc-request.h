/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One request to Firecracker's API: method, path and body.
 *
 * Each kind has a maker with typed arguments. A maker refuses what Firecracker would refuse
 * whatever the state of its machine: INVALID_ARGUMENT for a value, NOT_SUPPORTED for what the
 * version does not have. Paths are as Firecracker sees them, inside its jail, and absolute. */

#pragma once

#include "vmm/firecracker/fc-version.h"

typedef struct _VmsanFcRequest VmsanFcRequest;

VmsanFcRequest *vmsan_fc_request_ref (VmsanFcRequest *self);
void vmsan_fc_request_unref (VmsanFcRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanFcRequest, vmsan_fc_request_unref)

const char *vmsan_fc_request_get_method (VmsanFcRequest *self); /* "PUT" */
const char *vmsan_fc_request_get_path (VmsanFcRequest *self);   /* "/drives/base" */
const char *vmsan_fc_request_get_body (VmsanFcRequest *self);   /* JSON, or NULL */

/* A bucket of tokens that fills up in @refill_ms; @size 0: no bound. */
typedef struct
{
  guint64 size;
  guint64 one_time_burst;
  guint64 refill_ms;
} VmsanFcBucket;

/* Zero: none. */
typedef struct
{
  VmsanFcBucket bytes;
  VmsanFcBucket operations;
} VmsanFcRateLimiter;

/* ---- Asking -------------------------------------------------------------------------------- */

VmsanFcRequest *vmsan_fc_request_new_get_version (void);
VmsanFcRequest *vmsan_fc_request_new_describe (void);

/* ---- Before the machine runs --------------------------------------------------------------- */

typedef struct
{
  guint vcpus;
  guint memory_mib;
  gboolean smt;
  gboolean track_dirty_pages; /* for diff snapshots */
  gboolean huge_pages;        /* of 2 MiB; @memory_mib is even */
} VmsanFcMachine;

VmsanFcRequest *vmsan_fc_request_new_machine (const VmsanFcMachine *machine, GError **error);

typedef struct
{
  const char *kernel_path;
  const char *initrd_path; /* nullable */
  const char *arguments;   /* of the kernel; nullable */
} VmsanFcBootSource;

VmsanFcRequest *vmsan_fc_request_new_boot_source (const VmsanFcBootSource *source, GError **error);

/**
 * VmsanFcDrive:
 * @id: letters, digits and "_"
 * @writeback: flushes of the guest reach the disk; otherwise Firecracker ignores them
 * @io_uring: asynchronous input and output
 */
typedef struct
{
  const char *id;
  const char *path;
  gboolean read_only;
  gboolean root_device;
  gboolean writeback;
  gboolean io_uring;
  VmsanFcRateLimiter limit;
} VmsanFcDrive;

VmsanFcRequest *vmsan_fc_request_new_drive (const VmsanFcDrive *drive, GError **error);

/**
 * VmsanFcInterface:
 * @id: letters, digits and "_"
 * @tap: name in the network namespace of Firecracker
 * @mac: of the guest's device; nullable
 * @mtu: 0: not told
 */
typedef struct
{
  const char *id;
  const char *tap;
  const char *mac;
  guint mtu;
  VmsanFcRateLimiter to_guest;
  VmsanFcRateLimiter from_guest;
} VmsanFcInterface;

VmsanFcRequest *vmsan_fc_request_new_interface (const VmsanFcVersion *version,
                                                const VmsanFcInterface *interface,
                                                GError **error);

/* @path: of the socket that Firecracker makes for host and guest to meet. */
VmsanFcRequest *vmsan_fc_request_new_vsock (guint32 guest_cid, const char *path, GError **error);

VmsanFcRequest *vmsan_fc_request_new_entropy (const VmsanFcRateLimiter *limit, GError **error);

typedef enum
{
  VMSAN_FC_LOG_ERROR,
  VMSAN_FC_LOG_WARNING,
  VMSAN_FC_LOG_INFO,
  VMSAN_FC_LOG_DEBUG,
} VmsanFcLogLevel;

VmsanFcRequest *
vmsan_fc_request_new_logger (const char *path, VmsanFcLogLevel level, GError **error);
VmsanFcRequest *vmsan_fc_request_new_metrics (const char *path, GError **error);

/* @limit: of the bytes written */
VmsanFcRequest *vmsan_fc_request_new_serial (const VmsanFcVersion *version,
                                             const char *path,
                                             const VmsanFcBucket *limit,
                                             GError **error);

typedef struct
{
  guint size_mib; /* taken from the guest */
  gboolean deflate_on_oom;
  guint statistics_interval_s;
  gboolean reporting; /* free pages are given back as they become free */
} VmsanFcBalloon;

VmsanFcRequest *vmsan_fc_request_new_balloon (const VmsanFcVersion *version,
                                              const VmsanFcBalloon *balloon,
                                              GError **error);

/**
 * VmsanFcOverride: interface @id of the snapshot gets @tap.
 */
typedef struct
{
  const char *id;
  const char *tap;
} VmsanFcOverride;

/**
 * VmsanFcSnapshotLoad:
 * @vsock_path: another path for the vsock socket; nullable
 * @overrides: @n_overrides of them
 * @clock_realtime: the guest's clock goes on from now
 *
 * Only in a Firecracker that was given nothing but logger, metrics and serial. When it fails,
 * Firecracker ends.
 */
typedef struct
{
  const char *state_path;
  const char *memory_path;
  gboolean track_dirty_pages;
  gboolean resume;
  gboolean clock_realtime;
  const char *vsock_path;
  const VmsanFcOverride *overrides;
  guint n_overrides;
} VmsanFcSnapshotLoad;

VmsanFcRequest *vmsan_fc_request_new_snapshot_load (const VmsanFcVersion *version,
                                                    const VmsanFcSnapshotLoad *load,
                                                    GError **error);

/* ---- The machine's life -------------------------------------------------------------------- */

typedef enum
{
  VMSAN_FC_START,
  VMSAN_FC_CTRL_ALT_DEL, /* x86; that it was accepted says nothing about the guest */
  VMSAN_FC_FLUSH_METRICS,
} VmsanFcAction;

VmsanFcRequest *vmsan_fc_request_new_action (VmsanFcAction action);

VmsanFcRequest *vmsan_fc_request_new_set_paused (gboolean paused);

/* Of a paused machine. @diff: only pages written since the last one, and only if they are
 * tracked. */
VmsanFcRequest *vmsan_fc_request_new_snapshot_create (const char *state_path,
                                                      const char *memory_path,
                                                      gboolean diff,
                                                      GError **error);

VmsanFcRequest *vmsan_fc_request_new_balloon_size (guint size_mib);
