/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The name servers that machines' questions go to: configured, or the host's own. */

#pragma once

#include "net/net-address.h"

typedef struct
{
  int family;
  char address[INET6_ADDRSTRLEN];
  guint16 port;
} VmsanNetResolver;

#define VMSAN_NET_RESOLV_CONF   "/etc/resolv.conf"
#define VMSAN_NET_RESOLVED_CONF "/run/systemd/resolve/resolv.conf"

/* @configured: "ADDRESS" or "ADDRESS#PORT"; "" or NULL for those of /etc/resolv.conf, or, when
 * they are on the host's loopback, where no machine gets to, of systemd-resolved's own list of
 * servers. INVALID_ARGUMENT for what cannot be one; an empty array when the host has none that
 * machines can use, with @why saying so. (transfer full) of VmsanNetResolver, at most three */
GArray *vmsan_net_resolvers_find (const char *configured, char **why, GError **error);

/* The same for given texts of both files; NULL for one that is not there. Pure, for tests. */
GArray *vmsan_net_resolvers_parse (const char *resolv_conf, const char *resolved_conf, char **why);
