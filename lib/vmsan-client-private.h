/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the client's own sources know of it. */

#pragma once

#include "vmsan-client.h"

/* The machine at @path as the one object that stands for it, with @properties (a{sv}) taken over.
 */
VmsanVM *vmsan_client_take_vm (VmsanClient *client, const char *path, GVariant *properties);

/* A machine's object is going. */
void vmsan_client_forget_vm (VmsanClient *client, const char *path);
