/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Child processes in confinement of their own, and processes found again after a restart.
 *
 * A process is known by its pidfd, checked against its start time and cgroup; never by a search
 * through command lines. Between clone and exec only async-signal-safe calls are made; a child
 * that cannot set itself up reports the step and errno, and vmsan_process_spawn() fails with it. */

#pragma once

#include "sys/cgroup.h"

#include <gio/gio.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/types.h>

/**
 * VmsanSpawnFlags:
 * @VMSAN_SPAWN_NEW_MOUNT_NS: mount namespace of its own; with root_binds, a root of its own too
 * @VMSAN_SPAWN_NEW_PID_NS: it is PID 1 of a PID namespace: when it dies, all in it die
 * @VMSAN_SPAWN_NEW_NET_NS: an empty network namespace, unless netns_fd names one
 * @VMSAN_SPAWN_NEW_USER_NS: user namespace mapping 0..id_map_count-1 to id_map_first and on; the
 *   process runs as 0 in it, which is id_map_first outside
 * @VMSAN_SPAWN_MOUNT_PROC: /proc of the new root shows the processes of the new PID namespace, and
 *   nothing else; only with NEW_PID_NS and root_binds
 * @VMSAN_SPAWN_JAILER: it starts as root, with @kept_capabilities of root's and no others, for a
 *   program that makes a confinement and drops all of it before it runs what is not trusted; only
 *   in mount and PID namespaces of its own, and with root_binds
 *
 * IPC and UTS namespaces are always new. The first process of a PID namespace gets only signals
 * that it has a handler for, and SIGKILL.
 */
typedef enum
{
  VMSAN_SPAWN_NEW_MOUNT_NS = 1 << 0,
  VMSAN_SPAWN_NEW_PID_NS = 1 << 1,
  VMSAN_SPAWN_NEW_NET_NS = 1 << 2,
  VMSAN_SPAWN_NEW_USER_NS = 1 << 3,
  VMSAN_SPAWN_MOUNT_PROC = 1 << 4,
  VMSAN_SPAWN_JAILER = 1 << 5,
} VmsanSpawnFlags;

/* To mount, change the root, make device nodes, give them away, and become somebody else. */
#define VMSAN_SPAWN_JAILER_CAPABILITIES                                                            \
  (1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER | 1ull << CAP_MKNOD |         \
   1ull << CAP_SETGID | 1ull << CAP_SETUID | 1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_CHROOT)

/**
 * VmsanBind:
 * @source: path on the host, or NULL when @source_fd is used; a source chosen by configuration or
 *   by vmsan itself, never by a caller
 * @source_fd: descriptor of the source (O_PATH will do), or -1
 * @target: absolute path inside the new root; parents and the target are made
 * @writable: read-only otherwise
 * @optional: a missing source is skipped
 * @device: a device node; every other bind is nodev. All are nosuid.
 * @tmpfs_bytes: if > 0, not a bind but a new tmpfs of that size, writable, with device nodes and
 *   programs allowed; @source and @source_fd are not used
 *
 * A bind mount into the tmpfs that becomes the child's root, which is read-only. Mounts below the
 * source are not taken along. Later binds go over earlier ones; a target that lies inside an
 * earlier bind must exist in its source, for nothing is made on the host; inside a new tmpfs it is
 * made.
 */
typedef struct
{
  const char *source;
  int source_fd;
  const char *target;
  gboolean writable;
  gboolean optional;
  gboolean device;
  guint64 tmpfs_bytes;
} VmsanBind;

/**
 * VmsanSpawnFd: descriptor @source of ours becomes @target (3 or more, or 0 to 2) in the child.
 * Everything not listed is closed; 0, 1 and 2 default to /dev/null.
 */
typedef struct
{
  int source;
  int target;
} VmsanSpawnFd;

typedef struct
{
  int resource; /* RLIMIT_* */
  rlim_t value; /* soft and hard */
} VmsanRlimit;

