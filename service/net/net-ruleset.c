/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no change of another's table is missed; when in doubt there was one. */

#include "net/net-ruleset.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#define OUR_TABLE "vmsan"

/* Each kind of message names its table in an attribute of this number: NFTA_TABLE_NAME,
 * NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and so on. */
#define TABLE_ATTRIBUTE 1

int
vmsan_net_ruleset_follow (GError **error)
{
  const struct sockaddr_nl address = {
    .nl_family = AF_NETLINK,
    .nl_groups = 1u << (NFNLGRP_NFTABLES - 1),
  };
  vmsan_autofd int fd =
      socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

  if (fd >= 0 && bind (fd, (const struct sockaddr *) &address, sizeof address) == 0)
    return g_steal_fd (&fd);
  vmsan_error_set_errno (error, errno, "Following changes of the host's rules failed");
  return -1;
}

static gboolean
is_our_table (const struct nlattr *attribute, gsize size)
{
  const char *name = (const char *) (attribute + 1);

  return size == NLA_HDRLEN + sizeof OUR_TABLE && memcmp (name, OUR_TABLE, sizeof OUR_TABLE) == 0;
}

static gboolean
is_of_others (const struct nlmsghdr *message)
{
  const struct nfgenmsg *general = NLMSG_DATA (message);
  gsize left, offset = NLMSG_ALIGN (sizeof *general);

  /* The number of the generation, which comes with every change. */
  if (NFNL_MSG_TYPE (message->nlmsg_type) == NFT_MSG_NEWGEN)
    return FALSE;
  if (message->nlmsg_len < NLMSG_LENGTH (sizeof *general) || general->nfgen_family != NFPROTO_INET)
    return TRUE;
  for (left = message->nlmsg_len - NLMSG_HDRLEN; left >= offset + sizeof (struct nlattr);)
    {
      const struct nlattr *attribute =
          (const struct nlattr *) ((const char *) NLMSG_DATA (message) + offset);

      if (attribute->nla_len < sizeof *attribute || attribute->nla_len > left - offset)
        return TRUE;
      if ((attribute->nla_type & NLA_TYPE_MASK) == TABLE_ATTRIBUTE)
        return !is_our_table (attribute, attribute->nla_len);
      offset += NLA_ALIGN (attribute->nla_len);
    }
  return TRUE;
}

static gboolean
has_change_of_others (const void *data, gsize size)
{
  const struct nlmsghdr *message = data;
  guint left = size;

  for (; NLMSG_OK (message, left); message = NLMSG_NEXT (message, left))
    if (is_of_others (message))
      return TRUE;
  return left != 0;
}

gboolean
vmsan_net_ruleset_take_changes (int fd)
{
  union
  {
    struct nlmsghdr header; /* for its alignment */
    char bytes[8192];
  } buffer;
  gboolean others = FALSE;

  for (;;)
    {
      /* What does not fit is cut off, and its true size returned. */
      gssize size = recv (fd, &buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);

      if (size < 0 && errno == ENOBUFS)
        others = TRUE; /* some were lost, and the next can be read */
      else if (size <= 0)
        return others;
      else if (!others)
        others = (gsize) size > sizeof buffer || has_change_of_others (&buffer, size);
    }
}
