/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One machine's network in a world of the test's own. Fails the test if anything is left of it. */

#pragma once

#include "net-world.h"
#include "tap-guest.h"

#include "net/net-uplink.h"
#include "sys/error.h"
#include "sys/fd.h"

#define NET_NAME "vmsan-one"
#define NET_SLOT 5

/* Long enough for every answer, and for the end of a wait for none. */
#define NET_SOON_MS  5000
#define NET_QUIET_MS 200

typedef struct
{
  VmsanNetPools pools;
  VmsanNetSetup setup;
  VmsanNetSlotAddresses addresses; /* of NET_SLOT */
  NetWorld *world;
  char *before; /* description of the host */
} NetFixture;

/* @data: the IPv6 pool, or "". */
static inline void
net_fixture_set_up (NetFixture *f, gconstpointer data)
{
  g_assert_true (vmsan_net_pools_parse ("198.18.0.0/16", data, &f->pools, NULL));
  vmsan_net_pools_get_addresses (&f->pools, NET_SLOT, &f->addresses);
  f->setup = (VmsanNetSetup){ .directory = NET_WORLD_NAMES, .pools = &f->pools };
  f->world = net_world_new (1500);
  f->before = net_world_describe ();
}

static inline void
net_fixture_assert_nothing_left (NetFixture *f)
{
  g_autofree char *after = net_world_describe ();

  net_world_assert_same (f->before, after);
}

static inline void
net_fixture_tear_down (NetFixture *f, gconstpointer data)
{
  net_fixture_assert_nothing_left (f);
  net_world_free (f->world);
  g_free (f->before);
}

static inline void
net_fixture_create (NetFixture *f)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, &error);
  g_assert_no_error (error);
}

static inline int
net_fixture_open (NetFixture *f)
{
  g_autoptr (GError) error = NULL;
  int fd = vmsan_net_namespace_open (&f->setup, NET_NAME, &error);

  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static inline void
net_fixture_delete (NetFixture *f)
{
  const char *const names[] = { NET_NAME };
  const guint slots[] = { NET_SLOT };
  g_autoptr (GError) error = NULL;

  vmsan_net_namespace_delete (&f->setup, names, slots, 1, &error);
  g_assert_no_error (error);
}

static inline TapGuest *
net_fixture_start_guest (int namespace_fd)
{
  g_autoptr (GError) error = NULL;
  int tap_fd = vmsan_net_namespace_open_tap (namespace_fd, &error);

  g_assert_no_error (error);
  return tap_guest_new (tap_fd);
}

static inline GStrv
net_fixture_enable (NetFixture *f, VmsanNetIpv6Forwarding ipv6)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) changes = vmsan_net_uplink_plan (f->world->host, ipv6, &error);

  g_assert_no_error (error);
  vmsan_net_uplink_apply ((const char *const *) changes, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&changes);
}

static inline void
net_fixture_restore (GStrv changes)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_uplink_restore ((const char *const *) changes, &error);
  g_assert_no_error (error);
}

/* A machine with ways to it, and all that is needed to take it away. */
typedef struct
{
  NetFixture *f;
  int fd;
  TapGuest *guest;
  GStrv changes;
} NetMachine;

static inline void
net_machine_start (NetMachine *m, NetFixture *f)
{
  m->f = f;
  net_fixture_create (f);
  m->fd = net_fixture_open (f);
  m->guest = net_fixture_start_guest (m->fd);
  net_world_route_guest (f->world, &f->pools, NET_SLOT);
  m->changes = net_fixture_enable (f, vmsan_net_uplink_get_ipv6_forwarding (f->pools.has_pool6));
}

static inline void
net_machine_stop (NetMachine *m)
{
  tap_guest_free (m->guest);
  vmsan_fd_close (&m->fd);
  net_fixture_restore (m->changes);
  g_strfreev (m->changes);
  net_fixture_delete (m->f);
}

/* Tests of both kinds of pools are added under two names. */
#define NET_FIXTURE_ADD(path, func)                                                                \
  g_test_add (path, NetFixture, "fd12:3456:789a::/64", net_fixture_set_up, func,                   \
              net_fixture_tear_down)
#define NET_FIXTURE_ADD_IPV4(path, func)                                                           \
  g_test_add (path "-without-ipv6", NetFixture, "", net_fixture_set_up, func, net_fixture_tear_down)
