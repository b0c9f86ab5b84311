/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Methods about images and kernels. */

#include "bus/bus-methods.h"
#include "bus/bus-properties.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/options.h"
#include "vm/vm-record.h"

#define MAX_MODULES      64
#define MAX_MODULES_SIZE (64 << 20)

typedef struct
{
  int source_fd;
  int modules_fd;
  GArray *modules; /* VmsanModule */
  char *name;
  char *version;
} AddRequest;

static void
module_clear (VmsanModule *module)
{
  g_free (module->name);
}

static void
add_request_free (AddRequest *self)
{
  vmsan_fd_close (&self->source_fd);
  vmsan_fd_close (&self->modules_fd);
  g_array_unref (self->modules);
  g_free (self->name);
  g_free (self->version);
  g_free (self);
}

/* What both kinds of content have in common: the first descriptor and a name. */
static AddRequest *
parse_add (VmsanBusCall *call,
           GVariant *parameters,
           const VmsanOption *known,
           const char *what,
           GVariant **options,
           GError **error)
{
  AddRequest *request = g_new0 (AddRequest, 1);
  gint32 handle;
  const char *name;

  request->source_fd = request->modules_fd = -1;
  request->modules = g_array_new (FALSE, TRUE, sizeof (VmsanModule));
  g_array_set_clear_func (request->modules, (GDestroyNotify) module_clear);
  vmsan_bus_call_set_request (call, request, (GDestroyNotify) add_request_free);

  g_variant_get (parameters, "(h@a{sv})", &handle, options);
  if (!vmsan_options_check (*options, known, error))
    return NULL;
  name = vmsan_options_get_text (*options, "name", "");
  if (name[0] != '\0' && !vmsan_name_check (name, "Name", error))
    return NULL;
  request->name = g_strdup (name);
  request->source_fd = vmsan_bus_call_get_fd (call, handle, what, error);
  return request->source_fd >= 0 ? request : NULL;
}

static void
return_content (VmsanBusCall *call, VmsanContentStore *store, VmsanContent *content, GError *error)
{
  g_autofree char *path = NULL;

  if (content == NULL)
    {
      vmsan_bus_call_fail (call, error);
      return;
    }
  path = vmsan_bus_content_path (vmsan_content_store_get_kind (store), content->id);
  vmsan_bus_call_return (call, g_variant_new ("(o)", path));
}

static void
on_added (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanContentStore *store = VMSAN_CONTENT_STORE (source);
  GError *error = NULL;
  g_autoptr (VmsanContent) content = vmsan_content_store_add_finish (store, result, &error);

  return_content (user_data, store, content, error);
}

/* ---- AddImage ------------------------------------------------------------------------------ */

static const VmsanOption image_options[] = { { "name", "s" }, { NULL, NULL } };

gboolean
vmsan_bus_parse_add_image (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = NULL;

  return parse_add (call, parameters, image_options, "source", &options, error) != NULL;
}

void
vmsan_bus_add_image (VmsanBusCall *call)
{
  AddRequest *request = call->request;
  const VmsanConfig *config = vmsan_vm_manager_get_config (call->bus->manager);

  vmsan_content_store_add_image_async (vmsan_vm_manager_get_images (call->bus->manager),
                                       request->source_fd, request->name, call->uid,
                                       config->max_image_mib << 20, call->gone, on_added, call);
}

/* ---- AddKernel ----------------------------------------------------------------------------- */

static const VmsanOption kernel_options[] = {
  { "name", "s" }, { "version", "s" }, { "modules", "h" }, { "module-list", "a(st)" },
  { NULL, NULL },
};

static gboolean
parse_modules (AddRequest *request, GVariant *list, GError **error)
{
  GVariantIter iter;
  const char *name;
  guint64 size, total = 0;

  if (g_variant_n_children (list) > MAX_MODULES)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “module-list” has more than %d modules", MAX_MODULES);
      return FALSE;
    }
  g_variant_iter_init (&iter, list);
  while (g_variant_iter_next (&iter, "(&st)", &name, &size))
    {
      VmsanModule module = { 0 };

      if (!vmsan_name_check (name, "Module", error))
        return FALSE;
      if (size == 0 || size > MAX_MODULES_SIZE || (total += size) > MAX_MODULES_SIZE)
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                       "Option “module-list”: “%s” is empty, or the modules are more than 64 MiB",
                       name);
          return FALSE;
        }
      module.name = g_strdup (name);
      module.size_bytes = size;
      g_array_append_val (request->modules, module);
    }
  return TRUE;
}

