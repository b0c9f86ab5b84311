/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A machine's network namespace with its links, made with netlink alone.
 *
 * The namespace is bound to a name, so that it outlives the service and "ip netns" shows it.
 * Inside: lo, "up0" (one end of a veth pair, with the slot's address and the default route) and
 * "tap0" with the fixed addresses of net-address.h. The other end is on the host as "vmsan" and the
 * slot. All calls block for milliseconds: worker thread. None changes the calling thread's
 * namespace for longer than the call. */

#pragma once

#include "net/net-address.h"

typedef struct
{
  const char *directory; /* where names are bound: /run/netns */
  const VmsanNetPools *pools;
  guint mtu; /* of the uplink; 0: find out from the default route, 1500 without one */

  /* Work in the mount namespace of process 1. A service whose file system is restricted has a mount
   * namespace of its own: what it binds there is seen by nobody else and gone when it ends, and it
   * cannot write /proc/sys. */
  gboolean host_mounts;
} VmsanNetSetup;

/* IPv6 needs the first, a tap can do the second. */
#define VMSAN_NET_MIN_MTU 1280
#define VMSAN_NET_MAX_MTU 65521

/* Makes namespace @name with all links of @slot, up and addressed, forwarding on where it is needed
 * (its own uplink and tap, and the host's end), and nothing else; net-uplink.h has the rest. @name
 * begins with "vmsan-". EXISTS if it is taken, or if somebody else's link has the name of the
 * slot's; a left-over link of ours is replaced. On failure nothing is left. */
gboolean vmsan_net_namespace_create (const VmsanNetSetup *setup,
                                     const char *name,
                                     guint slot,
                                     GError **error);

/* Opens it (O_CLOEXEC), or -1; NOT_FOUND. */
int vmsan_net_namespace_open (const VmsanNetSetup *setup, const char *name, GError **error);

/* Opens tap0 for a monitor: a descriptor of /dev/net/tun attached to it, with a vnet header, not
 * blocking. BUSY while another one has it; NOT_FOUND. */
int vmsan_net_namespace_open_tap (int namespace_fd, GError **error);

/* Gives a namespace the name @to in place of @from. EXISTS if that is another's. What is done
 * already is fine, and so is a @from that somebody has unbound or bound to another one: @from is
 * nobody's then. */
gboolean vmsan_net_namespace_rename (
    const VmsanNetSetup *setup, int namespace_fd, const char *from, const char *to, GError **error);

/* Deletes the @n namespaces @names and the links of the @n @slots; either may be NULL, and so may a
 * name. In one batch, which costs little more than one. What is gone is fine. A namespace is gone
 * when its last process and descriptor are; links of @slots are when this returns. */
gboolean vmsan_net_namespace_delete (const VmsanNetSetup *setup,
                                     const char *const *names,
                                     const guint *slots,
                                     guint n,
                                     GError **error);

/* Names in the directory that begin with "vmsan-", with or without a namespace bound to them, and
 * slots (guint) whose link is on the host. */
GStrv vmsan_net_namespace_list (const VmsanNetSetup *setup, GArray **slots, GError **error);

/* Limits both directions with token buckets: on tap0 towards the guest, on up0 from it. 0: none.
 * On failure each direction has the old limit or the new one: call again. */
gboolean vmsan_net_namespace_shape (int namespace_fd, guint mbit, GError **error);

char *vmsan_net_host_link_name (guint slot); /* "vmsan17" */