/**
 * VmsanSpawnSpec: everything about a child; zero-initialize it.
 *
 * Set up in this order: namespaces, cgroup, netns_fd, mounts and root, rlimits, bounding set,
 * groups, gid, uid, all other capabilities, no_new_privs, cwd, descriptors, exec. Signals are all
 * at their default. With a user namespace the process keeps its capabilities in it, and @uid and
 * @gid are not used; without one they must not be 0. A user namespace cannot join @netns_fd.
 *
 * @kept_capabilities: bits of what is left to a process without a user namespace: of CAP_NET_ADMIN
 * and CAP_NET_BIND_SERVICE, and only in a network namespace that is not ours; or what
 * VMSAN_SPAWN_JAILER needs, of VMSAN_SPAWN_JAILER_CAPABILITIES.
 */
typedef struct
{
  const char *const *argv; /* argv[0] is an absolute path, inside the new root */
  const char *const *envp; /* NULL: empty */
  const char *cwd;         /* NULL: / */
  int exec_fd;             /* if > 0, the program (no script) to execute, in place of argv[0] */
  VmsanSpawnFlags flags;
  uid_t uid;
  gid_t gid;
  gid_t extra_gid; /* if > 0, the one supplementary group; not with a user namespace */
  uid_t id_map_first;
  guint id_map_count;
  int netns_fd; /* if > 0, join it */
  guint64 kept_capabilities;
  VmsanCgroup *cgroup; /* nullable */
  const VmsanBind *root_binds;
  guint n_root_binds;
  const VmsanSpawnFd *fds;
  guint n_fds;
  const VmsanRlimit *rlimits;
  guint n_rlimits;
  gboolean new_session; /* setsid() */
} VmsanSpawnSpec;

#define VMSAN_TYPE_PROCESS (vmsan_process_get_type ())
G_DECLARE_FINAL_TYPE (VmsanProcess, vmsan_process, VMSAN, PROCESS, GObject)

/* Starts a child. Its parent is this process, yet it lives on when this process ends. Blocks for
 * the set-up of the child (about a millisecond), so call it from a worker thread. */
VmsanProcess *vmsan_process_spawn (const VmsanSpawnSpec *spec, GError **error);

/* Finds a process of an earlier run again: it must have this start time (field 22 of
 * /proc/PID/stat, in clock ticks) and be in @cgroup. NOT_FOUND when it is gone or another one. */
VmsanProcess *
vmsan_process_adopt (pid_t pid, guint64 start_time, VmsanCgroup *cgroup, GError **error);

pid_t vmsan_process_get_pid (VmsanProcess *self);
guint64 vmsan_process_get_start_time (VmsanProcess *self);
int vmsan_process_get_pidfd (VmsanProcess *self); /* borrowed */

/* Sends a signal through the pidfd. A process that is gone is not an error. */
gboolean vmsan_process_kill (VmsanProcess *self, int signal_number, GError **error);

/* Completes when the process has ended. The wait status as of waitpid(2) comes in @wait_status,
 * -1 for an adopted process, whose status only its parent can have. Never blocks the loop: a
 * source on the pidfd. Several may wait. Reaps the child; one that nobody waits for is reaped by
 * the default main context after the last reference to it is gone. */
void vmsan_process_wait_async (VmsanProcess *self,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean vmsan_process_wait_finish (VmsanProcess *self,
                                    GAsyncResult *result,
                                    int *wait_status,
                                    GError **error);

/* TRUE once it has ended; non-blocking. */
gboolean vmsan_process_has_ended (VmsanProcess *self);

/* Runs a confined child to its end with a deadline, in a worker thread: for tools such as mke2fs.
 * FAILED when it does not exit with 0, with the last of its standard error in the message. The
 * spec's descriptor 2 is taken for that. It always runs in a PID namespace of its own, so that
 * nothing it started survives it, the deadline or a cancellation. Blocks: worker thread. */
gboolean vmsan_process_run (const VmsanSpawnSpec *spec,
                            guint deadline_ms,
                            GCancellable *cancellable,
                            GError **error);

/* Start time of any process, for a record. */
gboolean vmsan_process_read_start_time (pid_t pid, guint64 *start_time, GError **error);
