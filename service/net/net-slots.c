/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nobody is given a slot that somebody has. */

#include "net/net-slots.h"

struct _VmsanNetSlots
{
  guint n_slots;
  GMutex lock;
  GHashTable *used; /* set of slot + 1, as no pointer is 0 */
  guint next;       /* modulo their number */
};

VmsanNetSlots *
vmsan_net_slots_new (guint n_slots)
{
  VmsanNetSlots *self = g_new0 (VmsanNetSlots, 1);

  self->n_slots = n_slots;
  g_mutex_init (&self->lock);
  self->used = g_hash_table_new (NULL, NULL);
  return self;
}

guint
vmsan_net_slots_take (VmsanNetSlots *self, guint n_spare)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (n_spare > 0 && g_hash_table_size (self->used) + (guint64) n_spare >= self->n_slots)
    return VMSAN_NET_NO_SLOT;
  for (guint tries = 0; tries < self->n_slots; tries++)
    {
      guint slot = self->next++ % self->n_slots;

      if (g_hash_table_add (self->used, GUINT_TO_POINTER (slot + 1)))
        return slot;
    }
  return VMSAN_NET_NO_SLOT;
}

gboolean
vmsan_net_slots_claim (VmsanNetSlots *self, guint slot)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  return g_hash_table_add (self->used, GUINT_TO_POINTER (slot + 1));
}

void
vmsan_net_slots_release (VmsanNetSlots *self, guint slot)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_hash_table_remove (self->used, GUINT_TO_POINTER (slot + 1));
}

void
vmsan_net_slots_free (VmsanNetSlots *self)
{
  g_hash_table_unref (self->used);
  g_mutex_clear (&self->lock);
  g_free (self);
}
