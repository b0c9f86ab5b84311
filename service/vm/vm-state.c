/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no other file compares states to decide whether a verb is allowed. */

#include "vm/vm-state.h"

#include "sys/error.h"

#define CAN(verb) (1u << VMSAN_VERB_##verb)

typedef struct
{
  const char *name;
  guint verbs;
  const char *advice; /* what a caller can do when its verb is not among them */
} StateRow;

static const StateRow states[] = {
  [VMSAN_VM_CREATING] = { "creating", CAN (CREATE) | CAN (FORCE_REMOVE) | CAN (RECOVER),
                          "wait until it is made" },
  [VMSAN_VM_STOPPED] = { "stopped",
                         CAN (SET_NETWORK_POLICY) | CAN (START) | CAN (REMOVE) | CAN (FORCE_REMOVE),
                         "start it first" },
  [VMSAN_VM_STARTING] = { "starting", CAN (FORCE_REMOVE) | CAN (RECOVER), "wait until it runs" },
  [VMSAN_VM_RUNNING] = { "running",
                         CAN (SET_NETWORK_POLICY) | CAN (STOP) | CAN (FORCE_REMOVE) |
                             CAN (SET_TIMEOUT) | CAN (EXEC) | CAN (BURY),
                         "stop it first" },
  [VMSAN_VM_PAUSED] = { "paused",
                        CAN (SET_NETWORK_POLICY) | CAN (STOP) | CAN (FORCE_REMOVE) |
                            CAN (SET_TIMEOUT) | CAN (BURY),
                        "resume or stop it first" },
  [VMSAN_VM_STOPPING] = { "stopping", CAN (FORCE_REMOVE) | CAN (RECOVER),
                          "wait until it has stopped" },
  [VMSAN_VM_REMOVING] = { "removing", CAN (FORCE_REMOVE) | CAN (RECOVER), "it will be gone soon" },
  [VMSAN_VM_ERROR] = { "error", CAN (FORCE_REMOVE) | CAN (RECOVER), "remove it with “force”" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (states) == VMSAN_VM_STATE_LAST + 1);

static const char *const verbs[] = {
  [VMSAN_VERB_CREATE] = "create",
  [VMSAN_VERB_START] = "start",
  [VMSAN_VERB_STOP] = "stop",
  [VMSAN_VERB_REMOVE] = "remove",
  [VMSAN_VERB_FORCE_REMOVE] = "force-remove",
  [VMSAN_VERB_SET_TIMEOUT] = "set-timeout",
  [VMSAN_VERB_SET_NETWORK_POLICY] = "set-network-policy",
  [VMSAN_VERB_EXEC] = "exec",
  [VMSAN_VERB_BURY] = "bury",
  [VMSAN_VERB_RECOVER] = "recover",
};

G_STATIC_ASSERT (G_N_ELEMENTS (verbs) == VMSAN_VERB_LAST + 1);

const char *
vmsan_vm_state_to_string (VmsanVmState state)
{
  return states[state].name;
}

gboolean
vmsan_vm_state_from_string (const char *text, VmsanVmState *state)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    if (g_strcmp0 (states[i].name, text) == 0)
      {
        *state = i;
        return TRUE;
      }
  return FALSE;
}

const char *
vmsan_verb_to_string (VmsanVerb verb)
{
  return verbs[verb];
}

gboolean
vmsan_verb_from_string (const char *text, VmsanVerb *verb)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
    if (g_strcmp0 (verbs[i], text) == 0)
      {
        *verb = i;
        return TRUE;
      }
  return FALSE;
}

gboolean
vmsan_vm_state_allows (VmsanVmState state, VmsanVerb verb, const char *id, GError **error)
{
  if (states[state].verbs & (1u << verb))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_WRONG_STATE,
               "Machine %s is %s, so “%s” is not possible: %s", id, states[state].name, verbs[verb],
               states[state].advice);
  return FALSE;
}
