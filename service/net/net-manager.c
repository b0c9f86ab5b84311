/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a machine's policy is in force before its first packet, and what is taken down is gone
 * from the namespace, the host's table and the list of links alike. */

#include "net/net-manager.h"

#include "net/net-dns.h"
#include "net/net-firewall.h"
#include "net/net-host-table.h"
#include "net/net-namespace.h"
#include "net/net-resolvers.h"
#include "net/net-uplink.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NAMESPACE_DIRECTORY "/run/netns"
#define NAMESPACE_PREFIX    "vmsan-"

struct _VmsanNetManager
{
  GObject parent;
  VmsanNetPools pools;
  VmsanNetSetup setup;
  char *resolver;
  char *dnsmasq;
  int state_fd; /* directory for what must be known after a restart */

  GMutex host_lock;      /* of the host's table and settings, and of the two below */
  GHashTable *members;   /* slot + 1 → VmsanNetPolicy, of machines that are set up */
  GHashTable *listeners; /* id → Listener: machines with listed names */
  GSource *aging;

  int ruleset_fd; /* hears of every change to the host's rules */
  GSource *ruleset_changed;
  GSource *look_soon;
};

/* A machine whose resolved names grow old. */
typedef struct
{
  guint slot;
  uid_t uid;
} Listener;

G_DEFINE_FINAL_TYPE (VmsanNetManager, vmsan_net_manager, G_TYPE_OBJECT)

static void
vmsan_net_manager_finalize (GObject *object)
{
  VmsanNetManager *self = VMSAN_NET_MANAGER (object);

  vmsan_source_clear (&self->aging);
  vmsan_source_clear (&self->ruleset_changed);
  vmsan_source_clear (&self->look_soon);
  vmsan_fd_close (&self->ruleset_fd);
  vmsan_fd_close (&self->state_fd);
  g_hash_table_unref (self->members);
  g_hash_table_unref (self->listeners);
  g_free (self->resolver);
  g_free (self->dnsmasq);
  g_mutex_clear (&self->host_lock);
  G_OBJECT_CLASS (vmsan_net_manager_parent_class)->finalize (object);
}

static void
vmsan_net_manager_class_init (VmsanNetManagerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_net_manager_finalize;
}

static void
vmsan_net_manager_init (VmsanNetManager *self)
{
  g_mutex_init (&self->host_lock);
  self->state_fd = -1;
  self->ruleset_fd = -1;
  self->members = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) vmsan_net_policy_unref);
  self->listeners = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
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
  return self;
}

const VmsanNetPools *
vmsan_net_manager_get_pools (VmsanNetManager *self)
{
  return &self->pools;
}

static char *
namespace_name (const char *id)
{
  return g_strconcat (NAMESPACE_PREFIX, id, NULL);
}

/* ---- Work in threads ----------------------------------------------------------------------- */

/* A copy of what the caller lent. */
typedef struct
{
  char *id;
  guint slot;
  VmsanNetPolicy *policy;
  VmsanNetPolicy *old; /* for a change */
  int runtime_dir_fd;
  uid_t uid;
  VmsanCgroup *cgroup;
} Work;

static void
work_free (Work *work)
{
  g_free (work->id);
  g_clear_pointer (&work->policy, vmsan_net_policy_unref);
  g_clear_pointer (&work->old, vmsan_net_policy_unref);
  vmsan_fd_close (&work->runtime_dir_fd);
  g_clear_pointer (&work->cgroup, vmsan_cgroup_unref);
  g_free (work);
}

static Work *
work_new (const VmsanNetMachine *machine)
{
  Work *work = g_new0 (Work, 1);

  work->id = g_strdup (machine->id);
  work->slot = machine->slot;
  work->policy = machine->policy != NULL ? vmsan_net_policy_ref (machine->policy) : NULL;
  work->old = machine->old_policy != NULL ? vmsan_net_policy_ref (machine->old_policy) : NULL;
  work->runtime_dir_fd =
      machine->runtime_dir_fd > 0 ? fcntl (machine->runtime_dir_fd, F_DUPFD_CLOEXEC, 3) : -1;
  work->uid = machine->uid;
  work->cgroup = machine->cgroup != NULL ? vmsan_cgroup_ref (machine->cgroup) : NULL;
  return work;
}

