/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a creation is refused before anything is changed, or reserved at once, so that callers
 * at the same time never share a name, an id or a uid. */

#include "vm/vm-manager.h"

#include "storage/confined-tool.h"
#include "storage/image-build.h"
#include "storage/kernel-unpack.h"
#include "sys/error.h"
#include "vm/vm-operation.h"
#include "vm/vm-private.h"
#include "vm/vm-reconcile.h"
#include "vm/vm-table.h"
#include "vmm/isolation.h"

#include <fcntl.h>

struct _VmsanVmManager
{
  GObject parent;
  VmsanConfig *config;
  VmsanVmContext context;
  GHashTable *probes; /* driver name → VmsanVmmProbe */
};

enum
{
  SIGNAL_HOOK,
  SIGNAL_VM_ADDED,
  SIGNAL_VM_REMOVED,
  SIGNAL_VM_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (VmsanVmManager, vmsan_vm_manager, G_TYPE_OBJECT)

/* ---- What machines report ------------------------------------------------------------------ */

static void
emit_hook (gpointer data, const VmsanHookEvent *event)
{
  g_signal_emit (data, signals[SIGNAL_HOOK], 0, event);
}

static void
on_vm_changed (VmsanVm *vm, VmsanVmManager *self)
{
  g_signal_emit (self, signals[SIGNAL_VM_CHANGED], 0, vm);
}

static void
vm_removed (gpointer data, VmsanVm *vm)
{
  VmsanVmManager *self = data;
  g_autoptr (VmsanVm) keep = g_object_ref (vm);

  g_signal_handlers_disconnect_by_func (vm, on_vm_changed, self);
  vmsan_vm_table_remove (self->context.table, vm);
  if (vm->record->slot != VMSAN_VM_NO_SLOT)
    vmsan_net_manager_release_slot (self->context.networks, vm->record->slot);
  g_signal_emit (self, signals[SIGNAL_VM_REMOVED], 0, vm);
}

static void
add_vm (VmsanVmManager *self, VmsanVm *vm)
{
  vmsan_vm_table_add (self->context.table, vm);
  g_signal_connect_object (vm, "changed", G_CALLBACK (on_vm_changed), self, 0);
  g_signal_emit (self, signals[SIGNAL_VM_ADDED], 0, vm);
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_vm_manager_finalize (GObject *object)
{
  VmsanVmManager *self = VMSAN_VM_MANAGER (object);
  VmsanVmContext *context = &self->context;

  g_clear_pointer (&context->table, vmsan_vm_table_free);
  g_clear_pointer (&self->probes, g_hash_table_unref);
  g_clear_object (&context->store);
  g_clear_object (&context->networks);
  g_clear_object (&context->images);
  g_clear_object (&context->kernels);
  g_clear_pointer (&context->state_root, vmsan_managed_root_unref);
  g_clear_pointer (&context->runtime_root, vmsan_managed_root_unref);
  g_clear_pointer (&context->vmms, g_ptr_array_unref);
  g_free (context->agent_path);
  g_free (context->boot_id);
  g_clear_pointer (&self->config, vmsan_config_free);
  G_OBJECT_CLASS (vmsan_vm_manager_parent_class)->finalize (object);
}

static void
vmsan_vm_manager_class_init (VmsanVmManagerClass *klass)
{
  GType type = G_TYPE_FROM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = vmsan_vm_manager_finalize;
  signals[SIGNAL_HOOK] = g_signal_new ("hook", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                       G_TYPE_NONE, 1, G_TYPE_POINTER);
  signals[SIGNAL_VM_ADDED] = g_signal_new ("vm-added", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                           G_TYPE_NONE, 1, VMSAN_TYPE_VM);
  signals[SIGNAL_VM_REMOVED] = g_signal_new ("vm-removed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                             NULL, G_TYPE_NONE, 1, VMSAN_TYPE_VM);
  signals[SIGNAL_VM_CHANGED] = g_signal_new ("vm-changed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                             NULL, G_TYPE_NONE, 1, VMSAN_TYPE_VM);
}

static void
vmsan_vm_manager_init (VmsanVmManager *self)
{
  self->context.table = vmsan_vm_table_new ();
  self->probes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                        (GDestroyNotify) vmsan_vmm_probe_free);
}

/* None is added nor removed on the way: what begins here goes on later. */
static void
on_resolvers_changed (VmsanNetManager *networks, VmsanVmManager *self)
{
  for (VmsanVm *vm = vmsan_vm_table_next (self->context.table, NULL); vm != NULL;
       vm = vmsan_vm_table_next (self->context.table, vm->record->id))
    vmsan_vm_refresh_network (vm);
}

static gboolean
open_networks (VmsanVmManager *self, GError **error)
{
  VmsanNetConfig config = {
    .resolver = self->config->resolver,
    .dnsmasq = self->config->dnsmasq_binary,
    .n_prepared = self->config->prepared_networks,
  };

  if (!vmsan_net_pools_parse (self->config->ipv4_pool, self->config->ipv6_pool, &config.pools,
                              error))
    {
      g_prefix_error (error, "Configuration, group [Network]: ");
      return FALSE;
    }
  config.state_fd =
      fcntl (vmsan_managed_root_get_fd (self->context.runtime_root), F_DUPFD_CLOEXEC, 3);
  if (config.state_fd < 0)
    return vmsan_error_set_errno (error, errno, "Duplicating a descriptor");
  self->context.networks = vmsan_net_manager_new (&config);
  g_signal_connect_object (self->context.networks, "resolvers-changed",
                           G_CALLBACK (on_resolvers_changed), self, 0);
  return TRUE;
}

static gboolean
open_stores (VmsanVmManager *self, GError **error)
{
  VmsanVmContext *context = &self->context;

  context->state_root = vmsan_managed_root_open (self->config->state_directory, 0700, error);
  if (context->state_root == NULL)
    return FALSE;
  context->runtime_root = vmsan_managed_root_open (self->config->runtime_directory, 0700, error);
  if (context->runtime_root == NULL)
    return FALSE;
  context->store = vmsan_vm_store_file_new (context->state_root, error);
  if (context->store == NULL)
    return FALSE;
  context->images = vmsan_content_store_open (context->state_root, VMSAN_CONTENT_IMAGE, error);
  if (context->images == NULL)
    return FALSE;
  context->kernels = vmsan_content_store_open (context->state_root, VMSAN_CONTENT_KERNEL, error);
  return context->kernels != NULL;
}

/* What runs unprivileged for the stores; these settings are the process's, and stay. */
static void
configure_tools (const VmsanConfig *config)
{
  const VmsanImageBuildConfig build = {
    .program = g_build_filename (config->libexec_directory, "vmsan-image-builder", NULL),
  };
  const VmsanKernelUnpackConfig unpack = {
    .program = g_build_filename (config->libexec_directory, "vmsan-kernel-unpacker", NULL),
  };

  vmsan_tool_set_ids (config->builder_first_uid);
  vmsan_image_build_configure (&build);
  vmsan_kernel_unpack_configure (&unpack);
}

VmsanVmManager *
vmsan_vm_manager_new (VmsanConfig *config, GPtrArray *vmms, GError **error)
{
  g_autoptr (VmsanVmManager) self = g_object_new (VMSAN_TYPE_VM_MANAGER, NULL);

  self->config = config;
  configure_tools (config);
  self->context.config = config;
  self->context.vmms = g_ptr_array_ref (vmms);
  self->context.agent_path = g_build_filename (config->libexec_directory, "vmsan-agent", NULL);
  self->context.emit_hook = emit_hook;
  self->context.removed = vm_removed;
  self->context.data = self;
  if (!g_file_get_contents ("/proc/sys/kernel/random/boot_id", &self->context.boot_id, NULL, error))
    return NULL;
  g_strstrip (self->context.boot_id);
  return open_stores (self, error) && open_networks (self, error) ? g_steal_pointer (&self) : NULL;
}

void
vmsan_vm_manager_set_reviewer (VmsanVmManager *self, const VmsanReviewer *reviewer, gpointer data)
{
  self->context.reviewer = reviewer;
  self->context.reviewer_data = data;
}

/* ---- Load ---------------------------------------------------------------------------------- */

static void probe_next (GTask *task);

static void
on_reconciled (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_vm_reconcile_finish (result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static gboolean
load_records (VmsanVmManager *self, GPtrArray *vms, GError **error)
{
  g_auto (GStrv) damaged = NULL;
  g_autoptr (GPtrArray) records = vmsan_vm_store_load_all (self->context.store, &damaged, error);

  if (records == NULL)
    return FALSE;
  for (guint i = 0; damaged[i] != NULL; i++)
    g_warning ("Damaged record of a machine: %s", damaged[i]);
  for (guint i = 0; i < records->len; i++)
    {
      VmsanVmRecord *record = g_ptr_array_index (records, i);
      VmsanVm *vm = vmsan_vm_new (&self->context, vmsan_vm_record_copy (record));

      if (record->slot != VMSAN_VM_NO_SLOT)
        vmsan_net_manager_claim_slot (self->context.networks, record->slot);
      g_ptr_array_add (vms, vm);
      add_vm (self, vm);
    }
  return TRUE;
}

static void
finish_probe (VmsanVmManager *self, VmsanVmm *vmm, GAsyncResult *result)
{
  g_autoptr (GError) error = NULL;
  VmsanVmmProbe *probe = vmsan_vmm_probe_finish (vmm, result, &error);

  if (probe == NULL)
    {
      probe = g_new0 (VmsanVmmProbe, 1);
      probe->acceleration = "";
      probe->version = g_strdup ("");
      probe->reason = g_strdup (error->message);
    }
  g_hash_table_replace (self->probes, g_strdup (vmsan_vmm_get_name (vmm)), probe);
}

static void
on_probed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;

  finish_probe (g_task_get_source_object (task), VMSAN_VMM (source), result);
  probe_next (g_steal_pointer (&task));
}

/* Probes the drivers one after the other, then reads the records. Consumes @task. */
static void
probe_next (GTask *task)
{
  g_autoptr (GTask) owned = task;
  VmsanVmManager *self = g_task_get_source_object (task);
  guint done = g_hash_table_size (self->probes);
  g_autoptr (GPtrArray) vms = g_ptr_array_new_with_free_func (g_object_unref);
  GError *error = NULL;

  if (done < self->context.vmms->len)
    vmsan_vmm_probe_async (g_ptr_array_index (self->context.vmms, done), NULL, on_probed,
                           g_steal_pointer (&owned));
  else if (!load_records (self, vms, &error))
    g_task_return_error (task, error);
  else
    vmsan_vm_reconcile_async (&self->context, vms, on_reconciled, g_steal_pointer (&owned));
}

void
vmsan_vm_manager_load_async (VmsanVmManager *self, GAsyncReadyCallback callback, gpointer user_data)
{
  probe_next (g_task_new (self, NULL, callback, user_data));
}

gboolean
vmsan_vm_manager_load_finish (VmsanVmManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Quiesce ------------------------------------------------------------------------------- */

static void quiesce_next (GTask *task);

static void
on_operation_ended (GObject *source, GAsyncResult *result, gpointer user_data)
{
  quiesce_next (user_data);
}

static void
on_networks_stopped (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;

  vmsan_net_manager_stop_finish (VMSAN_NET_MANAGER (source), result);
  g_task_return_boolean (task, TRUE);
}

/* Waits for one operation after the other; none begins meanwhile but those that take away, which
 * end by themselves. Consumes @task. */
static void
quiesce_next (GTask *task)
{
  g_autoptr (GTask) owned = task;
  VmsanVmManager *self = g_task_get_source_object (task);

  for (VmsanVm *vm = vmsan_vm_table_next (self->context.table, NULL); vm != NULL;
       vm = vmsan_vm_table_next (self->context.table, vm->record->id))
    if (vm->operation != NULL)
      {
        g_queue_push_tail (&vm->waiting,
                           g_task_new (vm, NULL, on_operation_ended, g_steal_pointer (&owned)));
        return;
      }
  vmsan_net_manager_stop_async (self->context.networks, on_networks_stopped,
                                g_steal_pointer (&owned));
}

void
vmsan_vm_manager_quiesce_async (VmsanVmManager *self,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  self->context.quiescing = TRUE;
  for (VmsanVm *vm = vmsan_vm_table_next (self->context.table, NULL); vm != NULL;
       vm = vmsan_vm_table_next (self->context.table, vm->record->id))
    vmsan_operation_abort (vm, NULL);
  quiesce_next (g_task_new (self, NULL, callback, user_data));
}

gboolean
vmsan_vm_manager_quiesce_finish (VmsanVmManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- Create -------------------------------------------------------------------------------- */

static gboolean
check_driver (VmsanVmManager *self, VmsanVmm *vmm, VmsanContent *kernel, GError **error)
{
  const char *name = vmsan_vmm_get_name (vmm);
  const VmsanVmmProbe *probe = g_hash_table_lookup (self->probes, name);

  if (probe == NULL || !probe->available)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE, "No machine can run with %s: %s",
                   name, probe != NULL ? probe->reason : "it was not probed");
      return FALSE;
    }
  if (!vmsan_vmm_needs_elf_kernel (vmm) || vmsan_content_check_elf (kernel, error))
    return TRUE;
  g_prefix_error (error, "%s boots ELF kernels only: ", name);
  return FALSE;
}

/* The driver that will run it, (transfer none), or NULL with the reason and what to do. */
static const char *
choose_driver (VmsanVmManager *self, const char *wanted, VmsanContent *kernel, GError **error)
{
  g_autoptr (GString) reasons = g_string_new (NULL);
  gboolean any = g_str_equal (wanted, "auto");
  int code = VMSAN_ERROR_UNAVAILABLE;

  for (guint i = 0; i < self->context.vmms->len; i++)
    {
      VmsanVmm *vmm = g_ptr_array_index (self->context.vmms, i);
      g_autoptr (GError) local_error = NULL;

      if (!any && !g_str_equal (wanted, vmsan_vmm_get_name (vmm)))
        continue;
      if (check_driver (self, vmm, kernel, &local_error))
        return vmsan_vmm_get_name (vmm);
      g_string_append_printf (reasons, "%s%s", reasons->len > 0 ? "; " : "", local_error->message);
      code = local_error->code;
    }
  if (reasons->len > 0)
    g_set_error_literal (error, VMSAN_ERROR, code, reasons->str);
  else
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "There is no driver “%s”; the property Drivers has their names", wanted);
  return NULL;
}

static gboolean
take_slot (VmsanVmManager *self,
           VmsanVmRecord *record,
           const VmsanVmRequest *request,
           GError **error)
{
  VmsanNetManager *networks = self->context.networks;

  vmsan_net_policy_unref (record->network);
  record->network = vmsan_net_policy_ref (request->network);
  if (!request->network->has_network)
    return TRUE;
  record->slot = vmsan_net_manager_take_slot (networks, request->start);
  if (record->slot != VMSAN_VM_NO_SLOT)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "All %u addresses for machines are used: remove machines, create this one with "
               "“network” “none”, or enlarge IPv4Pool in the group [Network] of the configuration",
               vmsan_net_pools_get_n_slots (vmsan_net_manager_get_pools (networks)));
  return FALSE;
}

static VmsanContent *
choose_content (VmsanContentStore *store, const char *wanted, uid_t owner, GError **error)
{
  return wanted != NULL ? vmsan_content_store_find (store, wanted, error)
                        : vmsan_content_store_find_default (store, owner, error);
}

/* For whoever reads the log of a host where something got out. */
static void
log_weakening (const VmsanVmRecord *record)
{
  g_autoptr (GString) left_out = g_string_new (NULL);

  for (guint i = 0; i < VMSAN_N_WEAKENINGS; i++)
    if (record->weakened & vmsan_weakenings[i].flag)
      g_string_append_printf (left_out, "%s%s", left_out->len > 0 ? ", " : "",
                              vmsan_weakenings[i].option);
  if (left_out->len > 0)
    g_message ("Machine %s of uid %u is confined less than others, as was asked: %s", record->id,
               record->owner, left_out->str);
}

static VmsanVmRecord *
make_record (VmsanVmManager *self, const VmsanVmRequest *request, GError **error)
{
  g_autoptr (VmsanVmRecord) record = vmsan_vm_record_new ();
  g_autoptr (VmsanContent) image = NULL;
  g_autoptr (VmsanContent) kernel = NULL;
  const char *driver;

  image = choose_content (self->context.images, request->image, request->owner, error);
  if (image == NULL)
    return NULL;
  kernel = choose_content (self->context.kernels, request->kernel, request->owner, error);
  if (kernel == NULL)
    return NULL;
  driver = choose_driver (self, request->driver, kernel, error);
  if (driver == NULL)
    return NULL;

  record->uid = vmsan_vm_table_new_uid (self->context.table, self->config);
  if (record->uid == 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                   "All %u uids for machines are used: raise Count in the group [Ids] of the "
                   "configuration",
                   self->config->uid_count);
      return NULL;
    }
  /* Last, as nobody would give it back. */
  if (!take_slot (self, record, request, error))
    return NULL;
  g_free (record->id);
  record->id = vmsan_vm_table_new_id (self->context.table);
  vmsan_vm_record_set_text (&record->name, request->name != NULL ? request->name : record->id);
  vmsan_vm_record_set_text (&record->driver, driver);
  record->weakened = request->weakened;
  vmsan_vm_record_set_text (&record->image_id, image->id);
  vmsan_vm_record_set_text (&record->kernel_id, kernel->id);
  vmsan_vm_record_set_text (&record->init, request->init);
  vmsan_vm_record_set_text (&record->project, request->project);
  vmsan_vm_record_set_text (&record->hostname, request->hostname);
  if (request->hostname == NULL)
    {
      /* A machine's name may have what a host's may not, but begins with a letter or digit. */
      vmsan_vm_record_set_text (&record->hostname, record->name);
      g_strcanon (record->hostname,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", '-');
      for (gsize end = strlen (record->hostname); record->hostname[end - 1] == '-'; end--)
        record->hostname[end - 1] = '\0';
    }
  record->owner = request->owner;
  record->vcpus = request->vcpus;
  record->memory_mib = request->memory_mib;
  record->disk_mib = request->disk_mib;
  record->timeout_ms = request->timeout_ms;
  record->created_us = g_get_real_time ();
  record->state = VMSAN_VM_CREATING;
  g_variant_unref (record->labels);
  record->labels = g_variant_ref (request->labels);
  log_weakening (record);
  return g_steal_pointer (&record);
}

static void
on_created (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (vmsan_vm_create_finish (VMSAN_VM (source), result, &error))
    g_task_return_pointer (task, g_object_ref (source), g_object_unref);
  else
    g_task_return_error (task, error);
}

typedef struct
{
  const VmsanVmRequest *request;
  char *actor;
  GCancellable *cancellable;
  guint n_probes; /* under way */
} Creation;

static void
creation_free (Creation *creation)
{
  g_free (creation->actor);
  g_clear_object (&creation->cancellable);
  g_free (creation);
}

/* Before there is a machine, so that nothing is left to undo. */
static void
refuse (VmsanVmManager *self, GTask *task, GError *error)
{
  const Creation *creation = g_task_get_task_data (task);
  const VmsanHookEvent event = {
    .hook = VMSAN_HOOK_ERROR,
    .id = "",
    .owner = creation->request->owner,
    .actor = creation->actor,
    .phase = "create",
    .error = error,
  };

  if (!vmsan_vm_is_callers_matter (error))
    emit_hook (self, &event);
  g_task_return_error (task, error);
}

static gboolean
check_room (VmsanVmManager *self, const VmsanVmRequest *request, GError **error)
{
  /* As an operation would be, but before anybody sees the machine. */
  if (self->context.quiescing)
    g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                         "The service is stopping; try again");
  return !self->context.quiescing &&
         vmsan_vm_table_check_room (self->context.table, request, self->config, error) &&
         vmsan_managed_root_check_mount (self->context.state_root, VMSAN_VM_MIN_FREE_BYTES, FALSE,
                                         FALSE, error);
}

/* All that only one can have is the new machine's when this returns. Consumes @task. */
static void
create (VmsanVmManager *self, GTask *task)
{
  g_autoptr (GTask) owned = task;
  const Creation *creation = g_task_get_task_data (task);
  const VmsanVmRequest *request = creation->request;
  VmsanVmRecord *record = NULL;
  g_autoptr (VmsanVm) vm = NULL;
  GError *error = NULL;

  if (check_room (self, request, &error))
    record = make_record (self, request, &error);
  if (record != NULL)
    vm = vmsan_vm_new (&self->context, record);
  if (vm == NULL || (request->start && !vmsan_vm_check_ports (vm, record->network, &error)))
    {
      if (vm != NULL && record->slot != VMSAN_VM_NO_SLOT)
        vmsan_net_manager_release_slot (self->context.networks, record->slot);
      refuse (self, task, error);
      return;
    }
  vm->network_up = FALSE;
  add_vm (self, vm);
  vmsan_vm_create_async (vm, request->start, creation->actor, creation->cancellable, on_created,
                         g_steal_pointer (&owned));
}

static void
on_request_checked (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVmManager *self = g_task_get_source_object (task);
  GError *error = NULL;

  if (vmsan_net_manager_check_finish (VMSAN_NET_MANAGER (source), result, &error))
    create (self, g_steal_pointer (&task));
  else
    refuse (self, task, error);
}

/* Consumes @task. */
static void
check_network (VmsanVmManager *self, GTask *task)
{
  const Creation *creation = g_task_get_task_data (task);
  const VmsanVmRequest *request = creation->request;

  if (request->network->has_network)
    vmsan_net_manager_check_async (self->context.networks, request->network, NULL, request->start,
                                   on_request_checked, task);
  else
    create (self, task);
}

static void
on_probed_again (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVmManager *self = g_task_get_source_object (task);
  Creation *creation = g_task_get_task_data (task);

  finish_probe (self, VMSAN_VMM (source), result);
  if (--creation->n_probes == 0)
    check_network (self, g_steal_pointer (&task));
}

/* A driver that did not work may do so now: somebody has installed its programs. Consumes @task. */
static void
probe_again (VmsanVmManager *self, GTask *task)
{
  g_autoptr (GTask) owned = task;
  Creation *creation = g_task_get_task_data (task);

  for (guint i = 0; i < self->context.vmms->len; i++)
    {
      VmsanVmm *vmm = g_ptr_array_index (self->context.vmms, i);
      const VmsanVmmProbe *probe = g_hash_table_lookup (self->probes, vmsan_vmm_get_name (vmm));

      if (probe != NULL && probe->available)
        continue;
      creation->n_probes++;
      vmsan_vmm_probe_async (vmm, NULL, on_probed_again, g_object_ref (task));
    }
  if (creation->n_probes == 0)
    check_network (self, g_steal_pointer (&owned));
}

void
vmsan_vm_manager_create_async (VmsanVmManager *self,
                               const VmsanVmRequest *request,
                               const char *actor,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data)
{
  /* A machine that was made is reported, also to one who cancelled too late. */
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, user_data);
  Creation *creation = g_new0 (Creation, 1);
  GError *error = NULL;

