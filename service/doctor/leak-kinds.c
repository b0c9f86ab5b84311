/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Everything that a machine can have on the host, and how it is found without its machine. Of
 * directories and control groups, only names that could be a machine's id are ours. */

#include "doctor/leaks.h"

#include "net/net-machine.h"
#include "net/net-namespace.h"
#include "net/net-prepared.h"
#include "vm/vm-rules.h"

#define MAX_LISTED 65536

static GStrv
keep_ids (GStrv names)
{
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  for (guint i = 0; names[i] != NULL; i++)
    if (vmsan_vm_id_is_valid (names[i]))
      g_strv_builder_add (ids, names[i]);
  return g_strv_builder_end (ids);
}

/* ---- Control groups ------------------------------------------------------------------------ */

static GStrv
list_cgroups (const VmsanDoctorScope *scope, GError **error)
{
  g_auto (GStrv) names = vmsan_cgroup_list (scope->cgroup_parent, error);

  return names != NULL ? keep_ids (names) : NULL;
}

static char *
describe_cgroup (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  g_autoptr (VmsanCgroup) cgroup = vmsan_cgroup_open (scope->cgroup_parent, name, NULL);
  guint n = cgroup != NULL ? vmsan_cgroup_count (cgroup) : 0;

  if (n == 0)
    return g_strdup_printf ("The control group %s/%s belongs to no machine", scope->cgroup_parent,
                            name);
  *severity = VMSAN_SEVERITY_ERROR;
  return g_strdup_printf (n == 1
                              ? "%u process runs in the control group %s/%s, which belongs to no "
                                "machine"
                              : "%u processes run in the control group %s/%s, which belongs to "
                                "no machine",
                          n, scope->cgroup_parent, name);
}

static gboolean
destroy_cgroup (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  return vmsan_cgroup_destroy (scope->cgroup_parent, name, error);
}

/* ---- Directories --------------------------------------------------------------------------- */

static GStrv
list_runtime (const VmsanDoctorScope *scope, GError **error)
{
  g_auto (GStrv) names = vmsan_managed_root_list (scope->runtime_root, NULL, MAX_LISTED, error);

  return names != NULL ? keep_ids (names) : NULL;
}

static char *
describe_runtime (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The runtime directory %s/%s belongs to no machine",
                          vmsan_managed_root_get_path (scope->runtime_root), name);
}

static gboolean
destroy_runtime (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  return vmsan_managed_root_delete (scope->runtime_root, name, error);
}

/* A record that the service has not read, as it was damaged or came later, may be a machine's that
 * a person wants to have back. */
static gboolean
has_record (GStrv names, GStrv damaged, const char *id)
{
  g_autofree char *file = g_strconcat (id, ".json", NULL);

  for (guint i = 0; damaged[i] != NULL; i++)
    if (g_str_has_prefix (damaged[i], file))
      return TRUE;
  return g_strv_contains ((const char *const *) names, file);
}

static GStrv
list_state (const VmsanDoctorScope *scope, GError **error)
{
  g_auto (GStrv) names = vmsan_managed_root_list (scope->state_root, "vms", MAX_LISTED, error);
  g_auto (GStrv) damaged = NULL;
  g_auto (GStrv) ids = NULL;
  g_autoptr (GStrvBuilder) without_record = g_strv_builder_new ();

  if (names == NULL)
    return NULL;
  damaged = vmsan_managed_root_list (scope->state_root, "damaged", MAX_LISTED, error);
  if (damaged == NULL)
    return NULL;
  ids = keep_ids (names);
  for (guint i = 0; ids[i] != NULL; i++)
    if (!has_record (names, damaged, ids[i]))
      g_strv_builder_add (without_record, ids[i]);
  return g_strv_builder_end (without_record);
}

static char *
describe_state (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The directory %s/vms/%s, for a disk, belongs to no machine",
                          vmsan_managed_root_get_path (scope->state_root), name);
}

static gboolean
destroy_state (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename ("vms", name, NULL);

  return vmsan_managed_root_delete (scope->state_root, path, error);
}

/* ---- Namespaces and links ------------------------------------------------------------------ */

/* All whose name begins with @prefix; NULL: with none of those of networks without a machine. */
static GStrv
list_namespaces_with (const VmsanDoctorScope *scope, const char *prefix, GError **error)
{
  g_auto (GStrv) names = vmsan_net_manager_list (scope->networks, NULL, error);
  g_autoptr (GStrvBuilder) found = g_strv_builder_new ();

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    if (prefix != NULL ? g_str_has_prefix (names[i], prefix)
                       : !g_str_has_prefix (names[i], VMSAN_NET_PREPARED_PREFIX) &&
                             !g_str_has_prefix (names[i], VMSAN_NET_MAKING_PREFIX))
      g_strv_builder_add (found, names[i]);
  return names != NULL ? g_strv_builder_end (found) : NULL;
}

