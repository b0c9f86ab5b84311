/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "machine-networks.h"

#include "raw-bus.h"

#include "net/net-prepared.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POOL  "198.18.0.0/16"
#define NAMES "/proc/1/root/run/netns"

/* What a call completes: the number of those that are under way. */
static void
on_started (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *pending = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_manager_start_finish (VMSAN_NET_MANAGER (source), result, &error))
    die ("%s", error->message);
  (*pending)--;
}

static void
on_stopped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *pending = user_data;

  vmsan_net_manager_stop_finish (VMSAN_NET_MANAGER (source), result);
  (*pending)--;
}

static void
on_set_up (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *pending = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_manager_set_up_finish (VMSAN_NET_MANAGER (source), result, &error))
    die ("%s", error->message);
  (*pending)--;
}

static void
on_taken_down (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *pending = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_manager_take_down_finish (VMSAN_NET_MANAGER (source), result, &error))
    die ("%s", error->message);
  (*pending)--;
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *pending = user_data;
  g_autoptr (GError) error = NULL;

  if (!vmsan_net_manager_set_policy_finish (VMSAN_NET_MANAGER (source), result, &error))
    die ("%s", error->message);
  (*pending)--;
}

static void
wait_for (const guint *pending)
{
  while (*pending > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* ---- A life -------------------------------------------------------------------------------- */

void
networks_init (Networks *self, guint n_prepared)
{
  VmsanNetConfig config = { .resolver = "9.9.9.9", .dnsmasq = "", .n_prepared = n_prepared };
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  guint pending = 1;

  if (g_getenv ("VMSAN_TEST_BUILDDIR") == NULL)
    die ("Run by tests/bench/run only");
  if (!net_world_enter ())
    die ("Needs root");
  *self = (Networks){ .world = net_world_new (1500), .n_prepared = n_prepared };
  self->directory = g_strdup ("/run/vmsan-bench"); /* of its own, and in memory, as it should be */
  if (mkdir (self->directory, 0700) < 0)
    die ("%s: %s", self->directory, g_strerror (errno));
  if (!vmsan_net_pools_parse (POOL, "", &self->pools, &error))
    die ("%s", error->message);
  config.pools = self->pools;
  config.state_fd = open (self->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self->manager = vmsan_net_manager_new (&config);
  vmsan_net_manager_start_async (self->manager, none, on_started, &pending);
  wait_for (&pending);
}

void
networks_clear (Networks *self)
{
  guint pending = 1;
  const char *name;
  GDir *files;

  vmsan_net_manager_stop_async (self->manager, on_stopped, &pending);
  wait_for (&pending);
  g_object_unref (self->manager);
  net_world_free (self->world);
  files = g_dir_open (self->directory, 0, NULL);
  while ((name = g_dir_read_name (files)) != NULL)
    {
      g_autofree char *path = g_build_filename (self->directory, name, NULL);

      unlink (path);
    }
  g_dir_close (files);
  rmdir (self->directory);
  g_free (self->directory);
}

VmsanNetPolicy *
networks_parse (Networks *self, const char *options)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) parsed =
      g_variant_parse (G_VARIANT_TYPE_VARDICT, options, NULL, NULL, &error);
  VmsanNetPolicy *policy =
      parsed != NULL ? vmsan_net_policy_parse (parsed, NULL, &self->pools, &error) : NULL;

  if (policy == NULL)
    die ("%s", error->message);
  return policy;
}

/* ---- Machines ------------------------------------------------------------------------------ */

/* Names bear it out: what is being made is named otherwise. */
static gboolean
is_full (const Networks *self)
{
  g_autoptr (GDir) names = g_dir_open (NAMES, 0, NULL);
  const char *name;
  guint n = 0;

  while (names != NULL && (name = g_dir_read_name (names)) != NULL)
    {
      n += g_str_has_prefix (name, VMSAN_NET_PREPARED_PREFIX);
      if (g_str_has_prefix (name, "vmsan-making-"))
        return FALSE;
    }
  return n == self->n_prepared;
}

void
networks_wait_for_prepared (Networks *self)
{
  while (!is_full (self))
    g_usleep (1000);
}

VmsanNetMachine *
networks_add (Networks *self, VmsanNetPolicy *policy, gboolean soon)
{
  VmsanNetMachine *machine = g_new0 (VmsanNetMachine, 1);
  g_autofree char *path = NULL;

  machine->id = g_strdup_printf ("bench%u", self->next++);
  path = g_build_filename (self->directory, machine->id, NULL);
  if (mkdir (path, 0700) < 0)
    die ("%s: %s", path, g_strerror (errno));
  machine->slot = vmsan_net_manager_take_slot (self->manager, soon);
  machine->policy = vmsan_net_policy_ref (policy);
  machine->runtime_dir_fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  machine->uid = 65534;
  return machine;
}

void
networks_remove (Networks *self, VmsanNetMachine *machine)
{
  g_autofree char *path = g_build_filename (self->directory, machine->id, NULL);

  vmsan_net_manager_release_slot (self->manager, machine->slot);
  if (unlinkat (machine->runtime_dir_fd, "network-policy", 0) < 0 || rmdir (path) < 0)
    die ("%s: %s", path, g_strerror (errno));
  vmsan_net_machine_free (machine);
}

void
networks_set_up (Networks *self, GPtrArray *machines)
{
  guint pending = machines->len;

  for (guint i = 0; i < machines->len; i++)
    vmsan_net_manager_set_up_async (self->manager, g_ptr_array_index (machines, i), on_set_up,
                                    &pending);
  wait_for (&pending);
}

void
networks_take_down (Networks *self, GPtrArray *machines)
{
  guint pending = machines->len;

  for (guint i = 0; i < machines->len; i++)
    {
      const VmsanNetMachine *machine = g_ptr_array_index (machines, i);

      vmsan_net_manager_take_down_async (self->manager, machine->id, machine->slot, on_taken_down,
                                         &pending);
    }
  wait_for (&pending);
}

void
networks_change (Networks *self, VmsanNetMachine *machine, VmsanNetPolicy *policy)
{
  guint pending = 1;

  g_clear_pointer (&machine->old_policy, vmsan_net_policy_unref);
  machine->old_policy = machine->policy;
  machine->policy = vmsan_net_policy_ref (policy);
  vmsan_net_manager_set_policy_async (self->manager, machine, on_changed, &pending);
  wait_for (&pending);
}
