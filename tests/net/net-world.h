/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A host of the test's own, in namespaces: nothing of the machine's network or mounts is touched,
 * and all of it is gone with the test program.
 *
 * The host has "eth0", by which its default routes lead to the internet: another namespace, with a
 * router's addresses on its end "net0" and some far-away host's on its "lo". The internet answers
 * echo requests, and says of ports where nobody listens that they are unreachable. */

#pragma once

#include "net/net-namespace.h"
#include "net/net-netlink.h"

#include <sys/socket.h>

#define NET_WORLD_HOST4   "203.0.113.2"
#define NET_WORLD_ROUTER4 "203.0.113.1"
#define NET_WORLD_FAR4    "198.51.100.1"
#define NET_WORLD_HOST6   "2001:db8:1::2"
#define NET_WORLD_ROUTER6 "2001:db8:1::1"
#define NET_WORLD_FAR6    "2001:db8:2::1"
#define NET_WORLD_NAMES   "/run/netns"

/* Moves the whole program, which must have a single thread yet, into new network and mount
 * namespaces with an empty /run. FALSE: it has not the privileges. */
gboolean net_world_enter (void);

/* Runs the tests, and fails when a thread that goes on after them was left in another network
 * namespace than the program's: the next that used it would work there. Returns the exit status. */
int net_world_run_tests (void);

typedef struct
{
  int internet_fd;    /* its network namespace */
  VmsanNetlink *host; /* in the host's */
} NetWorld;

/* Adds the internet to the host, and takes it away. */
NetWorld *net_world_new (guint mtu);
void net_world_free (NetWorld *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetWorld, net_world_free)

/* Links, addresses, routes, neighbours, forwarding, names, mounts and descriptors as text, to be
 * compared. */
char *net_world_describe (void);

/* Fails the test with both texts unless they are equal. */
void net_world_assert_same (const char *before, const char *after);

/* Adds routes on the host to the addresses inside the namespace of @slot, which go with its link;
 * the internet has such routes. So without the firewall's NAT one machine at a time can be
 * reached. */
void net_world_route_guest (NetWorld *self, const VmsanNetPools *pools, guint slot);

/* A socket in the internet, bound to @port of both families: SOCK_DGRAM, or SOCK_STREAM that
 * listens. Does not block. */
int net_world_listen (NetWorld *self, int type, guint16 port);

/* A socket in the internet that is to be connected to @address: TRUE when it is, and, over
 * SOCK_DGRAM, when the same byte came back. */
gboolean
net_world_reach (NetWorld *self, int type, const char *address, guint16 port, guint timeout_ms);

/* Waits until @fd is readable. */
gboolean net_world_wait_readable (int fd, guint timeout_ms);

/* Reads a file below /proc/net of a namespace; -1: the host's. (transfer full) */
char *net_world_read_proc (int namespace_fd, const char *name);

/* Writes a setting; @path from the root. */
void net_world_write (const char *path, const char *value);

/* Of either family, as @text has it. Returns the size of the address. */
socklen_t net_world_fill_address (struct sockaddr_storage *address, const char *text, guint16 port);
