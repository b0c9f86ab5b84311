/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is handed over is as it was made, or it is not handed over. */

#include "net/net-prepared.h"

#include "net/net-firewall.h"
#include "net/net-inside.h"
#include "net/net-links.h"
#include "net/net-nft.h"
#include "net/net-uplink.h"
#include "sys/error.h"
#include "sys/fd.h"

struct _VmsanNetPrepared
{
  const VmsanNetSetup *setup;
  guint slot;
  char *name;

  /* How it was made. */
  int namespace_fd;
  VmsanNetlink *inside;
  guint32 generation; /* of its rules */
  guint mtu;
};

void
vmsan_net_prepared_free (VmsanNetPrepared *self)
{
  vmsan_fd_close (&self->namespace_fd);
  g_clear_pointer (&self->inside, vmsan_netlink_free);
  g_free (self->name);
  g_free (self);
}

guint
vmsan_net_prepared_get_slot (const VmsanNetPrepared *self)
{
  return self->slot;
}

const char *
vmsan_net_prepared_get_name (const VmsanNetPrepared *self)
{
  return self->name;
}

/* ---- Making -------------------------------------------------------------------------------- */

static gboolean
open_inside (gpointer data, GError **error)
{
  VmsanNetPrepared *self = data;

  self->inside = vmsan_netlink_open (error);
  return self->inside != NULL;
}

static gboolean
note_how_it_is (VmsanNetPrepared *self, GError **error)
{
  VmsanNetLink up;

  if (!vmsan_net_inside_run (self->namespace_fd, open_inside, self, error) ||
      !vmsan_netlink_get_link (self->inside, VMSAN_NET_UPLINK_NAME, 0, &up, error) ||
      !vmsan_net_nft_get_generation (self->namespace_fd, &self->generation, error))
    return FALSE;
  self->mtu = up.mtu;
  return TRUE;
}

static gboolean
fill (VmsanNetPrepared *self, const char *making, GError **error)
{
  VmsanNetFirewall firewall = { .pools = self->setup->pools, .slot = self->slot };

  firewall.namespace_fd = self->namespace_fd =
      vmsan_net_namespace_open (self->setup, making, error);
  return self->namespace_fd >= 0 && vmsan_net_firewall_prepare (&firewall, error) &&
         note_how_it_is (self, error) &&
         vmsan_net_namespace_rename (self->setup, self->namespace_fd, making, self->name, error);
}

VmsanNetPrepared *
vmsan_net_prepared_make (const VmsanNetSetup *setup, guint slot, GError **error)
{
  g_autoptr (VmsanNetPrepared) self = g_new0 (VmsanNetPrepared, 1);
  g_autofree char *making = g_strdup_printf (VMSAN_NET_MAKING_PREFIX "%u", slot);
  const char *names[2];
  const guint slots[] = { slot, slot };
  g_autoptr (GError) undo_error = NULL;

  self->setup = setup;
  self->slot = slot;
  self->namespace_fd = -1;
  self->name = g_strdup_printf (VMSAN_NET_PREPARED_PREFIX "%u", slot);
  if (!vmsan_net_namespace_create (setup, making, slot, error))
    return NULL;
  if (fill (self, making, error))
    return g_steal_pointer (&self);
  names[0] = making;
  names[1] = self->name;
  if (!vmsan_net_namespace_delete (setup, names, slots, G_N_ELEMENTS (names), &undo_error))
    g_warning ("Undoing a prepared network: %s", undo_error->message);
  return NULL;
}

/* ---- Handing over -------------------------------------------------------------------------- */

static gboolean
is_as_it_was (VmsanNetPrepared *self, GError **error)
{
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  guint32 generation;

  if (host == NULL ||
      !vmsan_net_links_check (host, self->inside, self->setup->pools, self->slot, self->mtu, error))
    return FALSE;
  if (self->setup->mtu == 0 && vmsan_net_uplink_get_mtu (host) != self->mtu)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "The uplink has another MTU than %u",
                   self->mtu);
      return FALSE;
    }
  if (!vmsan_net_nft_get_generation (self->namespace_fd, &generation, error))
    return FALSE;
  if (generation == self->generation)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "The firewall's rules were changed");
  return FALSE;
}

int
vmsan_net_prepared_hand_over (VmsanNetPrepared *self, const char *name, GError **error)
{
  if (!is_as_it_was (self, error) ||
      !vmsan_net_namespace_rename (self->setup, self->namespace_fd, self->name, name, error))
    return -1;
  return g_steal_fd (&self->namespace_fd);
}
