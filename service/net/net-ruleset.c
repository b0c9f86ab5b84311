/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no change of another's table is missed; when in doubt there was one. */

#include "net/net-ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define OUR_TABLE "vmsan"

/* Each kind of message names its table in an attribute of this number: NFTA_TABLE_NAME,
 * NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and so on. */
#define TABLE_ATTRIBUTE 1

static gboolean
is_our_table (const struct nlattr *attribute, gsize size)
{
  const char *name = (const char *) (attribute + 1);

  return size == NLA_HDRLEN + sizeof OUR_TABLE && memcmp (name, OUR_TABLE, sizeof OUR_TABLE) == 0;
}

gboolean
vmsan_net_ruleset_is_of_others (const struct nlmsghdr *message)
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
