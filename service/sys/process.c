/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a VmsanProcess never stands for another process than the one it was made for, whatever
 * becomes of its pid; and a child of ours leaves no zombie. */

#include "sys/process.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/process-spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct _VmsanProcess
{
  GObject parent_instance;

  pid_t pid;
  guint64 start_time;
  int pidfd;
  gboolean is_child;

  GMutex lock; /* for what follows */
  gboolean reaped;
  int wait_status;
};

G_DEFINE_FINAL_TYPE (VmsanProcess, vmsan_process, G_TYPE_OBJECT)

/* The pidfd of a process becomes readable when it ends, and stays so. */
static gboolean
pidfd_has_ended (int pidfd)
{
  struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

  return poll (&poll_fd, 1, 0) > 0;
}

static int
wait_status_from_siginfo (const siginfo_t *info)
{
  if (info->si_code == CLD_EXITED)
    return (info->si_status & 0xff) << 8;
  return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* Takes the status of a child that has ended; one thread does, and all see it. */
static void
reap (VmsanProcess *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  siginfo_t info = { 0 };

  if (self->reaped || !self->is_child)
    return;
  /* __WALL: before its exec a child may count as a “clone” child. */
  if (waitid (P_PIDFD, self->pidfd, &info, WEXITED | WNOHANG | __WALL) == 0 && info.si_pid != 0)
    {
      self->wait_status = wait_status_from_siginfo (&info);
      self->reaped = TRUE;
    }
}

static gboolean
reap_abandoned (int pidfd, GIOCondition condition, gpointer user_data)
{
  siginfo_t info;

  if (waitid (P_PIDFD, pidfd, &info, WEXITED | WNOHANG | __WALL) < 0 && errno == EINTR)
    return G_SOURCE_CONTINUE;
  close (pidfd);
  return G_SOURCE_REMOVE;
}

static void
vmsan_process_finalize (GObject *object)
{
  VmsanProcess *self = VMSAN_PROCESS (object);

  reap (self);
  /* Nobody is interested in its end any more, but it still has to be reaped when that comes. */
  if (self->is_child && !self->reaped && self->pidfd >= 0)
    g_unix_fd_add (g_steal_fd (&self->pidfd), G_IO_IN, reap_abandoned, NULL);
  vmsan_fd_close (&self->pidfd);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (vmsan_process_parent_class)->finalize (object);
}

static void
vmsan_process_class_init (VmsanProcessClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_process_finalize;
}

static void
vmsan_process_init (VmsanProcess *self)
{
  self->pidfd = -1;
  self->wait_status = -1;
  g_mutex_init (&self->lock);
}

VmsanProcess *
vmsan_process_spawn (const VmsanSpawnSpec *spec, GError **error)
{
  g_autoptr (VmsanProcess) self = NULL;
  VmsanSpawned spawned;

  g_return_val_if_fail (spec != NULL && spec->argv != NULL && spec->argv[0] != NULL, NULL);

  if (!vmsan_process_spawn_child (spec, &spawned, error))
    return NULL;
  self = g_object_new (VMSAN_TYPE_PROCESS, NULL);
  self->pid = spawned.pid;
  self->pidfd = spawned.pidfd;
  self->is_child = TRUE;
  /* It is not reaped yet, so its pid is still its own. */
  if (!vmsan_process_read_start_time (self->pid, &self->start_time, error))
    {
      vmsan_process_kill (self, SIGKILL, NULL);
      return NULL;
    }
  return g_steal_pointer (&self);
}

static gboolean
refuse_adoption (GError **error, pid_t pid, const char *why)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
               "Process %d cannot be taken over again: %s", pid, why);
  return FALSE;
}

/* First the pidfd is taken, then all checks are made by pid, and at last the pidfd's process must
 * still be alive: then the pid cannot have meant another one in between. */
static gboolean
check_identity (VmsanProcess *self, guint64 start_time, VmsanCgroup *cgroup, GError **error)
{
  if (!vmsan_process_read_start_time (self->pid, &self->start_time, NULL))
    return refuse_adoption (error, self->pid, "it has ended");
  if (self->start_time != start_time)
    return refuse_adoption (error, self->pid, "it ended, and another process has its number now");
  if (!vmsan_cgroup_contains (cgroup, self->pid))
    return refuse_adoption (error, self->pid, "it is not in its cgroup");
  if (pidfd_has_ended (self->pidfd))
    return refuse_adoption (error, self->pid, "it has ended");
  return TRUE;
}