static void
run (VmsanNetManager *self,
     const VmsanNetMachine *machine,
     GTaskThreadFunc func,
     GCancellable *cancellable,
     GAsyncReadyCallback callback,
     gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_check_cancellable (task, FALSE); /* what was made must be known */
  g_task_set_task_data (task, work_new (machine), (GDestroyNotify) work_free);
  g_task_run_in_thread (task, func);
}

/* ---- The resolver -------------------------------------------------------------------------- */

/* In the runtime directory: pid and start time of the resolver, for the next run of the service. */
#define RESOLVER_FILE   "resolver"
#define RESOLVER_END_MS 5000

static gboolean
has_listed_names (const VmsanNetPolicy *policy)
{
  return vmsan_net_policy_get_names (policy) == VMSAN_NET_NAMES_LISTED;
}

static gboolean
start_resolver (
    VmsanNetManager *self, Work *work, int namespace_fd, const GArray *resolvers, GError **error)
{
  const VmsanNetDnsSpec spec = {
    .id = work->id,
    .namespace_fd = namespace_fd,
    .resolvers = resolvers,
    .has_ipv6 = self->pools.has_pool6,
    .binary = self->dnsmasq,
    .uid = work->uid,
    .cgroup = work->cgroup,
  };
  g_autoptr (VmsanProcess) process = NULL;
  g_autofree char *identity = NULL;

  if (!has_listed_names (work->policy))
    return TRUE;
  process = vmsan_net_dns_start (&spec, work->policy, error);
  if (process == NULL)
    return FALSE;
  identity = g_strdup_printf ("%d %" G_GUINT64_FORMAT "\n", vmsan_process_get_pid (process),
                              vmsan_process_get_start_time (process));
  if (vmsan_fd_write_file_at (work->runtime_dir_fd, RESOLVER_FILE, identity, strlen (identity),
                              0600, error))
    return TRUE;
  vmsan_process_kill (process, SIGKILL, NULL);
  return FALSE;
}

/* Ends the resolver of an earlier policy; there may be none. */
static gboolean
stop_resolver (Work *work, GError **error)
{
  g_autofree char *identity =
      vmsan_fd_read_file_at (work->runtime_dir_fd, RESOLVER_FILE, 64, NULL, NULL);
  g_autoptr (VmsanProcess) process = NULL;
  struct pollfd ended = { .events = POLLIN };
  guint64 start_time;
  int pid;

  if (identity == NULL || sscanf (identity, "%d %" G_GUINT64_FORMAT, &pid, &start_time) != 2)
    return TRUE;
  process = vmsan_process_adopt (pid, start_time, work->cgroup, NULL);
  if (process == NULL)
    return TRUE;
  if (!vmsan_process_kill (process, SIGKILL, error))
    return FALSE;
  ended.fd = vmsan_process_get_pidfd (process);
  if (poll (&ended, 1, RESOLVER_END_MS) == 1)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
               "The resolver of machine %s did not end within %d ms", work->id, RESOLVER_END_MS);
  return FALSE;
}

/* ---- Names that grow old ------------------------------------------------------------------- */

static gboolean on_aging (gpointer user_data);

