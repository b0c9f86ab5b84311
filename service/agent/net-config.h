/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The network that the host wants the guest to have: the ADDRESS, GATEWAY and RESOLVER fields of
 * CONFIGURE, parsed and checked.
 *
 * There is at most one address and one default route of each family, and nothing at all without an
 * address. The order of the fields does not matter. */

#pragma once

#include "agent/error.h"
#include "agent/protocol.h"

#include <netinet/in.h>

#define AGENT_RESOLVERS_MAX 3 /* resolv.conf(5), MAXNS */

typedef struct
{
  int family; /* AF_INET or AF_INET6; AF_UNSPEC: none */
  union
  {
    struct in_addr v4;
    struct in6_addr v6;
    uint8_t bytes[16]; /* in network order */
  };
} AgentIp;

typedef struct
{
  AgentIp address; /* AF_UNSPEC: the family is not used */
  unsigned prefix; /* bits */
  AgentIp gateway; /* AF_UNSPEC: no default route */
} AgentNetFamily;

typedef struct
{
  AgentNetFamily v4;
  AgentNetFamily v6;
  AgentIp resolvers[AGENT_RESOLVERS_MAX];
  unsigned n_resolvers;
} AgentNetConfig;

#define AGENT_IP_TEXT_MAX INET6_ADDRSTRLEN

/* How many bytes an address of @family has. */
size_t agent_ip_size (int family);
const char *agent_ip_to_text (const AgentIp *ip, char text[AGENT_IP_TEXT_MAX]);

/* False for a field of another tag than the three. */
bool agent_net_config_has_tag (uint16_t tag);
/* Takes one of the three fields. */
bool agent_net_config_take (AgentNetConfig *config, const VmsanField *field, AgentError *error);
/* After all fields: whether they fit together. */
bool agent_net_config_check (const AgentNetConfig *config, AgentError *error);

/* Whether there is anything to set up. */
bool agent_net_config_is_wanted (const AgentNetConfig *config);
