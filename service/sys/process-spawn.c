/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: everything that can fail for a reason of the caller's fails before there is a child; a
 * child that fails is reaped, and its step and errno are in the error. */

#include "sys/process-spawn.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/process-child.h"
#include "sys/root-tree.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Far more than any child needs; descriptors of ours are moved above the highest target. */
#define MAX_TARGET_FD 1023

/* All that the child is given, and the ends that the parent keeps. */
typedef struct
{
  VmsanChildPlan plan;
  VmsanRootTree root;
  GArray *owned_fds; /* of int; closed with the rest */
  VmsanChildFd *fds;
  VmsanChildRlimit *rlimits;
  int report_fd; /* the parent's end */
  int go_fd;     /* the parent's end; -1 without a user namespace */
} Preparation;

static void
preparation_clear (Preparation *self)
{
  vmsan_root_tree_clear (&self->root);
  for (guint i = 0; i < self->owned_fds->len; i++)
    vmsan_fd_close (&g_array_index (self->owned_fds, int, i));
  g_array_unref (self->owned_fds);
  g_free (self->fds);
  g_free (self->rlimits);
  vmsan_fd_close (&self->report_fd);
  vmsan_fd_close (&self->go_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Preparation, preparation_clear)

static gboolean
refuse (GError **error, const char *program, const char *why)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "“%s” cannot be started: %s",
               program, why);
  return FALSE;
}

static gboolean
check_fds (const VmsanSpawnSpec *spec, GError **error)
{
  for (guint i = 0; i < spec->n_fds; i++)
    {
      if (spec->fds[i].source < 0 || spec->fds[i].target < 0 || spec->fds[i].target > MAX_TARGET_FD)
        return refuse (error, spec->argv[0], "a descriptor for it is out of range");
      for (guint j = 0; j < i; j++)
        {
          if (spec->fds[j].target == spec->fds[i].target)
            return refuse (error, spec->argv[0], "two descriptors have the same target");
        }
    }
  return TRUE;
}

static gboolean
has_own_network (const VmsanSpawnSpec *spec)
{
  return spec->netns_fd > 0 || (spec->flags & VMSAN_SPAWN_NEW_NET_NS);
}

/* In a namespace of a machine's these reach nothing beyond; here they would rule the host. */
static gboolean
check_capabilities (const VmsanSpawnSpec *spec, GError **error)
{
  const guint64 known = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_BIND_SERVICE;

  if (spec->kept_capabilities == 0)
    return TRUE;
  if (spec->kept_capabilities & ~known)
    return refuse (error, spec->argv[0], "it would keep capabilities that nothing should have");
  if (spec->flags & VMSAN_SPAWN_NEW_USER_NS)
    return refuse (error, spec->argv[0], "in a user namespace it has its capabilities anyway");
  if (!has_own_network (spec))
    return refuse (error, spec->argv[0], "it would keep capabilities over the host's network");
  return TRUE;
}

static gboolean
check_jailer (const VmsanSpawnSpec *spec, GError **error)
{
  const VmsanSpawnFlags needed = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS;

  if ((spec->flags & needed) != needed || spec->n_root_binds == 0)
    return refuse (error, spec->argv[0], "a jailer needs a root and namespaces that are not ours");
  if ((spec->flags & VMSAN_SPAWN_NEW_USER_NS) || spec->uid != 0 || spec->gid != 0 ||
      spec->extra_gid != 0)
    return refuse (error, spec->argv[0], "a jailer starts as root, and nobody else");
  if (spec->kept_capabilities & ~VMSAN_SPAWN_JAILER_CAPABILITIES)
    return refuse (error, spec->argv[0], "it would keep capabilities that no jailer should have");
  return TRUE;
}

