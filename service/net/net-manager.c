/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a machine's policy is in force before its first packet, and what is taken down is gone
 * from the namespace, the host's table and the list of links alike. */

#include "net/net-manager.h"

#include "net/net-check.h"
#include "net/net-conntrack.h"
#include "net/net-dns-keeper.h"
#include "net/net-firewall.h"
#include "net/net-forwarding.h"
#include "net/net-host-ports.h"
#include "net/net-host-strays.h"
#include "net/net-in-force.h"
#include "net/net-namespace.h"
#include "net/net-reaper.h"
#include "net/net-resolvers-watch.h"
#include "net/net-resolvers.h"
#include "net/net-ruleset.h"
#include "net/net-warm-pool.h"
#include "net/net-watch.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define NAMESPACE_DIRECTORY "/run/netns"

/* How long the service's end waits for networks that are being deleted. */
#define REAP_DEADLINE_MS 5000

struct _VmsanNetManager
{
  GObject parent;
  VmsanNetPools pools;
  VmsanNetSetup setup;
  char *resolver;
  char *dnsmasq;
  int state_fd; /* directory for what must be known after a restart */

  VmsanNetDnsKeeper *resolvers;
  VmsanNetReaper *reaper;
  VmsanNetSlots *slots;
  VmsanNetWarmPool *warm_pool;

  GMutex host_lock;        /* of the host's table and settings, and of the next */
  GHashTable *members;     /* slot + 1 → VmsanNetPolicy, of machines that are set up */
  GArray *known_resolvers; /* of VmsanNetResolver: the host's, when last looked at */

  VmsanNetWatch *rules; /* of the host; all NULL where they cannot be followed */
  VmsanNetWatch *others_rules;
  VmsanNetWatch *routes;
  VmsanNetResolversWatch *resolver_files; /* NULL: one is configured */

  GMutex looking_lock; /* who looks last for conflicts tells last, too */
  GMutex conflicts_lock;
  GStrv conflicts; /* chains of others that drop what machines forward */
};

enum
{
  SIGNAL_RESOLVERS_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (VmsanNetManager, vmsan_net_manager, G_TYPE_OBJECT)

static void
vmsan_net_manager_finalize (GObject *object)
{
  VmsanNetManager *self = VMSAN_NET_MANAGER (object);

  g_clear_pointer (&self->rules, vmsan_net_watch_free);
  g_clear_pointer (&self->others_rules, vmsan_net_watch_free);
  g_clear_pointer (&self->routes, vmsan_net_watch_free);
  g_clear_pointer (&self->resolver_files, vmsan_net_resolvers_watch_free);
  g_clear_pointer (&self->known_resolvers, g_array_unref);
  vmsan_net_warm_pool_stop (self->warm_pool);
  vmsan_net_warm_pool_free (self->warm_pool);
  vmsan_net_reaper_free (self->reaper);
  vmsan_net_slots_free (self->slots);
  vmsan_fd_close (&self->state_fd);
  g_hash_table_unref (self->members);
  g_object_unref (self->resolvers);
  g_free (self->resolver);
  g_free (self->dnsmasq);
  g_strfreev (self->conflicts);
  g_mutex_clear (&self->conflicts_lock);
  g_mutex_clear (&self->looking_lock);
  g_mutex_clear (&self->host_lock);
  G_OBJECT_CLASS (vmsan_net_manager_parent_class)->finalize (object);
}

static void
vmsan_net_manager_class_init (VmsanNetManagerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_net_manager_finalize;
  signals[SIGNAL_RESOLVERS_CHANGED] =
      g_signal_new ("resolvers-changed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL,
                    NULL, NULL, G_TYPE_NONE, 0);
}

static void
vmsan_net_manager_init (VmsanNetManager *self)
{
  g_mutex_init (&self->host_lock);
  g_mutex_init (&self->conflicts_lock);
  g_mutex_init (&self->looking_lock);
  self->state_fd = -1;
  self->members = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) vmsan_net_policy_unref);
}

VmsanNetManager *
vmsan_net_manager_new (const VmsanNetConfig *config)
{
  VmsanNetManager *self = g_object_new (VMSAN_TYPE_NET_MANAGER, NULL);

  self->pools = config->pools;
  self->setup.directory = NAMESPACE_DIRECTORY;
  self->setup.pools = &self->pools;
  self->setup.host_mounts = TRUE;
  self->state_fd = config->state_fd;
  self->resolver = g_strdup (config->resolver);
  self->dnsmasq = g_strdup (config->dnsmasq);
  self->resolvers = vmsan_net_dns_keeper_new (&self->setup, config->resolver, config->dnsmasq);
  self->reaper = vmsan_net_reaper_new (&self->setup);
  self->slots = vmsan_net_slots_new (vmsan_net_pools_get_n_slots (&self->pools));
  self->warm_pool =
      vmsan_net_warm_pool_new (&self->setup, self->slots, self->reaper, config->n_prepared);
  return self;
}

