/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Values in D-Bus's wire format (specification, "Marshaling"), appended to bytes that begin at a
 * multiple of 8: for replies that are put together from parts which were marshalled before. */

#pragma once

#include <gio/gio.h>

void vmsan_wire_append_u32 (GByteArray *wire, guint32 value);
void vmsan_wire_append_string (GByteArray *wire, const char *text); /* or object path */
void vmsan_wire_append_signature (GByteArray *wire, const char *signature);

/* Before a structure or dictionary entry. */
void vmsan_wire_align (GByteArray *wire);

/* An array of dictionary entries: begin returns what end wants; the entries come between. */
guint vmsan_wire_begin_array (GByteArray *wire);
void vmsan_wire_end_array (GByteArray *wire, guint begin);

/* Marshals a{sv} once, and appends it any number of times. A floating reference is taken. */
GBytes *vmsan_wire_new_dictionary (GVariant *dictionary);
void vmsan_wire_append_dictionary (GByteArray *wire, GBytes *dictionary);
