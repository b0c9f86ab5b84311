/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: each method of org.vmsan.Manager as an asynchronous and as a blocking function that
 * returns objects, not paths. */

#include "config.h"

#include "vmsan-client-private.h"

#include "vmsan-call.h"
#include "vmsan-error.h"
#include "vmsan-object-private.h"

#include <glib/gi18n-lib.h>

/* What a call makes or finds; its object is loaded before the call returns. */
typedef struct
{
  const char *interface;
  GObject *(*make) (VmsanClient *client, const char *path, GVariant *properties);
} Kind;

static GObject *
make_vm (VmsanClient *client, const char *path, GVariant *properties)
{
  return G_OBJECT (vmsan_client_take_vm (client, path, properties));
}

static GObject *
make_image (VmsanClient *client, const char *path, GVariant *properties)
{
  return G_OBJECT (vmsan_image_new (client, path, properties));
}

static GObject *
make_kernel (VmsanClient *client, const char *path, GVariant *properties)
{
  return G_OBJECT (vmsan_kernel_new (client, path, properties));
}

static const Kind kind_vm = { VMSAN_INTERFACE_VM, make_vm };
static const Kind kind_image = { VMSAN_INTERFACE_IMAGE, make_image };
static const Kind kind_kernel = { VMSAN_INTERFACE_KERNEL, make_kernel };

typedef struct
{
  const Kind *kind;
  char *path;
  GPtrArray *objects; /* of a list */
  GVariant *filter;   /* of a paged list */
} Request;

static void
request_free (gpointer data)
{
  Request *request = data;

  g_free (request->path);
  g_clear_pointer (&request->objects, g_ptr_array_unref);
  g_clear_pointer (&request->filter, g_variant_unref);
  g_free (request);
}

static GTask *
request_new (VmsanClient *client,
             const Kind *kind,
             GCancellable *cancellable,
             GAsyncReadyCallback callback,
             gpointer user_data)
{
  GTask *task = g_task_new (client, cancellable, callback, user_data);
  Request *request = g_new0 (Request, 1);

  request->kind = kind;
  g_task_set_task_data (task, request, request_free);
  return task;
}

/* Takes @parameters. */
static void
call_manager (VmsanClient *client,
              const char *method,
              GVariant *parameters,
              const char *reply_type,
              GUnixFDList *fds,
              GTask *task,
              VmsanReplyFunc done)
{
  const VmsanCall call = {
    .path = VMSAN_OBJECT_MANAGER,
    .interface = VMSAN_INTERFACE_MANAGER,
    .method = method,
    .parameters = parameters,
    .reply_type = G_VARIANT_TYPE (reply_type),
    .fds = fds,
  };

  vmsan_call_begin (client, &call, task, done);
}

static gpointer
finish_object (VmsanClient *client, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- One object ---------------------------------------------------------------------------- */

static void
object_loaded (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  const Request *request = g_task_get_task_data (task);
  g_autoptr (GVariant) properties = g_variant_get_child_value (reply, 0);
  GObject *object =
      request->kind->make (g_task_get_source_object (task), request->path, properties);

  g_task_return_pointer (task, object, g_object_unref);
  g_object_unref (task);
}

static void
path_arrived (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  Request *request = g_task_get_task_data (task);

  g_variant_get (reply, "(o)", &request->path);
  vmsan_call_get_all (g_task_get_source_object (task), request->path, request->kind->interface,
                      task, object_loaded);
}

static void
get_object (VmsanClient *client, const char *method, const char *name, GTask *task)
{
  call_manager (client, method, g_variant_new ("(s)", name), "(o)", NULL, task, path_arrived);
}

/* ---- Lists --------------------------------------------------------------------------------- */

/* Adds what is in an a{oa{sv}}. */
static void
collect (GTask *task, GVariant *dict)
{
  Request *request = g_task_get_task_data (task);
  VmsanClient *client = g_task_get_source_object (task);
  GVariantIter iter;
  const char *path;
  GVariant *properties;

  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_loop (&iter, "{&o@a{sv}}", &path, &properties))
    g_ptr_array_add (request->objects, request->kind->make (client, path, properties));
}

