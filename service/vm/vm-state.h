/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The states of a machine and what may be done in each: one table, asked by everyone. */

#pragma once

#include <glib.h>

typedef enum
{
  VMSAN_VM_CREATING,
  VMSAN_VM_STOPPED,
  VMSAN_VM_STARTING,
  VMSAN_VM_RUNNING,
  VMSAN_VM_PAUSED,
  VMSAN_VM_STOPPING,
  VMSAN_VM_REMOVING,
  VMSAN_VM_ERROR, /* an undo failed; only a forced removal leads out */
} VmsanVmState;

#define VMSAN_VM_STATE_LAST VMSAN_VM_ERROR

typedef enum
{
  VMSAN_VERB_CREATE,
  VMSAN_VERB_START,
  VMSAN_VERB_STOP,
  VMSAN_VERB_REMOVE,
  VMSAN_VERB_FORCE_REMOVE,
  VMSAN_VERB_SET_TIMEOUT,
  VMSAN_VERB_SET_NETWORK_POLICY,
  VMSAN_VERB_EXEC,
  VMSAN_VERB_BURY,    /* clean up after a monitor that died by itself */
  VMSAN_VERB_RECOVER, /* lead out of an operation that a crash interrupted */
} VmsanVerb;

#define VMSAN_VERB_LAST VMSAN_VERB_RECOVER

const char *vmsan_vm_state_to_string (VmsanVmState state);
gboolean vmsan_vm_state_from_string (const char *text, VmsanVmState *state);

/* As in the D-Bus signal Error's phase: "create", "start", … */
const char *vmsan_verb_to_string (VmsanVerb verb);
gboolean vmsan_verb_from_string (const char *text, VmsanVerb *verb);

/* WRONG_STATE with what to do instead, unless @verb may be done in @state. @id is for the message.
 */
gboolean vmsan_vm_state_allows (VmsanVmState state, VmsanVerb verb, const char *id, GError **error);