static gboolean
check_spec (const VmsanSpawnSpec *spec, GError **error)
{
  const char *program = spec->argv[0];
  gboolean user_ns = (spec->flags & VMSAN_SPAWN_NEW_USER_NS) != 0;
  gboolean jailer = (spec->flags & VMSAN_SPAWN_JAILER) != 0;

  if (!g_path_is_absolute (program))
    return refuse (error, program, "its path is not absolute");
  if (spec->n_root_binds > 0 && !(spec->flags & VMSAN_SPAWN_NEW_MOUNT_NS))
    return refuse (error, program, "a root of its own needs a mount namespace of its own");
  if ((spec->flags & VMSAN_SPAWN_MOUNT_PROC) &&
      (!(spec->flags & VMSAN_SPAWN_NEW_PID_NS) || spec->n_root_binds == 0))
    return refuse (error, program, "a proc of its own needs a PID namespace and a root");
  if (!user_ns && !jailer && (spec->uid == 0 || spec->gid == 0))
    return refuse (error, program, "it would run as root; give it a user and group of its own");
  /* Mapping the host's 0 would make a root of the child in all but name. */
  if (user_ns && (spec->id_map_first == 0 || spec->id_map_count == 0 ||
                  spec->id_map_count >= G_MAXUINT32 - spec->id_map_first))
    return refuse (error, program, "its range of user ids is empty, has root in it or wraps");
  /* Joining asks for privileges over the target that a new user namespace takes away. */
  if (user_ns && spec->netns_fd > 0)
    return refuse (error, program, "it cannot join a network namespace from a user namespace");
  return (jailer ? check_jailer (spec, error) : check_capabilities (spec, error)) &&
         check_fds (spec, error);
}

/* Takes over @fd for the length of the spawn, moved to @minimum or above. Returns -1 on error. */
static int
own_fd_above (Preparation *self, int fd, int minimum)
{
  int moved = fcntl (fd, F_DUPFD_CLOEXEC, minimum);

  if (moved >= 0)
    g_array_append_val (self->owned_fds, moved);
  return moved;
}

static int
first_free_target (const VmsanSpawnSpec *spec)
{
  int minimum = 3;

  for (guint i = 0; i < spec->n_fds; i++)
    minimum = MAX (minimum, spec->fds[i].target + 1);
  return minimum;
}

static gboolean
prepare_fds (Preparation *self, const VmsanSpawnSpec *spec, int minimum, GError **error)
{
  vmsan_autofd int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int high_null = null_fd >= 0 ? own_fd_above (self, null_fd, minimum) : -1;

  if (high_null < 0)
    return vmsan_error_set_errno (error, errno, "Opening “/dev/null” for “%s” failed",
                                  spec->argv[0]);
  self->fds = g_new0 (VmsanChildFd, spec->n_fds + 3);
  for (int target = 0; target < 3; target++)
    self->fds[target] = (VmsanChildFd){ high_null, target };
  for (guint i = 0; i < spec->n_fds; i++)
    {
      int source = own_fd_above (self, spec->fds[i].source, minimum);

      if (source < 0)
        return vmsan_error_set_errno (error, errno, "Passing descriptor %d to “%s” failed",
                                      spec->fds[i].source, spec->argv[0]);
      self->fds[3 + i] = (VmsanChildFd){ source, spec->fds[i].target };
    }
  self->plan.fds = self->fds;
  self->plan.n_fds = 3 + spec->n_fds;

  self->plan.exec_fd = -1;
  if (spec->exec_fd > 0)
    {
      self->plan.exec_fd = own_fd_above (self, spec->exec_fd, minimum);
      if (self->plan.exec_fd < 0)
        return vmsan_error_set_errno (error, errno, "Passing the program “%s” failed",
                                      spec->argv[0]);
    }
  return TRUE;
}

static gboolean
prepare_pipes (Preparation *self, const VmsanSpawnSpec *spec, int minimum, GError **error)
{
  vmsan_autofd int report_write = -1;
  vmsan_autofd int go_read = -1;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0)
    return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);
  self->report_fd = ends[0];
  report_write = ends[1];
  self->plan.report_fd = own_fd_above (self, report_write, minimum);

  self->plan.go_fd = -1;
  if (spec->flags & VMSAN_SPAWN_NEW_USER_NS)
    {
      if (pipe2 (ends, O_CLOEXEC) < 0)
        return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);
      go_read = ends[0];
      self->go_fd = ends[1];
      self->plan.go_fd = own_fd_above (self, go_read, minimum);
      self->plan.go_other_fd = self->go_fd;
      if (self->plan.go_fd < 0)
        return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);
    }
  if (self->plan.report_fd < 0)
    return vmsan_error_set_errno (error, errno, "Making a pipe for “%s” failed", spec->argv[0]);
  return TRUE;
}

static void
prepare_rlimits (Preparation *self, const VmsanSpawnSpec *spec)
{
  self->rlimits = g_new0 (VmsanChildRlimit, spec->n_rlimits);
  for (guint i = 0; i < spec->n_rlimits; i++)
    {
      self->rlimits[i].resource = spec->rlimits[i].resource;
      self->rlimits[i].limit.rlim_cur = spec->rlimits[i].value;
      self->rlimits[i].limit.rlim_max = spec->rlimits[i].value;
    }
  self->plan.rlimits = self->rlimits;
  self->plan.n_rlimits = spec->n_rlimits;
}

