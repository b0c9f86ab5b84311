/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A host on whose "eth0" one stand-in is all of the outside: whatever address of whichever family a
 * packet leaves for, it comes to the stand-in, which notes it and answers. So a test sees both what
 * a machine got and what left the host. In the namespaces of net_world_enter(). */

#pragma once

#include "net/net-firewall.h"
#include "net/net-host-table.h"
#include "net/net-namespace.h"
#include "tap-guest.h"

#define NET_OUTSIDE_HOST4 "203.0.113.2"
#define NET_OUTSIDE_HOST6 "2001:db8:1::2"

typedef struct
{
  TapGuest *internet;
  VmsanNetPools pools;
  GArray *resolvers; /* 9.8.7.6 and 2620:1::53, port 5353 */
} NetOutside;

NetOutside *net_outside_new (const char *pool6);
void net_outside_free (NetOutside *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetOutside, net_outside_free)

/* A machine with a stand-in for its guest. */
typedef struct
{
  NetOutside *outside;
  guint slot;
  char *name;
  int namespace_fd;
  TapGuest *guest;
  VmsanNetFirewall firewall;
  VmsanNetPolicy *policy;
} NetMachine;

/* @options: as text of a{sv}. Its firewall is in force before there is a guest, and it is in the
 * host's table, which must be there. */
NetMachine *net_machine_new (NetOutside *outside, guint slot, const char *options);
void net_machine_free (NetMachine *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (NetMachine, net_machine_free)

/* Changes the policy as SetNetworkPolicy does. */
void net_machine_change (NetMachine *self, const char *options);

VmsanNetPolicy *
net_outside_parse (NetOutside *self, const VmsanNetPolicy *old, const char *options);

/* When it returns, whatever the guest has sent before has passed, or never will. */
void net_machine_settle (NetMachine *self);
