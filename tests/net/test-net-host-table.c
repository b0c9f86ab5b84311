/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The host's side: published ports, machines among themselves and with the host, and what others do
 * to the host's rules. */

#include "net-outside.h"
#include "net-world.h"

#include "net/net-conntrack.h"
#include "net/net-nft.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define POOL6 "fd12:3456:789a::/64"
#define SOON  5000

#define TCP  IPPROTO_TCP
#define UDP  IPPROTO_UDP
#define ICMP IPPROTO_ICMP

static void
run_nft (const char *commands)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_nft_run (-1, commands, "A test", &error);
  g_assert_no_error (error);
}

/* ---- Sockets of the host ------------------------------------------------------------------- */

static int
open_socket (int protocol, const char *address)
{
  int fd = socket (strchr (address, ':') != NULL ? AF_INET6 : AF_INET,
                   (protocol == TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

/* Whether a program of the host gets an answer from there. */
static gboolean
reach_from_host (int protocol, const char *address, guint16 port, guint timeout_ms)
{
  vmsan_autofd int fd = open_socket (protocol, address);
  struct sockaddr_storage to;
  socklen_t size = net_world_fill_address (&to, address, port);
  struct pollfd poll_fd = { fd, protocol == TCP ? POLLOUT : POLLIN, 0 };
  int code = 0;
  socklen_t code_size = sizeof code;

  if (connect (fd, (struct sockaddr *) &to, size) < 0 && errno != EINPROGRESS)
    return FALSE;
  if (protocol == UDP && send (fd, "x", 1, 0) != 1)
    return FALSE;
  return poll (&poll_fd, 1, timeout_ms) == 1 &&
         getsockopt (fd, SOL_SOCKET, SO_ERROR, &code, &code_size) == 0 && code == 0 &&
         !(poll_fd.revents & POLLERR);
}

static int
listen_on_host (int protocol, const char *address, guint16 port)
{
  int fd = open_socket (protocol, address);
  struct sockaddr_storage at;
  socklen_t size = net_world_fill_address (&at, address, port);

  g_assert_cmpint (bind (fd, (struct sockaddr *) &at, size), ==, 0);
  if (protocol == TCP)
    g_assert_cmpint (listen (fd, 8), ==, 0);
  return fd;
}

static gboolean
reach_from_outside (
    NetOutside *outside, int protocol, const char *address, guint16 port, guint timeout_ms)
{
  const char *from = strchr (address, ':') != NULL ? "2600::7" : "9.9.9.7";

  return tap_guest_probe (outside->internet, (TapProbe){ protocol, address, port, .from = from },
                          timeout_ms) == TAP_ANSWERED;
}

/* ---- Published ports ----------------------------------------------------------------------- */

static void
test_a_port_is_where_it_was_published (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine = net_machine_new (
      outside, 5,
      "{'published-ports': <['8080:80', '8080:80/udp', '" NET_OUTSIDE_HOST4 ":8081:81',"
      " '0.0.0.0:8082:82', '0.0.0.0:8083:83/udp', '[" NET_OUTSIDE_HOST6 "]:8084:84',"
      " '[::]:8085:85/udp', '127.0.0.2:8086:86']>, 'network-policy': <'deny-all'>}");
  static const struct
  {
    int protocol;
    const char *address;
    guint16 port;
    gboolean from_host;
    gboolean from_outside;
  } cases[] = {
    { TCP, "127.0.0.1", 8080, TRUE, FALSE },        { UDP, "127.0.0.1", 8080, TRUE, FALSE },
    { TCP, NET_OUTSIDE_HOST4, 8080, FALSE, FALSE }, { UDP, NET_OUTSIDE_HOST4, 8080, FALSE, FALSE },
    { TCP, "127.0.0.2", 8080, FALSE, FALSE },       { TCP, NET_OUTSIDE_HOST4, 8081, TRUE, TRUE },
    { UDP, NET_OUTSIDE_HOST4, 8081, FALSE, FALSE }, { TCP, "127.0.0.1", 8081, FALSE, FALSE },
    { TCP, NET_OUTSIDE_HOST4, 8082, TRUE, TRUE },   { TCP, "127.0.0.1", 8082, TRUE, FALSE },
    { UDP, NET_OUTSIDE_HOST4, 8083, TRUE, TRUE },   { UDP, "127.0.0.1", 8083, TRUE, FALSE },
    { TCP, NET_OUTSIDE_HOST6, 8084, TRUE, TRUE },   { TCP, NET_OUTSIDE_HOST4, 8084, FALSE, FALSE },
    { UDP, NET_OUTSIDE_HOST6, 8085, TRUE, TRUE },   { UDP, "::1", 8085, FALSE, FALSE },
    { TCP, "127.0.0.2", 8086, TRUE, FALSE },        { TCP, "127.0.0.1", 8086, FALSE, FALSE },
    { TCP, NET_OUTSIDE_HOST4, 80, FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gboolean from_host = reach_from_host (cases[i].protocol, cases[i].address, cases[i].port,
                                            cases[i].from_host ? SOON : 50);
      gboolean from_outside = reach_from_outside (outside, cases[i].protocol, cases[i].address,
                                                  cases[i].port, cases[i].from_outside ? SOON : 50);

      if (from_host != cases[i].from_host || from_outside != cases[i].from_outside)
        g_error ("%s port %u protocol %d: host %d, outside %d", cases[i].address, cases[i].port,
                 cases[i].protocol, from_host, from_outside);
    }
  /* Nothing of what was sent to loopback from outside has come to the guest. */
  g_assert_cmpuint (tap_guest_count (machine->guest, TCP, "9.9.9.7", 80), ==, 0);
  g_assert_cmpuint (tap_guest_count (machine->guest, TCP, "9.9.9.7", 86), ==, 0);
  /* The guest sees who comes from outside. */
  g_assert_cmpuint (tap_guest_count (machine->guest, TCP, "9.9.9.7", 81), ==, 1);
  g_assert_cmpuint (tap_guest_count (machine->guest, UDP, "2600::7", 85), ==, 1);
}

static void
test_ports_go_with_their_machine (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  const char *options = "{'published-ports': <['0.0.0.0:8080:80', '8081:81', '[::]:8080:80']>}";

  for (guint slot = 3; slot < 5; slot++)
    {
      g_autoptr (NetMachine) machine = net_machine_new (outside, slot, options);

      g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, SOON));
      g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST6, 8080, SOON));
      g_assert_true (reach_from_host (TCP, "127.0.0.1", 8081, SOON));
    }
  g_assert_false (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, 50));
  g_assert_false (reach_from_host (TCP, "127.0.0.1", 8081, 50));
}

