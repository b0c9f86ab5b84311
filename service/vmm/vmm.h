/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A virtual machine monitor driver, and one running monitor.
 *
 * VmsanVmm is the driver: it can say whether it works here, and start a monitor. VmsanMonitor is
 * one monitor process with its machine. Drivers know nothing of records, owners or the bus; they
 * get a VmsanVmmSpec and make, use and clean up what is in it. */

#pragma once

#include "sys/cgroup.h"
#include "sys/process.h"
#include "vmm/isolation.h"
#include "vmm/snapshot-files.h"

#include <gio/gio.h>

/* What every driver calls the console log in the runtime directory. */
#define VMSAN_VMM_CONSOLE_FILE "console.log"

/**
 * VmsanVmmSpec: one machine to run; all borrowed for the length of the call.
 * @runtime_dir_fd: a directory of the machine's own, root only; sockets and logs go there
 * @runtime_dir: its path, for socket addresses
 * @image_fd, @disk_fd: the read-only image and the private disk, open with the right mode
 * @kernel_fd, @initramfs_fd: open read-only
 * @kernel_is_elf: vmlinux rather than bzImage; always, for a driver that needs_elf_kernel
 * @image_format: "ext4", "squashfs" or "erofs", told to the agent on the kernel command line
 * @namespace_fd, @tap_fd, @mac: a machine with a network: its namespace, a tap in it (0 for a
 * driver that opens it by itself), and the address of the guest's device; 0, 0 and NULL without
 * one, and the monitor gets an empty namespace
 * @snapshot_dir_fd: 0, or an empty directory of the machine's own, which is given to @uid: where
 * the monitor puts snapshots
 * @state_fd, @memory_fd: 0, or the files of a snapshot, read-only: the machine goes on from there
 * @uid: for the monitor alone, also its gid
 * @console_max_bytes: bound of the console log
 * @weakened: what is left out of the confinement
 */
typedef struct
{
  const char *id;
  const char *runtime_dir;
  int runtime_dir_fd;
  int image_fd;
  int disk_fd;
  int kernel_fd;
  int initramfs_fd;
  gboolean kernel_is_elf;
  const char *image_format;
  guint vcpus;
  guint memory_mib;
  int namespace_fd;
  int tap_fd;
  const char *mac;
  int snapshot_dir_fd;
  int state_fd;
  int memory_fd;
  uid_t uid;
  VmsanCgroup *cgroup;
  guint64 console_max_bytes;
  VmsanWeakened weakened;
} VmsanVmmSpec;

/* A copy with descriptors of its own, for a worker that outlives the call. */
VmsanVmmSpec *vmsan_vmm_spec_copy (const VmsanVmmSpec *spec);
void vmsan_vmm_spec_free (VmsanVmmSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanVmmSpec, vmsan_vmm_spec_free)

/**
 * VmsanVmmProbe: whether and how a driver works on this host.
 * @available: it can run machines
 * @acceleration: "kvm" or "emulation"; static string
 * @version: of the monitor's program, or empty
 * @reason: when not available or slow: why and what to do; may be empty
 */
typedef struct
{
  gboolean available;
  const char *acceleration;
  char *version;
  char *reason;
} VmsanVmmProbe;

VmsanVmmProbe *vmsan_vmm_probe_copy (const VmsanVmmProbe *probe);
void vmsan_vmm_probe_free (VmsanVmmProbe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanVmmProbe, vmsan_vmm_probe_free)

#define VMSAN_TYPE_MONITOR (vmsan_monitor_get_type ())
G_DECLARE_DERIVABLE_TYPE (VmsanMonitor, vmsan_monitor, VMSAN, MONITOR, GObject)

#define VMSAN_TYPE_VMM (vmsan_vmm_get_type ())
G_DECLARE_DERIVABLE_TYPE (VmsanVmm, vmsan_vmm, VMSAN, VMM, GObject)

struct _VmsanVmmClass
{
  GObjectClass parent_class;

  const char *name;          /* "qemu" */
  guint n_streams;           /* agent sessions at once, the control session included; 0: no bound */
  guint stream_mib;          /* of the guest's memory, for each stream that was ever used */
  guint memory_overhead_mib; /* what the monitor needs beside the guest's memory, for the cgroup */
  gboolean opens_tap; /* by its name in the namespace, so that nobody else may have it open */
  gboolean needs_elf_kernel; /* it boots no bzImage */

  void (*probe_async) (VmsanVmm *, GCancellable *, GAsyncReadyCallback, gpointer);
  VmsanVmmProbe *(*probe_finish) (VmsanVmm *, GAsyncResult *, GError **);
  void (*spawn_async) (
      VmsanVmm *, const VmsanVmmSpec *, GCancellable *, GAsyncReadyCallback, gpointer);
  VmsanMonitor *(*spawn_finish) (VmsanVmm *, GAsyncResult *, GError **);
  VmsanMonitor *(*adopt) (VmsanVmm *, const char *runtime_dir, VmsanProcess *, GError **);
  gboolean (*check_snapshot) (VmsanVmm *, const VmsanSnapshotMeta *, GError **); /* nullable */
};

struct _VmsanMonitorClass
{
  GObjectClass parent_class;