const VmsanNetPools *
vmsan_net_manager_get_pools (VmsanNetManager *self)
{
  return &self->pools;
}

/* ---- Slots --------------------------------------------------------------------------------- */

guint
vmsan_net_manager_take_slot (VmsanNetManager *self, gboolean soon)
{
  guint slot = VMSAN_NET_NO_SLOT;

  if (soon)
    slot = vmsan_net_warm_pool_reserve (self->warm_pool);
  if (slot == VMSAN_NET_NO_SLOT)
    slot = vmsan_net_slots_take (self->slots, 0);
  /* The last ones may be those of prepared networks. */
  if (slot == VMSAN_NET_NO_SLOT)
    slot = vmsan_net_warm_pool_reserve (self->warm_pool);
  return slot;
}

gboolean
vmsan_net_manager_claim_slot (VmsanNetManager *self, guint slot)
{
  return vmsan_net_slots_claim (self->slots, slot);
}

void
vmsan_net_manager_release_slot (VmsanNetManager *self, guint slot)
{
  vmsan_net_warm_pool_give_back (self->warm_pool, slot);
}

/* ---- In threads ---------------------------------------------------------------------------- */

static void
run (VmsanNetManager *self,
     const VmsanNetMachine *machine,
     GTaskThreadFunc func,
     GAsyncReadyCallback callback,
     gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);

  g_task_set_task_data (task, vmsan_net_machine_copy (machine),
                        (GDestroyNotify) vmsan_net_machine_free);
  g_task_run_in_thread (task, func);
}

/* For what goes on after @func: its task has the machine's as data, which is completed by whoever
 * is the last to do something for it, in any thread. A task that runs in a thread itself would be
 * complete when @func returns. */
static void
begin (VmsanNetManager *self,
       const VmsanNetMachine *machine,
       GTaskThreadFunc func,
       GAsyncReadyCallback callback,
       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  g_autoptr (GTask) worker = g_task_new (self, NULL, NULL, NULL);

  g_task_set_task_data (task, vmsan_net_machine_copy (machine),
                        (GDestroyNotify) vmsan_net_machine_free);
  g_task_set_task_data (worker, g_steal_pointer (&task), g_object_unref);
  g_task_run_in_thread (worker, func);
}

static gboolean
finish (GAsyncResult *result, GError **error)
{
  gboolean done = g_task_propagate_boolean (G_TASK (result), error);

  /* The thread may hold the task for some moments more, but not the machine's directory open. */
  g_task_set_task_data (G_TASK (result), NULL, NULL);
  return done;
}

/* ---- The host's side ----------------------------------------------------------------------- */

/* Call with the lock held. */
static void
note_member (VmsanNetManager *self, const VmsanNetMachine *machine)
{
  g_hash_table_replace (self->members, GUINT_TO_POINTER (machine->slot + 1),
                        vmsan_net_policy_ref (machine->policy));
}

/* VmsanNetMember, valid as long as the lock is held. */
static GArray *
list_members (VmsanNetManager *self)
{
  GArray *members = g_array_new (FALSE, FALSE, sizeof (VmsanNetMember));
  GHashTableIter iter;
  gpointer key, policy;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, &key, &policy))
    {
      const VmsanNetMember member = { GPOINTER_TO_UINT (key) - 1, policy };

      g_array_append_val (members, member);
    }
  return members;
}

/* Makes the whole table again, for all members. Call with the lock held. */
static gboolean
rebuild_host (VmsanNetManager *self, const GArray *resolvers, GError **error)
{
  VmsanNetHost host = { .pools = &self->pools, .resolvers = resolvers };
  g_auto (GStrv) opened_links = vmsan_net_forwarding_list_links (self->state_fd, &host.opened_ipv6);
  g_autoptr (GArray) members = list_members (self);

  host.opened_links = (const char *const *) opened_links;
  return vmsan_net_host_rebuild (&host, (const VmsanNetMember *) members->data, members->len,
                                 error);
}

