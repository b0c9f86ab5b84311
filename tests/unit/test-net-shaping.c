/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Limits of bandwidth, as the kernel has them and as packets feel them. */

#include "net-fixture.h"

#include "net/net-inside.h"

#include <arpa/inet.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#define OPEN_PORT 80

/* ---- Bandwidth ----------------------------------------------------------------------------- */

#define DATAGRAM 1200
#define WINDOW   10

/* Few enough at a time that no queue overflows. Returns the rate of what arrived, in Mbit/s. */
static double
measure_from_guest (NetFixture *f, TapGuest *guest, guint n_windows)
{
  vmsan_autofd int server = net_world_listen (f->world, SOCK_DGRAM, OPEN_PORT);
  g_autofree char *payload = g_strnfill (DATAGRAM, 'x');
  gint64 start_us = g_get_monotonic_time ();
  char buffer[DATAGRAM];

  for (guint i = 0; i < n_windows; i++)
    {
      for (guint k = 0; k < WINDOW; k++)
        tap_guest_send (guest, &(TapProbe){ .protocol = IPPROTO_UDP,
                                            .to = NET_WORLD_FAR4,
                                            .port = OPEN_PORT,
                                            .payload = payload });
      for (guint k = 0; k < WINDOW; k++)
        {
          g_assert_true (net_world_wait_readable (server, NET_SOON_MS));
          g_assert_cmpint (recv (server, buffer, sizeof buffer, 0), ==, DATAGRAM);
        }
    }
  return 8.0 * n_windows * WINDOW * DATAGRAM / (g_get_monotonic_time () - start_us);
}

/* The guest answers with as much, so this measures the slower of both ways. */
static double
measure_both (NetFixture *f, guint n)
{
  vmsan_autofd int client = net_world_listen (f->world, SOCK_DGRAM, OPEN_PORT);
  struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons (7) };
  gint64 start_us = g_get_monotonic_time ();
  char buffer[DATAGRAM] = "";

  inet_pton (AF_INET6, VMSAN_NET_GUEST6, &to.sin6_addr);
  for (guint i = 0; i < n; i++)
    {
      g_assert_cmpint (sendto (client, buffer, sizeof buffer, 0, (struct sockaddr *) &to,
                               sizeof to),
                       ==, DATAGRAM);
      g_assert_true (net_world_wait_readable (client, NET_SOON_MS));
      g_assert_cmpint (recv (client, buffer, sizeof buffer, 0), ==, DATAGRAM);
    }
  return 8.0 * n * DATAGRAM / (g_get_monotonic_time () - start_us);
}

typedef struct
{
  guint n;
  guint64 rate;
} Buckets;

static int
on_qdisc (struct nl_msg *message, void *data)
{
  struct nlmsghdr *header = nlmsg_hdr (message);
  struct nlattr *kind = nlmsg_find_attr (header, sizeof (struct tcmsg), TCA_KIND);
  struct nlattr *options = nlmsg_find_attr (header, sizeof (struct tcmsg), TCA_OPTIONS);
  Buckets *buckets = data;
  struct nlattr *rate;

  if (kind == NULL || options == NULL || nla_strcmp (kind, "tbf") != 0)
    return NL_OK;
  rate = nla_find (nla_data (options), nla_len (options), TCA_TBF_RATE64);
  if (rate != NULL)
    buckets->rate = nla_get_u64 (rate);
  else
    {
      struct nlattr *parms = nla_find (nla_data (options), nla_len (options), TCA_TBF_PARMS);

      buckets->rate = ((struct tc_tbf_qopt *) nla_data (parms))->rate.rate;
    }
  buckets->n++;
  return NL_OK;
}

static gboolean
list_buckets (gpointer data, GError **error)
{
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (error);
  struct tcmsg header = { .tcm_family = AF_UNSPEC };

  nl_socket_modify_cb (netlink, NL_CB_VALID, NL_CB_CUSTOM, on_qdisc, data);
  g_assert_cmpint (nl_send_simple (netlink, RTM_GETQDISC, NLM_F_DUMP, &header, sizeof header), >=,
                   0);
  g_assert_cmpint (nl_recvmsgs_default (netlink), >=, 0);
  return TRUE;
}

static void
shape (NetMachine *m, guint mbit)
{
  Buckets buckets = { 0 };
  g_autoptr (GError) error = NULL;

  vmsan_net_namespace_shape (m->fd, mbit, &error);
  g_assert_no_error (error);
  vmsan_net_inside_run (m->fd, list_buckets, &buckets, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (buckets.n, ==, mbit > 0 ? 2 : 0);
  g_assert_cmpuint (buckets.rate, ==, (guint64) mbit * 125000);
}

static void
test_bandwidth_is_limited_both_ways (NetFixture *f, gconstpointer data)
{
  double from;
  double both;
  double free_from;
  NetMachine m;

  net_machine_start (&m, f);
  shape (&m, 0);
  free_from = measure_from_guest (f, m.guest, 20);
  shape (&m, 8);
  from = measure_from_guest (f, m.guest, 40);
  shape (&m, 8);
  both = measure_both (f, 300);
  g_test_message ("8 Mbit/s: %.1f from the guest, %.1f both ways; none: %.1f", from, both,
                  free_from);
  /* The buckets are full in the beginning. */
  g_assert_cmpfloat (from, >, 4);
  g_assert_cmpfloat (from, <, 9);
  g_assert_cmpfloat (both, >, 2);
  g_assert_cmpfloat (both, <, 9);

  shape (&m, 100000);
  shape (&m, 1);
  shape (&m, G_MAXUINT);
  shape (&m, 0);
  shape (&m, 0);
  g_assert_cmpfloat (measure_from_guest (f, m.guest, 20), >, 9);
  net_machine_stop (&m);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!net_world_enter ())
    {
      g_print ("1..0 # SKIP needs root, for namespaces of its own\n");
      return 0;
    }

  NET_FIXTURE_ADD ("/net/shaping/bandwidth-is-limited-both-ways",
                   test_bandwidth_is_limited_both_ways);
  return net_world_run_tests ();
}