static void
test_a_port_that_another_has_is_refused (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine =
      net_machine_new (outside, 5, "{'published-ports': <['0.0.0.0:8080:80']>}");
  g_autoptr (VmsanNetPolicy) policy =
      net_outside_parse (outside, NULL, "{'published-ports': <['0.0.0.0:8080:80', '9000:90']>}");
  const VmsanNetHost host = { &outside->pools, outside->resolvers };
  const VmsanNetMember other = { 6, policy };
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_net_host_add (&host, &other, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, SOON));
  g_assert_false (reach_from_host (TCP, "127.0.0.1", 9000, 50));
}

static void
test_without_dnat_the_host_passes_nothing_on (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine =
      net_machine_new (outside, 5,
                       "{'published-ports': <['0.0.0.0:8080:80']>, 'skip-dnat': <true>}");

  g_assert_false (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, 50));
  g_assert_false (reach_from_host (TCP, "127.0.0.1", 8080, 50));
  net_machine_change (machine, "{'skip-dnat': <false>}");
  g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, SOON));
  net_machine_change (machine, "{'skip-dnat': <true>}");
  g_assert_false (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, 50));
}

/* ---- Machines, the host and each other ----------------------------------------------------- */

static gboolean
reaches (NetMachine *machine, int protocol, const char *to, guint16 port, gboolean expected)
{
  TapProbe probe = { protocol, to, port };

  tap_guest_send (machine->guest, &probe);
  if (!expected)
    net_machine_settle (machine);
  return tap_guest_wait (machine->guest, &probe, expected ? SOON : 0) == TAP_ANSWERED;
}