/* Call with the lock held, in any thread. */
static void
follow_names (VmsanNetManager *self, const Work *work)
{
  if (has_listed_names (work->policy))
    {
      Listener *listener = g_new0 (Listener, 1);

      listener->slot = work->slot;
      listener->uid = work->uid;
      g_hash_table_replace (self->listeners, g_strdup (work->id), listener);
    }
  else
    g_hash_table_remove (self->listeners, work->id);
  if (g_hash_table_size (self->listeners) == 0)
    vmsan_source_clear (&self->aging);
  else if (self->aging == NULL)
    {
      self->aging = g_timeout_source_new_seconds (VMSAN_NET_NAMES_PERIOD_S);
      g_source_set_callback (self->aging, on_aging, self, NULL);
      g_source_attach (self->aging, NULL);
    }
}

static void
age_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  GHashTableIter iter;
  gpointer id, value;

  g_hash_table_iter_init (&iter, self->listeners);
  while (g_hash_table_iter_next (&iter, &id, &value))
    {
      const Listener *listener = value;
      g_autofree char *name = namespace_name (id);
      g_autoptr (GError) error = NULL;
      vmsan_autofd int namespace_fd = vmsan_net_namespace_open (&self->setup, name, &error);
      const VmsanNetFirewall firewall = {
        .namespace_fd = namespace_fd,
        .pools = &self->pools,
        .slot = listener->slot,
        .resolver_uid = listener->uid,
      };

      if (namespace_fd < 0 || !vmsan_net_firewall_age_names (&firewall, &error))
        g_warning ("Machine %s: %s", (const char *) id, error->message);
    }
  g_task_return_boolean (task, TRUE);
}

static gboolean
on_aging (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (user_data, NULL, NULL, NULL);

  g_task_run_in_thread (task, age_in_thread);
  return G_SOURCE_CONTINUE;
}

/* ---- The host's side ----------------------------------------------------------------------- */

/* Settings of the host that were changed for machines, with their old values, one a line. */
#define UPLINK_FILE      "uplink-settings"
#define UPLINK_FILE_SIZE 65536

static GStrv
read_uplink_changes (VmsanNetManager *self)
{
  g_autofree char *text =
      vmsan_fd_read_file_at (self->state_fd, UPLINK_FILE, UPLINK_FILE_SIZE, NULL, NULL);

  return text != NULL ? g_strsplit (g_strstrip (text), "\n", -1) : g_new0 (char *, 1);
}

/* What is changed is on record before it is. */
static gboolean
note_uplink_changes (VmsanNetManager *self, const char *const *changes, GError **error)
{
  g_auto (GStrv) before = read_uplink_changes (self);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) all = NULL;
  g_autofree char *text = NULL;

  for (guint i = 0; before[i] != NULL; i++)
    if (before[i][0] != '\0')
      g_strv_builder_add (builder, before[i]);
  g_strv_builder_addv (builder, (const char **) changes);
  all = g_strv_builder_end (builder);
  text = g_strjoinv ("\n", all);
  return vmsan_fd_write_file_at (self->state_fd, UPLINK_FILE, text, strlen (text), 0600, error);
}

static gboolean
enable_uplink (VmsanNetManager *self, gboolean *changed, GError **error)
{
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  g_auto (GStrv) changes = NULL;

  if (host == NULL)
    return FALSE;
  changes =
      vmsan_net_uplink_plan (host, vmsan_net_uplink_get_ipv6_forwarding (self->pools.has_pool6),
                             error);
  if (changes == NULL)
    return FALSE;
  *changed = changes[0] != NULL;
  return !*changed || (note_uplink_changes (self, (const char *const *) changes, error) &&
                       vmsan_net_uplink_apply ((const char *const *) changes, error));
}

/* When no machine has a network any more, the host is as it was. */
static gboolean
restore_uplink (VmsanNetManager *self, GError **error)
{
  g_auto (GStrv) changes = read_uplink_changes (self);

  if (changes[0] == NULL || changes[0][0] == '\0')
    return TRUE;
  if (!vmsan_net_uplink_restore ((const char *const *) changes, error))
    return FALSE;
  unlinkat (self->state_fd, UPLINK_FILE, 0);
  return TRUE;
}

