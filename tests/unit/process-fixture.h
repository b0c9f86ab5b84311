/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Pipes to processes of a test, and waiting, with a deadline, for them and for other asynchronous
 * work. */

#pragma once

#include "sys/process.h"

#include <fcntl.h>
#include <unistd.h>

#define DEADLINE_MS 20000

static inline void
make_pipe (int *read_fd, int *write_fd)
{
  int ends[2];

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  *read_fd = ends[0];
  *write_fd = ends[1];
}

static inline void
on_async_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_assert_null (*(GAsyncResult **) user_data);
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static inline gboolean
on_deadline (gpointer user_data)
{
  g_error ("The deadline of a test passed");
  return G_SOURCE_REMOVE;
}

static inline void
iterate_until_set (gpointer *what)
{
  guint deadline = g_timeout_add (DEADLINE_MS, on_deadline, NULL);

  while (*what == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (deadline);
}

/* The wait status of @process, once it has ended. */
static inline int
wait_for (VmsanProcess *process)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  int status = -2;

  vmsan_process_wait_async (process, NULL, on_async_result, &result);
  iterate_until_set ((gpointer *) &result);
  g_assert_true (vmsan_process_wait_finish (process, result, &status, &error));
  g_assert_no_error (error);
  return status;
}
