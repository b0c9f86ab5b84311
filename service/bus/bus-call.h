/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One method call on its way: who calls, what for, and the one reply.
 *
 * The table of methods (bus-methods.c) says for each method how its arguments are parsed, what
 * polkit is asked, and what is done. The call is frozen before polkit is asked: what is authorized
 * is exactly what is done. */

#pragma once

#include "bus/bus-service.h"
#include "vm/vm.h"

#include <gio/gio.h>

typedef struct _VmsanBusCall VmsanBusCall;

typedef enum
{
  VMSAN_ACCESS_PUBLIC, /* anybody; polkit is not asked */
  VMSAN_ACCESS_ACTION, /* .action */
  VMSAN_ACCESS_OWNER,  /* .action for one's own machine, .other_action for others' */
  VMSAN_ACCESS_EFFECT, /* .action for a call that changes nothing, .other_action for others */
} VmsanBusAccess;

typedef struct
{
  const char *interface;
  const char *name;
  VmsanBusAccess access;
  const char *action;
  const char *other_action;
  gboolean (*parse) (VmsanBusCall *call, GVariant *parameters, GError **error); /* nullable */
  void (*perform) (VmsanBusCall *call); /* replies with return or fail, now or later */
} VmsanBusMethod;

struct _VmsanBusCall
{
  VmsanBus *bus;
  GDBusMethodInvocation *invocation;
  const VmsanBusMethod *method;
  uid_t uid;
  char *actor;        /* "uid:1000" */
  GCancellable *gone; /* cancelled when the caller leaves the bus */
  char *object_id;    /* last element of the object path, for machines, images and kernels */
  VmsanVm *vm;        /* of org.vmsan.VM; checked again after polkit's answer */
  char *project;      /* for polkit's details */
  gboolean changes;   /* of VMSAN_ACCESS_EFFECT: parse found that it changes something */
  const char *also;   /* nullable; a second action that parse wants asked for */
  gpointer request;   /* what parse made */
  GDestroyNotify request_free;
};

/* Takes the invocation through identify, parse, authorize, perform. */
void vmsan_bus_call_dispatch (VmsanBus *bus,
                              const VmsanBusMethod *method,
                              GDBusMethodInvocation *invocation);

/* Both end the call and free it. @reply may be NULL for a method without results. */
void vmsan_bus_call_return (VmsanBusCall *call, GVariant *reply);
void vmsan_bus_call_return_large (VmsanBusCall *call, GVariant *reply);
void vmsan_bus_call_return_fd (VmsanBusCall *call, GVariant *reply, int fd);
void vmsan_bus_call_fail (VmsanBusCall *call, GError *error);

/* Sends a reply of many values in a thread: GDBus takes about a microsecond to marshal each, and
 * other callers need not wait for that. Ends @invocation; @reply is floating. */
void vmsan_bus_reply_in_thread (GDBusMethodInvocation *invocation, GVariant *reply);

/* For parse: remembers what perform needs. */
void vmsan_bus_call_set_request (VmsanBusCall *call, gpointer request, GDestroyNotify free_func);

/* For parse: a duplicate of the descriptor that was sent as handle @index, or -1. */
int vmsan_bus_call_get_fd (VmsanBusCall *call, gint32 index, const char *what, GError **error);
