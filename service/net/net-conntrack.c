/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a connection is forgotten by its tuple and identity, never another in its place. */

#include "net/net-conntrack.h"

#include "net/net-closer.h"
#include "net/net-inside.h"
#include "sys/error.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>

#define MESSAGE(type) ((NFNL_SUBSYS_CTNETLINK << 8) | (type))

typedef struct nl_msg Message;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Message, nlmsg_free)

typedef struct
{
  struct nl_sock *socket;
  VmsanNetConnectionFunc forget;
  gpointer data;
  GPtrArray *requests; /* of Message */
} Sweep;

static gboolean
fail (GError **error, int code, const char *what)
{
  g_set_error (error, VMSAN_ERROR,
               code == -NLE_OPNOTSUPP || code == -NLE_PROTO_MISMATCH ? VMSAN_ERROR_UNAVAILABLE
                                                                     : VMSAN_ERROR_FAILED,
               "%s failed: %s", what, nl_geterror (code));
  return FALSE;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static gboolean
read_address (struct nlattr *attribute, int family, VmsanNetPrefix *address)
{
  int size = family == AF_INET ? 4 : 16;

  if (attribute == NULL || nla_len (attribute) != size)
    return FALSE;
  *address = (VmsanNetPrefix){ .family = family, .prefix_length = size * 8 };
  memcpy (address->bytes, nla_data (attribute), size);
  return TRUE;
}

static gboolean
read_answerer (struct nlattr *tuple, int family, VmsanNetConnection *connection)
{
  struct nlattr *parts[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1];

  return nla_parse_nested (parts, CTA_TUPLE_MAX, tuple, NULL) >= 0 && parts[CTA_TUPLE_IP] != NULL &&
         nla_parse_nested (ip, CTA_IP_MAX, parts[CTA_TUPLE_IP], NULL) >= 0 &&
         read_address (ip[family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family,
                       &connection->answerer);
}

static gboolean
read_tuple (struct nlattr *tuple, int family, VmsanNetConnection *connection)
{
  gboolean v4 = family == AF_INET;
  struct nlattr *parts[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];

  if (nla_parse_nested (parts, CTA_TUPLE_MAX, tuple, NULL) < 0 || parts[CTA_TUPLE_IP] == NULL ||
      parts[CTA_TUPLE_PROTO] == NULL ||
      nla_parse_nested (ip, CTA_IP_MAX, parts[CTA_TUPLE_IP], NULL) < 0 ||
      nla_parse_nested (proto, CTA_PROTO_MAX, parts[CTA_TUPLE_PROTO], NULL) < 0 ||
      proto[CTA_PROTO_NUM] == NULL)
    return FALSE;
  connection->protocol = nla_get_u8 (proto[CTA_PROTO_NUM]);
  connection->port =
      proto[CTA_PROTO_DST_PORT] != NULL ? ntohs (nla_get_u16 (proto[CTA_PROTO_DST_PORT])) : 0;
  return read_address (ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family, &connection->source) &&
         read_address (ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], family, &connection->destination);
}

static Message *
new_message (int type, int flags, int family)
{
  g_autoptr (Message) message = nlmsg_alloc_simple (MESSAGE (type), flags);
  const struct nfgenmsg header = { .nfgen_family = family, .version = NFNETLINK_V0 };

  if (message == NULL || nlmsg_append (message, (void *) &header, sizeof header, NLMSG_ALIGNTO) < 0)
    g_error ("Out of memory");
  return g_steal_pointer (&message);
}

/* The request to delete what @attributes tell of. */
static Message *
make_request (int family, struct nlattr *const *attributes)
{
  g_autoptr (Message) message = new_message (IPCTNL_MSG_CT_DELETE, 0, family);
  struct nlattr *tuple = attributes[CTA_TUPLE_ORIG];

  if (nla_put (message, CTA_TUPLE_ORIG | NLA_F_NESTED, nla_len (tuple), nla_data (tuple)) < 0 ||
      nla_put (message, CTA_ID, nla_len (attributes[CTA_ID]), nla_data (attributes[CTA_ID])) < 0)
    g_error ("Out of memory");
  return g_steal_pointer (&message);
}

static int
read_message (struct nl_msg *message, void *data)
{
  Sweep *self = data;
  struct nlmsghdr *header = nlmsg_hdr (message);
  struct nlattr *attributes[CTA_MAX + 1];
  VmsanNetConnection connection;
  int family;

  if (!nlmsg_valid_hdr (header, sizeof (struct nfgenmsg)) ||
      nlmsg_parse (header, sizeof (struct nfgenmsg), attributes, CTA_MAX, NULL) < 0)
    return NL_SKIP;
  family = ((struct nfgenmsg *) nlmsg_data (header))->nfgen_family;
  if ((family == AF_INET || family == AF_INET6) && attributes[CTA_TUPLE_ORIG] != NULL &&
      attributes[CTA_TUPLE_REPLY] != NULL && attributes[CTA_ID] != NULL &&
      read_tuple (attributes[CTA_TUPLE_ORIG], family, &connection) &&
      read_answerer (attributes[CTA_TUPLE_REPLY], family, &connection) &&
      self->forget (&connection, self->data))
    g_ptr_array_add (self->requests, make_request (family, attributes));
  return NL_OK;
}

/* Of the connections with @address as source of @tuple, CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. The
 * flag says that of a tuple the source counts; the kernel has no name for it in its headers. */
static void
add_filter (Message *message, const VmsanNetPrefix *address, int tuple)
{
  const guint32 source_counts = 1;
  gboolean v4 = address->family == AF_INET;
  struct nlattr *outer = nla_nest_start (message, tuple | NLA_F_NESTED);
  struct nlattr *inner = nla_nest_start (message, CTA_TUPLE_IP | NLA_F_NESTED);

  nla_put (message, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4 ? 4 : 16, address->bytes);
  nla_nest_end (message, inner);
  nla_nest_end (message, outer);
  outer = nla_nest_start (message, CTA_FILTER | NLA_F_NESTED);
  nla_put_u32 (message, CTA_FILTER_ORIG_FLAGS, tuple == CTA_TUPLE_ORIG ? source_counts : 0);
  nla_put_u32 (message, CTA_FILTER_REPLY_FLAGS, tuple == CTA_TUPLE_REPLY ? source_counts : 0);
  nla_nest_end (message, outer);
}

/* @tuple: 0 for all */
static gboolean
read_all (Sweep *self, const VmsanNetPrefix *address, int tuple, GError **error)
{
  g_autoptr (Message) message =
      new_message (IPCTNL_MSG_CT_GET, NLM_F_DUMP, tuple != 0 ? address->family : AF_UNSPEC);
  int code;

  if (tuple != 0)
    add_filter (message, address, tuple);
  code = nl_send_auto (self->socket, message);
  if (code >= 0)
    code = nl_recvmsgs_default (self->socket);
  return code >= 0 || fail (error, code, "Listing tracked connections");
}

/* ---- Forgetting ---------------------------------------------------------------------------- */

static gboolean
delete_all (Sweep *self, GError **error)
{
  for (guint i = 0; i < self->requests->len; i++)
    {
      int code = nl_send_auto (self->socket, g_ptr_array_index (self->requests, i));

      if (code >= 0)
        code = nl_wait_for_ack (self->socket);
      if (code < 0 && code != -NLE_OBJ_NOTFOUND)
        return fail (error, code, "Forgetting a tracked connection");
    }
  return TRUE;
}

static gboolean
open_socket (Sweep *self, GError **error)
{
  int code;

  self->socket = nl_socket_alloc ();
  code = nl_connect (self->socket, NETLINK_NETFILTER);
  nl_socket_modify_cb (self->socket, NL_CB_VALID, NL_CB_CUSTOM, read_message, self);
  return code >= 0 || fail (error, code, "Opening netlink for tracked connections");
}

static void
sweep_clear (Sweep *self)
{
  if (self->socket != NULL)
    vmsan_net_close_later (g_steal_pointer (&self->socket), (GDestroyNotify) nl_socket_free);
  g_clear_pointer (&self->requests, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Sweep, sweep_clear)

static int
read_count (struct nl_msg *message, void *data)
{
  struct nlattr *attributes[CTA_STATS_GLOBAL_MAX + 1];
  guint32 *n = data;

  if (nlmsg_parse (nlmsg_hdr (message), sizeof (struct nfgenmsg), attributes, CTA_STATS_GLOBAL_MAX,
                   NULL) >= 0 &&
      attributes[CTA_STATS_GLOBAL_ENTRIES] != NULL)
    *n = ntohl (nla_get_u32 (attributes[CTA_STATS_GLOBAL_ENTRIES]));
  return NL_OK;
}

/* How many there are in this namespace. A dump goes through the table of all namespaces, which
 * takes milliseconds; this takes none. */
static gboolean
count (Sweep *self, guint32 *n, GError **error)
{
  g_autoptr (Message) message = new_message (IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
  int code;

  *n = G_MAXUINT32;
  nl_socket_modify_cb (self->socket, NL_CB_VALID, NL_CB_CUSTOM, read_count, n);
  code = nl_send_sync (self->socket, g_steal_pointer (&message));
  nl_socket_modify_cb (self->socket, NL_CB_VALID, NL_CB_CUSTOM, read_message, self);
  return code >= 0 || fail (error, code, "Counting tracked connections");
}

static gboolean
sweep_all (gpointer data, GError **error)
{
  Sweep *self = data;
  guint32 n;

  if (!open_socket (self, error) || !count (self, &n, error))
    return FALSE;
  return n == 0 || (read_all (self, NULL, 0, error) && delete_all (self, error));
}

int
vmsan_net_conntrack_forget (int namespace_fd,
                            VmsanNetConnectionFunc forget,
                            gpointer data,
                            GError **error)
{
  g_auto (Sweep) self = {
    .forget = forget,
    .data = data,
    .requests = g_ptr_array_new_with_free_func ((GDestroyNotify) nlmsg_free),
  };

  if (namespace_fd < 0 ? !sweep_all (&self, error)
                       : !vmsan_net_inside_run (namespace_fd, sweep_all, &self, error))
    return -1;
  return (int) self.requests->len;
}

/* Where there are many connections, the kernel is asked to look, once for each address and
 * direction; it goes through its whole table each time. One before 5.8 does not know how to, and
 * tells of all: so what it tells is looked at in any case. */
#define MANY_CONNECTIONS 4096

static gboolean
has_address (const VmsanNetConnection *connection, gpointer data)
{
  const GArray *addresses = data;

  for (guint i = 0; i < addresses->len; i++)
    {
      const VmsanNetPrefix *address = &g_array_index (addresses, VmsanNetPrefix, i);

      if (vmsan_net_prefix_contains (address, &connection->source) ||
          vmsan_net_prefix_contains (address, &connection->answerer))
        return TRUE;
    }
  return FALSE;
}

static gboolean
read_addresses (Sweep *self, GArray *addresses, GError **error)
{
  guint32 n;

  if (!count (self, &n, error))
    return FALSE;
  if (n <= MANY_CONNECTIONS)
    return n == 0 || read_all (self, NULL, 0, error);
  for (guint i = 0; i < addresses->len; i++)
    {
      const VmsanNetPrefix *address = &g_array_index (addresses, VmsanNetPrefix, i);

      if (!read_all (self, address, CTA_TUPLE_ORIG, error) ||
          !read_all (self, address, CTA_TUPLE_REPLY, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_net_conntrack_forget_addresses (const char *const *addresses, GError **error)
{
  g_autoptr (GArray) parsed = g_array_new (FALSE, FALSE, sizeof (VmsanNetPrefix));
  g_auto (Sweep) self = {
    .forget = has_address,
    .data = parsed,
    .requests = g_ptr_array_new_with_free_func ((GDestroyNotify) nlmsg_free),
  };

  for (; *addresses != NULL; addresses++)
    {
      VmsanNetPrefix address;

      if (**addresses == '\0')
        continue;
      if (!vmsan_net_prefix_parse (*addresses, &address, error))
        return FALSE;
      g_array_append_val (parsed, address);
    }
  return open_socket (&self, error) && read_addresses (&self, parsed, error) &&
         delete_all (&self, error);
}
