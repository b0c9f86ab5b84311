/* SPDX-License-Identifier: GPL-2.0-or-later */

/* An operation on a machine: named steps, each with do and undo.
 *
 * Before the first step, the names of all of them are on disk, and every undo is fine with a step
 * that was never done or only half. So one rule leads out of a failure, a cancellation and a crash:
 * undo all recorded steps, last first. Operations that take away (stop, remove) are the undo of
 * those that made, from the start. */

#pragma once

#include "vm/vm-hook.h"
#include "vm/vm-private.h"

/* Both complete @task (its source object is the machine) with a boolean, now or later. Values for
 * the record go into vmsan_operation_get_draft(). */
typedef struct
{
  const char *name;
  void (*apply) (VmsanVm *vm, GTask *task);
  void (*revert) (VmsanVm *vm, GTask *task);
} VmsanStep;

typedef enum
{
  VMSAN_PLAN_APPLY,  /* do the steps; when one fails, undo */
  VMSAN_PLAN_REVERT, /* undo the steps */
} VmsanPlanDirection;

typedef struct
{
  VmsanVerb verb;
  const char *phase; /* for the Error signal */
  VmsanPlanDirection direction;
  VmsanVmState during;
  VmsanVmState after;
  const VmsanHook *reviewed; /* before anything is done, ended by NONE; NULL: nothing */
  VmsanHook before_hook;
  VmsanHook after_hook;
  const VmsanStep *const *steps; /* NULL-terminated, in the order of doing */
  guint start_index;             /* steps from here on boot: BeforeStart and AfterStart around */
  gboolean record_ends; /* APPLY: the record goes when it fails; REVERT: when it succeeds */
  /* First of all. REVERT: its failure is ignored. A change: without its success nothing is saved.
   */
  void (*prelude) (VmsanVm *vm, GTask *task);
  /* A change: what prelude did stands, but could not be saved. The machine stays busy until @task
   * completes; its failure is logged. */
  void (*retract) (VmsanVm *vm, GTask *task);
} VmsanPlan;

#define VMSAN_PLAN_NO_START G_MAXUINT

/* Runs a plan, or refuses it with WRONG_STATE or BUSY. @reason is for hooks and the record. When
 * the caller's @cancellable is cancelled, what was made is undone before this completes; what is
 * being taken away goes on. */
void vmsan_operation_run_async (VmsanVm *vm,
                                const VmsanPlan *plan,
                                const char *reason,
                                const char *actor,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean vmsan_operation_run_finish (VmsanVm *vm, GAsyncResult *result, GError **error);

/* For steps: the record as it will be saved when the operation is done. */
VmsanVmRecord *vmsan_operation_get_draft (VmsanVm *vm);

/* For steps that fail: @aside (transfer full) ends the error that the caller gets. It is in no
 * signal and no property, which any local user may read. */
void vmsan_operation_tell_caller (VmsanVm *vm, char *aside);

/* Saves @changed (transfer full), as a review left it, and shows it when that worked; without
 * steps, as @plan has none. */
void vmsan_operation_change_async (VmsanVm *vm,
                                   const VmsanPlan *plan,
                                   VmsanVmRecord *changed,
                                   const char *actor,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);

/* Hurries the operation under way, if there is one: what it made is undone, and what it takes away
 * goes without waiting for the guest. */
void vmsan_operation_cancel (VmsanVm *vm);

/* Whether it is about to run, or its start is being undone. */
gboolean vmsan_operation_starts (VmsanVm *vm);

/* For steps: who caused the operation. */
const char *vmsan_operation_get_actor (VmsanVm *vm);

/* Cancels the operation under way if it makes something or has not begun to do anything, and leaves
 * others alone. @cause, if any (transfer full), is what its caller gets to hear. */
void vmsan_operation_abort (VmsanVm *vm, GError *cause);

/* Called before and after every step. Tests set it, to fail or end the process at a chosen step;
 * the service never does. */
typedef enum
{
  VMSAN_STEP_BEFORE_APPLY,
  VMSAN_STEP_AFTER_APPLY,
  VMSAN_STEP_BEFORE_REVERT,
  VMSAN_STEP_AFTER_REVERT,
} VmsanStepMoment;

typedef gboolean (*VmsanStepObserver) (VmsanVerb verb,
                                       const char *step,
                                       VmsanStepMoment moment,
                                       GError **error);

void vmsan_operation_set_observer (VmsanStepObserver observer);
