/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing but async-signal-safe calls, and no program runs in a half-made confinement.
 *
 * setuid() and its like are called as raw system calls: the C library's wrappers signal all
 * threads that it knows of, and its list still holds the parent's. */

#include "sys/process-child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The exit code is seen by nobody but the parent, which has the report. */
#define EXIT_SETUP_FAILED 127

static void __attribute__ ((noreturn))
fail (const VmsanChildPlan *plan, VmsanChildStep step, unsigned index)
{
  VmsanChildReport report = { step, index, errno };
  ssize_t n;

  do
    n = write (plan->report_fd, &report, sizeof report);
  while (n < 0 && errno == EINTR);
  _exit (EXIT_SETUP_FAILED);
}

/* Until this returns the child has no identity in its user namespace. End of file means that the
 * parent died: then nobody will ever write the maps. */
static void
wait_for_id_maps (const VmsanChildPlan *plan)
{
  char byte;
  ssize_t n;

  if (plan->go_fd < 0)
    return;
  close (plan->go_other_fd);
  do
    n = read (plan->go_fd, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1)
    _exit (EXIT_SETUP_FAILED);
}

/* The parent blocked all signals before the clone, so none of its handlers can run here; they stay
 * blocked until the exec. */
static void
reset_signals (const VmsanChildPlan *plan)
{
  struct sigaction action = { .sa_handler = SIG_DFL };

  for (int number = 1; number < NSIG; number++)
    {
      /* EINVAL: SIGKILL, SIGSTOP and what the C library keeps for itself */
      if (sigaction (number, &action, NULL) < 0 && errno != EINVAL)
        fail (plan, VMSAN_CHILD_STEP_SIGNALS, number);
    }
}

/* Comes first, so that from here on the child can always be found by its cgroup. */
static void
join_cgroup (const VmsanChildPlan *plan)
{
  for (unsigned i = 0; i < plan->n_cgroup_fds; i++)
    {
      if (write (plan->cgroup_fds[i], "0", 1) != 1)
        fail (plan, VMSAN_CHILD_STEP_CGROUP, i);
    }
}

/* A proc that shows the processes of the new PID namespace and nothing else of the kernel. Made
 * while the host's proc is still in view, because a user namespace may mount one only then. */
