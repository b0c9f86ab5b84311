/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the record that others see is the one on disk. */

#include "vm/vm-private.h"

#include "sys/error.h"
#include "sys/source.h"

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (VmsanVm, vmsan_vm, G_TYPE_OBJECT)

static void
vmsan_vm_dispose (GObject *object)
{
  VmsanVm *self = VMSAN_VM (object);

  vmsan_source_clear (&self->timeout);
  vmsan_vm_drop_monitor (self);
  G_OBJECT_CLASS (vmsan_vm_parent_class)->dispose (object);
}

static void
vmsan_vm_finalize (GObject *object)
{
  VmsanVm *self = VMSAN_VM (object);

  g_queue_clear (&self->waiting);
  g_queue_clear (&self->removals);
  g_clear_pointer (&self->record, vmsan_vm_record_free);
  G_OBJECT_CLASS (vmsan_vm_parent_class)->finalize (object);
}

static void
vmsan_vm_class_init (VmsanVmClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = vmsan_vm_dispose;
  G_OBJECT_CLASS (klass)->finalize = vmsan_vm_finalize;
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", VMSAN_TYPE_VM, G_SIGNAL_RUN_LAST, 0, NULL,
                                          NULL, NULL, G_TYPE_NONE, 0);
}

static void
vmsan_vm_init (VmsanVm *self)
{
  g_queue_init (&self->waiting);
  g_queue_init (&self->removals);
}

VmsanVm *
vmsan_vm_new (const VmsanVmContext *context, VmsanVmRecord *record)
{
  VmsanVm *self = g_object_new (VMSAN_TYPE_VM, NULL);

  self->context = context;
  self->record = record;
  self->network_up = record->network->has_network && record->state != VMSAN_VM_STOPPED;
  return self;
}

const VmsanVmRecord *
vmsan_vm_get_record (VmsanVm *self)
{
  return self->record;
}

gboolean
vmsan_vm_check_verb (VmsanVm *self, VmsanVerb verb, GError **error)
{
  /* A session changes nothing in the record, so it need not wait for what does. */
  if (self->operation == NULL || verb == VMSAN_VERB_EXEC)
    return vmsan_vm_state_allows (self->record->state, verb, self->record->id, error);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
               "Machine %s is busy (%s): wait for it to end and try again", self->record->id,
               self->in_review ? "plugins are asked whether they agree"
                               : vmsan_vm_state_to_string (self->record->state));
  return FALSE;
}

void
vmsan_vm_emit_hook (VmsanVm *self, VmsanHook hook, const char *reason, const char *actor)
{
  VmsanHookEvent event = {
    .hook = hook,
    .id = self->record->id,
    .owner = self->record->owner,
    .reason = reason,
    .actor = actor,
  };

  if (hook != VMSAN_HOOK_NONE)
    self->context->emit_hook (self->context->data, &event);
}

void
vmsan_vm_emit_error (VmsanVm *self, const char *phase, const GError *error, const char *actor)
{
  VmsanHookEvent event = {
    .hook = VMSAN_HOOK_ERROR,
    .id = self->record->id,
    .owner = self->record->owner,
    .actor = actor,
    .phase = phase,
    .error = error,
  };

  self->context->emit_hook (self->context->data, &event);
}

gboolean
vmsan_vm_is_callers_matter (const GError *error)
{
  return g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_AMBIGUOUS) ||
         g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
}

void
vmsan_vm_emit_refusal (VmsanVm *self, const char *phase, const GError *error, const char *actor)
{
  if (!vmsan_vm_is_callers_matter (error))
    vmsan_vm_emit_error (self, phase, error, actor);
}

void
vmsan_vm_add_aside (GError *error, const char *aside)
{
  g_autofree char *public_message = NULL;

  if (aside == NULL)
    return;
  public_message = g_steal_pointer (&error->message);
  error->message = g_strconcat (public_message, "; ", aside, NULL);
}

void
vmsan_vm_emit_state (VmsanVm *self, const char *old_state, const char *new_state, const char *actor)
{
  VmsanHookEvent event = {
    .hook = VMSAN_HOOK_STATE_CHANGED,
    .id = self->record->id,
    .owner = self->record->owner,
    .reason = self->record->reason,
    .actor = actor,
    .old_state = old_state,
    .new_state = new_state,
  };

  self->context->emit_hook (self->context->data, &event);
}

void
vmsan_vm_emit_policy (VmsanVm *self, const VmsanNetPolicy *old, const char *actor)
{
  const VmsanHookEvent event = {
    .hook = VMSAN_HOOK_NETWORK_POLICY_CHANGED,
    .id = self->record->id,
    .owner = self->record->owner,
    .reason = "",
    .actor = actor,
    .old_policy = vmsan_net_policy_kind_to_string (old->kind),
    .new_policy = vmsan_net_policy_kind_to_string (self->record->network->kind),
  };

  self->context->emit_hook (self->context->data, &event);
}

void
vmsan_vm_publish (VmsanVm *self, const VmsanVmRecord *record, const char *actor)
{
  g_autoptr (VmsanVmRecord) old = self->record;

  self->record = vmsan_vm_record_copy (record);
  g_signal_emit (self, signals[SIGNAL_CHANGED], 0);
  if (old->state != record->state)
    vmsan_vm_emit_state (self, vmsan_vm_state_to_string (old->state),
                         vmsan_vm_state_to_string (record->state), actor);
  if (old->timeout_at_us != record->timeout_at_us)
    vmsan_vm_arm_timeout (self);
}

VmsanVmm *
vmsan_vm_find_vmm (const VmsanVmContext *context, const char *name)
{
  for (guint i = 0; i < context->vmms->len; i++)
    {
      VmsanVmm *vmm = g_ptr_array_index (context->vmms, i);

      if (g_str_equal (vmsan_vmm_get_name (vmm), name))
        return vmm;
    }
  return NULL;
}