/* Call with the lock held. */
static void
note_member (VmsanNetManager *self, const Work *work)
{
  g_hash_table_replace (self->members, GUINT_TO_POINTER (work->slot + 1),
                        vmsan_net_policy_ref (work->policy));
  follow_names (self, work);
}

/* The links of which forwarding was switched on for machines, and whether that is so for all of
 * IPv6. When somebody else has made the host a router since, none. (transfer full) */
static GStrv
find_opened_links (VmsanNetManager *self, gboolean *ipv6)
{
  g_auto (GStrv) changes = read_uplink_changes (self);
  g_autoptr (GStrvBuilder) links = g_strv_builder_new ();
  g_autofree char *router = NULL;

  *ipv6 = FALSE;
  if (g_file_get_contents ("/proc/sys/net/ipv4/ip_forward", &router, NULL, NULL) &&
      router[0] == '1')
    return g_strv_builder_end (links);
  for (guint i = 0; changes[i] != NULL; i++)
    {
      g_auto (GStrv) parts = g_strsplit (changes[i], "/", 4);

      if (g_strv_length (parts) != 4 || !g_str_equal (parts[1], "conf"))
        continue;
      if (!g_str_equal (parts[2], "all"))
        g_strv_builder_add (links, parts[2]);
      else if (g_str_equal (parts[0], "ipv6"))
        *ipv6 = TRUE;
    }
  return g_strv_builder_end (links);
}

/* Makes the whole table again, for all members. Call with the lock held. */
static gboolean
rebuild_host (VmsanNetManager *self, const GArray *resolvers, GError **error)
{
  VmsanNetHost host = { .pools = &self->pools, .resolvers = resolvers };
  g_auto (GStrv) opened_links = find_opened_links (self, &host.opened_ipv6);
  g_autoptr (GArray) members = g_array_new (FALSE, FALSE, sizeof (VmsanNetMember));
  GHashTableIter iter;
  gpointer key, policy;

  g_hash_table_iter_init (&iter, self->members);
  while (g_hash_table_iter_next (&iter, &key, &policy))
    {
      const VmsanNetMember member = { GPOINTER_TO_UINT (key) - 1, policy };

      g_array_append_val (members, member);
    }
  host.opened_links = (const char *const *) opened_links;
  return vmsan_net_host_rebuild (&host, (const VmsanNetMember *) members->data, members->len,
                                 error);
}

