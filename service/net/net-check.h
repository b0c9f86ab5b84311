/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be known before a network is made or changed. */

#pragma once

#include "net/net-policy.h"

typedef struct
{
  const VmsanNetPolicy *policy;
  const VmsanNetPolicy *old; /* in force already; NULL: nothing is */
  gboolean starts;           /* the ports are needed now */
  const char *resolver;      /* as configured */
  const char *dnsmasq;
  gboolean has_ipv6;
} VmsanNetCheck;

/* Refuses what nothing could come of: no nftables, no dnsmasq or no name server where names are
 * listed, ports that programs of the host have. EXISTS, UNAVAILABLE. Blocks. */
gboolean vmsan_net_check (const VmsanNetCheck *self, GError **error);
