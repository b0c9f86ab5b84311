/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a machine with listed names has one resolver while its network is up, and none after. */

#include "net/net-dns-keeper.h"

#include "net/net-dns.h"
#include "net/net-firewall.h"
#include "net/net-resolvers.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* In the machine's runtime directory: pid and start time, for the next run of the service. */
#define IDENTITY_FILE "resolver"
#define IDENTITY_SIZE 64

#define END_DEADLINE_MS 5000

/* One that ends at once, again and again, must not keep the host busy. */
#define LASTED_S    60
#define MAX_DELAY_S 64

struct _VmsanNetDnsKeeper
{
  GObject parent;
  const VmsanNetSetup *setup;
  char *server;
  char *dnsmasq;

  GMutex lock;
  GHashTable *resolvers; /* id → Resolver */
  GSource *ageing;
};

/* A machine's. Its lock is held while its process is started and ended, which may take long. */
typedef struct
{
  VmsanNetDnsKeeper *keeper; /* borrowed; not there any more once this is gone */
  GMutex lock;
  VmsanNetMachine *machine;
  VmsanProcess *process; /* NULL: none runs */
  GSource *again;        /* starts one */
  gint64 started;
  guint n_ends; /* in a row, of those that did not last */
  gboolean gone;
} Resolver;

G_DEFINE_FINAL_TYPE (VmsanNetDnsKeeper, vmsan_net_dns_keeper, G_TYPE_OBJECT)

static void
resolver_clear (gpointer data)
{
  Resolver *self = data;

  vmsan_source_clear (&self->again);
  g_clear_object (&self->process);
  vmsan_net_machine_free (self->machine);
  g_mutex_clear (&self->lock);
}

static void
resolver_unref (gpointer self)
{
  g_atomic_rc_box_release_full (self, resolver_clear);
}

static Resolver *
resolver_new (VmsanNetDnsKeeper *keeper, const VmsanNetMachine *machine)
{
  Resolver *self = g_atomic_rc_box_new0 (Resolver);

  self->keeper = keeper;
  g_mutex_init (&self->lock);
  self->machine = vmsan_net_machine_copy (machine);
  return self;
}

/* What is under way for it comes to nothing. Call with its lock held, or from its last user. */
static void
leave (Resolver *self)
{
  g_atomic_int_set (&self->gone, TRUE);
  vmsan_source_clear (&self->again);
}

static void
vmsan_net_dns_keeper_finalize (GObject *object)
{
  VmsanNetDnsKeeper *self = VMSAN_NET_DNS_KEEPER (object);
  GHashTableIter iter;
  gpointer resolver;

  vmsan_source_clear (&self->ageing);
  g_hash_table_iter_init (&iter, self->resolvers);
  while (g_hash_table_iter_next (&iter, NULL, &resolver))
    leave (resolver);
  g_hash_table_unref (self->resolvers);
  g_free (self->server);
  g_free (self->dnsmasq);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (vmsan_net_dns_keeper_parent_class)->finalize (object);
}

static void
vmsan_net_dns_keeper_class_init (VmsanNetDnsKeeperClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_net_dns_keeper_finalize;
}

static void
vmsan_net_dns_keeper_init (VmsanNetDnsKeeper *self)
{
  g_mutex_init (&self->lock);
  self->resolvers = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, resolver_unref);
}

VmsanNetDnsKeeper *
vmsan_net_dns_keeper_new (const VmsanNetSetup *setup, const char *server, const char *dnsmasq)
{
  VmsanNetDnsKeeper *self = g_object_new (VMSAN_TYPE_NET_DNS_KEEPER, NULL);

  self->setup = setup;
  self->server = g_strdup (server);
  self->dnsmasq = g_strdup (dnsmasq);
  return self;
}

static gboolean
has_listed_names (const VmsanNetMachine *machine)
{
  return vmsan_net_policy_get_names (machine->policy) == VMSAN_NET_NAMES_LISTED;
}

/* ---- Addresses of names -------------------------------------------------------------------- */