static gboolean
add_to_host (VmsanNetManager *self, Work *work, const GArray *resolvers, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  const VmsanNetHost host = { .pools = &self->pools, .resolvers = resolvers };
  const VmsanNetMember member = { work->slot, work->policy };
  g_autoptr (GError) local_error = NULL;
  gboolean changed = FALSE;

  if (!enable_uplink (self, &changed, error))
    return FALSE;
  note_member (self, work);
  /* Rules about the host's own links are made with the table. */
  if (changed)
    return rebuild_host (self, resolvers, error);
  if (vmsan_net_host_add (&host, &member, NULL, &local_error))
    return TRUE;
  /* Nobody needed the table yet. */
  if (g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    return rebuild_host (self, resolvers, error);
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

static gboolean
remove_from_host (VmsanNetManager *self, const char *id, guint slot, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  const VmsanNetHost host = { .pools = &self->pools };

  g_hash_table_remove (self->members, GUINT_TO_POINTER (slot + 1));
  g_hash_table_remove (self->listeners, id);
  if (g_hash_table_size (self->members) == 0)
    return restore_uplink (self, error) && vmsan_net_host_delete_table (error);
  return vmsan_net_host_remove (&host, slot, NULL, error);
}

/* ---- Setting up ---------------------------------------------------------------------------- */

static gboolean
take_down (VmsanNetManager *self, const char *id, guint slot, GError **error)
{
  g_autofree char *name = namespace_name (id);
  const char *const names[] = { name };
  g_autoptr (GError) host_error = NULL;

  /* One that fails does not keep the other from being done. */
  remove_from_host (self, id, slot, &host_error);
  if (!vmsan_net_namespace_delete (&self->setup, names, &slot, 1, error))
    return FALSE;
  if (host_error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&host_error));
  return FALSE;
}

static GArray *
find_resolvers (VmsanNetManager *self, GError **error)
{
  g_autofree char *why = NULL;
  GArray *resolvers = vmsan_net_resolvers_find (self->resolver, &why, error);

  if (resolvers != NULL && resolvers->len == 0)
    g_debug ("Machines cannot resolve names: %s", why);
  return resolvers;
}

/* The rules are there before anything can pass, and the host lets it pass last. */
static gboolean
set_up (VmsanNetManager *self, Work *work, GError **error)
{
  g_autofree char *name = namespace_name (work->id);
  g_autoptr (GArray) resolvers = find_resolvers (self, error);
  vmsan_autofd int namespace_fd = -1;
  VmsanNetFirewall firewall = {
    .pools = &self->pools,
    .slot = work->slot,
    .resolvers = resolvers,
    .resolver_uid = work->uid,
  };

  if (resolvers == NULL || !vmsan_net_namespace_create (&self->setup, name, work->slot, error))
    return FALSE;
  firewall.namespace_fd = namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  return namespace_fd >= 0 && vmsan_net_firewall_prepare (&firewall, error) &&
         vmsan_net_firewall_apply (&firewall, work->policy, NULL, error) &&
         vmsan_net_namespace_shape (namespace_fd, work->policy->bandwidth_mbit, error) &&
         start_resolver (self, work, namespace_fd, resolvers, error) &&
         add_to_host (self, work, resolvers, error);
}

static void
set_up_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;
  g_autoptr (GError) undo_error = NULL;

  if (set_up (source, work, &error))
    {
      g_task_return_boolean (task, TRUE);
      return;
    }
  g_prefix_error (&error, "Setting up the network of machine %s: ", work->id);
  stop_resolver (work, NULL);
  if (!take_down (source, work->id, work->slot, &undo_error))
    g_warning ("%s", undo_error->message);
  g_task_return_error (task, error);
}

void
vmsan_net_manager_set_up_async (VmsanNetManager *self,
                                const VmsanNetMachine *machine,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  run (self, machine, set_up_in_thread, cancellable, callback, user_data);
}

gboolean
vmsan_net_manager_set_up_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

gboolean
vmsan_net_manager_open (
    VmsanNetManager *self, const char *id, int *namespace_fd, int *tap_fd, GError **error)
{
  g_autofree char *name = namespace_name (id);

  *tap_fd = -1;
  *namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  if (*namespace_fd >= 0)
    *tap_fd = vmsan_net_namespace_open_tap (*namespace_fd, error);
  return *tap_fd >= 0;
}

/* ---- Taking down --------------------------------------------------------------------------- */

static void
take_down_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  if (take_down (source, work->id, work->slot, &error))
    {
      g_task_return_boolean (task, TRUE);
      return;
    }
  g_prefix_error (&error, "Taking down the network of machine %s: ", work->id);
  g_task_return_error (task, error);
}

void
vmsan_net_manager_take_down_async (VmsanNetManager *self,
                                   const char *id,
                                   guint slot,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  const VmsanNetMachine machine = { .id = id, .slot = slot };

  run (self, &machine, take_down_in_thread, NULL, callback, user_data);
}

gboolean
vmsan_net_manager_take_down_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Changing the policy ------------------------------------------------------------------- */

static gboolean
replace_on_host (VmsanNetManager *self,
                 Work *work,
                 const VmsanNetPolicy *old,
                 const GArray *resolvers,
                 GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  const VmsanNetHost host = { .pools = &self->pools, .resolvers = resolvers };
  const VmsanNetMember member = { work->slot, work->policy };

  note_member (self, work);
  return vmsan_net_host_add (&host, &member, old, error);
}