/* Adds a machine to the table, in place of what it has under @old. Call with the lock held. */
static gboolean
fill_host (VmsanNetManager *self,
           const VmsanNetMachine *machine,
           const VmsanNetPolicy *old,
           const GArray *resolvers,
           GError **error)
{
  const VmsanNetHost host = { .pools = &self->pools, .resolvers = resolvers };
  const VmsanNetMember member = { machine->slot, machine->policy };
  g_autoptr (GError) local_error = NULL;

  note_member (self, machine);
  if (vmsan_net_host_add (&host, &member, old, &local_error))
    return TRUE;
  /* Nobody needed the table yet, or what was to be taken away was not there. */
  if (g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return rebuild_host (self, resolvers, error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/* The namespace lets nothing of them pass that is not published any more; what is left is where
 * they lead. */
static void
cut_ports (VmsanNetManager *self, const VmsanNetMachine *machine, const VmsanNetPolicy *old)
{
  const VmsanNetHost host = { .pools = &self->pools };
  const VmsanNetMember member = { machine->slot, machine->policy };
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_host_ports_cut (&host, &member, old, &error))
    g_warning ("Machine %s: connections from before its ports changed: %s", machine->id,
               error->message);
}

/* Makes the host forward by the uplinks that it has now, the rules about them first. @rebuilt: the
 * table is made again, for all members, only if there is anything to do. Call with the lock held.
 */
static gboolean
open_uplinks (VmsanNetManager *self, const GArray *resolvers, gboolean *rebuilt, GError **error)
{
  g_auto (GStrv) changes = vmsan_net_forwarding_prepare (self->state_fd, &self->pools, error);

  if (changes == NULL)
    return FALSE;
  *rebuilt = changes[0] != NULL;
  return !*rebuilt || (rebuild_host (self, resolvers, error) &&
                       vmsan_net_forwarding_enable ((const char *const *) changes, error));
}

static gboolean
add_to_host (VmsanNetManager *self,
             const VmsanNetMachine *machine,
             const GArray *resolvers,
             GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  gboolean rebuilt;

  note_member (self, machine);
  if (!open_uplinks (self, resolvers, &rebuilt, error) ||
      (!rebuilt && !fill_host (self, machine, NULL, resolvers, error)))
    return FALSE;
  cut_ports (self, machine, NULL);
  return TRUE;
}

static gboolean
remove_from_host (VmsanNetManager *self, guint slot, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  const VmsanNetHost host = { .pools = &self->pools };
  g_autoptr (VmsanNetPolicy) policy = NULL;
  g_autoptr (GError) local_error = NULL;
  gboolean done;

  g_hash_table_steal_extended (self->members, GUINT_TO_POINTER (slot + 1), NULL,
                               (gpointer *) &policy);
  /* Also before the table goes: what the kernel remembers of the machine's connections does not go
   * with it, and is translated again as soon as there is another table. */
  done = vmsan_net_host_remove (&host, slot, policy, error);
  if (g_hash_table_size (self->members) > 0)
    return done;
  /* The machine is gone all the same. The table stays, as it is what keeps a host that still
   * forwards from being a router for everybody. */
  if (!vmsan_net_forwarding_restore (self->state_fd, &local_error))
    {
      g_warning ("The host still forwards for machines, although none is left: %s",
                 local_error->message);
      return done;
    }
  return vmsan_net_host_delete_table (done ? error : NULL) && done;
}

/* ---- Taking away --------------------------------------------------------------------------- */

/* A network that is being taken away, for a caller who waits until it is gone. */
typedef struct
{
  GTask *task;
  GError *cause;   /* why, when it is not what the caller asked for */
  GError *failure; /* the first; one part that fails does not keep the others from being done */
} Removal;

static void
on_reaped (const GError *error, gpointer data)
{
  g_autofree Removal *removal = data;
  g_autoptr (GTask) task = removal->task;
  const VmsanNetMachine *machine = g_task_get_task_data (task);

  if (removal->failure == NULL && error != NULL)
    removal->failure = g_error_copy (error);
  if (removal->failure != NULL)
    g_prefix_error (&removal->failure, "Taking down the network of machine %s: ", machine->id);
  if (removal->failure != NULL && removal->cause != NULL)
    {
      g_warning ("%s", removal->failure->message);
      g_clear_error (&removal->failure);
    }
  if (removal->cause != NULL)
    g_task_return_error (task, removal->cause);
  else if (removal->failure != NULL)
    g_task_return_error (task, removal->failure);
  else
    g_task_return_boolean (task, TRUE);
}

/* The machine cannot be reached any more, and reaches nobody, when this returns; @task completes
 * when nothing is left, with @cause (transfer full), if there is one. */
static void
take_down (VmsanNetManager *self, GTask *task, GError *cause)
{
  const VmsanNetMachine *machine = g_task_get_task_data (task);
  g_autofree char *name = vmsan_net_machine_name_namespace (machine->id);
  Removal *removal = g_new0 (Removal, 1);
  gboolean done;

  removal->task = g_object_ref (task);
  removal->cause = cause;
  if (vmsan_net_warm_pool_holds (self->warm_pool, machine->slot))
    {
      /* It never came to use its network, which others can have now. */
      on_reaped (NULL, removal);
      return;
    }
  done = vmsan_net_dns_keeper_stop (self->resolvers, machine->id, &removal->failure);
  remove_from_host (self, machine->slot, done ? &removal->failure : NULL);
  vmsan_net_reaper_add (self->reaper, name, machine->slot, on_reaped, removal);
}

/* ---- Setting up ---------------------------------------------------------------------------- */

static GArray *
find_resolvers (VmsanNetManager *self, GError **error)
{
  g_autofree char *why = NULL;
  GArray *resolvers = vmsan_net_resolvers_find (self->resolver, &why, error);

  if (resolvers != NULL && resolvers->len == 0)
    g_debug ("Machines cannot resolve names: %s", why);
  return resolvers;
}

/* A namespace with the machine's name and a firewall that lets nothing pass; opened, or -1. */
static int
obtain_namespace (VmsanNetManager *self, const VmsanNetMachine *machine, GError **error)
{
  g_autofree char *name = vmsan_net_machine_name_namespace (machine->id);
  vmsan_autofd int namespace_fd = vmsan_net_warm_pool_take (self->warm_pool, machine->slot, name);
  VmsanNetFirewall firewall = { .pools = &self->pools, .slot = machine->slot };

  if (namespace_fd >= 0)
    return g_steal_fd (&namespace_fd);
  if (!vmsan_net_namespace_create (&self->setup, name, machine->slot, error))
    return -1;
  firewall.namespace_fd = namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  if (namespace_fd < 0 || !vmsan_net_firewall_prepare (&firewall, error))
    return -1;
  return g_steal_fd (&namespace_fd);
}

/* The rules are there before anything can pass, and the host lets it pass last. */
static gboolean
set_up (VmsanNetManager *self, const VmsanNetMachine *machine, GError **error)
{
  const guint rate_mbit = machine->policy->bandwidth_mbit;
  g_autoptr (GArray) resolvers = find_resolvers (self, error);
  vmsan_autofd int namespace_fd = -1;
  VmsanNetFirewall firewall = {
    .pools = &self->pools,
    .slot = machine->slot,
    .resolvers = resolvers,
    .resolver_uid = machine->uid,
  };

  if (resolvers == NULL)
    return FALSE;
  firewall.namespace_fd = namespace_fd = obtain_namespace (self, machine, error);
  return namespace_fd >= 0 && vmsan_net_firewall_fill (&firewall, machine->policy, error) &&
         (rate_mbit == 0 || vmsan_net_namespace_shape (namespace_fd, rate_mbit, error)) &&
         vmsan_net_dns_keeper_start (self->resolvers, machine, namespace_fd, error) &&
         vmsan_net_in_force_note (machine, machine->policy, resolvers, error) &&
         add_to_host (self, machine, resolvers, error);
}

static void
set_up_in_thread (GTask *worker, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  GTask *task = data;
  const VmsanNetMachine *machine = g_task_get_task_data (task);
  GError *error = NULL;

  if (set_up (self, machine, &error))
    g_task_return_boolean (task, TRUE);
  else
    {
      g_prefix_error (&error, "Setting up the network of machine %s: ", machine->id);
      take_down (self, task, error);
    }
  vmsan_net_warm_pool_refill (self->warm_pool);
  g_task_return_boolean (worker, TRUE);
}

void
vmsan_net_manager_set_up_async (VmsanNetManager *self,
                                const VmsanNetMachine *machine,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  begin (self, machine, set_up_in_thread, callback, user_data);
}

gboolean
vmsan_net_manager_set_up_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return finish (result, error);
}

gboolean
vmsan_net_manager_open (
    VmsanNetManager *self, const char *id, int *namespace_fd, int *tap_fd, GError **error)
{
  g_autofree char *name = vmsan_net_machine_name_namespace (id);

  *namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  if (*namespace_fd < 0 || tap_fd == NULL)
    return *namespace_fd >= 0;
  *tap_fd = vmsan_net_namespace_open_tap (*namespace_fd, error);
  return *tap_fd >= 0;
}

/* ---- Taking down --------------------------------------------------------------------------- */

static void
take_down_in_thread (GTask *worker, gpointer source, gpointer data, GCancellable *cancellable)
{
  take_down (source, data, NULL);
  g_task_return_boolean (worker, TRUE);
}

void
vmsan_net_manager_take_down_async (VmsanNetManager *self,
                                   const char *id,
                                   guint slot,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  const VmsanNetMachine machine = { .id = (char *) id, .slot = slot, .runtime_dir_fd = -1 };

  begin (self, &machine, take_down_in_thread, callback, user_data);
}

gboolean
vmsan_net_manager_take_down_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return finish (result, error);
}