static gboolean
prepare (Preparation *self, const VmsanSpawnSpec *spec, GError **error)
{
  static char *const no_environment[] = { NULL };
  int minimum = first_free_target (spec);
  gboolean user_ns = (spec->flags & VMSAN_SPAWN_NEW_USER_NS) != 0;
  VmsanChildPlan *plan = &self->plan;

  if (!prepare_fds (self, spec, minimum, error) || !prepare_pipes (self, spec, minimum, error))
    return FALSE;
  prepare_rlimits (self, spec);
  if (spec->n_root_binds > 0 &&
      !vmsan_root_tree_build (spec->root_binds, spec->n_root_binds,
                              (spec->flags & VMSAN_SPAWN_MOUNT_PROC) != 0, &self->root, error))
    {
      g_prefix_error (error, "Preparing the root of “%s”: ", spec->argv[0]);
      return FALSE;
    }

  plan->root_fd = self->root.root_fd;
  plan->mounts = self->root.mounts;
  plan->n_mounts = self->root.n_mounts;
  plan->new_mount_ns = (spec->flags & VMSAN_SPAWN_NEW_MOUNT_NS) != 0;
  plan->mount_proc = (spec->flags & VMSAN_SPAWN_MOUNT_PROC) != 0;
  plan->user_ns = user_ns;
  plan->netns_fd = spec->netns_fd > 0 ? spec->netns_fd : -1;
  plan->new_session = spec->new_session;
  plan->uid = user_ns ? 0 : spec->uid;
  plan->gid = user_ns ? 0 : spec->gid;
  plan->extra_gid = user_ns ? 0 : spec->extra_gid;
  plan->kept_capabilities = spec->kept_capabilities;
  plan->jailer = (spec->flags & VMSAN_SPAWN_JAILER) != 0;
  plan->cwd = spec->cwd != NULL ? spec->cwd : "/";
  plan->argv = (char *const *) spec->argv;
  plan->envp = spec->envp != NULL ? (char *const *) spec->envp : no_environment;
  if (spec->cgroup != NULL)
    plan->cgroup_fds = vmsan_cgroup_get_procs_fds (spec->cgroup, &plan->n_cgroup_fds);
  return TRUE;
}

static guint64
clone_flags (const VmsanSpawnSpec *spec)
{
  guint64 flags = CLONE_PIDFD | CLONE_NEWIPC | CLONE_NEWUTS;

  if (spec->flags & VMSAN_SPAWN_NEW_MOUNT_NS)
    flags |= CLONE_NEWNS;
  if (spec->flags & VMSAN_SPAWN_NEW_PID_NS)
    flags |= CLONE_NEWPID;
  if ((spec->flags & VMSAN_SPAWN_NEW_NET_NS) && spec->netns_fd <= 0)
    flags |= CLONE_NEWNET;
  if (spec->flags & VMSAN_SPAWN_NEW_USER_NS)
    flags |= CLONE_NEWUSER;
  return flags;
}

/* Without CLONE_VM, so as fork() does; the signals stay blocked in the child. */
static gboolean
clone_child (Preparation *self, const VmsanSpawnSpec *spec, VmsanSpawned *spawned, GError **error)
{
  struct clone_args args = {
    .flags = clone_flags (spec),
    .pidfd = (guint64) (guintptr) &spawned->pidfd,
    .exit_signal = SIGCHLD,
  };
  sigset_t all, before;
  long pid;
  int saved_errno;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  pid = syscall (SYS_clone3, &args, sizeof args);
  if (pid == 0)
    vmsan_process_child_run (&self->plan);
  saved_errno = errno;
  pthread_sigmask (SIG_SETMASK, &before, NULL);

  if (pid < 0)
    return vmsan_error_set_errno (error, saved_errno, "Making a process for “%s” failed",
                                  spec->argv[0]);
  spawned->pid = pid;
  return TRUE;
}

static gboolean
write_id_map (pid_t pid, const char *file, const VmsanSpawnSpec *spec, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/%s", pid, file);
  g_autofree char *map = g_strdup_printf ("0 %u %u\n", spec->id_map_first, spec->id_map_count);
  vmsan_autofd int fd = open (path, O_WRONLY | O_CLOEXEC);

  /* The kernel takes a map in one write only. */
  if (fd < 0 || write (fd, map, strlen (map)) != (gssize) strlen (map))
    return vmsan_error_set_errno (error, errno, "Writing “%s” for “%s” failed", path,
                                  spec->argv[0]);
  return TRUE;
}