static gboolean
put_in_force (VmsanNetManager *self, Work *work, const VmsanNetPolicy *old, GError **error)
{
  g_autofree char *name = namespace_name (work->id);
  g_autoptr (GArray) resolvers = find_resolvers (self, error);
  vmsan_autofd int namespace_fd = -1;
  VmsanNetFirewall firewall = {
    .pools = &self->pools,
    .slot = work->slot,
    .resolvers = resolvers,
    .resolver_uid = work->uid,
  };

  if (resolvers == NULL)
    return FALSE;
  firewall.namespace_fd = namespace_fd = vmsan_net_namespace_open (&self->setup, name, error);
  /* The old resolver goes first: it may know names that the new policy does not. */
  return namespace_fd >= 0 && stop_resolver (work, error) &&
         vmsan_net_firewall_apply (&firewall, work->policy, old, error) &&
         vmsan_net_namespace_shape (namespace_fd, work->policy->bandwidth_mbit, error) &&
         start_resolver (self, work, namespace_fd, resolvers, error) &&
         replace_on_host (self, work, old, resolvers, error);
}

static gboolean
set_policy (VmsanNetManager *self, Work *work, GError **error)
{
  g_autoptr (VmsanNetPolicy) wanted = NULL;
  g_autoptr (GError) undo_error = NULL;

  if (put_in_force (self, work, work->old, error))
    return TRUE;
  wanted = work->policy;
  work->policy = vmsan_net_policy_ref (work->old);
  if (!put_in_force (self, work, wanted, &undo_error))
    g_warning ("Machine %s: putting the old network policy back: %s", work->id,
               undo_error->message);
  return FALSE;
}

static void
set_policy_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  if (set_policy (source, work, &error))
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
  run (self, machine, set_policy_in_thread, NULL, callback, user_data);
}

gboolean
vmsan_net_manager_set_policy_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- The service's start ------------------------------------------------------------------- */

/* What start needs in its thread. */
typedef struct
{
  GPtrArray *works; /* Work of machines that run */
} Start;

static void
start_free (Start *start)
{
  g_ptr_array_unref (start->works);
  g_free (start);
}

static gboolean
is_known (Start *start, const char *name)
{
  for (guint i = 0; i < start->works->len; i++)
    {
      Work *work = g_ptr_array_index (start->works, i);

      if (g_str_equal (name + strlen (NAMESPACE_PREFIX), work->id))
        return TRUE;
    }
  return FALSE;
}

static gboolean
is_known_slot (Start *start, guint slot)
{
  for (guint i = 0; i < start->works->len; i++)
    if (((Work *) g_ptr_array_index (start->works, i))->slot == slot)
      return TRUE;
  return FALSE;
}

/* Deletes namespaces and links of nobody. */
static gboolean
clear_leftovers (VmsanNetManager *self, Start *start, GError **error)
{
  g_autoptr (GArray) slots = NULL;
  g_auto (GStrv) names = vmsan_net_namespace_list (&self->setup, &slots, error);
  g_autoptr (GPtrArray) dead_names = g_ptr_array_new ();
  g_autoptr (GArray) dead_slots = g_array_new (FALSE, FALSE, sizeof (guint));

  if (names == NULL)
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    if (!is_known (start, names[i]))
      g_ptr_array_add (dead_names, names[i]);
  for (guint i = 0; i < slots->len; i++)
    if (!is_known_slot (start, g_array_index (slots, guint, i)))
      g_array_append_val (dead_slots, g_array_index (slots, guint, i));
  return vmsan_net_namespace_delete (&self->setup, (const char *const *) dead_names->pdata, NULL,
                                     dead_names->len, error) &&
         vmsan_net_namespace_delete (&self->setup, NULL, (const guint *) dead_slots->data,
                                     dead_slots->len, error);
}

