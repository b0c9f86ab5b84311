/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the files of vm/ share about a machine. */

#pragma once

#include "net/net-manager.h"
#include "storage/content-store.h"
#include "storage/managed-path.h"
#include "vm/agent-control.h"
#include "vm/service-config.h"
#include "vm/vm-hook.h"
#include "vm/vm-review.h"
#include "vm/vm-store.h"
#include "vm/vm.h"
#include "vmm/vmm.h"

typedef struct _VmsanOperation VmsanOperation;
typedef struct _VmsanVmTable VmsanVmTable;

/* What all machines share; owned by the manager, which outlives them. */
typedef struct
{
  const VmsanConfig *config;
  VmsanManagedRoot *state_root;
  VmsanManagedRoot *runtime_root;
  VmsanVmStore *store;
  VmsanContentStore *images;
  VmsanContentStore *kernels;
  GPtrArray *vmms; /* VmsanVmm */
  VmsanNetManager *networks;
  VmsanVmTable *table; /* of all machines */
  char *agent_path;
  char *boot_id;
  gboolean quiescing; /* the service is about to end: nothing new is made */

  void (*emit_hook) (gpointer data, const VmsanHookEvent *event);
  void (*removed) (gpointer data, VmsanVm *vm); /* its record is gone */
  gpointer data;

  const VmsanReviewer *reviewer; /* NULL: everything is agreed to */
  gpointer reviewer_data;
} VmsanVmContext;

#define VMSAN_MAX_STREAMS 64

struct _VmsanVm
{
  GObject parent;

  const VmsanVmContext *context;
  VmsanVmRecord *record; /* what is on disk */

  VmsanOperation *operation; /* under way, or NULL */
  gboolean in_review;        /* it waits for those who may refuse it; nothing is done yet */
  GQueue waiting;            /* GTask: forced removals and others that wait for its end */
  GQueue removals;           /* GTask: forced removals; the first is reviewed, for all of them */

  VmsanMonitor *monitor; /* of a machine that runs */
  GCancellable *monitor_watch;
  gboolean monitor_ended;
  char *monitor_exit; /* how it ended, in words */
  int monitor_status;
  VmsanAgentControl *control; /* NULL when the agent does not answer */
  guint64 busy_streams;       /* bit N: stream N has a session; for drivers that count them */
  guint64 opening_streams;    /* bit N: a session on stream N is being opened */
  gboolean network_up;        /* set up, or maybe */
  GSource *refresh_again;     /* after a refresh of its network that failed, while it runs */
  guint refresh_delay_s;      /* of the last; 0 after one that went well */
  GSource *timeout;
  guint stop_deadline_ms; /* of the stop under way */
  gboolean gone;          /* removed; only its last callers still hold it */
};

VmsanVm *vmsan_vm_new (const VmsanVmContext *context, VmsanVmRecord *record);

/* Replaces the record by a copy of @record, which has been saved, and tells who listens. */
void vmsan_vm_publish (VmsanVm *self, const VmsanVmRecord *record, const char *actor);

void vmsan_vm_emit_hook (VmsanVm *self, VmsanHook hook, const char *reason, const char *actor);
void vmsan_vm_emit_error (VmsanVm *self, const char *phase, const GError *error, const char *actor);

/* Whether a refusal is for the caller alone: it is about arguments, or has others' ports and names
 * in it. Others are emitted. */
gboolean vmsan_vm_is_callers_matter (const GError *error);

/* Emits @error, why @phase was refused before it began, unless it is the caller's matter. */
void
vmsan_vm_emit_refusal (VmsanVm *self, const char *phase, const GError *error, const char *actor);

/* Ends @error, which was emitted, with what only its caller gets to hear; NULL: nothing. */
void vmsan_vm_add_aside (GError *error, const char *aside);

void vmsan_vm_emit_state (VmsanVm *self,
                          const char *old_state,
                          const char *new_state,
                          const char *actor);

/* Tells that the policy in force is another than @old. */
void vmsan_vm_emit_policy (VmsanVm *self, const VmsanNetPolicy *old, const char *actor);

VmsanVmm *vmsan_vm_find_vmm (const VmsanVmContext *context, const char *name);

/* The end of the console log, as text that is safe to show on a terminal, since the guest wrote it;
 * NULL when there is none. */
char *vmsan_vm_read_console (VmsanVm *self, gsize max_bytes);

/* The policy of @record, of this machine, the addresses that the host sees, and what of others is
 * in the way. (transfer floating) a{sv} */
GVariant *vmsan_vm_get_network_details (VmsanVm *self, const VmsanVmRecord *record);

/* ---- vm-review.c --------------------------------------------------------------------------- */

/* Whether anybody wants to see one of @hooks, which NONE ends; NULL for no hooks. */
gboolean vmsan_vm_is_review_wanted (VmsanVm *self, const VmsanHook *hooks);

/* Has @review, with its draft and actor, reviewed for each of @hooks in turn. */
void vmsan_vm_review_async (VmsanVm *self,
                            VmsanReview *review,
                            const VmsanHook *hooks,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
gboolean vmsan_vm_review_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* ---- vm-monitor.c: the monitor of a running machine ---------------------------------------- */

/* Takes @monitor and follows it: its end is noticed at once. */
void vmsan_vm_take_monitor (VmsanVm *self, VmsanMonitor *monitor);
void vmsan_vm_drop_monitor (VmsanVm *self);

/* Cleans up after a monitor that ended by itself, unless something else is under way. */
void vmsan_vm_check_monitor (VmsanVm *self);

/* What its network is set up with, as on record; its runtime directory and control group must be
 * there. (transfer full) */
VmsanNetMachine *vmsan_vm_describe_network (VmsanVm *self, GError **error);

/* Puts the policy of a machine that runs in force again, with the name servers that the host has
 * now; when what is under way has ended, and again until it goes well or the machine ends. */
void vmsan_vm_refresh_network (VmsanVm *self);

/* Opens the control session: connect, handshake. */
void vmsan_vm_open_control_async (VmsanVm *self,
                                  const guint8 *token,
                                  guint deadline_ms,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean vmsan_vm_open_control_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Starts or replaces the timer of the record's timeout_at_us. */
void vmsan_vm_arm_timeout (VmsanVm *self);

/* ---- vm-ports.c: which machine has a port of the host -------------------------------------- */

/* EXISTS when a machine other than @self has one of @policy's ports, or is about to. A machine that
 * is stopped has none. The other is named to its own owner and to root. */
gboolean vmsan_vm_check_ports (VmsanVm *self, const VmsanNetPolicy *policy, GError **error);

/* ---- vm-lifecycle.c ------------------------------------------------------------------------ */

/* Makes a new machine of a record that is in no store yet, and boots it with @start. */
void vmsan_vm_create_async (VmsanVm *self,
                            gboolean start,
                            const char *actor,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
gboolean vmsan_vm_create_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Cleans up after a monitor that ended by itself. @reason says how. */
void vmsan_vm_bury_async (VmsanVm *self,
                          const char *reason,
                          const char *actor,
                          GAsyncReadyCallback callback,
                          gpointer user_data);
gboolean vmsan_vm_bury_finish (VmsanVm *self, GAsyncResult *result, GError **error);

/* Whether the record says that an operation was interrupted. */
gboolean vmsan_vm_needs_recovery (VmsanVm *self);

/* Leads a machine out of an operation that a crash of the service interrupted. */
void vmsan_vm_recover_async (VmsanVm *self, GAsyncReadyCallback callback, gpointer user_data);
gboolean vmsan_vm_recover_finish (VmsanVm *self, GAsyncResult *result, GError **error);
