/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: who waits for a network to be gone is told when it is, and one that cannot be deleted
 * keeps nobody else waiting. */

#include "net/net-reaper.h"

typedef struct
{
  char *name;
  guint slot;
  VmsanNetReapedFunc reaped;
  gpointer data;
} Entry;

/* Two hold it: its thread, and its owner. */
struct _VmsanNetReaper
{
  VmsanNetSetup setup;
  GMutex lock;
  GCond changed;
  GPtrArray *waiting; /* Entry */
  gboolean busy;      /* with those that waited before */
  gboolean stopping;
};

static void
entry_free (gpointer data)
{
  Entry *self = data;

  g_free (self->name);
  g_free (self);
}

static void
reaper_clear (gpointer data)
{
  VmsanNetReaper *self = data;

  g_ptr_array_unref (self->waiting);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
}

/* ---- Deleting ------------------------------------------------------------------------------ */

static gboolean
delete_entries (VmsanNetReaper *self, gpointer *entries, guint n, GError **error)
{
  g_autofree const char **names = g_new (const char *, n);
  g_autofree guint *slots = g_new (guint, n);

  for (guint i = 0; i < n; i++)
    {
      const Entry *entry = entries[i];

      names[i] = entry->name;
      slots[i] = entry->slot;
    }
  return vmsan_net_namespace_delete (&self->setup, names, slots, n, error);
}

/* When the batch fails, each is tried alone, so that only those hear of it that it concerns. */
static void
reap (VmsanNetReaper *self, GPtrArray *batch)
{
  gboolean done = delete_entries (self, batch->pdata, batch->len, NULL);

  for (guint i = 0; i < batch->len; i++)
    {
      Entry *entry = g_ptr_array_index (batch, i);
      g_autoptr (GError) error = NULL;

      if (!done)
        delete_entries (self, &batch->pdata[i], 1, &error);
      entry->reaped (error, entry->data);
    }
}

/* NULL at the end. */
static GPtrArray *
wait_for_batch (VmsanNetReaper *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  GPtrArray *batch;

  self->busy = FALSE;
  g_cond_broadcast (&self->changed);
  while (self->waiting->len == 0 && !self->stopping)
    g_cond_wait (&self->changed, &self->lock);
  if (self->waiting->len == 0)
    return NULL;
  batch = self->waiting;
  self->waiting = g_ptr_array_new_with_free_func (entry_free);
  self->busy = TRUE;
  return batch;
}

static gpointer
reaper_thread (gpointer data)
{
  VmsanNetReaper *self = data;
  GPtrArray *batch;

  while ((batch = wait_for_batch (self)) != NULL)
    {
      reap (self, batch);
      g_ptr_array_unref (batch);
    }
  g_atomic_rc_box_release_full (self, reaper_clear);
  return NULL;
}

/* ---- A life -------------------------------------------------------------------------------- */

VmsanNetReaper *
vmsan_net_reaper_new (const VmsanNetSetup *setup)
{
  VmsanNetReaper *self = g_atomic_rc_box_new0 (VmsanNetReaper);

  self->setup = *setup;
  self->setup.pools = NULL; /* its owner may not wait for the end */
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->waiting = g_ptr_array_new_with_free_func (entry_free);
  g_thread_unref (g_thread_new ("vmsan-reaper", reaper_thread, g_atomic_rc_box_acquire (self)));
  return self;
}

void
vmsan_net_reaper_add (
    VmsanNetReaper *self, const char *name, guint slot, VmsanNetReapedFunc reaped, gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  Entry *entry = g_new (Entry, 1);

  *entry = (Entry){ g_strdup (name), slot, reaped, data };
  g_ptr_array_add (self->waiting, entry);
  g_cond_broadcast (&self->changed);
}

gboolean
vmsan_net_reaper_drain (VmsanNetReaper *self, guint deadline_ms)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  gint64 deadline = g_get_monotonic_time () + deadline_ms * G_TIME_SPAN_MILLISECOND;

  while (self->waiting->len > 0 || self->busy)
    if (!g_cond_wait_until (&self->changed, &self->lock, deadline))
      return FALSE;
  return TRUE;
}

void
vmsan_net_reaper_free (VmsanNetReaper *self)
{
  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  g_atomic_rc_box_release_full (self, reaper_clear);
}
