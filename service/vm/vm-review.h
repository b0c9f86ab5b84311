/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reviews: what is about to happen to a machine is shown to somebody who may refuse it, or take
 * something away from it, before anything is done.
 *
 * Who reviews is not known here: the bus asks its plugins. An operation waits for its own review
 * only; nothing else does. */

#pragma once

#include "vm/vm-hook.h"
#include "vm/vm.h"

typedef struct
{
  VmsanVm *vm;
  VmsanHook hook;       /* what is about to happen */
  const char *actor;    /* who caused it */
  VmsanVmRecord *draft; /* the machine as it will be when nobody objects */
  char *changed_by;     /* who changed the draft last; NULL: nobody */
  char *aside;          /* of a refusal: ends what the caller gets to hear, and nobody else */
} VmsanReview;

void vmsan_review_clear (VmsanReview *self);

typedef struct
{
  /* Without anybody who wants to see it, nothing waits. */
  gboolean (*is_wanted) (gpointer data, VmsanHook hook);
  /* Completes soon after @cancellable is cancelled. @review stays until then. */
  void (*review_async) (gpointer data,
                        VmsanReview *review,
                        GCancellable *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer user_data);
  gboolean (*review_finish) (gpointer data, GAsyncResult *result, GError **error);
} VmsanReviewer;

/* What a reviewer is shown: all that the owner knows, and no secret. (transfer floating) a{sv} */
GVariant *vmsan_review_describe (const VmsanReview *self);

/* Changes options of the draft for @name, all or none of them: labels before a creation, and before
 * what puts a policy in force those of SetNetworkPolicy, if the new policy lets nothing through
 * that the old one does not. INVALID_ARGUMENT, UNKNOWN_OPTION, NOT_SUPPORTED. */
gboolean
vmsan_review_change (VmsanReview *self, const char *name, GVariant *options, GError **error);
