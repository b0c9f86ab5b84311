/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What --json prints: one object or array, indented, with lower-case-dash names as in options. */

#pragma once

#include <json-glib/json-glib.h>
#include <vmsan.h>

/* Begins an object and fills it with what any user may know of the machine; the caller ends it. */
void output_begin_vm (JsonBuilder *builder, VmsanVM *vm);

void output_add_image (JsonBuilder *builder, VmsanImage *image);
void output_add_kernel (JsonBuilder *builder, VmsanKernel *kernel);

/* Adds "name": value, whatever D-Bus type it has. */
void output_add_variant (JsonBuilder *builder, const char *name, GVariant *value);
void output_add_string (JsonBuilder *builder, const char *name, const char *value);
void output_add_int (JsonBuilder *builder, const char *name, gint64 value);

/* To standard output; @pretty: over several lines. */
void output_print (JsonBuilder *builder, gboolean pretty);