VmsanProcess *
vmsan_process_adopt (pid_t pid, guint64 start_time, VmsanCgroup *cgroup, GError **error)
{
  g_autoptr (VmsanProcess) self = NULL;

  g_return_val_if_fail (cgroup != NULL, NULL);

  self = g_object_new (VMSAN_TYPE_PROCESS, NULL);
  self->pid = pid;
  /* A record is data: 0 and below would mean groups of processes to some calls. */
  if (pid > 0)
    self->pidfd = syscall (SYS_pidfd_open, pid, 0);
  if (self->pidfd < 0)
    {
      refuse_adoption (error, pid, "there is no such process");
      return NULL;
    }
  if (!check_identity (self, start_time, cgroup, error))
    return NULL;
  return g_steal_pointer (&self);
}

pid_t
vmsan_process_get_pid (VmsanProcess *self)
{
  return self->pid;
}

guint64
vmsan_process_get_start_time (VmsanProcess *self)
{
  return self->start_time;
}

int
vmsan_process_get_pidfd (VmsanProcess *self)
{
  return self->pidfd;
}

gboolean
vmsan_process_kill (VmsanProcess *self, int signal_number, GError **error)
{
  if (syscall (SYS_pidfd_send_signal, self->pidfd, signal_number, NULL, 0) < 0 && errno != ESRCH)
    return vmsan_error_set_errno (error, errno, "Sending signal %d to process %d failed",
                                  signal_number, self->pid);
  return TRUE;
}

/* Runs when the process has ended or the wait is cancelled, whichever comes first. */
static gboolean
on_ended_or_cancelled (int pidfd, GIOCondition condition, gpointer user_data)
{
  GTask *task = user_data;

  if (pidfd_has_ended (pidfd))
    {
      reap (g_task_get_source_object (task));
      g_task_return_boolean (task, TRUE);
    }
  else
    {
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_CANCELLED,
                               "Waiting for a process to end was cancelled");
    }
  return G_SOURCE_REMOVE;
}

void
vmsan_process_wait_async (VmsanProcess *self,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (GSource) source = g_unix_fd_source_new (self->pidfd, G_IO_IN);

  g_task_set_source_tag (task, vmsan_process_wait_async);
  g_task_set_check_cancellable (task, FALSE);
  if (cancellable != NULL)
    {
      g_autoptr (GSource) cancelled = g_cancellable_source_new (cancellable);

      g_source_set_dummy_callback (cancelled);
      g_source_add_child_source (source, cancelled);
    }
  g_task_attach_source (task, source, G_SOURCE_FUNC (on_ended_or_cancelled));
}

gboolean
vmsan_process_wait_finish (VmsanProcess *self,
                           GAsyncResult *result,
                           int *wait_status,
                           GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  if (!g_task_propagate_boolean (G_TASK (result), error))
    return FALSE;
  if (wait_status != NULL)
    {
      g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

      *wait_status = self->wait_status;
    }
  return TRUE;
}

gboolean
vmsan_process_has_ended (VmsanProcess *self)
{
  return pidfd_has_ended (self->pidfd);
}

gboolean
vmsan_process_read_start_time (pid_t pid, guint64 *start_time, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  vmsan_autofd int fd = open (path, O_RDONLY | O_CLOEXEC);
  char line[1024];
  gssize size;
  const char *field;

  if (fd < 0)
    return vmsan_error_set_errno (error, errno, "Looking for process %d failed", pid);
  size = vmsan_fd_read_all (fd, line, sizeof line - 1, error);
  if (size < 0)
    {
      g_prefix_error (error, "Looking for process %d: ", pid);
      return FALSE;
    }
  line[size] = '\0';

  /* Field 2 is the name in parentheses, chosen by the process: only the last one closes it. Field
   * 22 is the 20th after it (proc(5)). */
  field = strrchr (line, ')');
  for (int i = 0; field != NULL && i < 20; i++)
    field = strchr (field + 1, ' ');
  if (field == NULL || !g_ascii_isdigit (field[1]))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "“%s” is not as expected", path);
      return FALSE;
    }
  *start_time = g_ascii_strtoull (field + 1, NULL, 10);
  return TRUE;
}
