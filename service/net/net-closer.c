/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: everything is closed, and never more than so many sockets wait for it. */

#include "net/net-closer.h"

#define MAX_WAITING 64
#define N_THREADS   2

typedef struct
{
  gpointer object;
  GDestroyNotify close;
} Work;

static void
close_one (gpointer data, gpointer user_data)
{
  g_autofree Work *work = data;

  work->close (work->object);
}

static gpointer
make_pool (gpointer data)
{
  return g_thread_pool_new (close_one, NULL, N_THREADS, FALSE, NULL);
}

void
vmsan_net_close_later (gpointer object, GDestroyNotify close)
{
  static GOnce once = G_ONCE_INIT;
  GThreadPool *pool = g_once (&once, make_pool, NULL);
  Work *work;

  if (g_thread_pool_unprocessed (pool) >= MAX_WAITING)
    {
      close (object);
      return;
    }
  work = g_new (Work, 1);
  *work = (Work){ object, close };
  g_thread_pool_push (pool, work, NULL);
}
