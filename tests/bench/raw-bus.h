/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connection to a message bus without threads, main loop or parsing: what is measured over it is
 * the bus and whoever answers, not the one who asks. Every failure ends the program. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  int fd;
  guint32 serial;
  GByteArray *message; /* the last one that was read, header and body */
} RawBus;

/* The bus at DBUS_SYSTEM_BUS_ADDRESS, after Hello. */
void raw_bus_open (RawBus *self);

/* A call as bytes, to be sent any number of times. @arguments: a tuple or NULL; a floating
 * reference is taken. */
GByteArray *raw_bus_new_call (const char *destination,
                              const char *path,
                              const char *interface,
                              const char *method,
                              GVariant *arguments);

/* Sends @call with the next serial and waits for its reply, which is then in self->message. An
 * error reply ends the program. */
void raw_bus_call (RawBus *self, GByteArray *call);

/* The next message of any kind. */
void raw_bus_read (RawBus *self);

/* Writes all of @a and then @b. */
void raw_bus_write (RawBus *self, const void *a, gsize a_size, const void *b, gsize b_size);

/* Takes the name, or ends the program. */
void raw_bus_own_name (RawBus *self, const char *name);

/* Prints the text and ends the program. */
void die (const char *format, ...) G_GNUC_PRINTF (1, 2) G_GNUC_NORETURN;
