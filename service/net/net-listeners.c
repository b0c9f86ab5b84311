/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what would get a connection to an address counts, whatever it is bound to: the address,
 * all of its family or, with a socket of IPv6, all of both. */

#include "net/net-listeners.h"

#include "net/net-netlink.h"
#include "sys/error.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <string.h>

typedef struct
{
  const GPtrArray *ports;
  const GPtrArray *but;
  gboolean udp;
  const VmsanNetPort *taken; /* the first that is */
  char *by;
} Search;

static void
search_clear (Search *self)
{
  g_free (self->by);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Search, search_clear)

static gboolean
has_port (const GPtrArray *ports, const VmsanNetPort *port)
{
  for (guint i = 0; ports != NULL && i < ports->len; i++)
    if (vmsan_net_port_equal (g_ptr_array_index (ports, i), port))
      return TRUE;
  return FALSE;
}

static void
compare (Search *self, const VmsanNetPort *listener)
{
  for (guint i = 0; i < self->ports->len && self->taken == NULL; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (self->ports, i);

      if (!vmsan_net_port_collides (port, listener) || has_port (self->but, port))
        continue;
      self->taken = port;
      self->by = g_strdup (listener->host_address);
    }
}

static void
compare_address (Search *self, int family, const void *address, guint16 port)
{
  char text[INET6_ADDRSTRLEN];
  const VmsanNetPort listener = { .host_address = text, .host_port = port, .udp = self->udp };

  inet_ntop (family, address, text, sizeof text);
  compare (self, &listener);
}

static int
on_socket (struct nl_msg *message, void *data)
{
  static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };
  static const guint8 nowhere[16];
  Search *self = data;
  struct nlattr *attributes[INET_DIAG_MAX + 1];
  const struct inet_diag_msg *found = nlmsg_data (nlmsg_hdr (message));
  const guint8 *address = (const guint8 *) found->id.idiag_src;
  guint16 port;

  if (!nlmsg_valid_hdr (nlmsg_hdr (message), sizeof *found) ||
      nlmsg_parse (nlmsg_hdr (message), sizeof *found, attributes, INET_DIAG_MAX, NULL) < 0)
    return NL_SKIP;
  port = ntohs (found->id.idiag_sport);
  if (found->idiag_family == AF_INET)
    {
      compare_address (self, AF_INET, address, port);
      return NL_OK;
    }
  if (memcmp (address, mapped, sizeof mapped) == 0)
    {
      compare_address (self, AF_INET, address + sizeof mapped, port);
      return NL_OK;
    }
  compare_address (self, AF_INET6, address, port);
  if (memcmp (address, nowhere, sizeof nowhere) == 0 &&
      (attributes[INET_DIAG_SKV6ONLY] == NULL || nla_get_u8 (attributes[INET_DIAG_SKV6ONLY]) == 0))
    compare_address (self, AF_INET, nowhere, port);
  return NL_OK;
}

/* Over TCP, sockets without a peer: a connection stays with the one that has it. What the kernel
 * knows of a peer's datagrams it forgets soon, or when the port is published: so of UDP also
 * sockets with a peer, whose state is called TCP_ESTABLISHED too. */
static int
list_sockets (VmsanNetlink *netlink, Search *self, int family)
{
  const struct inet_diag_req_v2 request = {
    .sdiag_family = family,
    .sdiag_protocol = self->udp ? IPPROTO_UDP : IPPROTO_TCP,
    .idiag_states = self->udp ? 1u << TCP_CLOSE | 1u << TCP_ESTABLISHED : 1u << TCP_LISTEN,
  };
  int code;

  nl_socket_modify_cb (netlink, NL_CB_VALID, NL_CB_CUSTOM, on_socket, self);
  code =
      nl_send_simple (netlink, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, (void *) &request, sizeof request);
  return code < 0 ? code : nl_recvmsgs_default (netlink);
}

static gboolean
check_protocol (VmsanNetlink *netlink,
                const GPtrArray *ports,
                const GPtrArray *but,
                gboolean udp,
                GError **error)
{
  static const int families[] = { AF_INET, AF_INET6 };
  g_auto (Search) self = { .ports = ports, .but = but, .udp = udp };

  for (guint i = 0; i < G_N_ELEMENTS (families) && self.taken == NULL; i++)
    {
      int code = list_sockets (netlink, &self, families[i]);

      /* A kernel may be without the list of a protocol, or without IPv6. */
      if (code < 0 && code != -NLE_OBJ_NOTFOUND)
        return vmsan_netlink_set_error (error, code, "Listing the host's sockets failed");
    }
  if (self.taken != NULL)
    {
      g_autofree char *port = vmsan_net_port_to_string (self.taken);

      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS,
                   "Port “%s” cannot be published: a program of this host has %s port %u at %s; "
                   "choose another host port or address, or end that program",
                   port, udp ? "UDP" : "TCP", self.taken->host_port, self.by);
      return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_net_listeners_check (const GPtrArray *ports, const GPtrArray *but, GError **error)
{
  g_autoptr (VmsanNetlink) netlink = nl_socket_alloc ();
  int code;

  if (netlink == NULL)
    g_error ("Out of memory for a netlink socket");
  if (ports->len == 0)
    return TRUE;
  code = nl_connect (netlink, NETLINK_SOCK_DIAG);
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Asking for the host's sockets failed");
  return check_protocol (netlink, ports, but, FALSE, error) &&
         check_protocol (netlink, ports, but, TRUE, error);
}
