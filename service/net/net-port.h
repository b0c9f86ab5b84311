/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A port of a machine that the host has under one of its own addresses. */

#pragma once

#include "net/net-address.h"

typedef struct
{
  char *host_address; /* as text; "127.0.0.1" unless said otherwise */
  guint16 host_port;
  guint16 guest_port;
  gboolean udp;
} VmsanNetPort;

/* Below this, only root can listen at a host's ports, and publish them. */
#define VMSAN_NET_FIRST_HOST_PORT 1024

/* Parses "[ADDRESS:]PORT:GUEST-PORT[/tcp|udp]", with an IPv6 address in brackets. @pools: whose
 * addresses cannot be the host's; NULL to leave that out. INVALID_ARGUMENT. */
VmsanNetPort *vmsan_net_port_parse (const char *text, const VmsanNetPools *pools, GError **error);
char *vmsan_net_port_to_string (const VmsanNetPort *self);
gboolean vmsan_net_port_equal (const VmsanNetPort *a, const VmsanNetPort *b);

/* Whether it is at all addresses of its family. */
gboolean vmsan_net_port_is_everywhere (const VmsanNetPort *self);

/* Whether one listener's address, port and protocol would take what is for the other. */
gboolean vmsan_net_port_collides (const VmsanNetPort *a, const VmsanNetPort *b);

void vmsan_net_port_free (VmsanNetPort *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanNetPort, vmsan_net_port_free)