static void
test_machines_do_not_reach_each_other (void)
{
  static const char *const addresses[] = { "198.18.0.26", "198.18.0.25", "fd12:3456:789a::1a",
                                           "fd12:3456:789a::19" };
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) one = net_machine_new (outside, 5, "{}");
  g_autoptr (NetMachine) two =
      net_machine_new (outside, 6, "{'published-ports': <['0.0.0.0:8080:80', '[::]:8080:80']>}");

  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_assert_false (reaches (one, TCP, addresses[i], 80, FALSE));
      g_assert_false (reaches (one, UDP, addresses[i], 80, FALSE));
      g_assert_false (reaches (one, ICMP, addresses[i], 0, FALSE));
    }
  g_assert_false (reaches (one, TCP, NET_OUTSIDE_HOST4, 8080, FALSE));
  g_assert_false (reaches (one, TCP, NET_OUTSIDE_HOST6, 8080, FALSE));
  g_assert_cmpuint (tap_guest_count (two->guest, TCP, NULL, 80), ==, 0);

  /* Only by the host's address, and if the policy names exactly that. */
  net_machine_change (one, "{'allowed-cidrs': <['" NET_OUTSIDE_HOST4 "', '0.0.0.0/0', '::/0']>}");
  g_assert_true (reaches (one, TCP, NET_OUTSIDE_HOST4, 8080, TRUE));
  g_assert_false (reaches (one, TCP, NET_OUTSIDE_HOST6, 8080, FALSE));
  g_assert_cmpuint (tap_guest_count (two->guest, TCP, "198.18.0.25", 80), ==, 1);
  net_machine_change (one, "{'denied-cidrs': <['203.0.0.0/8']>}");
  g_assert_false (reaches (one, TCP, NET_OUTSIDE_HOST4, 8080, FALSE));
}

static void
test_machines_reach_the_host_by_name_only (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine = net_machine_new (outside, 5, "{}");
  vmsan_autofd int tcp = listen_on_host (TCP, "::", 9000);
  vmsan_autofd int local = listen_on_host (TCP, "127.0.0.1", 9001);
  static const char *const addresses[] = { NET_OUTSIDE_HOST4, NET_OUTSIDE_HOST6, "198.18.0.21",
                                           "fd12:3456:789a::15", "127.0.0.1" };

  g_assert_true (reach_from_host (TCP, NET_OUTSIDE_HOST4, 9000, SOON));
  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    g_assert_false (reaches (machine, TCP, addresses[i], i == 4 ? 9001 : 9000, FALSE));
  net_machine_change (machine, "{'allowed-cidrs': <['203.0.113.0/24', '2001:db8:1::2']>}");
  g_assert_false (reaches (machine, TCP, NET_OUTSIDE_HOST4, 9000, FALSE));
  g_assert_true (reaches (machine, TCP, NET_OUTSIDE_HOST6, 9000, TRUE));
  net_machine_change (machine, "{'allowed-cidrs': <['203.0.113.2', '127.0.0.1']>}");
  g_assert_true (reaches (machine, TCP, NET_OUTSIDE_HOST4, 9000, TRUE));
  g_assert_false (reaches (machine, TCP, NET_OUTSIDE_HOST6, 9000, FALSE));
  /* Not even so, and not with a link that passes loopback addresses for published ports. */
  g_assert_false (reaches (machine, TCP, "127.0.0.1", 9001, FALSE));
}