gboolean
vmsan_bus_parse_add_kernel (VmsanBusCall *call, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GVariant) list = NULL;
  AddRequest *request = parse_add (call, parameters, kernel_options, "kernel", &options, error);
  gint32 handle;
  gboolean has_modules;

  if (request == NULL)
    return FALSE;
  request->version = g_strdup (vmsan_options_get_text (options, "version", ""));
  if (request->version[0] != '\0' && !vmsan_name_check (request->version, "Version", error))
    return FALSE;
  has_modules = g_variant_lookup (options, "modules", "h", &handle);
  list = g_variant_lookup_value (options, "module-list", G_VARIANT_TYPE ("a(st)"));
  if (has_modules != (list != NULL))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Options “modules” and “module-list” must be given together");
      return FALSE;
    }
  if (!has_modules)
    return TRUE;
  request->modules_fd = vmsan_bus_call_get_fd (call, handle, "modules", error);
  return request->modules_fd >= 0 && parse_modules (request, list, error);
}

void
vmsan_bus_add_kernel (VmsanBusCall *call)
{
  AddRequest *request = call->request;

  vmsan_content_store_add_kernel_async (vmsan_vm_manager_get_kernels (call->bus->manager),
                                        request->source_fd, request->modules_fd,
                                        (const VmsanModule *) request->modules->data,
                                        request->modules->len, request->name, request->version,
                                        call->uid, call->gone, on_added, call);
}

/* ---- Get, list, remove --------------------------------------------------------------------- */

static void
get_content (VmsanBusCall *call, VmsanContentStore *store)
{
  GError *error = NULL;
  g_autoptr (VmsanContent) content = vmsan_content_store_find (store, call->request, &error);

  return_content (call, store, content, error);
}

void
vmsan_bus_get_image (VmsanBusCall *call)
{
  get_content (call, vmsan_vm_manager_get_images (call->bus->manager));
}

void
vmsan_bus_get_kernel (VmsanBusCall *call)
{
  get_content (call, vmsan_vm_manager_get_kernels (call->bus->manager));
}

static void
list_contents (VmsanBusCall *call, VmsanContentStore *store)
{
  VmsanContentKind kind = vmsan_content_store_get_kind (store);
  g_autoptr (GPtrArray) all = vmsan_content_store_list (store);
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("a{oa{sv}}"));
  for (guint i = 0; i < all->len; i++)
    {
      VmsanContent *content = g_ptr_array_index (all, i);
      g_autofree char *path = vmsan_bus_content_path (kind, content->id);

      g_variant_builder_add (&list, "{o@a{sv}}", path,
                             vmsan_bus_content_get_properties (kind, content));
    }
  vmsan_bus_call_return (call, g_variant_new ("(a{oa{sv}})", &list));
}

void
vmsan_bus_list_images (VmsanBusCall *call)
{
  list_contents (call, vmsan_vm_manager_get_images (call->bus->manager));
}

void
vmsan_bus_list_kernels (VmsanBusCall *call)
{
  list_contents (call, vmsan_vm_manager_get_kernels (call->bus->manager));
}

void
vmsan_bus_remove_image (VmsanBusCall *call)
{
  GError *error = NULL;

  if (vmsan_vm_manager_remove_image (call->bus->manager, call->object_id, &error))
    vmsan_bus_call_return (call, NULL);
  else
    vmsan_bus_call_fail (call, error);
}

void
vmsan_bus_remove_kernel (VmsanBusCall *call)
{
  GError *error = NULL;

  if (vmsan_vm_manager_remove_kernel (call->bus->manager, call->object_id, &error))
    vmsan_bus_call_return (call, NULL);
  else
    vmsan_bus_call_fail (call, error);
}