static gboolean
let_go (Preparation *self, const VmsanSpawnSpec *spec, pid_t pid, GError **error)
{
  if (self->go_fd < 0)
    return TRUE;
  return write_id_map (pid, "uid_map", spec, error) && write_id_map (pid, "gid_map", spec, error) &&
         vmsan_fd_write_all (self->go_fd, "", 1, error);
}

static const char *
describe_step (const VmsanSpawnSpec *spec, const VmsanChildReport *report)
{
  static const char *const names[] = {
    [VMSAN_CHILD_STEP_SIGNALS] = "resetting signals",
    [VMSAN_CHILD_STEP_CGROUP] = "joining the cgroup",
    [VMSAN_CHILD_STEP_NETNS] = "joining the network namespace",
    [VMSAN_CHILD_STEP_SESSION] = "starting a session",
    [VMSAN_CHILD_STEP_PROPAGATION] = "making mounts private",
    [VMSAN_CHILD_STEP_ROOT] = "changing the root",
    [VMSAN_CHILD_STEP_BIND] = "attaching a bind mount",
    [VMSAN_CHILD_STEP_PROC] = "mounting proc",
    [VMSAN_CHILD_STEP_RLIMIT] = "setting a resource limit",
    [VMSAN_CHILD_STEP_BOUNDING_SET] = "emptying the capability bounding set",
    [VMSAN_CHILD_STEP_GROUPS] = "dropping supplementary groups",
    [VMSAN_CHILD_STEP_GID] = "changing the group",
    [VMSAN_CHILD_STEP_UID] = "changing the user",
    [VMSAN_CHILD_STEP_CAPABILITIES] = "dropping capabilities",
    [VMSAN_CHILD_STEP_NO_NEW_PRIVS] = "setting no_new_privs",
    [VMSAN_CHILD_STEP_CWD] = "changing the working directory",
    [VMSAN_CHILD_STEP_DESCRIPTORS] = "arranging descriptors",
    [VMSAN_CHILD_STEP_EXEC] = "executing the program",
  };

  if (report->step < 0 || report->step >= (int) G_N_ELEMENTS (names))
    return "setting up";
  return names[report->step];
}

/* End of file without a word means that the exec closed the pipe, or that the child was killed
 * before; the latter shows in the child's end, as for any program that dies at once. */
static gboolean
read_report (Preparation *self, const VmsanSpawnSpec *spec, GError **error)
{
  VmsanChildReport report;
  gssize n = vmsan_fd_read_all (self->report_fd, &report, sizeof report, error);
  const char *detail = "";

  if (n == 0)
    return TRUE;
  if (n != sizeof report)
    {
      if (n > 0)
        refuse (error, spec->argv[0], "its set-up ended with half a report");
      return FALSE;
    }
  if (report.step == VMSAN_CHILD_STEP_BIND)
    detail = self->plan.mounts[report.index].target;
  else if (report.step == VMSAN_CHILD_STEP_CWD)
    detail = self->plan.cwd;
  return vmsan_error_set_errno (error, report.saved_errno, "Starting “%s”: %s%s%s failed",
                                spec->argv[0], describe_step (spec, &report),
                                *detail != '\0' ? " at " : "", detail);
}

static void
kill_and_reap (VmsanSpawned *spawned)
{
  siginfo_t info;

  syscall (SYS_pidfd_send_signal, spawned->pidfd, SIGKILL, NULL, 0);
  while (waitid (P_PIDFD, spawned->pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
    ;
  vmsan_fd_close (&spawned->pidfd);
}

gboolean
vmsan_process_spawn_child (const VmsanSpawnSpec *spec, VmsanSpawned *spawned, GError **error)
{
  g_auto (Preparation) preparation = {
    .root = { .root_fd = -1 },
    .owned_fds = g_array_new (FALSE, FALSE, sizeof (int)),
    .report_fd = -1,
    .go_fd = -1,
  };
  VmsanSpawned child = { .pid = -1, .pidfd = -1 };

  if (!check_spec (spec, error) || !prepare (&preparation, spec, error) ||
      !clone_child (&preparation, spec, &child, error))
    return FALSE;

  /* The child has its own copies; ours would keep end of file from being seen. */
  for (guint i = 0; i < preparation.owned_fds->len; i++)
    vmsan_fd_close (&g_array_index (preparation.owned_fds, int, i));

  if (!let_go (&preparation, spec, child.pid, error) || !read_report (&preparation, spec, error))
    {
      kill_and_reap (&child);
      return FALSE;
    }
  *spawned = child;
  return TRUE;
}