/* Whatever the namespace lets out, the host knows whose link it is. */
static void
test_the_host_knows_whose_link_it_is (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine =
      net_machine_new (outside, 5, "{'published-ports': <['8080:80']>}");
  g_autoptr (GError) error = NULL;
  vmsan_autofd int local = listen_on_host (TCP, "127.0.0.1", 9001);
  guint16 port = 7000;

  /* A machine's namespace in the hands of somebody else: no rules, and sources of their own. */
  vmsan_net_nft_run (machine->namespace_fd,
                     "delete table inet vmsan\n"
                     "table ip bad { chain post { type nat hook postrouting priority srcnat;\n"
                     "udp dport 7000 snat to 198.18.0.26; udp dport 7001 snat to 8.8.4.4;\n"
                     "udp dport 7002 snat to 203.0.113.2; udp dport 7003 snat to 198.18.0.22;\n"
                     "tcp dport 9001 snat to 198.18.0.22; }; }",
                     "A test", &error);
  g_assert_no_error (error);
  for (; port < 7003; port++)
    {
      reaches (machine, UDP, "9.9.9.9", port, FALSE);
      g_assert_cmpuint (tap_guest_count (outside->internet, UDP, NULL, port), ==, 0);
    }
  g_assert_true (reaches (machine, UDP, "9.9.9.9", port, TRUE));
  g_assert_false (reaches (machine, TCP, "127.0.0.1", 9001, FALSE));
  g_assert_true (reach_from_host (TCP, "127.0.0.1", 9001, SOON));
}

static void
test_other_traffic_of_the_host_passes (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine =
      net_machine_new (outside, 5, "{'published-ports': <['0.0.0.0:8080:80']>}");
  vmsan_autofd int tcp = listen_on_host (TCP, "::", 9000);

  g_assert_true (reach_from_host (TCP, "1.2.3.4", 80, SOON));
  g_assert_true (reach_from_host (UDP, "2600::1", 80, SOON));
  g_assert_true (reach_from_host (TCP, "127.0.0.1", 9000, SOON));
  g_assert_true (reach_from_host (TCP, "1.2.3.4", 8080, SOON));
  g_assert_cmpuint (tap_guest_count (outside->internet, TCP, NULL, 8080), >, 0);
  g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 9000, SOON));
}

/* ---- What others do ------------------------------------------------------------------------ */

static void
test_a_flushed_host_is_rebuilt_and_never_open (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine = net_machine_new (
      outside, 5,
      "{'denied-cidrs': <['9.0.0.0/8', '2600:bad::/32']>, 'published-ports': <['8080:80']>}");
  const VmsanNetHost host = { &outside->pools, outside->resolvers };
  const VmsanNetMember member = { 5, machine->policy };
  g_autoptr (GError) error = NULL;
  gboolean complete = FALSE;

  g_assert_true (vmsan_net_host_is_complete (&complete, &error));
  g_assert_true (complete);
  run_nft ("flush ruleset");
  g_assert_true (vmsan_net_host_is_complete (&complete, &error));
  g_assert_false (complete);
  g_assert_false (reaches (machine, TCP, "9.1.2.3", 80, FALSE));
  g_assert_false (reaches (machine, TCP, "2600:bad::1", 80, FALSE));
  g_assert_false (reaches (machine, TCP, "169.254.169.254", 80, FALSE));
  g_assert_cmpuint (tap_guest_count (outside->internet, TCP, NULL, 80), ==, 0);
  g_assert_false (vmsan_net_host_add (&host, &member, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);

  for (guint i = 0; i < 2; i++)
    {
      vmsan_net_host_rebuild (&host, &member, 1, &error);
      g_assert_no_error (error);
    }
  g_assert_true (vmsan_net_host_is_complete (&complete, &error));
  g_assert_true (complete);
  g_assert_true (reaches (machine, TCP, "1.2.3.4", 80, TRUE));
  g_assert_true (reaches (machine, TCP, "2600::1", 80, TRUE));
  g_assert_true (reach_from_host (TCP, "127.0.0.1", 8080, SOON));
  g_assert_false (reaches (machine, TCP, "9.1.2.3", 80, FALSE));
}

static char *
list_conflicts (void)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_net_host_find_conflicts (&error);

  g_assert_no_error (error);
  return g_strjoinv (", ", names);
}