static void
age_names (VmsanNetDnsKeeper *self, const Resolver *resolver)
{
  const VmsanNetMachine *machine = resolver->machine;
  g_autofree char *name = vmsan_net_machine_name_namespace (machine->id);
  g_autoptr (GError) error = NULL;
  vmsan_autofd int namespace_fd = vmsan_net_namespace_open (self->setup, name, &error);
  const VmsanNetFirewall firewall = {
    .namespace_fd = namespace_fd,
    .pools = self->setup->pools,
    .slot = machine->slot,
    .resolver_uid = machine->uid,
  };

  if (namespace_fd >= 0)
    vmsan_net_firewall_age_names (&firewall, &error);
  /* It may have been taken down meanwhile. */
  if (error != NULL && !g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    g_warning ("Machine %s: %s", machine->id, error->message);
}

static void
age_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetDnsKeeper *self = source;
  g_autoptr (GPtrArray) resolvers = g_ptr_array_new_with_free_func (resolver_unref);
  GHashTableIter iter;
  gpointer resolver;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->resolvers);
  while (g_hash_table_iter_next (&iter, NULL, &resolver))
    g_ptr_array_add (resolvers, g_atomic_rc_box_acquire (resolver));
  g_mutex_unlock (&self->lock);

  for (guint i = 0; i < resolvers->len; i++)
    age_names (self, g_ptr_array_index (resolvers, i));
  g_task_return_boolean (task, TRUE);
}

static gboolean
on_ageing (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, NULL, NULL);

  g_task_run_in_thread (task, age_in_thread);
  return G_SOURCE_CONTINUE;
}

/* ---- Starting and ending ------------------------------------------------------------------- */

static gboolean
note_identity (Resolver *self, VmsanProcess *process, GError **error)
{
  g_autofree char *identity =
      g_strdup_printf ("%d %" G_GUINT64_FORMAT "\n", vmsan_process_get_pid (process),
                       vmsan_process_get_start_time (process));

  return vmsan_fd_write_file_at (self->machine->runtime_dir_fd, IDENTITY_FILE, identity,
                                 strlen (identity), 0600, error);
}

static gboolean
end_process (VmsanProcess *process, const char *id, GError **error)
{
  struct pollfd ended = { vmsan_process_get_pidfd (process), POLLIN, 0 };

  if (!vmsan_process_kill (process, SIGKILL, error))
    return FALSE;
  if (poll (&ended, 1, END_DEADLINE_MS) == 1)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
               "The resolver of machine %s did not end within %d ms", id, END_DEADLINE_MS);
  return FALSE;
}

static void on_ended (GObject *source, GAsyncResult *result, gpointer user_data);

/* Call with its lock held, as the next ones. */
static void
take_process (Resolver *self, VmsanProcess *process)
{
  self->process = process;
  self->started = g_get_monotonic_time ();
  vmsan_process_wait_async (process, NULL, on_ended, g_atomic_rc_box_acquire (self));
}

static gboolean
start_process (Resolver *self, int namespace_fd, GError **error)
{
  VmsanNetDnsKeeper *keeper = self->keeper;
  g_autofree char *why = NULL;
  g_autoptr (GArray) servers = vmsan_net_resolvers_find (keeper->server, &why, error);
  const VmsanNetDnsSpec spec = {
    .id = self->machine->id,
    .namespace_fd = namespace_fd,
    .resolvers = servers,
    .has_ipv6 = keeper->setup->pools->has_pool6,
    .binary = keeper->dnsmasq,
    .uid = self->machine->uid,
    .cgroup = self->machine->cgroup,
  };
  g_autoptr (VmsanProcess) process = NULL;
  vmsan_autofd int message_fd = -1;

  if (servers == NULL)
    return FALSE;
  process = vmsan_net_dns_spawn (&spec, self->machine->policy, &message_fd, error);
  if (process == NULL)
    return FALSE;
  /* Noted first: one that nobody knows would be in the way of the next. */
  if (!note_identity (self, process, error) ||
      !vmsan_net_dns_wait (&spec, process, message_fd, error))
    {
      end_process (process, self->machine->id, NULL);
      return FALSE;
    }
  take_process (self, g_steal_pointer (&process));
  return TRUE;
}

/* ---- Starting again ------------------------------------------------------------------------ */

static gboolean on_again (gpointer user_data);

static void
start_again_later (Resolver *self)
{
  guint delay_s = self->n_ends == 0 ? 0 : MIN (1u << (self->n_ends - 1), MAX_DELAY_S);

  vmsan_source_clear (&self->again);
  self->again = g_timeout_source_new_seconds (delay_s);
  g_source_set_callback (self->again, on_again, g_atomic_rc_box_acquire (self), resolver_unref);
  g_source_attach (self->again, NULL);
  self->n_ends = MIN (self->n_ends + 1, 16);
}

static void
start_again_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Resolver *self = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);
  g_autofree char *name = vmsan_net_machine_name_namespace (self->machine->id);
  g_autoptr (GError) error = NULL;
  vmsan_autofd int namespace_fd = -1;

  if (!self->gone && self->process == NULL)
    {
      namespace_fd = vmsan_net_namespace_open (self->keeper->setup, name, &error);
      if (namespace_fd < 0 || !start_process (self, namespace_fd, &error))
        {
          g_warning ("The resolver of machine %s: %s", self->machine->id, error->message);
          start_again_later (self);
        }
    }
  g_task_return_boolean (task, TRUE);
}

