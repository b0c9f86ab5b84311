/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Commands for nftables, run by libnftables in the calling process, from any thread. The namespace
 * that the process began to use it in, which it calls its own, must stay the same. */

#pragma once

#include <json-glib/json-glib.h>

/* UNAVAILABLE when this kernel has no nftables, or the service may not use it. */
gboolean vmsan_net_nft_check (GError **error);

/* Runs @commands as one transaction in the network namespace @namespace_fd, or -1 for the caller's
 * own. The error has @what and the words of nftables; UNAVAILABLE when the kernel has none,
 * NOT_FOUND when something that @commands name is not there, EXISTS when something else is in its
 * place. */
gboolean
vmsan_net_nft_run (int namespace_fd, const char *commands, const char *what, GError **error);

/* The same for a list command; its answer as JSON. (transfer full) */
JsonNode *
vmsan_net_nft_list (int namespace_fd, const char *command, const char *what, GError **error);

/* A number that is another after every change to the rules of @namespace_fd, by whomever. */
gboolean vmsan_net_nft_get_generation (int namespace_fd, guint32 *generation, GError **error);