/* ---- Changing the policy ------------------------------------------------------------------- */

/* The namespace's part. The old resolver goes first: it may know names that the new policy does
 * not.
 */
static gboolean
put_in_force_inside (VmsanNetManager *self,
                     const VmsanNetMachine *machine,
                     const VmsanNetPolicy *old,
                     const GArray *resolvers,
                     GError **error)
{
  const guint rate_mbit = machine->policy->bandwidth_mbit;
  g_autofree char *name = vmsan_net_machine_name_namespace (machine->id);
  vmsan_autofd int namespace_fd = -1;
  VmsanNetFirewall firewall = {
    .pools = &self->pools,
    .slot = machine->slot,
    .resolvers = resolvers,
    .resolver_uid = machine->uid,
  };

  if (!vmsan_net_in_force_note (machine, NULL, NULL, error))
    return FALSE;
  firewall.namespace_fd = namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  return namespace_fd >= 0 && vmsan_net_dns_keeper_stop (self->resolvers, machine->id, error) &&
         vmsan_net_firewall_apply (&firewall, machine->policy, old, error) &&
         ((old != NULL && old->bandwidth_mbit == rate_mbit) ||
          vmsan_net_namespace_shape (namespace_fd, rate_mbit, error)) &&
         vmsan_net_dns_keeper_start (self->resolvers, machine, namespace_fd, error);
}