static void
return_list (GTask *task)
{
  Request *request = g_task_get_task_data (task);

  g_task_return_pointer (task, g_steal_pointer (&request->objects),
                         (GDestroyNotify) g_ptr_array_unref);
  g_object_unref (task);
}

static void
list_arrived (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_autoptr (GVariant) dict = g_variant_get_child_value (reply, 0);

  collect (task, dict);
  return_list (task);
}

static void
list_objects (VmsanClient *client, const char *method, GTask *task)
{
  Request *request = g_task_get_task_data (task);

  request->objects = g_ptr_array_new_with_free_func (g_object_unref);
  call_manager (client, method, NULL, "(a{oa{sv}})", NULL, task, list_arrived);
}

static void page_arrived (GTask *task, GVariant *reply, GUnixFDList *fds);

static void
ask_for_page (GTask *task, const char *after)
{
  Request *request = g_task_get_task_data (task);
  GVariantDict options;

  g_variant_dict_init (&options, request->filter);
  if (after != NULL)
    g_variant_dict_insert (&options, "after", "s", after);
  call_manager (g_task_get_source_object (task), "ListVMs",
                g_variant_new ("(@a{sv})", g_variant_dict_end (&options)), "(a{oa{sv}}s)", NULL,
                task, page_arrived);
}

static void
page_arrived (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_autoptr (GVariant) dict = g_variant_get_child_value (reply, 0);
  const char *next;

  collect (task, dict);
  g_variant_get_child (reply, 1, "&s", &next);
  /* An empty page that promises more would go on for ever. */
  if (next[0] == '\0' || g_variant_n_children (dict) == 0)
    return_list (task);
  else
    ask_for_page (task, next);
}

/* ---- Machines ------------------------------------------------------------------------------ */

/**
 * vmsan_client_create_vm:
 * @client: a client
 * @options: (nullable): `a{sv}`, as for the D-Bus method `org.vmsan.Manager.CreateVM`
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when programs can be run in it, or it was not created
 * @user_data: for @callback
 *
 * Creates a machine and, unless "start" is false, boots it.
 */
void
vmsan_client_create_vm (VmsanClient *client,
                        GVariant *options,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  call_manager (client, "CreateVM", g_variant_new ("(@a{sv})", vmsan_call_options (options)), "(o)",
                NULL, request_new (client, &kind_vm, cancellable, callback, user_data),
                path_arrived);
}

/**
 * vmsan_client_create_vm_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the machine, or %NULL with @error set
 */
VmsanVM *
vmsan_client_create_vm_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_create_vm_sync:
 * @client: a client
 * @options: (nullable): see [method@Client.create_vm]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Creates a machine, and waits for that.
 *
 * Returns: (transfer full) (nullable): the machine, or %NULL with @error set
 */
VmsanVM *
vmsan_client_create_vm_sync (VmsanClient *client,
                             GVariant *options,
                             GCancellable *cancellable,
                             GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_create_vm (client, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_create_vm_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_get_vm:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Finds a machine.
 */
void
vmsan_client_get_vm (VmsanClient *client,
                     const char *name,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client) && name != NULL);
  get_object (client, "GetVM", name,
              request_new (client, &kind_vm, cancellable, callback, user_data));
}

/**
 * vmsan_client_get_vm_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the machine, or %NULL with @error set
 */
VmsanVM *
vmsan_client_get_vm_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_get_vm_sync:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Finds a machine, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): the machine, or %NULL with @error set
 */
