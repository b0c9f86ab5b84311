/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what passes here is numbers, no text of the host's, and the kernel has no reason to
 * refuse it. */

#include "agent/net-config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

size_t
agent_ip_size (int family)
{
  return family == AF_INET ? sizeof (struct in_addr) : sizeof (struct in6_addr);
}

const char *
agent_ip_to_text (const AgentIp *ip, char text[AGENT_IP_TEXT_MAX])
{
  if (inet_ntop (ip->family, ip->bytes, text, AGENT_IP_TEXT_MAX) == NULL)
    text[0] = '\0';
  return text;
}

static bool
parse_ip (const char *text, AgentIp *ip)
{
  *ip = (AgentIp){ .family = strchr (text, ':') != NULL ? AF_INET6 : AF_INET };
  return inet_pton (ip->family, text, ip->bytes) == 1;
}

/* Of one host, and one that may be used on a link: RFC 1122 section 3.2.1.3, RFC 4291 2.4. */
static bool
is_unicast (const AgentIp *ip)
{
  const uint8_t first = ip->bytes[0];

  if (ip->family == AF_INET)
    return first != 0 && first < 224;
  return first != 0xff && !IN6_IS_ADDR_UNSPECIFIED (&ip->v6) && !IN6_IS_ADDR_V4MAPPED (&ip->v6) &&
         !IN6_IS_ADDR_V4COMPAT (&ip->v6);
}

static bool
is_loopback (const AgentIp *ip)
{
  return ip->family == AF_INET ? ip->bytes[0] == 127 : IN6_IS_ADDR_LOOPBACK (&ip->v6);
}

static bool
is_link_local (const AgentIp *ip)
{
  return ip->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL (&ip->v6);
}

static bool
bit (const AgentIp *ip, unsigned i)
{
  return (ip->bytes[i / 8] >> (7 - i % 8) & 1) != 0;
}

static bool
same_bits (const AgentIp *a, const AgentIp *b, unsigned from, unsigned to)
{
  for (unsigned i = from; i < to; i++)
    if (bit (a, i) != bit (b, i))
      return false;
  return true;
}

/* Whether all bits behind the prefix are @value: the names of the network itself and of all its
 * hosts, which only links with two ends give to a host (RFC 3021, RFC 6164). */
static bool
host_bits_are (const AgentIp *ip, unsigned prefix, bool value)
{
  const unsigned n_bits = (unsigned) agent_ip_size (ip->family) * 8;

  if (prefix + 1 >= n_bits)
    return false;
  for (unsigned i = prefix; i < n_bits; i++)
    if (bit (ip, i) != value)
      return false;
  return true;
}

static bool
is_host_of (const AgentIp *ip, unsigned prefix)
{
  return is_unicast (ip) && !is_loopback (ip) && !host_bits_are (ip, prefix, false) &&
         (ip->family == AF_INET6 || !host_bits_are (ip, prefix, true));
}

static bool
parse_prefix (const char *text, unsigned max, unsigned *prefix)
{
  char *end;

  /* strtoul() takes signs, spaces and leading zeros. */
  if (!isdigit ((unsigned char) text[0]) || text[0] == '0' || strlen (text) > 3)
    return false;
  *prefix = (unsigned) strtoul (text, &end, 10);
  return *end == '\0' && *prefix <= max;
}

static AgentNetFamily *
family_of (AgentNetConfig *config, const AgentIp *ip)
{
  return ip->family == AF_INET ? &config->v4 : &config->v6;
}

static bool
take_address (AgentNetConfig *config, char *text, AgentError *error)
{
  char *slash = strchr (text, '/');
  AgentNetFamily *family;
  unsigned prefix;
  AgentIp ip;

  if (slash != NULL)
    *slash = '\0';
  if (slash == NULL || !parse_ip (text, &ip) ||
      !parse_prefix (slash + 1, (unsigned) agent_ip_size (ip.family) * 8, &prefix))
    return agent_error_set (error,
                            "the network address “%s%s%s” is not of the form ADDRESS/PREFIX, such "
                            "as 192.0.2.2/24",
                            text, slash != NULL ? "/" : "", slash != NULL ? slash + 1 : "");
  if (!is_host_of (&ip, prefix) || is_link_local (&ip))
    return agent_error_set (error, "the network address “%s/%u” is none that a guest can have",
                            text, prefix);
  family = family_of (config, &ip);
  if (family->address.family != AF_UNSPEC)
    return agent_error_set (error, "there is more than one %s address",
                            ip.family == AF_INET ? "IPv4" : "IPv6");
  family->address = ip;
  family->prefix = prefix;
  return true;
}