static GStrv
list_namespaces (const VmsanDoctorScope *scope, GError **error)
{
  return list_namespaces_with (scope, NULL, error);
}

static GStrv
list_prepared (const VmsanDoctorScope *scope, GError **error)
{
  return list_namespaces_with (scope, VMSAN_NET_PREPARED_PREFIX, error);
}

static GStrv
list_making (const VmsanDoctorScope *scope, GError **error)
{
  return list_namespaces_with (scope, VMSAN_NET_MAKING_PREFIX, error);
}

static char *
describe_namespace (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The network namespace %s belongs to no machine", name);
}

static gboolean
destroy_namespace (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  return vmsan_net_manager_delete_namespace (scope->networks, name, error);
}

#define LINK_PREFIX "vmsan"

static GStrv
list_links (const VmsanDoctorScope *scope, GError **error)
{
  g_autoptr (GArray) slots = NULL;
  g_auto (GStrv) namespaces = vmsan_net_manager_list (scope->networks, &slots, error);
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  if (namespaces == NULL)
    return NULL;
  for (guint i = 0; i < slots->len; i++)
    {
      g_autofree char *name = vmsan_net_host_link_name (g_array_index (slots, guint, i));

      g_strv_builder_add (names, name);
    }
  return g_strv_builder_end (names);
}

static char *
describe_link (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The network link %s belongs to no machine", name);
}

static gboolean
destroy_link (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  guint slot = g_ascii_strtoull (name + strlen (LINK_PREFIX), NULL, 10);

  return vmsan_net_manager_delete_link (scope->networks, slot, error);
}

/* ---- The host's table and settings --------------------------------------------------------- */

static GStrv
list_elements (const VmsanDoctorScope *scope, GError **error)
{
  g_auto (VmsanNetStrays) strays = { 0 };

  return vmsan_net_manager_find_strays (scope->networks, &strays, error)
             ? g_steal_pointer (&strays.elements)
             : NULL;
}

static char *
describe_element (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The table inet vmsan has an element of no machine: %s", name);
}

static GStrv
list_table (const VmsanDoctorScope *scope, GError **error)
{
  static const char *const table[] = { "inet vmsan", NULL };
  g_auto (VmsanNetStrays) strays = { 0 };

  if (!vmsan_net_manager_find_strays (scope->networks, &strays, error))
    return NULL;
  return strays.table ? g_strdupv ((GStrv) table) : g_new0 (char *, 1);
}

static char *
describe_table (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("The table %s is there, and no machine has a network", name);
}

static GStrv
list_settings (const VmsanDoctorScope *scope, GError **error)
{
  g_auto (VmsanNetStrays) strays = { 0 };

  return vmsan_net_manager_find_strays (scope->networks, &strays, error)
             ? g_steal_pointer (&strays.settings)
             : NULL;
}

static char *
describe_setting (const VmsanDoctorScope *scope, const char *name, VmsanSeverity *severity)
{
  return g_strdup_printf ("A setting of the host is changed for machines, and no machine has a "
                          "network; it was %s",
                          name);
}

/* All of them at once, which is nothing for the second. */
static gboolean
destroy_strays (const VmsanDoctorScope *scope, const char *name, GError **error)
{
  return vmsan_net_manager_remove_strays (scope->networks, error);
}

/* ---- The table ----------------------------------------------------------------------------- */

/* Processes end first: they hold what the others name. */
const VmsanLeakKind vmsan_leak_kinds[] = {
  { "leak-cgroup", VMSAN_LEAK_BY_ID, "", list_cgroups, describe_cgroup, destroy_cgroup },
  { "leak-namespace", VMSAN_LEAK_BY_ID, VMSAN_NET_NAMESPACE_PREFIX, list_namespaces,
    describe_namespace, destroy_namespace },
  { "leak-namespace", VMSAN_LEAK_BY_SLOT, VMSAN_NET_PREPARED_PREFIX, list_prepared,
    describe_namespace, destroy_namespace },
  { "leak-namespace", VMSAN_LEAK_BY_SLOT, VMSAN_NET_MAKING_PREFIX, list_making, describe_namespace,
    destroy_namespace },
  { "leak-link", VMSAN_LEAK_BY_SLOT, LINK_PREFIX, list_links, describe_link, destroy_link },
  { "leak-element", VMSAN_LEAK_NOBODYS, "", list_elements, describe_element, destroy_strays },
  { "leak-table", VMSAN_LEAK_NOBODYS, "", list_table, describe_table, destroy_strays },
  { "leak-setting", VMSAN_LEAK_NOBODYS, "", list_settings, describe_setting, destroy_strays },
  { "leak-runtime-directory", VMSAN_LEAK_BY_ID, "", list_runtime, describe_runtime,
    destroy_runtime },
  { "leak-state-directory", VMSAN_LEAK_BY_ID, "", list_state, describe_state, destroy_state },
  { NULL },
};
