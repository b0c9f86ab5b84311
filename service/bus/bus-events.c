/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is remembered has no gap, and whoever missed something that is forgotten is told.
 */

#include "bus/bus-events.h"

#define MAX_EVENTS 1000

typedef struct
{
  guint64 sequence;
  GVariant *entry; /* (tsa{sv}) */
} Event;

struct _VmsanBusEvents
{
  GQueue events; /* Event, oldest first */
  guint64 next;
};

static void
event_free (Event *event)
{
  g_variant_unref (event->entry);
  g_free (event);
}

VmsanBusEvents *
vmsan_bus_events_new (void)
{
  VmsanBusEvents *self = g_new0 (VmsanBusEvents, 1);

  g_queue_init (&self->events);
  /* Above all numbers of an earlier run, which had fewer than one event in each microsecond: so
   * numbers of then are known for what they are. */
  self->next = (guint64) g_get_real_time ();
  return self;
}

void
vmsan_bus_events_free (VmsanBusEvents *self)
{
  g_queue_clear_full (&self->events, (GDestroyNotify) event_free);
  g_free (self);
}

guint64
vmsan_bus_events_get_next (VmsanBusEvents *self)
{
  return self->next;
}

/* The arguments behind the number by their names, spelt as options are. */
static GVariant *
name_arguments (const GDBusSignalInfo *signal, GVariant *parameters)
{
  GVariantDict named;

  g_variant_dict_init (&named, NULL);
  g_variant_dict_insert (&named, "time", "t", (guint64) g_get_real_time ());
  for (guint i = 1; i < g_variant_n_children (parameters); i++)
    {
      g_autofree char *key = g_strdelimit (g_strdup (signal->args[i]->name), "_", '-');
      g_autoptr (GVariant) value = g_variant_get_child_value (parameters, i);

      g_variant_dict_insert_value (&named, key, value);
    }
  return g_variant_dict_end (&named);
}

void
vmsan_bus_events_add (VmsanBusEvents *self, const GDBusSignalInfo *signal, GVariant *parameters)
{
  Event *event = g_new0 (Event, 1);

  event->sequence = self->next++;
  event->entry = g_variant_ref_sink (g_variant_new ("(ts@a{sv})", event->sequence, signal->name,
                                                    name_arguments (signal, parameters)));
  g_queue_push_tail (&self->events, event);
  if (self->events.length > MAX_EVENTS)
    event_free (g_queue_pop_head (&self->events));
}

GVariant *
vmsan_bus_events_list (VmsanBusEvents *self, guint64 since)
{
  const Event *oldest = g_queue_peek_head (&self->events);
  guint64 first = oldest != NULL ? oldest->sequence : self->next;
  gboolean is_known = since >= first - 1 && since < self->next;
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("a(tsa{sv})"));
  for (const GList *link = self->events.head; link != NULL; link = link->next)
    {
      const Event *event = link->data;

      /* A number that is none of this run's says nothing about what was seen of it. */
      if (!is_known || event->sequence > since)
        g_variant_builder_add_value (&list, event->entry);
    }
  return g_variant_new ("(@a(tsa{sv})tb)", g_variant_builder_end (&list), self->next - 1,
                        since != 0 && !is_known);
}
