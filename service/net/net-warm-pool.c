/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nobody waits for a network to be prepared, and none is given out twice. */

#include "net/net-warm-pool.h"

#include "net/net-prepared.h"
#include "sys/error.h"

/* After a failure; it would fail again at once. */
#define RETRY_S 60

struct _VmsanNetWarmPool
{
  const VmsanNetSetup *setup;
  VmsanNetSlots *slots;
  VmsanNetReaper *reaper;
  guint size;

  GThread *thread;
  GMutex lock;
  GCond changed;
  GQueue ready;         /* VmsanNetPrepared, the oldest first */
  GHashTable *reserved; /* slot + 1 → VmsanNetPrepared */
  gboolean stopping;
};

VmsanNetWarmPool *
vmsan_net_warm_pool_new (const VmsanNetSetup *setup,
                         VmsanNetSlots *slots,
                         VmsanNetReaper *reaper,
                         guint size)
{
  VmsanNetWarmPool *self = g_new0 (VmsanNetWarmPool, 1);

  self->setup = setup;
  self->slots = slots;
  self->reaper = reaper;
  self->size = size;
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->ready);
  self->reserved = g_hash_table_new (NULL, NULL);
  return self;
}

/* ---- Filling ------------------------------------------------------------------------------- */

/* FALSE at the end. */
static gboolean
wait_for_room (VmsanNetWarmPool *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  while (!self->stopping && self->ready.length >= self->size)
    g_cond_wait (&self->changed, &self->lock);
  return !self->stopping;
}

/* Until something changes, as that may help. */
static void
wait_before_retry (VmsanNetWarmPool *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  gint64 deadline = g_get_monotonic_time () + RETRY_S * G_TIME_SPAN_SECOND;

  if (!self->stopping)
    g_cond_wait_until (&self->changed, &self->lock, deadline);
}

static void
add (VmsanNetWarmPool *self, VmsanNetPrepared *prepared)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_queue_push_tail (&self->ready, prepared);
}

/* Some slots are left to machines that are made while it is full: the last ones are not to be
 * missing just because a network is being prepared for nobody. */
static VmsanNetPrepared *
make_one (VmsanNetWarmPool *self, GError **error)
{
  guint slot = vmsan_net_slots_take (self->slots, self->size);
  VmsanNetPrepared *prepared;

  if (slot == VMSAN_NET_NO_SLOT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "Machines have nearly all addresses");
      return NULL;
    }
  prepared = vmsan_net_prepared_make (self->setup, slot, error);
  if (prepared == NULL)
    vmsan_net_slots_release (self->slots, slot);
  return prepared;
}

static gpointer
fill_thread (gpointer data)
{
  VmsanNetWarmPool *self = data;
  gboolean failed = FALSE;

  while (wait_for_room (self))
    {
      g_autoptr (GError) error = NULL;
      VmsanNetPrepared *prepared = make_one (self, &error);

      if (prepared != NULL)
        add (self, prepared);
      else
        {
          /* Machines are made all the same, and theirs is the error that matters. */
          if (!failed)
            g_message ("Preparing networks for machines: %s; trying again from time to time",
                       error->message);
          wait_before_retry (self);
        }
      failed = prepared == NULL;
    }
  return NULL;
}

void
vmsan_net_warm_pool_start (VmsanNetWarmPool *self)
{
  g_return_if_fail (self->thread == NULL);
  if (self->size > 0)
    self->thread = g_thread_new ("vmsan-warm-pool", fill_thread, self);
}

/* ---- Giving out ---------------------------------------------------------------------------- */

guint
vmsan_net_warm_pool_reserve (VmsanNetWarmPool *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  VmsanNetPrepared *prepared = g_queue_pop_head (&self->ready);
  guint slot;

  if (prepared == NULL)
    return VMSAN_NET_NO_SLOT;
  slot = vmsan_net_prepared_get_slot (prepared);
  g_hash_table_insert (self->reserved, GUINT_TO_POINTER (slot + 1), prepared);
  return slot;
}

gboolean
vmsan_net_warm_pool_holds (VmsanNetWarmPool *self, guint slot)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return g_hash_table_contains (self->reserved, GUINT_TO_POINTER (slot + 1));
}

/* (transfer full); NULL if it was taken. */
static VmsanNetPrepared *
steal_reserved (VmsanNetWarmPool *self, guint slot)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  gpointer prepared = NULL;

  g_hash_table_steal_extended (self->reserved, GUINT_TO_POINTER (slot + 1), NULL, &prepared);
  return prepared;
}

static void
delete_now (VmsanNetWarmPool *self, const VmsanNetPrepared *prepared)
{
  const char *const names[] = { vmsan_net_prepared_get_name (prepared) };
  const guint slot = vmsan_net_prepared_get_slot (prepared);
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_namespace_delete (self->setup, names, &slot, 1, &error))
    g_warning ("Deleting a prepared network: %s", error->message);
}

int
vmsan_net_warm_pool_take (VmsanNetWarmPool *self, guint slot, const char *name)
{
  g_autoptr (VmsanNetPrepared) prepared = steal_reserved (self, slot);
  g_autoptr (GError) error = NULL;
  int namespace_fd;

  if (prepared == NULL)
    return -1;
  namespace_fd = vmsan_net_prepared_hand_over (prepared, name, &error);
  if (namespace_fd < 0)
    {
      g_message ("A prepared network is not as it was made, so another is made: %s",
                 error->message);
      delete_now (self, prepared);
    }
  return namespace_fd;
}

void
vmsan_net_warm_pool_refill (VmsanNetWarmPool *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_cond_broadcast (&self->changed);
}

void
vmsan_net_warm_pool_give_back (VmsanNetWarmPool *self, guint slot)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  gpointer prepared;

  if (g_hash_table_steal_extended (self->reserved, GUINT_TO_POINTER (slot + 1), NULL, &prepared))
    g_queue_push_head (&self->ready, prepared);
  else
    vmsan_net_slots_release (self->slots, slot);
  g_cond_broadcast (&self->changed);
}

/* ---- The end ------------------------------------------------------------------------------- */

static void
on_reaped (const GError *error, gpointer data)
{
  if (error != NULL)
    g_warning ("Deleting a prepared network: %s", error->message);
}

static void
condemn (gpointer data, gpointer user_data)
{
  g_autoptr (VmsanNetPrepared) prepared = data;
  VmsanNetWarmPool *self = user_data;

  vmsan_net_reaper_add (self->reaper, vmsan_net_prepared_get_name (prepared),
                        vmsan_net_prepared_get_slot (prepared), on_reaped, NULL);
}

void
vmsan_net_warm_pool_stop (VmsanNetWarmPool *self)
{
  GHashTableIter iter;
  gpointer prepared;

  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&self->thread, g_thread_join);

  g_mutex_lock (&self->lock);
  g_queue_foreach (&self->ready, condemn, self);
  g_queue_clear (&self->ready);
  g_hash_table_iter_init (&iter, self->reserved);
  while (g_hash_table_iter_next (&iter, NULL, &prepared))
    condemn (prepared, self);
  g_hash_table_remove_all (self->reserved);
  g_mutex_unlock (&self->lock);
}

void
vmsan_net_warm_pool_free (VmsanNetWarmPool *self)
{
  g_return_if_fail (self->thread == NULL);
  vmsan_net_warm_pool_stop (self);
  g_hash_table_unref (self->reserved);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}
