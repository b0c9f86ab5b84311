/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which programs of the host are in the way of which ports; in a network namespace of its own. */

#include "net-world.h"

#include "net/net-listeners.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define PORT 8080

typedef struct
{
  const char *address; /* where the program is; NULL for none */
  int type;
  gboolean v6only;
} Program;

static int
start_program (const Program *program)
{
  struct sockaddr_storage at;
  socklen_t size = net_world_fill_address (&at, program->address, PORT);
  int fd = socket (at.ss_family, program->type | SOCK_CLOEXEC, 0);
  int v6only = program->v6only;
  int on = 1;

  g_assert_cmpint (fd, >=, 0);
  /* An earlier test's connection may still be remembered. */
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), ==, 0);
  if (at.ss_family == AF_INET6)
    g_assert_cmpint (setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only), ==, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &at, size), ==, 0);
  if (program->type == SOCK_STREAM)
    g_assert_cmpint (listen (fd, 1), ==, 0);
  return fd;
}

static GPtrArray *
parse_ports (const char *text)
{
  GPtrArray *ports = g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_net_port_free);
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (ports, vmsan_net_port_parse (text, NULL, &error));
  g_assert_no_error (error);
  return ports;
}

static gboolean
is_free (const char *text, const GPtrArray *but)
{
  g_autoptr (GPtrArray) ports = parse_ports (text);
  g_autoptr (GError) error = NULL;

  if (vmsan_net_listeners_check (ports, but, &error))
    return TRUE;
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_assert_nonnull (strstr (error->message, text));
  return FALSE;
}

static void
test_the_table_of_programs_and_ports (void)
{
  static const struct
  {
    Program program;
    const char *taken[6];
    const char *free[6];
  } cases[] = {
    { { "127.0.0.1", SOCK_STREAM, FALSE },
      { "127.0.0.1:8080:80/tcp", "0.0.0.0:8080:80/tcp" },
      { "127.0.0.1:8080:80/udp", "127.0.0.1:8081:80/tcp", "127.0.0.2:8080:80/tcp",
        "[::]:8080:80/tcp" } },
    { { "0.0.0.0", SOCK_STREAM, FALSE },
      { "127.0.0.1:8080:80/tcp", "0.0.0.0:8080:80/tcp", "192.0.2.1:8080:80/tcp" },
      { "[::]:8080:80/tcp", "[2001:db8::1]:8080:80/tcp" } },
    { { "::", SOCK_STREAM, FALSE },
      { "127.0.0.1:8080:80/tcp", "0.0.0.0:8080:80/tcp", "[::]:8080:80/tcp",
        "[2001:db8::1]:8080:80/tcp" },
      { "127.0.0.1:8080:80/udp", "[::]:8081:80/tcp" } },
    { { "::", SOCK_STREAM, TRUE },
      { "[::]:8080:80/tcp", "[2001:db8::1]:8080:80/tcp" },
      { "127.0.0.1:8080:80/tcp", "0.0.0.0:8080:80/tcp" } },
    { { "::1", SOCK_STREAM, FALSE },
      { "[::]:8080:80/tcp" },
      { "[2001:db8::1]:8080:80/tcp", "0.0.0.0:8080:80/tcp" } },
    { { "::ffff:127.0.0.1", SOCK_STREAM, FALSE },
      { "127.0.0.1:8080:80/tcp", "0.0.0.0:8080:80/tcp" },
      { "[::]:8080:80/tcp", "127.0.0.2:8080:80/tcp" } },
    { { "127.0.0.1", SOCK_DGRAM, FALSE },
      { "127.0.0.1:8080:80/udp", "0.0.0.0:8080:80/udp" },
      { "127.0.0.1:8080:80/tcp", "127.0.0.2:8080:80/udp" } },
    { { "::", SOCK_DGRAM, FALSE },
      { "127.0.0.1:8080:80/udp", "[::]:8080:80/udp" },
      { "127.0.0.1:8080:80/tcp" } },
    { { "::", SOCK_DGRAM, TRUE }, { "[::]:8080:80/udp" }, { "127.0.0.1:8080:80/udp" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      vmsan_autofd int fd = start_program (&cases[i].program);

      for (guint j = 0; cases[i].taken[j] != NULL; j++)
        if (is_free (cases[i].taken[j], NULL))
          g_error ("%s is free beside case %u", cases[i].taken[j], i);
      for (guint j = 0; cases[i].free[j] != NULL; j++)
        if (!is_free (cases[i].free[j], NULL))
          g_error ("%s is taken by case %u", cases[i].free[j], i);
    }
  g_assert_true (is_free ("0.0.0.0:8080:80/tcp", NULL));
}

/* What belongs to a connection over TCP is known for as long as it is; of UDP it is not. */
static void
test_of_sockets_with_a_peer_those_of_udp_are_in_the_way (void)
{
  static const Program tcp = { "127.0.0.1", SOCK_STREAM, FALSE };
  static const Program udp = { "127.0.0.1", SOCK_DGRAM, FALSE };
  vmsan_autofd int listener = start_program (&tcp);
  vmsan_autofd int client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  vmsan_autofd int datagrams = start_program (&udp);
  vmsan_autofd int accepted = -1;
  struct sockaddr_storage to;
  socklen_t size = net_world_fill_address (&to, "127.0.0.1", PORT);

  g_assert_cmpint (connect (client, (struct sockaddr *) &to, size), ==, 0);
  accepted = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (accepted, >=, 0);
  vmsan_fd_close (&listener);
  g_assert_true (is_free ("127.0.0.1:8080:80/tcp", NULL));

  g_assert_false (is_free ("127.0.0.1:8080:80/udp", NULL));
  net_world_fill_address (&to, "127.0.0.1", PORT + 1);
  g_assert_cmpint (connect (datagrams, (struct sockaddr *) &to, size), ==, 0);
  g_assert_false (is_free ("127.0.0.1:8080:80/udp", NULL));
}

static void
test_ports_that_are_published_already_are_not_looked_at (void)
{
  static const Program program = { "0.0.0.0", SOCK_STREAM, FALSE };
  vmsan_autofd int fd = start_program (&program);
  g_autoptr (GPtrArray) but = parse_ports ("127.0.0.1:8080:80/tcp");

  g_assert_true (is_free ("127.0.0.1:8080:80/tcp", but));
  /* Another address is more than there was. */
  g_assert_false (is_free ("0.0.0.0:8080:80/tcp", but));
}

static void
set_loopback_up (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (&error);
  VmsanNetLink link;

  g_assert_no_error (error);
  g_assert_true (vmsan_netlink_get_link (netlink, "lo", 0, &link, &error));
  g_assert_true (vmsan_netlink_set_up (netlink, link.ifindex, &error));
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
  set_loopback_up ();
  g_test_add_func ("/net/listeners/the-table-of-programs-and-ports",
                   test_the_table_of_programs_and_ports);
  g_test_add_func ("/net/listeners/of-sockets-with-a-peer-those-of-udp-are-in-the-way",
                   test_of_sockets_with_a_peer_those_of_udp_are_in_the_way);
  g_test_add_func ("/net/listeners/ports-that-are-published-already-are-not-looked-at",
                   test_ports_that_are_published_already_are_not_looked_at);
  return net_world_run_tests ();
}
