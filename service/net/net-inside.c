/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the calling thread's namespaces stay as they are, whatever fails. */

#include "net/net-inside.h"

#include "sys/error.h"

#include <errno.h>
#include <sched.h>

typedef struct
{
  VmsanNetInsideFunc func;
  gpointer data;
  int namespace_fd; /* -1: stay */
  gboolean done;
  GError *error;
} Work;

static gpointer
work_thread (gpointer data)
{
  Work *work = data;

  if (work->namespace_fd >= 0 && setns (work->namespace_fd, CLONE_NEWNET) < 0)
    work->done = vmsan_error_set_errno (&work->error, errno, "Entering a network namespace failed");
  else
    work->done = work->func (work->data, &work->error);
  return NULL;
}

static gboolean
run (Work *work, GError **error)
{
  GThread *thread = g_thread_try_new ("vmsan-net", work_thread, work, error);

  if (thread == NULL)
    {
      g_prefix_error (error, "Starting a thread for a network namespace failed: ");
      return FALSE;
    }
  g_thread_join (thread);
  if (work->error != NULL)
    g_propagate_error (error, work->error);
  return work->done;
}

gboolean
vmsan_net_inside_thread (VmsanNetInsideFunc func, gpointer data, GError **error)
{
  Work work = { .func = func, .data = data, .namespace_fd = -1 };

  return run (&work, error);
}

gboolean
vmsan_net_inside_run (int namespace_fd, VmsanNetInsideFunc func, gpointer data, GError **error)
{
  Work work = { .func = func, .data = data, .namespace_fd = namespace_fd };

  g_return_val_if_fail (namespace_fd >= 0, FALSE);
  return run (&work, error);
}