static void
test_chains_that_would_drop_are_named (void)
{
  static const struct
  {
    const char *commands;
    const char *found;
  } cases[] = {
    { "", "" },
    { "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; "
      "}",
      "ip filter FORWARD" },
    { "table ip6 filter { chain FORWARD { type filter hook forward priority filter; policy drop; "
      "}; }",
      "ip6 filter FORWARD" },
    { "table ip filter { chain FORWARD { type filter hook forward priority filter; policy accept;\n"
      "iifname \"docker0\" drop\n }; }",
      "" },
    { "table ip filter { chain INPUT { type filter hook input priority filter; policy drop; }; }",
      "" },
    { "table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10;\n"
      "ct state established accept\n reject with icmpx admin-prohibited\n }; }",
      "inet firewalld filter_FORWARD" },
    { "table inet a { chain f { type filter hook forward priority 10;\n"
      "reject with icmpx admin-prohibited\n ct state established accept\n }; }",
      "" }, /* not last: it is another's business to see that nothing works */
    { "table ip filter { chain user { iifname \"vmsan*\" accept\n }\n"
      "chain FORWARD { type filter hook forward priority filter; policy drop; jump user; }; }",
      "" },
    { "table bridge b { chain f { type filter hook forward priority 0; policy drop; }; }", "" },
    { "table ip a { chain f { type filter hook forward priority 0; policy drop; }; }\n"
      "table inet b { chain g { type filter hook forward priority 5; policy drop; }; }",
      "ip a f, inet b g" },
  };
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  const VmsanNetHost host = { &outside->pools, outside->resolvers };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *found = NULL;

      run_nft ("flush ruleset");
      g_assert_true (vmsan_net_host_rebuild (&host, NULL, 0, NULL));
      run_nft (cases[i].commands);
      found = list_conflicts ();
      g_assert_cmpstr (found, ==, cases[i].found);
    }
  run_nft ("flush ruleset");
}

/* And what they say is so. */
static void
test_a_chain_that_is_named_does_drop (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) machine = net_machine_new (outside, 5, "{}");

  run_nft ("table ip filter { chain FORWARD { type filter hook forward priority filter;"
           " policy drop; }; }");
  g_assert_false (reaches (machine, TCP, "1.2.3.4", 80, FALSE));
  run_nft ("add rule ip filter FORWARD iifname \"vmsan*\" accept\n"
           "add rule ip filter FORWARD oifname \"vmsan*\" accept");
  g_assert_true (reaches (machine, TCP, "1.2.3.4", 80, TRUE));
  run_nft ("delete table ip filter");
}

/* ---- Membership ---------------------------------------------------------------------------- */

static char *
list_table (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = vmsan_net_nft_list (-1, "list table inet vmsan", "A test", &error);

  g_assert_no_error (error);
  return json_to_string (answer, FALSE);
}

