/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Networks of machines: what each needs to be set up, changed and taken down as one. All that
 * blocks runs in threads; everything completes on the main context. */

#pragma once

#include "net/net-machine.h"
#include "net/net-slots.h"

#include <gio/gio.h>

#define VMSAN_TYPE_NET_MANAGER (vmsan_net_manager_get_type ())
G_DECLARE_FINAL_TYPE (VmsanNetManager, vmsan_net_manager, VMSAN, NET_MANAGER, GObject)

/* Signal "resolvers-changed": the host has other name servers, and machines that run the old ones
 * until their policy is put in force again. */

typedef struct
{
  VmsanNetPools pools;
  const char *resolver; /* "" for the host's own */
  const char *dnsmasq;  /* "" to look for it */
  guint n_prepared;     /* networks that wait for machines */
  int state_fd;         /* a directory that lasts until the host restarts; (transfer full) */
} VmsanNetConfig;

VmsanNetManager *vmsan_net_manager_new (const VmsanNetConfig *config);

const VmsanNetPools *vmsan_net_manager_get_pools (VmsanNetManager *self);

/* A slot for a new machine, VMSAN_NET_NO_SLOT when all are used. @soon: its network will be set up
 * at once, so it may have that of a network that was prepared. */
guint vmsan_net_manager_take_slot (VmsanNetManager *self, gboolean soon);

/* A certain slot: of a machine on record, before the start, or to keep it from everybody. FALSE
 * when somebody has it. */
gboolean vmsan_net_manager_claim_slot (VmsanNetManager *self, guint slot);

/* When its machine is gone, and its network with it. */
void vmsan_net_manager_release_slot (VmsanNetManager *self, guint slot);

/* Takes over the networks of machines that run already, puts their policies in force where a change
 * was cut off, makes the host's table, and deletes namespaces and links of nobody. @machines:
 * VmsanNetMachine, those that run. Completes when all is done. */
void vmsan_net_manager_start_async (VmsanNetManager *self,
                                    GPtrArray *machines,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
gboolean
vmsan_net_manager_start_finish (VmsanNetManager *self, GAsyncResult *result, GError **error);

/* Names base chains of others that drop what machines forward, as of the last change of the host's
 * rules (see net-host-table.h); NULL when there is none. Never blocks. (transfer full) (nullable)
 */
GStrv vmsan_net_manager_get_conflicts (VmsanNetManager *self);

/* Looks at the host's rules at once, where others would be heard of a moment later. */
void vmsan_net_manager_look (VmsanNetManager *self);

/* Prepares no more networks, and completes when those are gone that nobody uses, or after some
 * seconds. Machines run on. */
void vmsan_net_manager_stop_async (VmsanNetManager *self,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
void vmsan_net_manager_stop_finish (VmsanNetManager *self, GAsyncResult *result);

/* Refuses what can be known before: no nftables, no dnsmasq where names are listed, a host port
 * that another machine or a listener on the host has. EXISTS, UNAVAILABLE. */

/* As vmsan_net_check() does, before anything is made. @old: what is in force, or NULL; @starts:
 * whether the ports are needed now. */
void vmsan_net_manager_check_async (VmsanNetManager *self,
                                    const VmsanNetPolicy *policy,
                                    const VmsanNetPolicy *old,
                                    gboolean starts,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data);
gboolean
vmsan_net_manager_check_finish (VmsanNetManager *self, GAsyncResult *result, GError **error);

/* Sets up all of a machine's network, with its policy in force before anything can pass. On failure
 * nothing is left. */
void vmsan_net_manager_set_up_async (VmsanNetManager *self,
                                     const VmsanNetMachine *machine,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean
vmsan_net_manager_set_up_finish (VmsanNetManager *self, GAsyncResult *result, GError **error);

/* Opens what a monitor gets: its namespace, and tap0 in it (@tap_fd nullable). */
gboolean vmsan_net_manager_open (
    VmsanNetManager *self, const char *id, int *namespace_fd, int *tap_fd, GError **error);

/* Takes down; what is gone, half made or never was is fine. Completes when nothing is left; several
 * that are taken down at once share what that costs. */
void vmsan_net_manager_take_down_async (VmsanNetManager *self,
                                        const char *id,
                                        guint slot,
                                        GAsyncReadyCallback callback,
                                        gpointer user_data);
gboolean
vmsan_net_manager_take_down_finish (VmsanNetManager *self, GAsyncResult *result, GError **error);

/* Puts @machine's new policy in force in one transaction. On failure the old one is in force. */
void vmsan_net_manager_set_policy_async (VmsanNetManager *self,
                                         const VmsanNetMachine *machine,
                                         GAsyncReadyCallback callback,
                                         gpointer user_data);
gboolean
vmsan_net_manager_set_policy_finish (VmsanNetManager *self, GAsyncResult *result, GError **error);

/* ---- What is nobody's: all of these block, and may be called from any thread ------------------
 */

/* The same as vmsan_net_manager_get_conflicts() by a look at the rules. NULL: @error. */
GStrv vmsan_net_manager_find_conflicts (VmsanNetManager *self, GError **error);

/* All names of machines' namespaces, and slots (guint) of links, that are on the host, whether a
 * machine has them or not; see net-namespace.h, also for deleting them. */
GStrv vmsan_net_manager_list (VmsanNetManager *self, GArray **slots, GError **error);
gboolean
vmsan_net_manager_delete_namespace (VmsanNetManager *self, const char *name, GError **error);
gboolean vmsan_net_manager_delete_link (VmsanNetManager *self, guint slot, GError **error);

/* What is on the host for machines that have no network there: none of these is ever somebody's who
 * is just being set up. The table is there, without any machine; elements of the table; settings of
 * the host that were changed for machines, without any. */
typedef struct
{
  gboolean table;
  GStrv elements;
  GStrv settings;
} VmsanNetStrays;

gboolean
vmsan_net_manager_find_strays (VmsanNetManager *self, VmsanNetStrays *strays, GError **error);
gboolean vmsan_net_manager_remove_strays (VmsanNetManager *self, GError **error);

void vmsan_net_strays_clear (VmsanNetStrays *strays);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VmsanNetStrays, vmsan_net_strays_clear)
