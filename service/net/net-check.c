/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing is changed by looking. */

#include "net/net-check.h"

#include "net/net-dns.h"
#include "net/net-listeners.h"
#include "net/net-nft.h"
#include "net/net-resolvers.h"

static gboolean
check_names (const VmsanNetCheck *self, GError **error)
{
  g_autofree char *dnsmasq = NULL;
  g_autofree char *why = NULL;
  g_autoptr (GArray) servers = NULL;

  if (vmsan_net_policy_get_names (self->policy) != VMSAN_NET_NAMES_LISTED)
    return TRUE;
  dnsmasq = vmsan_net_dns_find_binary (self->dnsmasq, error);
  servers = dnsmasq != NULL ? vmsan_net_resolvers_find (self->resolver, &why, error) : NULL;
  return servers != NULL && vmsan_net_dns_check_servers (servers, self->has_ipv6, error);
}

/* What is published already is not looked at again: whoever came there since gets nothing by it. */
static gboolean
check_ports (const VmsanNetCheck *self, GError **error)
{
  gboolean had_some = self->old != NULL && !self->old->skip_dnat;

  return !self->starts || self->policy->skip_dnat ||
         vmsan_net_listeners_check (self->policy->ports, had_some ? self->old->ports : NULL, error);
}

gboolean
vmsan_net_check (const VmsanNetCheck *self, GError **error)
{
  return !self->policy->has_network ||
         (vmsan_net_nft_check (error) && check_names (self, error) && check_ports (self, error));
}
