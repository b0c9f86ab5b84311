/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: every connection that is forgotten was made to one of the host's own addresses, at a
 * port that one policy publishes and the other does not. */

#include "net/net-host-ports.h"

#include "net/net-conntrack.h"
#include "sys/error.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

typedef struct
{
  const GPtrArray *had; /* of VmsanNetPort */
  const GPtrArray *has;
  VmsanNetPrefix own[2]; /* the machine's, a second one with IPv6 */
  guint n_own;
  struct ifaddrs *host;
} Change;

static void
change_clear (Change *self)
{
  g_clear_pointer (&self->host, freeifaddrs);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Change, change_clear)

static gboolean
is_of_machine (const Change *self, const VmsanNetPrefix *address)
{
  for (guint i = 0; i < self->n_own; i++)
    if (vmsan_net_prefix_contains (&self->own[i], address))
      return TRUE;
  return FALSE;
}

static gboolean
is_of_host (const Change *self, const VmsanNetPrefix *address)
{
  if (address->family == AF_INET && address->bytes[0] == 127)
    return TRUE; /* all of 127.0.0.0/8, of which one is listed */
  for (const struct ifaddrs *at = self->host; at != NULL; at = at->ifa_next)
    {
      const struct sockaddr_in *v4 = (const struct sockaddr_in *) at->ifa_addr;
      const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) at->ifa_addr;

      if (at->ifa_addr == NULL || at->ifa_addr->sa_family != address->family)
        continue;
      if (memcmp (address->bytes,
                  address->family == AF_INET ? (const void *) &v4->sin_addr
                                             : (const void *) &v6->sin6_addr,
                  address->family == AF_INET ? 4 : 16) == 0)
        return TRUE;
    }
  return FALSE;
}

/* The one of @ports that gets @connection, or NULL. */
static const VmsanNetPort *
find_port (const Change *self, const GPtrArray *ports, const VmsanNetConnection *connection)
{
  for (guint i = 0; i < ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (ports, i);
      VmsanNetPrefix address;

      if (port->host_port != connection->port ||
          connection->protocol != (port->udp ? IPPROTO_UDP : IPPROTO_TCP) ||
          !vmsan_net_prefix_parse (port->host_address, &address, NULL) ||
          address.family != connection->destination.family)
        continue;
      if (vmsan_net_port_is_everywhere (port)
              ? is_of_host (self, &connection->destination)
              : vmsan_net_prefix_contains (&address, &connection->destination))
        return port;
    }
  return NULL;
}

static gboolean
is_stale (const VmsanNetConnection *connection, gpointer data)
{
  const Change *self = data;
  const VmsanNetPort *before = find_port (self, self->had, connection);
  const VmsanNetPort *after = find_port (self, self->has, connection);

  if (before == NULL && after == NULL)
    return FALSE;
  if (before != NULL && after != NULL && vmsan_net_port_equal (before, after))
    return FALSE;
  if (is_of_machine (self, &connection->answerer))
    return TRUE;
  /* Datagrams that the host got, or nobody, are the port's from now on. A connection over TCP is
   * not: the kernel would take its next packet for a new one (nf_conntrack_tcp_loose) and send it
   * to the guest, while a first packet is looked at anew by itself. What somebody else has
   * translated is theirs. */
  return connection->protocol == IPPROTO_UDP && is_of_host (self, &connection->destination) &&
         vmsan_net_prefix_contains (&connection->destination, &connection->answerer);
}

static gboolean
equal_ports (const GPtrArray *a, const GPtrArray *b)
{
  if (a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++)
    if (!vmsan_net_port_equal (g_ptr_array_index (a, i), g_ptr_array_index (b, i)))
      return FALSE;
  return TRUE;
}

static gboolean
add_own (Change *self, const char *address, GError **error)
{
  return *address == '\0' || vmsan_net_prefix_parse (address, &self->own[self->n_own++], error);
}

gboolean
vmsan_net_host_ports_cut (const VmsanNetHost *self,
                          const VmsanNetMember *member,
                          const VmsanNetPolicy *old,
                          GError **error)
{
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  g_auto (Change) change = {
    .had = old != NULL && !old->skip_dnat ? old->ports : none,
    .has = member->policy->skip_dnat ? none : member->policy->ports,
  };
  VmsanNetSlotAddresses addresses;

  if (equal_ports (change.had, change.has))
    return TRUE;
  vmsan_net_pools_get_addresses (self->pools, member->slot, &addresses);
  if (!add_own (&change, addresses.own4, error) || !add_own (&change, addresses.own6, error))
    return FALSE;
  if (getifaddrs (&change.host) < 0)
    return vmsan_error_set_errno (error, errno, "Listing the host's addresses failed");
  return vmsan_net_conntrack_forget (-1, is_stale, &change, error) >= 0;
}