static void
test_removing_leaves_nothing_with_and_without_the_policy (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) stays =
      net_machine_new (outside, 2,
                       "{'published-ports': <['9000:90']>, 'allowed-cidrs': <['203.0.113.2']>}");
  g_autofree char *before = list_table ();

  for (guint i = 0; i < 3; i++)
    {
      NetMachine *machine = net_machine_new (
          outside, 21, /* 198.18.0.86 */
          "{'published-ports': <['8080:80', '0.0.0.0:8081:81/udp', '[::]:8082:82',"
          " '[2001:db8:1::2]:8083:83']>,"
          " 'allowed-cidrs': <['203.0.113.2', '2001:db8:1::2', '1.0.0.0/8', '9.9.9.9']>,"
          " 'denied-cidrs': <['9.9.9.0/24']>}");
      const VmsanNetHost host = { &outside->pools, outside->resolvers };
      g_autoptr (VmsanNetPolicy) wrong =
          net_outside_parse (outside, NULL, "{'published-ports': <['1234:1']>}");
      const VmsanNetPolicy *told[] = { machine->policy, NULL, wrong };
      g_autoptr (GError) error = NULL;
      g_autofree char *during = list_table ();
      g_autofree char *after = NULL;

      g_assert_cmpstr (during, !=, before);
      for (guint again = 0; again < 2; again++)
        {
          vmsan_net_host_remove (&host, 21, told[i], &error);
          g_assert_no_error (error);
        }
      after = list_table ();
      g_assert_cmpstr (after, ==, before);
      net_machine_free (machine);
    }
  {
    const VmsanNetHost host = { &outside->pools, outside->resolvers };
    g_autoptr (GError) error = NULL;

    g_assert_true (vmsan_net_host_delete_table (&error));
    g_assert_true (vmsan_net_host_delete_table (&error));
    g_assert_true (vmsan_net_host_remove (&host, 2, NULL, &error));
    g_assert_true (vmsan_net_host_remove (&host, 2, stays->policy, &error));
    g_assert_no_error (error);
  }
}

static gboolean
note_slot (const VmsanNetConnection *connection, gpointer data)
{
  guint *counts = data;
  g_autofree char *source = vmsan_net_prefix_to_string (&connection->source);
  g_autofree char *answerer = vmsan_net_prefix_to_string (&connection->answerer);

  if (g_str_has_prefix (source, "198.18.0.22/") || g_str_has_prefix (answerer, "198.18.0.22/"))
    counts[0]++;
  else if (g_str_has_prefix (source, "198.18.0.26/") || g_str_has_prefix (answerer, "198.18.0.26/"))
    counts[1]++;
  return FALSE;
}

/* Answered or not: that many connections of a machine. */
static void
open_many (NetMachine *machine, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      TapProbe probe = { UDP, "9.9.9.9", 1 + i, .from_port = 61000 };

      tap_guest_send (machine->guest, &probe);
    }
  net_machine_settle (machine);
}

/* The kernel looks for them when there are many, so this is about both ways. */
static void
test_removing_forgets_its_connections_and_no_others (gconstpointer data)
{
  guint n_more = GPOINTER_TO_UINT (data);
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autoptr (NetMachine) one =
      net_machine_new (outside, 5, "{'published-ports': <['0.0.0.0:8080:80']>}");
  g_autoptr (NetMachine) two =
      net_machine_new (outside, 6, "{'published-ports': <['0.0.0.0:8081:80']>}");
  const VmsanNetHost host = { &outside->pools, outside->resolvers };
  vmsan_autofd int here = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  guint before[2] = { 0 }, after[2] = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (reaches (one, TCP, "1.2.3.4", 80, TRUE));
  g_assert_true (reaches (two, TCP, "1.2.3.4", 80, TRUE));
  g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8080, SOON));
  g_assert_true (reach_from_outside (outside, TCP, NET_OUTSIDE_HOST4, 8081, SOON));
  open_many (two, n_more);
  vmsan_net_conntrack_forget (here, note_slot, before, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (before[0], ==, 2);
  g_assert_cmpuint (before[1], ==, 2 + n_more);
  g_assert_true (vmsan_net_host_remove (&host, 5, NULL, &error));
  vmsan_net_conntrack_forget (here, note_slot, after, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (after[0], ==, 0);
  g_assert_cmpuint (after[1], ==, before[1]);
}

/* ---- Threads ------------------------------------------------------------------------------- */

typedef struct
{
  NetOutside *outside;
  guint slot;
} Job;

/* No nftables context is shared, nor anything else. */
static gpointer
work (gpointer data)
{
  Job *job = data;
  const VmsanNetSetup setup = { .directory = NET_WORLD_NAMES, .pools = &job->outside->pools };
  const VmsanNetHost host = { &job->outside->pools, job->outside->resolvers };
  g_autofree char *name = g_strdup_printf ("vmsan-t%u", job->slot);
  const char *const names[] = { name };
  g_autofree char *options =
      g_strdup_printf ("{'allowed-cidrs': <['1.2.%u.0/24']>, 'published-ports': <['%u:80']>}",
                       job->slot, 10000 + job->slot);
  g_autoptr (VmsanNetPolicy) policy = net_outside_parse (job->outside, NULL, options);
  const VmsanNetMember member = { job->slot, policy };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 4; i++)
    {
      VmsanNetFirewall firewall = { .pools = &job->outside->pools, .slot = job->slot };
      vmsan_autofd int fd = -1;

      vmsan_net_namespace_create (&setup, name, job->slot, &error);
      g_assert_no_error (error);
      fd = vmsan_net_namespace_open (&setup, name, &error);
      firewall.namespace_fd = fd;
      vmsan_net_firewall_prepare (&firewall, &error);
      g_assert_no_error (error);
      vmsan_net_firewall_apply (&firewall, policy, NULL, &error);
      g_assert_no_error (error);
      vmsan_net_host_add (&host, &member, NULL, &error);
      g_assert_no_error (error);
      vmsan_net_host_remove (&host, job->slot, policy, &error);
      g_assert_no_error (error);
      vmsan_net_namespace_delete (&setup, names, &job->slot, 1, &error);
      g_assert_no_error (error);
    }
  return NULL;
}