static gboolean
put_in_force (VmsanNetManager *self,
              const VmsanNetMachine *machine,
              const VmsanNetPolicy *old,
              GError **error)
{
  g_autoptr (GArray) resolvers = find_resolvers (self, error);
  g_autoptr (GMutexLocker) locker = NULL;

  if (resolvers == NULL || !put_in_force_inside (self, machine, old, resolvers, error))
    return FALSE;
  locker = g_mutex_locker_new (&self->host_lock);
  if (!fill_host (self, machine, old, resolvers, error))
    return FALSE;
  cut_ports (self, machine, old);
  return vmsan_net_in_force_note (machine, machine->policy, resolvers, error);
}

static gboolean
set_policy (VmsanNetManager *self, VmsanNetMachine *machine, GError **error)
{
  g_autoptr (VmsanNetPolicy) wanted = NULL;
  g_autoptr (GError) undo_error = NULL;

  if (put_in_force (self, machine, machine->old_policy, error))
    return TRUE;
  wanted = machine->policy;
  machine->policy = vmsan_net_policy_ref (machine->old_policy);
  if (!put_in_force (self, machine, wanted, &undo_error))
    g_warning ("Machine %s: putting the old network policy back: %s", machine->id,
               undo_error->message);
  return FALSE;
}

static void
set_policy_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetMachine *machine = data;
  GError *error = NULL;

  if (set_policy (source, machine, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

void
vmsan_net_manager_set_policy_async (VmsanNetManager *self,
                                    const VmsanNetMachine *machine,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  run (self, machine, set_policy_in_thread, callback, user_data);
}

gboolean
vmsan_net_manager_set_policy_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- The service's start ------------------------------------------------------------------- */

static gboolean
is_known (GPtrArray *machines, const char *name)
{
  for (guint i = 0; i < machines->len; i++)
    {
      VmsanNetMachine *machine = g_ptr_array_index (machines, i);

      if (g_str_equal (name + strlen (VMSAN_NET_NAMESPACE_PREFIX), machine->id))
        return TRUE;
    }
  return FALSE;
}

static gboolean
is_known_slot (GPtrArray *machines, guint slot)
{
  for (guint i = 0; i < machines->len; i++)
    if (((VmsanNetMachine *) g_ptr_array_index (machines, i))->slot == slot)
      return TRUE;
  return FALSE;
}

/* Deletes namespaces and links of nobody. */
static gboolean
clear_leftovers (VmsanNetManager *self, GPtrArray *machines, GError **error)
{
  g_autoptr (GArray) slots = NULL;
  g_auto (GStrv) names = vmsan_net_namespace_list (&self->setup, &slots, error);
  g_autoptr (GPtrArray) dead_names = g_ptr_array_new ();
  g_autoptr (GArray) dead_slots = g_array_new (FALSE, FALSE, sizeof (guint));

  if (names == NULL)
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    if (!is_known (machines, names[i]))
      g_ptr_array_add (dead_names, names[i]);
  for (guint i = 0; i < slots->len; i++)
    if (!is_known_slot (machines, g_array_index (slots, guint, i)))
      g_array_append_val (dead_slots, g_array_index (slots, guint, i));
  return vmsan_net_namespace_delete (&self->setup, (const char *const *) dead_names->pdata, NULL,
                                     dead_names->len, error) &&
         vmsan_net_namespace_delete (&self->setup, NULL, (const guint *) dead_slots->data,
                                     dead_slots->len, error);
}

/* The networks of machines that ran on while the service was away. @resolvers: NULL when they could
 * not be read; the start fails, but a machine's own resolver is known all the same. */
static void
adopt (VmsanNetManager *self, const VmsanNetMachine *machine, const GArray *resolvers)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_dns_keeper_adopt (self->resolvers, machine);
  if (resolvers == NULL || vmsan_net_in_force_is (machine, resolvers))
    return;
  g_message ("Machine %s: a change of its network policy was cut off, or the host's name servers "
             "changed; putting the policy in force again",
             machine->id);
  if (!put_in_force_inside (self, machine, NULL, resolvers, &error) ||
      !vmsan_net_in_force_note (machine, machine->policy, resolvers, &error))
    g_warning ("Machine %s: putting its network policy in force: %s", machine->id, error->message);
}

/* The host's table for exactly these machines, or none where there is none. @resolvers: those that
 * they were adopted with, so that later ones are a change. Call with the lock held. */
static gboolean
make_host_table (VmsanNetManager *self, GPtrArray *machines, GArray *resolvers, GError **error)
{
  gboolean rebuilt;

  g_clear_pointer (&self->known_resolvers, g_array_unref);
  self->known_resolvers = g_array_ref (resolvers);
  for (guint i = 0; i < machines->len; i++)
    note_member (self, g_ptr_array_index (machines, i));
  if (machines->len == 0)
    return vmsan_net_forwarding_restore (self->state_fd, error) &&
           vmsan_net_host_delete_table (error);
  return open_uplinks (self, resolvers, &rebuilt, error) &&
         (rebuilt || rebuild_host (self, resolvers, error));
}

/* ---- Others who change the host ------------------------------------------------------------ */

GStrv
vmsan_net_manager_find_conflicts (VmsanNetManager *self, GError **error)
{
  g_autoptr (GMutexLocker) looking = g_mutex_locker_new (&self->looking_lock);
  GStrv found = vmsan_net_host_find_conflicts (error);

  if (found != NULL)
    {
      g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->conflicts_lock);

      g_strfreev (self->conflicts);
      self->conflicts = g_strdupv (found);
    }
  return found;
}

