/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The resolver of a machine whose policy lists domains: a dnsmasq in its namespace, unprivileged
 * and confined, on the gateway addresses of tap0. It answers only what is listed, and puts the
 * addresses into the sets "allowed_names4" and "allowed_names6" of the machine's table. Machines
 * without listed domains have none: their questions are passed on by the firewall. */

#pragma once

#include "net/net-policy.h"
#include "sys/cgroup.h"
#include "sys/process.h"

typedef struct
{
  const char *id;
  int namespace_fd;
  const GArray *resolvers; /* of VmsanNetResolver */
  gboolean has_ipv6;       /* the gateway has an IPv6 address */
  const char *binary;      /* absolute path; NULL or "": found in /usr/sbin, /sbin, /usr/bin */
  uid_t uid;
  VmsanCgroup *cgroup; /* nullable */
} VmsanNetDnsSpec;

/* Where dnsmasq is, or NULL with UNAVAILABLE, which says what to install. (transfer full) */
char *vmsan_net_dns_find_binary (const char *configured, GError **error);

/* UNAVAILABLE unless a resolver could ask one of @resolvers. */
gboolean vmsan_net_dns_check_servers (const GArray *resolvers, gboolean has_ipv6, GError **error);

/* dnsmasq's configuration for a policy with listed names; pure, for tests. */
char *vmsan_net_dns_configuration (const VmsanNetDnsSpec *spec, const VmsanNetPolicy *policy);

/* Starts it; the table must be there. UNAVAILABLE when it is not installed or there is nobody to
 * ask, BUSY while another one is there. To change its names, end it, change the rules, and only
 * then start another: the old one would go on adding addresses of names that are no longer listed.
 * @message_fd: (out) where it says why it cannot run. Blocks. (transfer full) */
VmsanProcess *vmsan_net_dns_spawn (const VmsanNetDnsSpec *spec,
                                   const VmsanNetPolicy *policy,
                                   int *message_fd,
                                   GError **error);

/* Blocks until it answers; FALSE when it has ended or does not within some seconds. */
gboolean vmsan_net_dns_wait (const VmsanNetDnsSpec *spec,
                             VmsanProcess *process,
                             int message_fd,
                             GError **error);
