/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls to the service. They may start it, boot a machine or wait for somebody who types a
 * password, so none has a time limit; the caller has a cancellable. */

#pragma once

#include "vmsan-client.h"

#include <gio/gunixfdlist.h>

#define VMSAN_BUS_NAME          "org.vmsan"
#define VMSAN_OBJECT_ROOT       "/org/vmsan"
#define VMSAN_OBJECT_MANAGER    "/org/vmsan/Manager"
#define VMSAN_INTERFACE_MANAGER "org.vmsan.Manager"
#define VMSAN_INTERFACE_VM      "org.vmsan.VM"
#define VMSAN_INTERFACE_IMAGE   "org.vmsan.Image"
#define VMSAN_INTERFACE_KERNEL  "org.vmsan.Kernel"

typedef struct
{
  const char *path;
  const char *interface;
  const char *method;
  GVariant *parameters; /* a floating tuple, or NULL */
  const GVariantType *reply_type;
  GUnixFDList *fds; /* or NULL */
} VmsanCall;

/* Gets the task and has to return it, or to make the next call with it. */
typedef void (*VmsanReplyFunc) (GTask *task, GVariant *reply, GUnixFDList *fds);

/* Takes @task. An error is cleaned and returned by the task; a reply goes to @done. */
void
vmsan_call_begin (VmsanClient *client, const VmsanCall *call, GTask *task, VmsanReplyFunc done);

/* Returns the task with TRUE, for methods without a result. */
void vmsan_call_return_true (GTask *task, GVariant *reply, GUnixFDList *fds);

/* Calls org.freedesktop.DBus.Properties.GetAll; the reply is (a{sv}). */
void vmsan_call_get_all (
    VmsanClient *client, const char *path, const char *interface, GTask *task, VmsanReplyFunc done);

/* @options, or an empty a{sv} for NULL; floating references are taken. */
GVariant *vmsan_call_options (GVariant *options);

/* An asynchronous function used as a blocking one: begin, call it with vmsan_call_sync_done and
 * the sync as user data, then end; the result is the sync's until clear. The function runs in a
 * main context of its own, so that nothing else of the program runs meanwhile. */
typedef struct
{
  GMainContext *context;
  GAsyncResult *result;
} VmsanSync;

void vmsan_sync_begin (VmsanSync *sync);
void vmsan_sync_done (GObject *object, GAsyncResult *result, gpointer sync);
GAsyncResult *vmsan_sync_end (VmsanSync *sync);
void vmsan_sync_clear (VmsanSync *sync);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VmsanSync, vmsan_sync_clear)