GStrv
vmsan_net_manager_get_conflicts (VmsanNetManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->conflicts_lock);

  return self->conflicts != NULL && self->conflicts[0] != NULL ? g_strdupv (self->conflicts) : NULL;
}

static void
look_for_conflicts (VmsanNetManager *self)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) found = vmsan_net_manager_find_conflicts (self, &error);

  if (found == NULL)
    g_warning ("Chains of others that may drop machines' packets: %s", error->message);
}

static void
look_for_table (VmsanNetManager *self)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  g_autoptr (GArray) resolvers = NULL;
  g_autoptr (GError) error = NULL;
  gboolean complete = TRUE;

  if (g_hash_table_size (self->members) > 0 && vmsan_net_host_is_complete (&complete, &error) &&
      !complete)
    {
      g_message ("Somebody removed the host's rules for machines; making them again");
      resolvers = find_resolvers (self, &error);
      if (resolvers != NULL)
        rebuild_host (self, resolvers, &error);
    }
  if (error != NULL)
    g_warning ("The host's rules for machines: %s", error->message);
}

static void
look_at_rules_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  look_for_table (source);
  g_task_return_boolean (task, TRUE);
}

static void
on_rules_changed (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, NULL, NULL);

  g_task_run_in_thread (task, look_at_rules_in_thread);
}

static void
look_at_others_rules_in_thread (GTask *task,
                                gpointer source,
                                gpointer data,
                                GCancellable *cancellable)
{
  look_for_conflicts (source);
  g_task_return_boolean (task, TRUE);
}

/* Where all of a ruleset has to be read to know what machines meet there, only others' changes are
 * worth it: our own come with every machine. */
static void
on_others_rules_changed (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, NULL, NULL);

  g_task_run_in_thread (task, look_at_others_rules_in_thread);
}

void
vmsan_net_manager_look (VmsanNetManager *self)
{
  on_rules_changed (self);
  on_others_rules_changed (self);
}

/* A link that lost its default routes keeps what was switched on for machines: it may get them back
 * at any time, and its rules let through nothing else. */
static void
look_at_routes_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  g_autoptr (GArray) resolvers = NULL;
  g_autoptr (GError) error = NULL;
  gboolean rebuilt = FALSE;

  if (g_hash_table_size (self->members) > 0)
    resolvers = find_resolvers (self, &error);
  if (resolvers != NULL)
    open_uplinks (self, resolvers, &rebuilt, &error);
  if (rebuilt && error == NULL)
    g_message ("The host's default routes changed; machines follow");
  if (error != NULL)
    g_warning ("Machines' way by the host's default routes: %s", error->message);
  g_task_return_boolean (task, TRUE);
}

static void
on_routes_changed (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, NULL, NULL);

  g_task_run_in_thread (task, look_at_routes_in_thread);
}

/* A link matters only once a default route leads to it, so that links need not be followed. The
 * first bits of such a route are both halves of the world, as VPNs have them. */
