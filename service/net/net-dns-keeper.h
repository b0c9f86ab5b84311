/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Resolvers of machines with listed names, over their lives: started, started again when they end,
 * found again by the next run of the service, and ended. Also lets the addresses of names age.
 *
 * Calls block, may come from any thread, and are for machines of any policy: without listed names
 * there is nothing to do. What is watched is watched on the default main context. */

#pragma once

#include "net/net-machine.h"
#include "net/net-namespace.h"

#include <gio/gio.h>

#define VMSAN_TYPE_NET_DNS_KEEPER (vmsan_net_dns_keeper_get_type ())
G_DECLARE_FINAL_TYPE (VmsanNetDnsKeeper, vmsan_net_dns_keeper, VMSAN, NET_DNS_KEEPER, GObject)

/* @setup: borrowed for as long as the keeper lives. @server: who is asked, "" for the host's own.
 * @dnsmasq: "" to look for it. */
VmsanNetDnsKeeper *
vmsan_net_dns_keeper_new (const VmsanNetSetup *setup, const char *server, const char *dnsmasq);

/* Starts @machine's resolver, which must have none, and answers when it does. */
gboolean vmsan_net_dns_keeper_start (VmsanNetDnsKeeper *self,
                                     const VmsanNetMachine *machine,
                                     int namespace_fd,
                                     GError **error);

/* Takes over the resolver that an earlier run started; where it has ended, it is started again
 * soon. */
void vmsan_net_dns_keeper_adopt (VmsanNetDnsKeeper *self, const VmsanNetMachine *machine);

/* Ends the resolver of machine @id and waits until it has. */
gboolean vmsan_net_dns_keeper_stop (VmsanNetDnsKeeper *self, const char *id, GError **error);
