/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Domains as policies list them: "example.com" is that name alone, "*.example.com" every name
 * below it at any depth. What is accepted has letters, digits, "-", "_" and "." only, and is safe
 * in a configuration file. */

#pragma once

#include <glib.h>

/* Lower case, without trailing dot; NULL with INVALID_ARGUMENT, which says the value and rule. */
char *vmsan_net_domain_parse (const char *text, GError **error);

/* Whether @domain, parsed, stands for @name, in any case and with or without a trailing dot. What
 * is no name in the sense of DNS (RFC 1035: labels of 1 to 63 bytes, 253 in all) never matches. */
gboolean vmsan_net_domain_matches (const char *domain, const char *name);