static gboolean
is_default_route (const struct nlmsghdr *message)
{
  return message->nlmsg_type == RTM_NEWROUTE &&
         message->nlmsg_len >= NLMSG_LENGTH (sizeof (struct rtmsg)) &&
         ((const struct rtmsg *) NLMSG_DATA (message))->rtm_dst_len <= 1;
}

static gboolean
equal_resolvers (const GArray *a, const GArray *b)
{
  return a != NULL && a->len == b->len &&
         memcmp (a->data, b->data, a->len * sizeof (VmsanNetResolver)) == 0;
}

static void
look_at_resolvers_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  GError *error = NULL;
  g_autoptr (GArray) resolvers = find_resolvers (self, &error);
  gboolean changed = resolvers != NULL && !equal_resolvers (self->known_resolvers, resolvers);

  /* They may be addresses of the host, which its rules have to let machines ask. */
  if (changed && (g_hash_table_size (self->members) == 0 || rebuild_host (self, resolvers, &error)))
    {
      g_clear_pointer (&self->known_resolvers, g_array_unref);
      self->known_resolvers = g_array_ref (resolvers);
    }
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, changed);
}

static void
on_resolvers_looked_at (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  if (g_task_propagate_boolean (G_TASK (result), &error))
    {
      g_message ("The host's name servers changed; machines follow");
      g_signal_emit (source, signals[SIGNAL_RESOLVERS_CHANGED], 0);
    }
  else if (error != NULL)
    g_warning ("The host's name servers: %s", error->message);
}

static void
on_resolver_files_changed (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, on_resolvers_looked_at, NULL);

  g_task_run_in_thread (task, look_at_resolvers_in_thread);
}

static VmsanNetWatch *
follow (const VmsanNetWatchSpec *spec)
{
  g_autoptr (GError) error = NULL;
  VmsanNetWatch *watch = vmsan_net_watch_new (spec, &error);

  if (watch == NULL)
    g_warning ("%s", error->message);
  return watch;
}

static void
follow_host (VmsanNetManager *self)
{
  const VmsanNetWatchSpec rules = {
    .protocol = NETLINK_NETFILTER,
    .groups = VMSAN_NET_WATCH_GROUP (NFNLGRP_NFTABLES),
    .changed = on_rules_changed,
    .data = self,
  };
  const VmsanNetWatchSpec others_rules = {
    .protocol = NETLINK_NETFILTER,
    .groups = VMSAN_NET_WATCH_GROUP (NFNLGRP_NFTABLES),
    .matches = vmsan_net_ruleset_is_of_others,
    .changed = on_others_rules_changed,
    .data = self,
  };
  const VmsanNetWatchSpec routes = {
    .protocol = NETLINK_ROUTE,
    .groups =
        VMSAN_NET_WATCH_GROUP (RTNLGRP_IPV4_ROUTE) | VMSAN_NET_WATCH_GROUP (RTNLGRP_IPV6_ROUTE),
    .matches = is_default_route,
    .changed = on_routes_changed,
    .data = self,
  };

  self->rules = follow (&rules);
  self->others_rules = follow (&others_rules);
  self->routes = follow (&routes);
}

/* Machines follow their name servers when this says so, and until they are adopted a thread works
 * on them. What changed before is found by looking once. */
static void
follow_resolvers (VmsanNetManager *self)
{
  if (self->resolver_files != NULL || (self->resolver != NULL && *self->resolver != '\0'))
    return;
  self->resolver_files = vmsan_net_resolvers_watch_new (on_resolver_files_changed, self);
  on_resolver_files_changed (self);
}

static void
start_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  GPtrArray *machines = data;
  GError *error = NULL;
  g_autoptr (GArray) resolvers = find_resolvers (self, &error);
  g_autoptr (GMutexLocker) locker = NULL;
  gboolean cleared;

  look_for_conflicts (self);
  for (guint i = 0; i < machines->len; i++)
    adopt (self, g_ptr_array_index (machines, i), resolvers);
  locker = g_mutex_locker_new (&self->host_lock);
  cleared = clear_leftovers (self, machines, resolvers != NULL ? &error : NULL);
  if (resolvers == NULL || !cleared || !make_host_table (self, machines, resolvers, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_net_warm_pool_start (self->warm_pool);
  g_task_return_boolean (task, TRUE);
}

void
vmsan_net_manager_start_async (VmsanNetManager *self,
                               GPtrArray *machines,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);

  follow_host (self);
  g_task_set_task_data (task, g_ptr_array_ref (machines), (GDestroyNotify) g_ptr_array_unref);
  g_task_run_in_thread (task, start_in_thread);
}

gboolean
vmsan_net_manager_start_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  follow_resolvers (self);
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- The service's end --------------------------------------------------------------------- */