/* The host's table for exactly these machines, or none where there is none. */
static gboolean
make_host_table (VmsanNetManager *self, Start *start, GError **error)
{
  g_autoptr (GArray) resolvers = find_resolvers (self, error);
  gboolean changed;

  if (resolvers == NULL)
    return FALSE;
  for (guint i = 0; i < start->works->len; i++)
    note_member (self, g_ptr_array_index (start->works, i));
  if (start->works->len == 0)
    return restore_uplink (self, error) && vmsan_net_host_delete_table (error);
  return enable_uplink (self, &changed, error) && rebuild_host (self, resolvers, error);
}

/* ---- Others who change the host's rules ---------------------------------------------------- */

/* A flush is many changes at once, and firewalld's reload many flushes. */
#define LOOK_AFTER_MS 100

static void
look_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
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
  g_task_return_boolean (task, TRUE);
}

static gboolean
on_look_soon (gpointer user_data)
{
  VmsanNetManager *self = user_data;
  g_autoptr (GTask) task = g_task_new (self, NULL, NULL, NULL);

  g_task_run_in_thread (task, look_in_thread);
  g_clear_pointer (&self->look_soon, g_source_unref);
  return G_SOURCE_REMOVE;
}

/* What changed does not matter, nor that some of it did not fit the socket's buffer. */
static gboolean
on_ruleset_changed (int fd, GIOCondition condition, gpointer user_data)
{
  VmsanNetManager *self = user_data;
  char buffer[8192];

  while (recv (fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC) > 0)
    ;
  if (self->look_soon == NULL)
    {
      self->look_soon = g_timeout_source_new (LOOK_AFTER_MS);
      g_source_set_callback (self->look_soon, on_look_soon, self, NULL);
      g_source_attach (self->look_soon, NULL);
    }
  return G_SOURCE_CONTINUE;
}

static gboolean
follow_ruleset (VmsanNetManager *self, GError **error)
{
  const struct sockaddr_nl address = {
    .nl_family = AF_NETLINK,
    .nl_groups = 1u << (NFNLGRP_NFTABLES - 1),
  };

  self->ruleset_fd =
      socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  if (self->ruleset_fd < 0 ||
      bind (self->ruleset_fd, (const struct sockaddr *) &address, sizeof address) < 0)
    return vmsan_error_set_errno (error, errno, "Following changes of the host's rules failed");
  self->ruleset_changed = g_unix_fd_source_new (self->ruleset_fd, G_IO_IN);
  g_source_set_callback (self->ruleset_changed, G_SOURCE_FUNC (on_ruleset_changed), self, NULL);
  g_source_attach (self->ruleset_changed, NULL);
  return TRUE;
}

static void
start_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  VmsanNetManager *self = source;
  Start *start = data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->host_lock);
  GError *error = NULL;

  if (clear_leftovers (self, start, &error) && make_host_table (self, start, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

void
vmsan_net_manager_start_async (VmsanNetManager *self,
                               const VmsanNetMachine *machines,
                               guint n_machines,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  Start *start = g_new0 (Start, 1);
  g_autoptr (GError) error = NULL;

  if (!follow_ruleset (self, &error))
    g_warning ("%s", error->message);
  start->works = g_ptr_array_new_with_free_func ((GDestroyNotify) work_free);
  for (guint i = 0; i < n_machines; i++)
    g_ptr_array_add (start->works, work_new (&machines[i]));
  g_task_set_task_data (task, start, (GDestroyNotify) start_free);
  g_task_run_in_thread (task, start_in_thread);
}

gboolean
vmsan_net_manager_start_finish (VmsanNetManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- What can be known before -------------------------------------------------------------- */

gboolean
vmsan_net_manager_check (VmsanNetManager *self, const VmsanNetPolicy *policy, GError **error)
{
  g_autofree char *dnsmasq = NULL;

  if (!has_listed_names (policy))
    return TRUE;
  dnsmasq = vmsan_net_dns_find_binary (self->dnsmasq, error);
  return dnsmasq != NULL;
}
