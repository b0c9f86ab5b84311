/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is in the host's table and is no machine's. All calls block: worker thread. */

#pragma once

#include "net/net-host-table.h"

typedef struct
{
  gboolean has_table;
  GStrv elements;  /* "members4 198.18.0.6 . vmsan1" */
  GStrv addresses; /* those of the pools that are in them */
} VmsanNetHostStrays;

/* Finds the elements of the table's sets and maps that have no address of one of @members. */
gboolean vmsan_net_host_strays_find (const VmsanNetHost *self,
                                     const VmsanNetMember *members,
                                     guint n_members,
                                     VmsanNetHostStrays *strays,
                                     GError **error);

void vmsan_net_host_strays_clear (VmsanNetHostStrays *strays);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VmsanNetHostStrays, vmsan_net_host_strays_clear)
