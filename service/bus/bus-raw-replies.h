/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Replies whose body is in wire format already.
 *
 * GDBus takes about a microsecond for each value in a message. With thousands of machines that is
 * four fifths of the time of a listing, in which nothing else is answered; the parts of a listing
 * are the same each time and are kept marshalled (bus-wire.h). GDBus has no call that sends bytes,
 * but it calls filters in its own thread right before it writes a message, and then nobody else
 * writes: there the reply is written, in front of a message that means nothing. */

#pragma once

#include <gio/gio.h>

typedef struct _VmsanBusRawReplies VmsanBusRawReplies;

VmsanBusRawReplies *vmsan_bus_raw_replies_new (GDBusConnection *connection);
void vmsan_bus_raw_replies_free (VmsanBusRawReplies *self);

/* Ends @invocation. @body: (transfer full), values of the types in @signature. */
void vmsan_bus_raw_replies_send (VmsanBusRawReplies *self,
                                 GDBusMethodInvocation *invocation,
                                 const char *signature,
                                 GByteArray *body);