static void
stop_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;

  vmsan_net_warm_pool_stop (self->warm_pool);
  if (!vmsan_net_reaper_drain (self->reaper, REAP_DEADLINE_MS))
    g_warning ("Networks of machines are still being deleted; the service's next start goes on "
               "with it");
  g_task_return_boolean (task, TRUE);
}

void
vmsan_net_manager_stop_async (VmsanNetManager *self,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);

  g_task_run_in_thread (task, stop_in_thread);
}

void
vmsan_net_manager_stop_finish (VmsanNetManager *self, GAsyncResult *result)
{
  g_task_propagate_boolean (G_TASK (result), NULL);
}

/* ---- What can be known before -------------------------------------------------------------- */

typedef struct
{
  VmsanNetPolicy *policy;
  VmsanNetPolicy *old;
  gboolean starts;
} Check;

static void
check_free (Check *self)
{
  vmsan_net_policy_unref (self->policy);
  g_clear_pointer (&self->old, vmsan_net_policy_unref);
  g_free (self);
}

static void
check_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  const Check *work = data;
  const VmsanNetCheck check = {
    .policy = work->policy,
    .old = work->old,
    .starts = work->starts,
    .resolver = self->resolver,
    .dnsmasq = self->dnsmasq,
    .has_ipv6 = self->pools.has_pool6,
  };
  GError *error = NULL;

  if (vmsan_net_check (&check, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

void
vmsan_net_manager_check_async (VmsanNetManager *self,
                               const VmsanNetPolicy *policy,
                               const VmsanNetPolicy *old,
                               gboolean starts,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  Check *work = g_new0 (Check, 1);

  work->policy = vmsan_net_policy_ref (policy);
  work->old = old != NULL ? vmsan_net_policy_ref (old) : NULL;
  work->starts = starts;
  g_task_set_task_data (task, work, (GDestroyNotify) check_free);
  g_task_run_in_thread (task, check_in_thread);
}

gboolean
vmsan_net_manager_check_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- What is nobody's ---------------------------------------------------------------------- */

GStrv
vmsan_net_manager_list (VmsanNetManager *self, GArray **slots, GError **error)
{
  return vmsan_net_namespace_list (&self->setup, slots, error);
}

gboolean
vmsan_net_manager_delete_namespace (VmsanNetManager *self, const char *name, GError **error)
{
  return vmsan_net_namespace_delete (&self->setup, &name, NULL, 1, error);
}

gboolean
vmsan_net_manager_delete_link (VmsanNetManager *self, guint slot, GError **error)
{
  return vmsan_net_namespace_delete (&self->setup, NULL, &slot, 1, error);
}

void
vmsan_net_strays_clear (VmsanNetStrays *strays)
{
  g_clear_pointer (&strays->elements, g_strfreev);
  g_clear_pointer (&strays->settings, g_strfreev);
}

/* A machine is a member before the table has anything of it, and as long as it has. Call with the
 * lock held. */
static gboolean
find_host_strays (VmsanNetManager *self, VmsanNetHostStrays *strays, GError **error)
{
  const VmsanNetHost host = { .pools = &self->pools };
  g_autoptr (GArray) members = list_members (self);

  return vmsan_net_host_strays_find (&host, (const VmsanNetMember *) members->data, members->len,
                                     strays, error);
}

gboolean
vmsan_net_manager_find_strays (VmsanNetManager *self, VmsanNetStrays *strays, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  gboolean nobody = g_hash_table_size (self->members) == 0;
  g_auto (VmsanNetHostStrays) found = { 0 };

  *strays = (VmsanNetStrays){ 0 };
  if (!find_host_strays (self, &found, error))
    return FALSE;
  strays->table = nobody && found.has_table;
  /* Elements go with the table. */
  strays->elements = nobody ? g_new0 (char *, 1) : g_steal_pointer (&found.elements);
  strays->settings =
      nobody ? vmsan_net_forwarding_list_changes (self->state_fd) : g_new0 (char *, 1);
  return TRUE;
}

gboolean
vmsan_net_manager_remove_strays (VmsanNetManager *self, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  g_auto (VmsanNetHostStrays) found = { 0 };
  g_autoptr (GArray) resolvers = NULL;

  if (!find_host_strays (self, &found, error))
    return FALSE;
  if (g_hash_table_size (self->members) == 0)
    {
      if (!vmsan_net_forwarding_restore (self->state_fd, error) ||
          !vmsan_net_host_delete_table (error))
        return FALSE;
    }
  else if (found.elements[0] != NULL)
    {
      resolvers = find_resolvers (self, error);
      if (resolvers == NULL || !rebuild_host (self, resolvers, error))
        return FALSE;
    }
  /* The next machine with these addresses must not get what was meant for the last. */
  return vmsan_net_conntrack_forget_addresses ((const char *const *) found.addresses, error);
}
