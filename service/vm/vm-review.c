/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a review that fails has changed nothing, and one that succeeds has opened nothing. */

#include "vm/vm-review.h"

#include "net/net-narrowing.h"
#include "sys/error.h"
#include "vm/vm-private.h"

static const VmsanOption label_options[] = { { "labels", "a{ss}" }, { NULL, NULL } };

static const VmsanOption *const creation_options[] = { label_options, vmsan_net_policy_live_options,
                                                       NULL };
static const VmsanOption *const policy_options[] = { vmsan_net_policy_live_options, NULL };

/* What may be changed before what; NULL: nothing. */
static const VmsanOption *const *const changeable[VMSAN_HOOK_LAST + 1] = {
  [VMSAN_HOOK_BEFORE_CREATE] = creation_options,
  [VMSAN_HOOK_BEFORE_START] = policy_options,
  [VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE] = policy_options,
};

void
vmsan_review_clear (VmsanReview *self)
{
  g_clear_pointer (&self->changed_by, g_free);
  g_clear_pointer (&self->aside, g_free);
}

GVariant *
vmsan_review_describe (const VmsanReview *self)
{
  const VmsanVmRecord *draft = self->draft;
  GVariantDict event;

  g_variant_dict_init (&event, NULL);
  g_variant_dict_insert (&event, "actor", "s", self->actor);
  g_variant_dict_insert (&event, "id", "s", draft->id);
  g_variant_dict_insert (&event, "name", "s", draft->name);
  g_variant_dict_insert (&event, "owner", "u", (guint32) draft->owner);
  g_variant_dict_insert (&event, "project", "s", draft->project);
  g_variant_dict_insert_value (&event, "labels", draft->labels);
  g_variant_dict_insert (&event, "image", "s", draft->image_id);
  g_variant_dict_insert (&event, "kernel", "s", draft->kernel_id);
  g_variant_dict_insert (&event, "driver", "s", draft->driver);
  g_variant_dict_insert (&event, "hostname", "s", draft->hostname);
  g_variant_dict_insert (&event, "init", "s", draft->init);
  g_variant_dict_insert (&event, "vcpus", "u", draft->vcpus);
  g_variant_dict_insert (&event, "memory-mib", "u", draft->memory_mib);
  g_variant_dict_insert (&event, "disk-mib", "u", draft->disk_mib);
  g_variant_dict_insert (&event, "timeout-ms", "t", draft->timeout_ms);
  vmsan_weakened_describe (draft->weakened, &event);
  g_variant_dict_insert_value (&event, "network", vmsan_vm_get_network_details (self->vm, draft));
  return g_variant_dict_end (&event);
}

/* ---- Changes ------------------------------------------------------------------------------- */

static gboolean
names_any (GVariant *options, const VmsanOption *table)
{
  for (; table->key != NULL; table++)
    {
      g_autoptr (GVariant) value = g_variant_lookup_value (options, table->key, NULL);

      if (value != NULL)
        return TRUE;
    }
  return FALSE;
}

/* The policy that the options make of the draft's; NULL with what is wrong with it. Whether the
 * host has what it needs shows when it is put in force. */
static VmsanNetPolicy *
narrow_policy (VmsanReview *self, GVariant *options, GError **error)
{
  const VmsanNetPools *pools = vmsan_net_manager_get_pools (self->vm->context->networks);
  g_autoptr (VmsanNetPolicy) policy =
      vmsan_net_policy_parse (options, self->draft->network, pools, error);

  if (policy == NULL ||
      !vmsan_net_policy_check_narrowing (policy, self->draft->network, pools, error))
    return NULL;
  return g_steal_pointer (&policy);
}

gboolean
vmsan_review_change (VmsanReview *self, const char *name, GVariant *options, GError **error)
{
  const VmsanOption *const *known = changeable[self->hook];
  g_autoptr (VmsanNetPolicy) policy = NULL;
  g_autoptr (GVariant) labels = NULL;

  if (known == NULL)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                   "No option can be changed before this");
      return FALSE;
    }
  if (!vmsan_options_check_all (options, known, error))
    return FALSE;
  labels = g_variant_lookup_value (options, "labels", G_VARIANT_TYPE ("a{ss}"));
  if (labels != NULL && !vmsan_labels_check (labels, error))
    return FALSE;
  if (names_any (options, vmsan_net_policy_live_options))
    {
      policy = narrow_policy (self, options, error);
      if (policy == NULL)
        return FALSE;
    }

  if (labels != NULL)
    {
      g_variant_unref (self->draft->labels);
      self->draft->labels = g_steal_pointer (&labels);
    }
  if (policy != NULL)
    {
      vmsan_net_policy_unref (self->draft->network);
      self->draft->network = g_steal_pointer (&policy);
    }
  g_free (self->changed_by);
  self->changed_by = g_strdup (name);
  return TRUE;
}

/* ---- One after the other ------------------------------------------------------------------- */

typedef struct
{
  VmsanReview *review;
  const VmsanHook *hooks; /* those that are left, ended by NONE */
} Reviewing;

static gboolean
is_wanted (const VmsanVmContext *context, VmsanHook hook)
{
  return context->reviewer != NULL && context->reviewer->is_wanted (context->reviewer_data, hook);
}

gboolean
vmsan_vm_is_review_wanted (VmsanVm *self, const VmsanHook *hooks)
{
  for (; hooks != NULL && *hooks != VMSAN_HOOK_NONE; hooks++)
    if (is_wanted (self->context, *hooks))
      return TRUE;
  return FALSE;
}

static void review_next (GTask *task);

static void
on_reviewed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanVm *vm = g_task_get_source_object (task);
  const VmsanVmContext *context = vm->context;
  GError *error = NULL;

  if (context->reviewer->review_finish (context->reviewer_data, result, &error))
    review_next (g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/* Consumes @task. */
static void
review_next (GTask *task)
{
  g_autoptr (GTask) owned = task;
  VmsanVm *vm = g_task_get_source_object (task);
  Reviewing *reviewing = g_task_get_task_data (task);

  for (; *reviewing->hooks != VMSAN_HOOK_NONE; reviewing->hooks++)
    if (is_wanted (vm->context, *reviewing->hooks))
      {
        /* The end of the service aborts those that wait, and would wait for one that begins now. */
        if (vm->context->quiescing)
          {
            g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                                     "The service is stopping; try again");
            return;
          }
        reviewing->review->hook = *reviewing->hooks++;
        vm->context->reviewer->review_async (vm->context->reviewer_data, reviewing->review,
                                             g_task_get_cancellable (task), on_reviewed,
                                             g_steal_pointer (&owned));
        return;
      }
  g_task_return_boolean (task, TRUE);
}

void
vmsan_vm_review_async (VmsanVm *self,
                       VmsanReview *review,
                       const VmsanHook *hooks,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);
  Reviewing *reviewing = g_new0 (Reviewing, 1);

  review->vm = self;
  reviewing->review = review;
  reviewing->hooks = hooks;
  g_task_set_task_data (task, reviewing, g_free);
  review_next (task);
}

gboolean
vmsan_vm_review_finish (VmsanVm *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