  creation->request = request;
  creation->actor = g_strdup (actor);
  g_set_object (&creation->cancellable, cancellable);
  g_task_set_task_data (task, creation, (GDestroyNotify) creation_free);
  /* Twice: who has no room causes no work, and others may come in while there is some. */
  if (!check_room (self, request, &error))
    refuse (self, task, error);
  else
    probe_again (self, g_steal_pointer (&task));
}

VmsanVm *
vmsan_vm_manager_create_finish (VmsanVmManager *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- Reading ------------------------------------------------------------------------------- */

VmsanVm *
vmsan_vm_manager_get (VmsanVmManager *self, const char *id)
{
  return vmsan_vm_table_get (self->context.table, id);
}

VmsanVm *
vmsan_vm_manager_find (VmsanVmManager *self, const char *name, uid_t caller, GError **error)
{
  return vmsan_vm_table_find (self->context.table, name, caller, error);
}

void
vmsan_vm_manager_visit (VmsanVmManager *self,
                        const char *after,
                        VmsanVmVisitor visit,
                        gpointer user_data)
{
  vmsan_vm_table_visit (self->context.table, after, visit, user_data);
}

guint
vmsan_vm_manager_get_n_vms (VmsanVmManager *self)
{
  return vmsan_vm_table_get_size (self->context.table);
}

const VmsanConfig *
vmsan_vm_manager_get_config (VmsanVmManager *self)
{
  return self->config;
}

VmsanManagedRoot *
vmsan_vm_manager_get_state_root (VmsanVmManager *self)
{
  return self->context.state_root;
}

VmsanManagedRoot *
vmsan_vm_manager_get_runtime_root (VmsanVmManager *self)
{
  return self->context.runtime_root;
}

VmsanNetManager *
vmsan_vm_manager_get_networks (VmsanVmManager *self)
{
  return self->context.networks;
}

VmsanContentStore *
vmsan_vm_manager_get_images (VmsanVmManager *self)
{
  return self->context.images;
}

VmsanContentStore *
vmsan_vm_manager_get_kernels (VmsanVmManager *self)
{
  return self->context.kernels;
}

GVariant *
vmsan_vm_manager_describe_drivers (VmsanVmManager *self)
{
  GVariantBuilder drivers;

  g_variant_builder_init (&drivers, G_VARIANT_TYPE ("a{sa{sv}}"));
  for (guint i = 0; i < self->context.vmms->len; i++)
    {
      const char *name = vmsan_vmm_get_name (g_ptr_array_index (self->context.vmms, i));
      const VmsanVmmProbe *probe = g_hash_table_lookup (self->probes, name);
      GVariantDict values;

      if (probe == NULL)
        continue;
      g_variant_dict_init (&values, NULL);
      g_variant_dict_insert (&values, "available", "b", probe->available);
      g_variant_dict_insert (&values, "acceleration", "s", probe->acceleration);
      g_variant_dict_insert (&values, "version", "s", probe->version);
      g_variant_dict_insert (&values, "reason", "s", probe->reason);
      g_variant_builder_add (&drivers, "{s@a{sv}}", name, g_variant_dict_end (&values));
    }
  return g_variant_builder_end (&drivers);
}

/* ---- Images and kernels -------------------------------------------------------------------- */

static gboolean
check_unused (VmsanVmManager *self, const char *id, GError **error)
{
  for (VmsanVm *vm = vmsan_vm_table_next (self->context.table, NULL); vm != NULL;
       vm = vmsan_vm_table_next (self->context.table, vm->record->id))
    if (g_str_equal (vm->record->image_id, id) || g_str_equal (vm->record->kernel_id, id))
      {
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_IN_USE,
                     "Machine %s and maybe others need it: remove them first", vm->record->id);
        return FALSE;
      }
  return TRUE;
}

gboolean
vmsan_vm_manager_remove_image (VmsanVmManager *self, const char *id, GError **error)
{
  return check_unused (self, id, error) &&
         vmsan_content_store_remove (self->context.images, id, error);
}

gboolean
vmsan_vm_manager_remove_kernel (VmsanVmManager *self, const char *id, GError **error)
{
  return check_unused (self, id, error) &&
         vmsan_content_store_remove (self->context.kernels, id, error);
}