static void
test_many_at_once (void)
{
  g_autoptr (NetOutside) outside = net_outside_new (POOL6);
  g_autofree char *before = list_table ();
  g_autofree char *after = NULL;
  Job jobs[8];
  GThread *threads[G_N_ELEMENTS (jobs)];

  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++)
    {
      jobs[i] = (Job){ outside, i };
      threads[i] = g_thread_new ("work", work, &jobs[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (jobs); i++)
    g_thread_join (threads[i]);
  after = list_table ();
  g_assert_cmpstr (after, ==, before);
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
  g_test_add_func ("/net/host/a-port-is-where-it-was-published",
                   test_a_port_is_where_it_was_published);
  g_test_add_func ("/net/host/ports-go-with-their-machine", test_ports_go_with_their_machine);
  g_test_add_func ("/net/host/a-port-that-another-has-is-refused",
                   test_a_port_that_another_has_is_refused);
  g_test_add_func ("/net/host/without-dnat-the-host-passes-nothing-on",
                   test_without_dnat_the_host_passes_nothing_on);
  g_test_add_func ("/net/host/machines-do-not-reach-each-other",
                   test_machines_do_not_reach_each_other);
  g_test_add_func ("/net/host/machines-reach-the-host-by-name-only",
                   test_machines_reach_the_host_by_name_only);
  g_test_add_func ("/net/host/the-host-knows-whose-link-it-is",
                   test_the_host_knows_whose_link_it_is);
  g_test_add_func ("/net/host/other-traffic-of-the-host-passes",
                   test_other_traffic_of_the_host_passes);
  g_test_add_func ("/net/host/a-flushed-host-is-rebuilt-and-never-open",
                   test_a_flushed_host_is_rebuilt_and_never_open);
  g_test_add_func ("/net/host/chains-that-would-drop-are-named",
                   test_chains_that_would_drop_are_named);
  g_test_add_func ("/net/host/a-chain-that-is-named-does-drop",
                   test_a_chain_that_is_named_does_drop);
  g_test_add_func ("/net/host/removing-leaves-nothing-with-and-without-the-policy",
                   test_removing_leaves_nothing_with_and_without_the_policy);
  g_test_add_data_func ("/net/host/removing-forgets-its-connections-and-no-others/of-few",
                        GUINT_TO_POINTER (0), test_removing_forgets_its_connections_and_no_others);
  g_test_add_data_func ("/net/host/removing-forgets-its-connections-and-no-others/of-many",
                        GUINT_TO_POINTER (5000),
                        test_removing_forgets_its_connections_and_no_others);
  g_test_add_func ("/net/host/many-at-once", test_many_at_once);
  return net_world_run_tests ();
}