static void
run_in_thread (Resolver *self, GTaskThreadFunc func)
{
  g_autoptr (GTask) task = g_task_new (self->keeper, NULL, NULL, NULL);

  g_task_set_task_data (task, g_atomic_rc_box_acquire (self), resolver_unref);
  g_task_run_in_thread (task, func);
}

static gboolean
on_again (gpointer user_data)
{
  run_in_thread (user_data, start_again_in_thread);
  return G_SOURCE_REMOVE;
}

static void
look_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Resolver *self = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (!self->gone && self->process != NULL && vmsan_process_has_ended (self->process))
    {
      g_message ("The resolver of machine %s has ended", self->machine->id);
      g_clear_object (&self->process);
      if (g_get_monotonic_time () - self->started > LASTED_S * G_TIME_SPAN_SECOND)
        self->n_ends = 0;
      if (has_listed_names (self->machine))
        start_again_later (self);
    }
  g_task_return_boolean (task, TRUE);
}

/* On the main context, which must not wait for the lock. */
static void
on_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Resolver *self = user_data;

  if (!g_atomic_int_get (&self->gone))
    run_in_thread (self, look_in_thread);
  resolver_unref (self);
}

/* ---- Calls --------------------------------------------------------------------------------- */

static void
keep (VmsanNetDnsKeeper *self, Resolver *resolver)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  g_hash_table_replace (self->resolvers, resolver->machine->id, resolver);
  if (self->ageing != NULL)
    return;
  self->ageing = g_timeout_source_new_seconds (VMSAN_NET_NAMES_PERIOD_S);
  g_source_set_callback (self->ageing, on_ageing, self, NULL);
  g_source_attach (self->ageing, NULL);
}

gboolean
vmsan_net_dns_keeper_start (VmsanNetDnsKeeper *self,
                            const VmsanNetMachine *machine,
                            int namespace_fd,
                            GError **error)
{
  Resolver *resolver;
  gboolean started;

  if (!has_listed_names (machine))
    return TRUE;
  resolver = resolver_new (self, machine);
  g_mutex_lock (&resolver->lock);
  started = start_process (resolver, namespace_fd, error);
  g_mutex_unlock (&resolver->lock);
  if (started)
    keep (self, resolver);
  else
    resolver_unref (resolver);
  return started;
}

static VmsanProcess *
find_process (const VmsanNetMachine *machine)
{
  g_autofree char *identity =
      vmsan_fd_read_file_at (machine->runtime_dir_fd, IDENTITY_FILE, IDENTITY_SIZE, NULL, NULL);
  guint64 start_time;
  int pid;

  if (identity == NULL || sscanf (identity, "%d %" G_GUINT64_FORMAT, &pid, &start_time) != 2)
    return NULL;
  return vmsan_process_adopt (pid, start_time, machine->cgroup, NULL);
}

void
vmsan_net_dns_keeper_adopt (VmsanNetDnsKeeper *self, const VmsanNetMachine *machine)
{
  VmsanProcess *process = find_process (machine);
  Resolver *resolver;

  if (process == NULL && !has_listed_names (machine))
    return;
  resolver = resolver_new (self, machine);
  g_mutex_lock (&resolver->lock);
  if (process != NULL)
    take_process (resolver, process);
  else
    start_again_later (resolver);
  g_mutex_unlock (&resolver->lock);
  keep (self, resolver);
}

gboolean
vmsan_net_dns_keeper_stop (VmsanNetDnsKeeper *self, const char *id, GError **error)
{
  Resolver *resolver;
  gboolean ended;

  g_mutex_lock (&self->lock);
  if (g_hash_table_steal_extended (self->resolvers, id, NULL, (gpointer *) &resolver) &&
      g_hash_table_size (self->resolvers) == 0)
    vmsan_source_clear (&self->ageing);
  g_mutex_unlock (&self->lock);
  if (resolver == NULL)
    return TRUE;

  g_mutex_lock (&resolver->lock);
  leave (resolver);
  ended = resolver->process == NULL || end_process (resolver->process, id, error);
  g_mutex_unlock (&resolver->lock);
  if (ended)
    resolver_unref (resolver);
  else
    {
      /* It stays known, so that it is ended before anything else is. */
      g_atomic_int_set (&resolver->gone, FALSE);
      keep (self, resolver);
    }
  return ended;
}
