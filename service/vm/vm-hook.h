/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What happens to machines, told to whoever listens; the bus makes signals of it. No secret is
 * ever in an event. */

#pragma once

#include "vm/vm-state.h"

#include <sys/types.h>

typedef enum
{
  VMSAN_HOOK_NONE, /* for plans that tell nothing */
  VMSAN_HOOK_BEFORE_CREATE,
  VMSAN_HOOK_AFTER_CREATE,
  VMSAN_HOOK_BEFORE_START,
  VMSAN_HOOK_AFTER_START,
  VMSAN_HOOK_BEFORE_STOP,
  VMSAN_HOOK_AFTER_STOP,
  VMSAN_HOOK_BEFORE_REMOVE,
  VMSAN_HOOK_AFTER_REMOVE,
  VMSAN_HOOK_NETWORK_AFTER_SETUP,
  VMSAN_HOOK_NETWORK_AFTER_TEARDOWN,
  VMSAN_HOOK_NETWORK_POLICY_CHANGED,
  VMSAN_HOOK_STATE_CHANGED,
  VMSAN_HOOK_ERROR,
  VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE, /* reviewed only, never emitted */
} VmsanHook;

#define VMSAN_HOOK_LAST VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE

typedef struct
{
  VmsanHook hook;
  const char *id;
  uid_t owner;
  const char *reason;
  const char *actor;
  const char *old_policy; /* NETWORK_POLICY_CHANGED: the kinds; lists are the owner's to see */
  const char *new_policy;
  const char *old_state; /* STATE_CHANGED */
  const char *new_state;
  const char *phase; /* ERROR */
  const GError *error;
} VmsanHookEvent;
