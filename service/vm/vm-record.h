/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is known of one machine, in memory and on disk.
 *
 * On disk it is JSON with a format version. Reading trusts nothing: every member is checked for
 * type and range, and against the rules that CreateVM applies, because a record says what root
 * will do. */

#pragma once

#include "vm/vm-rules.h"
#include "net/net-policy.h"
#include "net/net-slots.h"
#include "vm/vm-state.h"
#include "vmm/isolation.h"

#include <gio/gio.h>
#include <sys/types.h>

#define VMSAN_VM_RECORD_VERSION   3
#define VMSAN_VM_RECORD_MAX_BYTES (256 * 1024)
#define VMSAN_VM_TOKEN_SIZE       32
#define VMSAN_VM_MAX_STEPS        16
#define VMSAN_VM_NO_SLOT          VMSAN_NET_NO_SLOT

typedef struct
{
  /* Fixed when it is created. */
  char *id;
  char *name;
  uid_t owner;
  char *driver; /* never "auto" */
  guint vcpus;
  guint memory_mib;
  guint disk_mib;
  char *image_id;
  char *kernel_id;
  char *hostname;
  char *init;
  char *project;    /* "" for none */
  GVariant *labels; /* a{ss} */
  gint64 created_us;
  uid_t uid;      /* of its monitor */
  guint slot;     /* of its network; VMSAN_VM_NO_SLOT without one */
  guint weakened; /* of VmsanWeakened */

  /* Changing. */
  VmsanNetPolicy *network;
  VmsanVmState state;
  char *reason;
  guint64 timeout_ms;   /* for each run; 0: never */
  gint64 timeout_at_us; /* of this run; 0: never */

  /* Of a monitor that runs. */
  char *acceleration;
  char *boot_id; /* of the host, when it was started */
  pid_t pid;
  guint64 start_time;
  guint8 token[VMSAN_VM_TOKEN_SIZE]; /* secret: opens sessions with its agent */
  guint boot_ms;

  /* An operation that was not finished: the steps whose undo leads out of it. */
  gboolean has_operation;
  VmsanVerb operation;
  GStrv steps;
} VmsanVmRecord;

VmsanVmRecord *vmsan_vm_record_new (void);
VmsanVmRecord *vmsan_vm_record_copy (const VmsanVmRecord *self);
void vmsan_vm_record_free (VmsanVmRecord *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanVmRecord, vmsan_vm_record_free)

/* Replaces a text member: vmsan_vm_record_set_text (&record->reason, "…"). */
void vmsan_vm_record_set_text (char **member, const char *text);

/* The same for the reason, bounded so that the record can be read back: a guest may have words in
 * it. */
void vmsan_vm_record_set_reason (VmsanVmRecord *self, const char *reason);

/* Forgets the monitor: no pid, token, boot id or deadline. */
void vmsan_vm_record_clear_run (VmsanVmRecord *self);

/* DAMAGED with what is wrong when @data is not a record of the machine @id. Older versions are
 * migrated; a newer one is refused. */
VmsanVmRecord *vmsan_vm_record_parse (const char *data, gsize size, const char *id, GError **error);

/* (transfer full), NUL-terminated JSON. */
char *vmsan_vm_record_to_json (const VmsanVmRecord *self, gsize *size);
