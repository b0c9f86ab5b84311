/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the client makes the objects that stand for what the service has. */

#pragma once

#include "vmsan-client.h"

/* @properties: a{sv}, as the service sent them */
VmsanImage *vmsan_image_new (VmsanClient *client, const char *path, GVariant *properties);
VmsanKernel *vmsan_kernel_new (VmsanClient *client, const char *path, GVariant *properties);
VmsanVM *vmsan_vm_new (VmsanClient *client, const char *path, GVariant *properties);

/* Takes over newer values; notifies about those that are different. */
void vmsan_vm_update (VmsanVM *vm, GVariant *properties);

/* The service has it no more. */
void vmsan_vm_set_removed (VmsanVM *vm);
