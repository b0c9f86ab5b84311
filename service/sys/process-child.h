/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The child's side of vmsan_process_spawn(), between clone and exec.
 *
 * The child is a copy of one thread of a threaded process: any lock may be held for ever by a
 * thread that does not exist here. So this part does not know GLib, allocates nothing, and makes
 * system calls only; all that can be made ready is made ready by the parent. */

#pragma once

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* In the order in which they are done. */
typedef enum
{
  VMSAN_CHILD_STEP_SIGNALS,
  VMSAN_CHILD_STEP_CGROUP,
  VMSAN_CHILD_STEP_NETNS,
  VMSAN_CHILD_STEP_SESSION,
  VMSAN_CHILD_STEP_PROPAGATION,
  VMSAN_CHILD_STEP_ROOT,
  VMSAN_CHILD_STEP_BIND,
  VMSAN_CHILD_STEP_PROC,
  VMSAN_CHILD_STEP_RLIMIT,
  VMSAN_CHILD_STEP_BOUNDING_SET,
  VMSAN_CHILD_STEP_GROUPS,
  VMSAN_CHILD_STEP_GID,
  VMSAN_CHILD_STEP_UID,
  VMSAN_CHILD_STEP_CAPABILITIES,
  VMSAN_CHILD_STEP_NO_NEW_PRIVS,
  VMSAN_CHILD_STEP_CWD,
  VMSAN_CHILD_STEP_DESCRIPTORS,
  VMSAN_CHILD_STEP_EXEC,
} VmsanChildStep;

/* What the child says before it exits with a failure; a successful exec says nothing. */
typedef struct
{
  int step;
  int index; /* of the bind, rlimit or descriptor */
  int saved_errno;
} VmsanChildReport;

typedef struct
{
  int tree_fd;        /* a detached mount, its attributes already set */
  const char *target; /* absolute, inside the new root */
} VmsanChildMount;

typedef struct
{
  int source; /* above every target, so that no dup2() destroys a source */
  int target;
} VmsanChildFd;

typedef struct
{
  int resource;
  struct rlimit limit;
} VmsanChildRlimit;

typedef struct
{
  int report_fd;   /* close-on-exec, above every target */
  int go_fd;       /* -1, or readable once the parent wrote the ID maps */
  int go_other_fd; /* the parent's end, as copied by clone */
  const int *cgroup_fds;
  unsigned n_cgroup_fds;
  int netns_fd; /* -1: none to join */
  bool new_session;
  bool new_mount_ns;
  bool mount_proc;
  bool user_ns;
  int root_fd; /* -1, or the detached mount that becomes the root */
  const VmsanChildMount *mounts;
  unsigned n_mounts;
  const VmsanChildRlimit *rlimits;
  unsigned n_rlimits;
  uid_t uid;
  gid_t gid;
  gid_t extra_gid; /* 0: none */
  unsigned long long kept_capabilities;
  bool jailer; /* stays root, with these capabilities */
  const char *cwd;
  const VmsanChildFd *fds;
  unsigned n_fds;
  int exec_fd; /* -1: argv[0] */
  char *const *argv;
  char *const *envp;
} VmsanChildPlan;

/* Sets itself up and executes the program; never returns. */
void vmsan_process_child_run (const VmsanChildPlan *plan) __attribute__ ((noreturn));