VmsanVM *
vmsan_client_get_vm_sync (VmsanClient *client,
                          const char *name,
                          GCancellable *cancellable,
                          GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_get_vm (client, name, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_get_vm_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_list_vms:
 * @client: a client
 * @filter: (nullable): `a{sv}`: "owner" (`u`), "state" (`s`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Lists all machines that fit @filter, ordered by id, however many pages that takes.
 */
void
vmsan_client_list_vms (VmsanClient *client,
                       GVariant *filter,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  GTask *task;
  Request *request;

  g_return_if_fail (VMSAN_IS_CLIENT (client));

  task = request_new (client, &kind_vm, cancellable, callback, user_data);
  request = g_task_get_task_data (task);
  request->objects = g_ptr_array_new_with_free_func (g_object_unref);
  request->filter = g_variant_ref_sink (vmsan_call_options (filter));
  ask_for_page (task, NULL);
}

/**
 * vmsan_client_list_vms_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer container) (nullable) (element-type VmsanVM): the machines, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_vms_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_list_vms_sync:
 * @client: a client
 * @filter: (nullable): see [method@Client.list_vms]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Lists machines, and waits for the answer.
 *
 * Returns: (transfer container) (nullable) (element-type VmsanVM): the machines, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_vms_sync (VmsanClient *client,
                            GVariant *filter,
                            GCancellable *cancellable,
                            GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_list_vms (client, filter, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_list_vms_finish (client, vmsan_sync_end (&sync), error);
}

/* ---- Images -------------------------------------------------------------------------------- */

/* Returns the handle of a duplicate of @fd, or -1. */
static int
append_fd (GUnixFDList *fds, int fd, GError **error)
{
  int handle = g_unix_fd_list_append (fds, fd, error);

  if (handle < 0)
    g_prefix_error (error, _ ("Could not pass descriptor %d to the service: "), fd);
  return handle;
}

/**
 * vmsan_client_add_image:
 * @client: a client
 * @fd: a regular file with a raw ext4, squashfs or erofs file system, or a file or pipe with a tar
 *   stream; it is duplicated
 * @options: (nullable): `a{sv}`: "name" (`s`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when it is stored
 * @user_data: for @callback
 *
 * Stores an image. The same content is stored once.
 */
void
vmsan_client_add_image (VmsanClient *client,
                        int fd,
                        GVariant *options,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GTask *task;
  GError *error = NULL;
  int handle;

  g_return_if_fail (VMSAN_IS_CLIENT (client));

  task = request_new (client, &kind_image, cancellable, callback, user_data);
  options = g_variant_ref_sink (vmsan_call_options (options));
  handle = append_fd (fds, fd, &error);
  if (handle >= 0)
    call_manager (client, "AddImage", g_variant_new ("(h@a{sv})", handle, options), "(o)", fds,
                  task, path_arrived);
  else
    {
      g_task_return_error (task, error);
      g_object_unref (task);
    }
  g_variant_unref (options);
}

/**
 * vmsan_client_add_image_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the image, or %NULL with @error set
 */
VmsanImage *
vmsan_client_add_image_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_add_image_sync:
 * @client: a client
 * @fd: see [method@Client.add_image]
 * @options: (nullable): `a{sv}`: "name" (`s`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Stores an image, and waits for that.
 *
 * Returns: (transfer full) (nullable): the image, or %NULL with @error set
 */
VmsanImage *
vmsan_client_add_image_sync (
    VmsanClient *client, int fd, GVariant *options, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_add_image (client, fd, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_add_image_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_get_image:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Finds an image.
 */
void
vmsan_client_get_image (VmsanClient *client,
                        const char *name,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client) && name != NULL);
  get_object (client, "GetImage", name,
              request_new (client, &kind_image, cancellable, callback, user_data));
}

/**
 * vmsan_client_get_image_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the image, or %NULL with @error set
 */
VmsanImage *
vmsan_client_get_image_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_get_image_sync:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Finds an image, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): the image, or %NULL with @error set
 */
VmsanImage *
vmsan_client_get_image_sync (VmsanClient *client,
                             const char *name,
                             GCancellable *cancellable,
                             GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_get_image (client, name, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_get_image_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_list_images:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Lists all images.
 */
void
vmsan_client_list_images (VmsanClient *client,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  list_objects (client, "ListImages",
                request_new (client, &kind_image, cancellable, callback, user_data));
}

/**
 * vmsan_client_list_images_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer container) (nullable) (element-type VmsanImage): the images, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_images_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_list_images_sync:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Lists all images, and waits for the answer.
 *
 * Returns: (transfer container) (nullable) (element-type VmsanImage): the images, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_images_sync (VmsanClient *client, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_list_images (client, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_list_images_finish (client, vmsan_sync_end (&sync), error);
}

/* ---- Kernels ------------------------------------------------------------------------------- */

/* Parameters of AddKernel, or NULL. Takes floating references. */
static GVariant *
kernel_parameters (int kernel_fd,
                   int modules_fd,
                   GVariant *module_list,
                   GVariant *options,
                   GUnixFDList *fds,
                   GError **error)
{
  g_autoptr (GVariant) list = module_list != NULL ? g_variant_ref_sink (module_list) : NULL;
  g_autoptr (GVariant) given = g_variant_ref_sink (vmsan_call_options (options));
  GVariantDict dict;
  int kernel_handle, modules_handle = -1;

  kernel_handle = append_fd (fds, kernel_fd, error);
  if (kernel_handle < 0)
    return NULL;
  if (modules_fd >= 0)
    modules_handle = append_fd (fds, modules_fd, error);
  if (modules_fd >= 0 && modules_handle < 0)
    return NULL;

  g_variant_dict_init (&dict, given);
  if (modules_handle >= 0)
    g_variant_dict_insert (&dict, "modules", "h", modules_handle);
  if (list != NULL)
    g_variant_dict_insert_value (&dict, "module-list", list);
  return g_variant_new ("(h@a{sv})", kernel_handle, g_variant_dict_end (&dict));
}

/**
 * vmsan_client_add_kernel:
 * @client: a client
 * @kernel_fd: a regular file with an x86 bzImage or an ELF vmlinux; it is duplicated
 * @modules_fd: a file with the uncompressed modules one behind the other, or -1; it is duplicated
 * @module_list: (nullable): `a(st)`: name and size of each module, in load order
 * @options: (nullable): `a{sv}`: "name" (`s`), "version" (`s`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called when it is stored
 * @user_data: for @callback
 *
 * Stores a kernel with the modules that its guests load.
 */
void
vmsan_client_add_kernel (VmsanClient *client,
                         int kernel_fd,
                         int modules_fd,
                         GVariant *module_list,
                         GVariant *options,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariant *parameters;
  GTask *task;
  GError *error = NULL;

  g_return_if_fail (VMSAN_IS_CLIENT (client));

  task = request_new (client, &kind_kernel, cancellable, callback, user_data);
  parameters = kernel_parameters (kernel_fd, modules_fd, module_list, options, fds, &error);
  if (parameters != NULL)
    call_manager (client, "AddKernel", parameters, "(o)", fds, task, path_arrived);
  else
    {
      g_task_return_error (task, error);
      g_object_unref (task);
    }
}

/**
 * vmsan_client_add_kernel_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the kernel, or %NULL with @error set
 */
VmsanKernel *
vmsan_client_add_kernel_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_add_kernel_sync:
 * @client: a client
 * @kernel_fd: see [method@Client.add_kernel]
 * @modules_fd: see [method@Client.add_kernel]
 * @module_list: (nullable): see [method@Client.add_kernel]
 * @options: (nullable): `a{sv}`: "name" (`s`), "version" (`s`)
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Stores a kernel, and waits for that.
 *
 * Returns: (transfer full) (nullable): the kernel, or %NULL with @error set
 */
VmsanKernel *
vmsan_client_add_kernel_sync (VmsanClient *client,
                              int kernel_fd,
                              int modules_fd,
                              GVariant *module_list,
                              GVariant *options,
                              GCancellable *cancellable,
                              GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_add_kernel (client, kernel_fd, modules_fd, module_list, options, cancellable,
                           vmsan_sync_done, &sync);
  return vmsan_client_add_kernel_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_get_kernel:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Finds a kernel.
 */
void
vmsan_client_get_kernel (VmsanClient *client,
                         const char *name,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client) && name != NULL);
  get_object (client, "GetKernel", name,
              request_new (client, &kind_kernel, cancellable, callback, user_data));
}

/**
 * vmsan_client_get_kernel_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer full) (nullable): the kernel, or %NULL with @error set
 */
VmsanKernel *
vmsan_client_get_kernel_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_get_kernel_sync:
 * @client: a client
 * @name: id, unambiguous beginning of an id, or name
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Finds a kernel, and waits for the answer.
 *
 * Returns: (transfer full) (nullable): the kernel, or %NULL with @error set
 */
VmsanKernel *
vmsan_client_get_kernel_sync (VmsanClient *client,
                              const char *name,
                              GCancellable *cancellable,
                              GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_get_kernel (client, name, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_get_kernel_finish (client, vmsan_sync_end (&sync), error);
}

/**
 * vmsan_client_list_kernels:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Lists all kernels.
 */
void
vmsan_client_list_kernels (VmsanClient *client,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  list_objects (client, "ListKernels",
                request_new (client, &kind_kernel, cancellable, callback, user_data));
}

/**
 * vmsan_client_list_kernels_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * Returns: (transfer container) (nullable) (element-type VmsanKernel): the kernels, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_kernels_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  return finish_object (client, result, error);
}

/**
 * vmsan_client_list_kernels_sync:
 * @client: a client
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Lists all kernels, and waits for the answer.
 *
 * Returns: (transfer container) (nullable) (element-type VmsanKernel): the kernels, or %NULL with
 * @error set
 */
GPtrArray *
vmsan_client_list_kernels_sync (VmsanClient *client, GCancellable *cancellable, GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_list_kernels (client, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_list_kernels_finish (client, vmsan_sync_end (&sync), error);
}

/* ---- The host ------------------------------------------------------------------------------ */

static void
findings_arrived (GTask *task, GVariant *reply, GUnixFDList *fds)
{
  g_task_return_pointer (task, g_variant_get_child_value (reply, 0),
                         (GDestroyNotify) g_variant_unref);
  g_object_unref (task);
}

/**
 * vmsan_client_doctor:
 * @client: a client
 * @options: (nullable): `a{sv}`: "repair" (`b`), whether to remove what is left of machines that
 * are no more
 * @cancellable: (nullable): to stop waiting for the answer
 * @callback: (scope async): called with the result
 * @user_data: for @callback
 *
 * Examines whether machines can be made and run on this host, what is in their way, and what was
 * left of machines that are no more.
 */
void
vmsan_client_doctor (VmsanClient *client,
                     GVariant *options,
                     GCancellable *cancellable,
                     GAsyncReadyCallback callback,
                     gpointer user_data)
{
  g_return_if_fail (VMSAN_IS_CLIENT (client));
  call_manager (client, "Doctor", g_variant_new ("(@a{sv})", vmsan_call_options (options)),
                "(aa{sv})", NULL, g_task_new (client, cancellable, callback, user_data),
                findings_arrived);
}

/**
 * vmsan_client_doctor_finish:
 * @client: a client
 * @result: what the callback got
 * @error: return location for an error
 *
 * The findings are dictionaries with the keys "check", "severity" ("ok", "note", "warning" or
 * "error"), "subject", "message" and "advice" (all `s`) and, where something is left of machines,
 * "repaired" (`b`); see the D-Bus method `org.vmsan.Manager.Doctor`.
 *
 * Returns: (transfer full) (nullable): the findings, `aa{sv}`, or %NULL with @error set
 */
GVariant *
vmsan_client_doctor_finish (VmsanClient *client, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, client), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * vmsan_client_doctor_sync:
 * @client: a client
 * @options: (nullable): see [method@Client.doctor]
 * @cancellable: (nullable): to stop waiting for the answer
 * @error: return location for an error
 *
 * Examines the host, and waits for that.
 *
 * Returns: (transfer full) (nullable): the findings as for [method@Client.doctor_finish], or %NULL
 * with @error set
 */
GVariant *
vmsan_client_doctor_sync (VmsanClient *client,
                          GVariant *options,
                          GCancellable *cancellable,
                          GError **error)
{
  g_auto (VmsanSync) sync = { 0 };

  vmsan_sync_begin (&sync);
  vmsan_client_doctor (client, options, cancellable, vmsan_sync_done, &sync);
  return vmsan_client_doctor_finish (client, vmsan_sync_end (&sync), error);
}