static int
make_proc (const VmsanChildPlan *plan)
{
  int context, mount_fd;

  context = fsopen ("proc", FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig (context, FSCONFIG_SET_STRING, "subset", "pid", 0) < 0 ||
      fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    fail (plan, VMSAN_CHILD_STEP_PROC, 0);
  mount_fd = fsmount (context, FSMOUNT_CLOEXEC,
                      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY);
  if (mount_fd < 0)
    fail (plan, VMSAN_CHILD_STEP_PROC, 0);
  close (context);
  return mount_fd;
}

/* The new root is attached over the old one, then both change places in one step: pivot_root(2)
 * with the same directory for both puts the old root on top of the new one, from where it is
 * detached. The binds come afterwards, when no symbolic link in them can lead to the host. */
static void
change_root (const VmsanChildPlan *plan)
{
  if (move_mount (plan->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
      fchdir (plan->root_fd) < 0 || syscall (SYS_pivot_root, ".", ".") < 0 ||
      umount2 (".", MNT_DETACH) < 0 || chdir ("/") < 0)
    fail (plan, VMSAN_CHILD_STEP_ROOT, 0);
}

static void
set_up_mounts (const VmsanChildPlan *plan)
{
  int proc_fd = -1;

  if (!plan->new_mount_ns)
    return;
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    fail (plan, VMSAN_CHILD_STEP_PROPAGATION, 0);
  if (plan->root_fd < 0)
    return;

  if (plan->mount_proc)
    proc_fd = make_proc (plan);
  change_root (plan);
  for (unsigned i = 0; i < plan->n_mounts; i++)
    {
      if (move_mount (plan->mounts[i].tree_fd, "", AT_FDCWD, plan->mounts[i].target,
                      MOVE_MOUNT_F_EMPTY_PATH) < 0)
        fail (plan, VMSAN_CHILD_STEP_BIND, i);
    }
  if (proc_fd >= 0 && move_mount (proc_fd, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
    fail (plan, VMSAN_CHILD_STEP_PROC, 0);
}

static void
set_rlimits (const VmsanChildPlan *plan)
{
  for (unsigned i = 0; i < plan->n_rlimits; i++)
    {
      if (setrlimit (plan->rlimits[i].resource, &plan->rlimits[i].limit) < 0)
        fail (plan, VMSAN_CHILD_STEP_RLIMIT, i);
    }
}

/* While the process is still privileged: the bounding set can be lowered with CAP_SETPCAP only. */
static void
drop_bounding_set (const VmsanChildPlan *plan)
{
  if (plan->user_ns)
    return;
  for (int cap = 0; prctl (PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
    {
      if (plan->kept_capabilities >> cap & 1)
        continue;
      if (prctl (PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
        fail (plan, VMSAN_CHILD_STEP_BOUNDING_SET, cap);
    }
}

static void
change_identity (const VmsanChildPlan *plan)
{
  if (syscall (SYS_setgroups, plan->extra_gid != 0 ? 1 : 0, &plan->extra_gid) < 0)
    fail (plan, VMSAN_CHILD_STEP_GROUPS, 0);
  if (syscall (SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0)
    fail (plan, VMSAN_CHILD_STEP_GID, 0);
  /* Until the exec, which clears the flag; what is not wanted goes in the next step. */
  if (plan->kept_capabilities != 0 && prctl (PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
    fail (plan, VMSAN_CHILD_STEP_UID, 0);
  if (syscall (SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0)
    fail (plan, VMSAN_CHILD_STEP_UID, 0);
}

/* The change of uid cleared them in most cases already; "most" is not enough. A program without
 * file capabilities gets those in the ambient set, which must be inheritable before; root's
 * programs get what the bounding set has left. */
static void
drop_capabilities (const VmsanChildPlan *plan)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = { 0 };

  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
    {
      kept[i].effective = plan->kept_capabilities >> (32 * i);
      kept[i].permitted = kept[i].effective;
      kept[i].inheritable = kept[i].effective;
    }
  if (prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
    fail (plan, VMSAN_CHILD_STEP_CAPABILITIES, 0);
  if (!plan->user_ns && syscall (SYS_capset, &header, kept) < 0)
    fail (plan, VMSAN_CHILD_STEP_CAPABILITIES, 0);
  for (int cap = 0; cap < 64 && !plan->jailer; cap++)
    {
      if ((plan->kept_capabilities >> cap & 1) &&
          prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
        fail (plan, VMSAN_CHILD_STEP_CAPABILITIES, cap);
    }
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    fail (plan, VMSAN_CHILD_STEP_NO_NEW_PRIVS, 0);
}

/* Everything closes on exec, whoever opened it, except what dup2() makes now. */
static void
arrange_descriptors (const VmsanChildPlan *plan)
{
  if (syscall (SYS_close_range, 0, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
    fail (plan, VMSAN_CHILD_STEP_DESCRIPTORS, 0);
  for (unsigned i = 0; i < plan->n_fds; i++)
    {
      if (dup2 (plan->fds[i].source, plan->fds[i].target) < 0)
        fail (plan, VMSAN_CHILD_STEP_DESCRIPTORS, i);
    }
}

static void __attribute__ ((noreturn)) execute (const VmsanChildPlan *plan)
{
  sigset_t none;

  sigemptyset (&none);
  if (sigprocmask (SIG_SETMASK, &none, NULL) < 0)
    fail (plan, VMSAN_CHILD_STEP_SIGNALS, 0);
  if (plan->exec_fd >= 0)
    syscall (SYS_execveat, plan->exec_fd, "", plan->argv, plan->envp, AT_EMPTY_PATH);
  else
    execve (plan->argv[0], plan->argv, plan->envp);
  fail (plan, VMSAN_CHILD_STEP_EXEC, 0);
}

void
vmsan_process_child_run (const VmsanChildPlan *plan)
{
  reset_signals (plan);
  join_cgroup (plan);
  wait_for_id_maps (plan);
  if (plan->netns_fd >= 0 && setns (plan->netns_fd, CLONE_NEWNET) < 0)
    fail (plan, VMSAN_CHILD_STEP_NETNS, 0);
  if (plan->new_session && setsid () < 0)
    fail (plan, VMSAN_CHILD_STEP_SESSION, 0);
  set_up_mounts (plan);
  set_rlimits (plan);
  drop_bounding_set (plan);
  change_identity (plan);
  drop_capabilities (plan);
  umask (022);
  if (chdir (plan->cwd) < 0)
    fail (plan, VMSAN_CHILD_STEP_CWD, 0);
  arrange_descriptors (plan);
  execute (plan);
}
