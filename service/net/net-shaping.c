/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: each direction gets the rate that was asked for, to the bit also beyond the 32 bits of
 * the older interface, and a new rate replaces the old one without a gap.
 *
 * A token bucket (tc-tbf(8)) works where packets leave. Towards the guest that is tap0; from the
 * guest it is up0, still in its own namespace, so nothing on the host has to know. */

#include "net/net-namespace.h"

#include "net/net-inside.h"
#include "net/net-netlink.h"
#include "sys/error.h"

#include <linux/if_ether.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#define HANDLE TC_H_MAKE (1u << 16, 0)
/* The bucket holds what arrives in 10 ms, and at least some packets, or it would never be full
 * enough for one. */
#define BURST_PER_SECOND 100
#define MIN_BURST_FRAMES 4
#define MIN_BURST        16384
/* What waits is sent within 50 ms; more waiting would only be delay. */
#define QUEUE_PER_SECOND 20
#define MAX_BYTES        (1u << 30)

typedef struct
{
  guint64 rate; /* bytes per second */
  guint burst;
  guint queue;
} Bucket;

static Bucket
get_bucket (guint mbit, guint mtu)
{
  Bucket bucket = { .rate = (guint64) mbit * 125000 };
  guint smallest = MAX (MIN_BURST, MIN_BURST_FRAMES * (mtu + ETH_HLEN));

  bucket.burst = CLAMP (bucket.rate / BURST_PER_SECOND, smallest, MAX_BYTES);
  bucket.queue = MIN (bucket.rate / QUEUE_PER_SECOND + bucket.burst, MAX_BYTES);
  return bucket;
}

static struct nl_msg *
new_request (int type, int flags, int ifindex)
{
  struct tcmsg header = {
    .tcm_family = AF_UNSPEC,
    .tcm_ifindex = ifindex,
    .tcm_parent = TC_H_ROOT,
    .tcm_handle = type == RTM_NEWQDISC ? HANDLE : 0,
  };
  struct nl_msg *message = nlmsg_alloc_simple (type, flags);

  if (message == NULL || nlmsg_append (message, &header, sizeof header, NLMSG_ALIGNTO) < 0)
    g_error ("Out of memory for a netlink message");
  return message;
}

/* Written by hand, because libnl's tbf knows rates only up to 2^31 bytes, and computes a table of
 * times that kernels no longer read. */
static gboolean
set_bucket (VmsanNetlink *inside, const VmsanNetLink *link, const Bucket *bucket, GError **error)
{
  struct nl_msg *message = new_request (RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, link->ifindex);
  struct tc_tbf_qopt options = {
    .limit = bucket->queue,
    .buffer = bucket->burst,
    .rate = { .rate = MIN (bucket->rate, G_MAXUINT32), .linklayer = TC_LINKLAYER_ETHERNET },
  };
  struct nlattr *nested;
  int code;

  nla_put_string (message, TCA_KIND, "tbf");
  nested = nla_nest_start (message, TCA_OPTIONS);
  if (nested == NULL || nla_put (message, TCA_TBF_PARMS, sizeof options, &options) < 0 ||
      nla_put_u32 (message, TCA_TBF_BURST, bucket->burst) < 0 ||
      (bucket->rate > G_MAXUINT32 && nla_put_u64 (message, TCA_TBF_RATE64, bucket->rate) < 0))
    g_error ("Out of memory for a netlink message");
  nla_nest_end (message, nested);
  code = vmsan_netlink_send (inside, message);
  if (code == -NLE_OBJ_NOTFOUND)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "The kernel cannot limit bandwidth; load the kernel module “sch_tbf”");
      return FALSE;
    }
  if (code < 0)
    return vmsan_netlink_set_error (error, code, "Limiting the bandwidth of “%s” failed",
                                    link->name);
  return TRUE;
}

static gboolean
remove_bucket (VmsanNetlink *inside, const VmsanNetLink *link, GError **error)
{
  int code = vmsan_netlink_send (inside, new_request (RTM_DELQDISC, 0, link->ifindex));

  /* The kernel's own queue, which was never put there, counts as none. */
  if (code < 0 && code != -NLE_OBJ_NOTFOUND)
    return vmsan_netlink_set_error (error, code, "Removing the bandwidth limit of “%s” failed",
                                    link->name);
  return TRUE;
}

static gboolean
shape (gpointer data, GError **error)
{
  static const char *const names[] = { VMSAN_NET_TAP_NAME, VMSAN_NET_UPLINK_NAME };
  g_autoptr (VmsanNetlink) inside = vmsan_netlink_open (error);
  guint mbit = *(guint *) data;

  if (inside == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      VmsanNetLink link;
      Bucket bucket;

      if (!vmsan_netlink_get_link (inside, names[i], 0, &link, error))
        return FALSE;
      bucket = get_bucket (mbit, link.mtu);
      if (!(mbit == 0 ? remove_bucket (inside, &link, error)
                      : set_bucket (inside, &link, &bucket, error)))
        return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_net_namespace_shape (int namespace_fd, guint mbit, GError **error)
{
  return vmsan_net_inside_run (namespace_fd, shape, &mbit, error);
}
