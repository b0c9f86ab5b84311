/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What CreateVM was asked for, checked and complete but for what only the manager can know. */

#pragma once

#include "net/net-policy.h"
#include "vm/service-config.h"
#include "vmm/isolation.h"

#include <gio/gio.h>
#include <sys/types.h>

typedef struct
{
  uid_t owner;
  char *name;     /* NULL: the id */
  char *image;    /* as given; NULL: the only one */
  char *kernel;   /* as given; NULL: the newest */
  char *driver;   /* "auto", or a name that may not exist */
  char *hostname; /* NULL: from name or id */
  char *init;
  char *project;
  GVariant *labels;
  guint vcpus;
  guint memory_mib;
  guint disk_mib;
  guint64 timeout_ms;
  gboolean start;
  VmsanNetPolicy *network;
  VmsanWeakened weakened;
} VmsanVmRequest;

/* INVALID_ARGUMENT or UNKNOWN_OPTION, naming option, value and rule. */
VmsanVmRequest *vmsan_vm_request_parse (GVariant *options,
                                        uid_t owner,
                                        const VmsanConfig *config,
                                        const VmsanNetPools *pools,
                                        GError **error);
void vmsan_vm_request_free (VmsanVmRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanVmRequest, vmsan_vm_request_free)

/* INVALID_ARGUMENT for a time limit that is longer than anybody can mean. */
gboolean vmsan_timeout_check (guint64 timeout_ms, GError **error);
