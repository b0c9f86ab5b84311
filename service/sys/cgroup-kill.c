/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: only members are killed, none escapes by forking, and no pid that was taken over by a
 * stranger in the meantime is hit. */

#include "sys/cgroup-private.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define DESTROY_DEADLINE_MS 10000

static int
milliseconds_left (gint64 deadline)
{
  return CLAMP ((deadline - g_get_monotonic_time () + 999) / 1000, 0, G_MAXINT);
}

static gboolean
includes (GArray *pids, pid_t pid)
{
  for (guint i = 0; i < pids->len; i++)
    {
      if (g_array_index (pids, pid_t, i) == pid)
        return TRUE;
    }
  return FALSE;
}

static void
pollfd_clear (gpointer data)
{
  vmsan_fd_close (&((struct pollfd *) data)->fd);
}

/* Appends a pidfd for each member. A pid may change hands between reading it and opening it, so
 * the members are read once more: a process that is alive and whose pid is still listed is one. (If
 * it died in between, signalling its pidfd reaches nobody.) */
static gboolean
collect_members (const VmsanCgroupPart *part, GArray *pidfds, GError **error)
{
  g_autoptr (GArray) before = vmsan_cgroup_part_read_pids (part, error);
  g_autoptr (GArray) opened = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  g_autoptr (GArray) after = NULL;

  if (before == NULL)
    return FALSE;
  g_array_set_clear_func (opened, pollfd_clear);
  for (guint i = 0; i < before->len; i++)
    {
      struct pollfd one = { .events = POLLIN };

      one.fd = syscall (SYS_pidfd_open, g_array_index (before, pid_t, i), 0);
      g_array_append_val (opened, one);
    }
  after = vmsan_cgroup_part_read_pids (part, error);
  if (after == NULL)
    return FALSE;
  for (guint i = 0; i < before->len; i++)
    {
      struct pollfd *one = &g_array_index (opened, struct pollfd, i);

      if (one->fd < 0 || !includes (after, g_array_index (before, pid_t, i)))
        continue;
      g_array_append_val (pidfds, *one);
      one->fd = -1;
    }
  return TRUE;
}

/* Kills the members that are there now and waits for them. @left: how many there were. */
static gboolean
kill_round (VmsanCgroup *self, gint64 deadline, guint *left, GError **error)
{
  g_autoptr (GArray) pidfds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));

  g_array_set_clear_func (pidfds, pollfd_clear);
  for (guint i = 0; i < self->parts->len; i++)
    {
      g_autoptr (GError) local_error = NULL;

      if (!collect_members (vmsan_cgroup_part (self, i), pidfds, &local_error) &&
          !g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
    }
  *left = pidfds->len;

  for (guint i = 0; i < self->parts->len; i++)
    {
      /* Since Linux 5.14, in v2 only; atomic, but without it the rounds do the same. */
      if (*left > 0 && vmsan_cgroup_part (self, i)->v2)
        vmsan_cgroup_part_write (vmsan_cgroup_part (self, i), "cgroup.kill", "1", NULL);
    }
  for (guint i = 0; i < pidfds->len; i++)
    syscall (SYS_pidfd_send_signal, g_array_index (pidfds, struct pollfd, i).fd, SIGKILL, NULL, 0);
  for (guint i = 0; i < pidfds->len; i++)
    {
      struct pollfd *one = &g_array_index (pidfds, struct pollfd, i);

      while (poll (one, 1, milliseconds_left (deadline)) < 0 && errno == EINTR)
        ;
    }
  return TRUE;
}

static gboolean
kill_all (VmsanCgroup *self, guint deadline_ms, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64) deadline_ms * 1000;
  guint left = 0;

  do
    {
      if (!kill_round (self, deadline, &left, error))
        return FALSE;
      if (left > 0 && g_get_monotonic_time () >= deadline)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                       "%u processes in cgroup “%s” were sent SIGKILL, but did not end within "
                       "%u ms; they may hang in the kernel",
                       left, self->path, deadline_ms);
          return FALSE;
        }
    }
  while (left > 0);
  return TRUE;
}

gboolean
vmsan_cgroup_kill (VmsanCgroup *self, guint deadline_ms, GError **error)
{
  const VmsanCgroupPart *pids = NULL;
  g_autofree char *pids_max = NULL;
  gboolean ok;

  /* With no new process allowed, killing what is listed cannot be outrun. */
  for (guint i = 0; i < self->parts->len; i++)
    {
      if (vmsan_cgroup_part (self, i)->controllers & VMSAN_CONTROLLER_PIDS)
        pids = vmsan_cgroup_part (self, i);
    }
  if (pids != NULL)
    {
      pids_max = vmsan_cgroup_part_read (pids, "pids.max", NULL);
      vmsan_cgroup_part_write (pids, "pids.max", "0", NULL);
    }
  ok = kill_all (self, deadline_ms, error);
  if (pids_max != NULL)
    vmsan_cgroup_part_write (pids, "pids.max", pids_max, NULL);
  return ok;
}

/* The members have ended, but for a moment the kernel may still count them, and v1 has no event
 * that tells when it stops. */
static gboolean
remove_directory (const char *directory, gint64 deadline, GError **error)
{
  while (rmdir (directory) < 0)
    {
      int saved_errno = errno;

      if (saved_errno == ENOENT)
        return TRUE;
      if (saved_errno != EBUSY || g_get_monotonic_time () >= deadline)
        return vmsan_error_set_errno (error, saved_errno, "Removing cgroup “%s” failed", directory);
      poll (NULL, 0, 1);
    }
  return TRUE;
}

gboolean
vmsan_cgroup_destroy (const char *parent, const char *name, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (VmsanCgroup) self = vmsan_cgroup_open (parent, name, &local_error);
  gint64 deadline;

  if (g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return TRUE;
  if (self == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  if (!vmsan_cgroup_kill (self, DESTROY_DEADLINE_MS, error))
    return FALSE;
  deadline = g_get_monotonic_time () + DESTROY_DEADLINE_MS * 1000;
  for (guint i = 0; i < self->parts->len; i++)
    {
      if (!remove_directory (vmsan_cgroup_part (self, i)->directory, deadline, error))
        return FALSE;
    }
  return TRUE;
}