static bool
take_gateway (AgentNetConfig *config, const char *text, AgentError *error)
{
  AgentNetFamily *family;
  AgentIp ip;

  if (!parse_ip (text, &ip) || !is_unicast (&ip) || is_loopback (&ip))
    return agent_error_set (error, "the gateway “%s” is not the address of a host", text);
  family = family_of (config, &ip);
  if (family->gateway.family != AF_UNSPEC)
    return agent_error_set (error, "there is more than one %s gateway",
                            ip.family == AF_INET ? "IPv4" : "IPv6");
  family->gateway = ip;
  return true;
}

static bool
take_resolver (AgentNetConfig *config, const char *text, AgentError *error)
{
  AgentIp ip;

  /* Without its zone, which the host cannot know, a link-local address leads nowhere. */
  if (!parse_ip (text, &ip) || !is_unicast (&ip) || is_link_local (&ip))
    return agent_error_set (error, "the resolver “%s” is not the address of a host", text);
  if (config->n_resolvers == AGENT_RESOLVERS_MAX)
    return agent_error_set (error, "there are more than %d resolvers", AGENT_RESOLVERS_MAX);
  config->resolvers[config->n_resolvers++] = ip;
  return true;
}

bool
agent_net_config_has_tag (uint16_t tag)
{
  return tag == VMSAN_FIELD_ADDRESS || tag == VMSAN_FIELD_GATEWAY || tag == VMSAN_FIELD_RESOLVER;
}

bool
agent_net_config_take (AgentNetConfig *config, const VmsanField *field, AgentError *error)
{
  char text[64];

  if (!vmsan_field_get_text (field, text, sizeof text))
    return agent_error_set (error, "a network address has a NUL byte or is longer than %zu bytes",
                            sizeof text - 1);
  if (field->tag == VMSAN_FIELD_ADDRESS)
    return take_address (config, text, error);
  return field->tag == VMSAN_FIELD_GATEWAY ? take_gateway (config, text, error)
                                           : take_resolver (config, text, error);
}

static bool
check_family (const AgentNetFamily *family, AgentError *error)
{
  char address[AGENT_IP_TEXT_MAX], gateway[AGENT_IP_TEXT_MAX];
  const size_t n_bits = agent_ip_size (family->gateway.family) * 8;

  if (family->gateway.family == AF_UNSPEC)
    return true;
  agent_ip_to_text (&family->gateway, gateway);
  if (family->address.family == AF_UNSPEC)
    return agent_error_set (error, "there is the gateway %s, but no address of its family",
                            gateway);
  if (is_link_local (&family->gateway))
    return true;
  agent_ip_to_text (&family->address, address);
  if (!same_bits (&family->gateway, &family->address, 0, family->prefix) ||
      host_bits_are (&family->gateway, family->prefix, false) ||
      (family->gateway.family == AF_INET && host_bits_are (&family->gateway, family->prefix, true)))
    return agent_error_set (error, "the gateway %s is not a host of the network of %s/%u", gateway,
                            address, family->prefix);
  if (same_bits (&family->gateway, &family->address, 0, (unsigned) n_bits))
    return agent_error_set (error, "the gateway %s is the address of the guest itself", gateway);
  return true;
}

bool
agent_net_config_check (const AgentNetConfig *config, AgentError *error)
{
  if (!check_family (&config->v4, error) || !check_family (&config->v6, error))
    return false;
  if (config->n_resolvers > 0 && !agent_net_config_is_wanted (config))
    return agent_error_set (error, "there are resolvers, but no address to ask them from");
  return true;
}

bool
agent_net_config_is_wanted (const AgentNetConfig *config)
{
  return config->v4.address.family != AF_UNSPEC || config->v6.address.family != AF_UNSPEC;
}