  void (*boot_async) (VmsanMonitor *, GCancellable *, GAsyncReadyCallback, gpointer);
  gboolean (*boot_finish) (VmsanMonitor *, GAsyncResult *, GError **);
  void (*pause_async) (VmsanMonitor *, gboolean, GCancellable *, GAsyncReadyCallback, gpointer);
  gboolean (*pause_finish) (VmsanMonitor *, GAsyncResult *, GError **);
  void (*connect_async) (VmsanMonitor *,
                         guint stream,
                         guint deadline_ms,
                         GCancellable *,
                         GAsyncReadyCallback,
                         gpointer);
  int (*connect_finish) (VmsanMonitor *, GAsyncResult *, GError **);
  void (*power_button_async) (VmsanMonitor *, GCancellable *, GAsyncReadyCallback, gpointer);
  gboolean (*power_button_finish) (VmsanMonitor *, GAsyncResult *, GError **);
  void (*snapshot_async) (VmsanMonitor *, GCancellable *, GAsyncReadyCallback, gpointer);
  gboolean (*snapshot_finish) (VmsanMonitor *, GAsyncResult *, VmsanSnapshotMeta *, GError **);
  char *(*describe_exit) (VmsanMonitor *, int wait_status);
  guint (*shutdown_action) (VmsanMonitor *);
};

/* ---- Driver -------------------------------------------------------------------------------- */

const char *vmsan_vmm_get_name (VmsanVmm *self);

/* Streams that a machine may use, the control stream included, so that they take no more than a
 * quarter of its memory; 0: no bound. */
guint vmsan_vmm_get_n_streams (VmsanVmm *self, guint memory_mib);
guint vmsan_vmm_get_memory_overhead_mib (VmsanVmm *self);

/* FALSE: it gets the tap as a descriptor. */
gboolean vmsan_vmm_opens_tap (VmsanVmm *self);

/* Whether its machines must get an ELF kernel; others get what was added. */
gboolean vmsan_vmm_needs_elf_kernel (VmsanVmm *self);

/* Finds out whether the driver works; never fails for a host that lacks something: that is
 * available = FALSE with the reason. May start a throw-away machine, so it can take a second. */
void vmsan_vmm_probe_async (VmsanVmm *self,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
VmsanVmmProbe *vmsan_vmm_probe_finish (VmsanVmm *self, GAsyncResult *result, GError **error);

/* Starts the monitor in its confinement, with its machine set up but not yet running. On failure
 * nothing is left but files in the runtime directory. (transfer full) */
void vmsan_vmm_spawn_async (VmsanVmm *self,
                            const VmsanVmmSpec *spec,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
VmsanMonitor *vmsan_vmm_spawn_finish (VmsanVmm *self, GAsyncResult *result, GError **error);

/* Takes over the monitor of an earlier run of the service. (transfer full) */
VmsanMonitor *
vmsan_vmm_adopt (VmsanVmm *self, const char *runtime_dir, VmsanProcess *process, GError **error);

/* Whether a snapshot with @meta can be restored by this driver as it is installed now: before
 * anything is made. NOT_SUPPORTED with what is different. Blocks: worker thread. */
gboolean vmsan_vmm_check_snapshot (VmsanVmm *self, const VmsanSnapshotMeta *meta, GError **error);

/* ---- Monitor ------------------------------------------------------------------------------- */

VmsanProcess *vmsan_monitor_get_process (VmsanMonitor *self);    /* (transfer none) */
const char *vmsan_monitor_get_acceleration (VmsanMonitor *self); /* "kvm", "emulation" */

/* Lets the machine run. Returns as soon as the monitor has accepted it; the guest boots on. */
void vmsan_monitor_boot_async (VmsanMonitor *self,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean vmsan_monitor_boot_finish (VmsanMonitor *self, GAsyncResult *result, GError **error);

/* Pauses (@paused) or resumes the machine. */
void vmsan_monitor_pause_async (VmsanMonitor *self,
                                gboolean paused,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean vmsan_monitor_pause_finish (VmsanMonitor *self, GAsyncResult *result, GError **error);

/* Writes the state and the memory of a paused machine to VMSAN_SNAPSHOT_STATE and
 * VMSAN_SNAPSHOT_MEMORY in its snapshot directory, for vmsan_snapshot_seal(). @meta gets driver,
 * version and format. NOT_SUPPORTED by drivers that cannot; on failure the files are worth nothing.
 */
void vmsan_monitor_snapshot_async (VmsanMonitor *self,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
gboolean vmsan_monitor_snapshot_finish (VmsanMonitor *self,
                                        GAsyncResult *result,
                                        VmsanSnapshotMeta *meta,
                                        GError **error);

/* Connects to stream @stream of the guest's agent, 0 being the control stream. The handshake is
 * the caller's. Returns a connected, non-blocking, close-on-exec descriptor (transfer full), or -1.
 * The guest may not be listening yet: then either what is written waits, or this does, for
 * @deadline_ms at most. */
void vmsan_monitor_connect_async (VmsanMonitor *self,
                                  guint stream,
                                  guint deadline_ms,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
int vmsan_monitor_connect_finish (VmsanMonitor *self, GAsyncResult *result, GError **error);

/* Presses the machine's power button, where it has one; NOT_SUPPORTED otherwise. */
void vmsan_monitor_power_button_async (VmsanMonitor *self,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
gboolean
vmsan_monitor_power_button_finish (VmsanMonitor *self, GAsyncResult *result, GError **error);

/* What a wait status of the monitor means, in words for StateReason. The exit code is in it. */
char *vmsan_monitor_describe_exit (VmsanMonitor *self, int wait_status);

/* VmsanShutdownAction of the agent protocol that ends this monitor. */
guint vmsan_monitor_get_shutdown_action (VmsanMonitor *self);

/* For implementations. */
void vmsan_monitor_set_process (VmsanMonitor *self, VmsanProcess *process);
void vmsan_monitor_set_acceleration (VmsanMonitor *self, const char *acceleration);
