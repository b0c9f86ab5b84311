/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Methods of org.vmsan.Manager about machines. */

#include "bus/bus-methods.h"
#include "bus/bus-objects.h"
#include "bus/bus-properties.h"
#include "sys/error.h"
#include "sys/options.h"

/* ---- CreateVM ------------------------------------------------------------------------------ */

gboolean
vmsan_bus_parse_create_vm (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);
  VmsanVmManager *manager = call->bus->manager;
  VmsanVmRequest *request =
      vmsan_vm_request_parse (options, call->uid, vmsan_vm_manager_get_config (manager),
                              vmsan_net_manager_get_pools (vmsan_vm_manager_get_networks (manager)),
                              error);

  if (request == NULL)
    return FALSE;
  vmsan_bus_call_set_request (call, request, (GDestroyNotify) vmsan_vm_request_free);
  call->project = g_strdup (request->project);
  if (request->weakened != 0)
    call->also = "org.vmsan.weaken-isolation";
  return TRUE;
}

static void
on_created (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanBusCall *call = user_data;
  g_autofree char *path = NULL;
  GError *error = NULL;
  g_autoptr (VmsanVm) vm =
      vmsan_vm_manager_create_finish (VMSAN_VM_MANAGER (source), result, &error);

  if (vm == NULL)
    {
      vmsan_bus_call_fail (call, error);
      return;
    }
  path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);
  vmsan_bus_call_return (call, g_variant_new ("(o)", path));
}

void
vmsan_bus_create_vm (VmsanBusCall *call)
{
  vmsan_vm_manager_create_async (call->bus->manager, call->request, call->actor, call->gone,
                                 on_created, call);
}

/* ---- GetVM --------------------------------------------------------------------------------- */

gboolean
vmsan_bus_parse_name (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  char *name;

  g_variant_get (parameters, "(s)", &name);
  vmsan_bus_call_set_request (call, name, g_free);
  return TRUE;
}

void
vmsan_bus_get_vm (VmsanBusCall *call)
{
  GError *error = NULL;
  VmsanVm *vm = vmsan_vm_manager_find (call->bus->manager, call->request, call->uid, &error);
  g_autofree char *path = NULL;

  if (vm == NULL)
    {
      vmsan_bus_call_fail (call, error);
      return;
    }
  path = vmsan_bus_vm_path (vmsan_vm_get_record (vm)->id);
  vmsan_bus_call_return (call, g_variant_new ("(o)", path));
}

/* ---- ListVMs ------------------------------------------------------------------------------- */

#define MAX_PAGE     4096
#define DEFAULT_PAGE 1024

static const VmsanOption list_options[] = {
  { "owner", "u" }, { "state", "s" }, { "after", "s" }, { "limit", "u" }, { NULL, NULL },
};

typedef struct
{
  VmsanBusCall *call;
  GVariant *options;
  gboolean by_owner;
  guint32 owner;
  gboolean by_state;
  VmsanVmState state;
  guint limit;
  guint count;
  GVariantBuilder vms;
  const char *last;
  gboolean more;
} Page;

static void
page_free (Page *page)
{
  g_variant_unref (page->options);
  g_free (page);
}

gboolean
vmsan_bus_parse_list_vms (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 0);
  const char *state;
  Page *page;

  if (!vmsan_options_check (options, list_options, error))
    return FALSE;
  page = g_new0 (Page, 1);
  page->call = call;
  page->options = g_variant_ref (options);
  vmsan_bus_call_set_request (call, page, (GDestroyNotify) page_free);

  page->by_owner = g_variant_lookup (options, "owner", "u", &page->owner);
  page->limit = vmsan_options_get_uint (options, "limit", DEFAULT_PAGE);
  if (page->limit < 1 || page->limit > MAX_PAGE)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “limit” is %u but must be 1 to %d", page->limit, MAX_PAGE);
      return FALSE;
    }
  state = vmsan_options_get_text (options, "state", NULL);
  page->by_state = state != NULL;
  if (state != NULL && !vmsan_vm_state_from_string (state, &page->state))
    {
      g_autofree char *shown = g_strescape (state, NULL);

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “state”: there is no state “%.40s”", shown);
      return FALSE;
    }
  return TRUE;
}

static gboolean
add_to_page (VmsanVm *vm, gpointer user_data)
{
  Page *page = user_data;
  const VmsanVmRecord *record = vmsan_vm_get_record (vm);

  if ((page->by_owner && record->owner != page->owner) ||
      (page->by_state && record->state != page->state))
    return TRUE;
  if (page->count == page->limit)
    {
      page->more = TRUE;
      return FALSE;
    }
  g_variant_builder_add_value (
      &page->vms, vmsan_bus_objects_get_vm_entries (page->call->bus->objects, vm)->listed);
  page->last = record->id;
  page->count++;
  return TRUE;
}

void
vmsan_bus_list_vms (VmsanBusCall *call)
{
  Page *page = call->request;

  g_variant_builder_init (&page->vms, G_VARIANT_TYPE ("a{oa{sv}}"));
  vmsan_vm_manager_visit (call->bus->manager, vmsan_options_get_text (page->options, "after", NULL),
                          add_to_page, page);
  vmsan_bus_call_return_large (call,
                               g_variant_new ("(@a{oa{sv}}s)", g_variant_builder_end (&page->vms),
                                              page->more ? page->last : ""));
}
