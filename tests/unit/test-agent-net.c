/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest's network: what is asked for, checked, and what the kernel has made of it.
 *
 * All of it happens in a network namespace of the test's own, with a veth pair in the place of the
 * guest's device; what the kernel has is read back through libnl, which the agent does not use. */

#include "agent/net.h"
#include "agent/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define A VMSAN_FIELD_ADDRESS
#define G VMSAN_FIELD_GATEWAY
#define R VMSAN_FIELD_RESOLVER

#define FIELDS_MAX 6

typedef struct
{
  guint16 tag; /* 0: the end */
  const char *text;
} Field;

typedef struct
{
  Field fields[FIELDS_MAX];
  const char *words; /* of the message */
} Refusal;

/* ---- What is asked for --------------------------------------------------------------------- */

static AgentParseResult
parse (AgentConfig *config, const Field *fields, AgentError *error)
{
  guint8 payload[1024];
  size_t used = 0;

  for (guint i = 0; i < FIELDS_MAX && fields[i].tag != 0; i++)
    g_assert_true (vmsan_field_append (payload, sizeof payload, &used, fields[i].tag,
                                       fields[i].text, strlen (fields[i].text)));
  return agent_config_parse (config, payload, used, error);
}

/* What was parsed, as text. */
static char *
describe (const AgentNetConfig *net)
{
  const AgentNetFamily *families[] = { &net->v4, &net->v6 };
  GString *text = g_string_new (NULL);
  char ip[AGENT_IP_TEXT_MAX];

  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    {
      if (families[i]->address.family != AF_UNSPEC)
        g_string_append_printf (text, "%s/%u ", agent_ip_to_text (&families[i]->address, ip),
                                families[i]->prefix);
      if (families[i]->gateway.family != AF_UNSPEC)
        g_string_append_printf (text, "via %s ", agent_ip_to_text (&families[i]->gateway, ip));
    }
  for (guint i = 0; i < net->n_resolvers; i++)
    g_string_append_printf (text, "ask %s ", agent_ip_to_text (&net->resolvers[i], ip));
  return g_string_free (text, FALSE);
}

static void
test_good_ones_are_understood (void)
{
  static const struct
  {
    Field fields[FIELDS_MAX];
    const char *expected;
  } rows[] = {
    { { { 0, NULL } }, "" },
    { { { A, "192.0.0.2/29" } }, "192.0.0.2/29 " },
    { { { G, "192.0.0.1" }, { A, "192.0.0.2/29" } }, "192.0.0.2/29 via 192.0.0.1 " },
    { { { A, "fd76:6d73:616e::2/64" }, { G, "fd76:6d73:616e::1" } },
      "fd76:6d73:616e::2/64 via fd76:6d73:616e::1 " },
    { { { A, "FD00:0::0:2/64" }, { G, "fe80::1" } }, "fd00::2/64 via fe80::1 " },
    { { { R, "10.0.0.1" }, { A, "fd00::2/64" }, { R, "::1" }, { A, "10.0.0.2/8" } },
      "10.0.0.2/8 fd00::2/64 ask 10.0.0.1 ask ::1 " },
    { { { A, "10.0.0.2/8" }, { R, "1.1.1.1" }, { R, "127.0.0.1" }, { R, "2001:db8::1" } },
      "10.0.0.2/8 ask 1.1.1.1 ask 127.0.0.1 ask 2001:db8::1 " },
    /* Links with two ends have no names for all. */
    { { { A, "10.0.0.0/31" }, { G, "10.0.0.1" } }, "10.0.0.0/31 via 10.0.0.1 " },
    { { { A, "fd00::/127" }, { G, "fd00::1" } }, "fd00::/127 via fd00::1 " },
    { { { A, "10.0.0.255/32" }, { A, "fd00::ff/128" } }, "10.0.0.255/32 fd00::ff/128 " },
    { { { A, "169.254.7.2/30" }, { G, "169.254.7.1" } }, "169.254.7.2/30 via 169.254.7.1 " },
    { { { A, "fd00::ffff/112" } }, "fd00::ffff/112 " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree AgentConfig *config = g_new (AgentConfig, 1);
      g_autofree char *text = NULL;
      AgentError error = { "" };

      memset (config, 0xff, sizeof *config);
      g_assert_cmpint (parse (config, rows[i].fields, &error), ==, AGENT_PARSE_OK);
      g_assert_cmpstr (error.message, ==, "");
      text = describe (&config->net);
      g_assert_cmpstr (text, ==, rows[i].expected);
      g_assert_cmpint (agent_net_config_is_wanted (&config->net), ==, strchr (text, '/') != NULL);
    }
}

static const Refusal refusals[] = {
  { { { A, "" } }, "“” is not of the form" },
  { { { A, "192.0.0.2" } }, "“192.0.0.2” is not of the form" },
  { { { A, "192.0.0.2/" } }, "“192.0.0.2/” is not" },
  { { { A, "192.0.0.2/0" } }, "is not of the form" },
  { { { A, "192.0.0.2/33" } }, "“192.0.0.2/33” is not" },
  { { { A, "192.0.0.2/+8" } }, "is not of the form" },
  { { { A, "192.0.0.2/ 8" } }, "is not of the form" },
  { { { A, "192.0.0.2/08" } }, "is not of the form" },
  { { { A, "192.0.0.2/8 " } }, "is not of the form" },
  { { { A, "192.0.0.2/8/8" } }, "is not of the form" },
  { { { A, "192.0.0.2/4294967304" } }, "is not of the form" },
  { { { A, "192.0.0.2/255.255.255.0" } }, "is not of the form" },
  { { { A, " 192.0.0.2/29" } }, "is not of the form" },
  { { { A, "192.0.2/29" } }, "is not of the form" },
  { { { A, "192.0.0.02/29" } }, "is not of the form" },
  { { { A, "192.0.0.256/29" } }, "is not of the form" },
  { { { A, "/29" } }, "“/29” is not of the form" },
  { { { A, "fd00::2::/64" } }, "is not of the form" },
  { { { A, "fd00::2%eth0/64" } }, "is not of the form" },
  { { { A, "fd00::2/129" } }, "is not of the form" },
  { { { A, "fd00::2" } }, "is not of the form" },
  { { { A, "0.0.0.0/8" } }, "none that a guest can have" },
  { { { A, "0.1.2.3/8" } }, "none that a guest can have" },
  { { { A, "127.0.0.1/8" } }, "none that a guest can have" },
  { { { A, "224.0.0.1/8" } }, "none that a guest can have" },
  { { { A, "255.255.255.255/32" } }, "none that a guest can have" },
  { { { A, "192.0.0.0/29" } }, "“192.0.0.0/29” is none" },
  { { { A, "192.0.0.7/29" } }, "“192.0.0.7/29” is none" },
  { { { A, "::/64" } }, "none that a guest can have" },
  { { { A, "::1/128" } }, "none that a guest can have" },
  { { { A, "ff02::1/64" } }, "none that a guest can have" },
  { { { A, "fe80::2/64" } }, "none that a guest can have" },
  { { { A, "fd00::/64" } }, "none that a guest can have" },
  { { { A, "::ffff:10.0.0.2/120" } }, "none that a guest can have" },
  { { { A, "10.0.0.2/8" }, { A, "10.0.0.3/8" } }, "more than one IPv4 address" },
  { { { A, "fd00::2/64" }, { A, "fd00::2/64" } }, "more than one IPv6 address" },
  { { { G, "" } }, "the gateway “”" },
  { { { G, "10.0.0.1/8" } }, "the gateway “10.0.0.1/8”" },
  { { { G, "0.0.0.0" } }, "the gateway “0.0.0.0”" },
  { { { G, "::" } }, "the gateway “::”" },
  { { { G, "localhost" } }, "the gateway “localhost”" },
  { { { G, "10.0.0.1" } }, "no address of its family" },
  { { { A, "fd00::2/64" }, { G, "10.0.0.1" } }, "10.0.0.1, but no address of its family" },
  { { { A, "10.0.0.2/8" }, { G, "fe80::1" } }, "fe80::1, but no address of its family" },
  { { { A, "10.0.0.2/8" }, { G, "10.0.0.1" }, { G, "10.0.0.3" } }, "more than one IPv4 gateway" },
  { { { A, "10.0.0.2/8" }, { G, "10.0.0.2" } }, "10.0.0.2 is the address of the guest itself" },
  { { { A, "192.0.0.2/29" }, { G, "192.0.0.9" } }, "not a host of the network of 192.0.0.2/29" },
  { { { A, "192.0.0.2/29" }, { G, "192.0.0.0" } }, "not a host of the network" },
  { { { A, "192.0.0.2/29" }, { G, "192.0.0.7" } }, "not a host of the network" },
  { { { A, "192.0.0.2/32" }, { G, "192.0.0.1" } }, "not a host of the network" },
  { { { A, "fd00::2/64" }, { G, "fd00:0:0:1::1" } }, "not a host of the network of fd00::2/64" },
  { { { A, "fd00::2/64" }, { G, "fd00::" } }, "not a host of the network" },
  { { { R, "10.0.0.1" } }, "no address to ask them from" },
  { { { A, "10.0.0.2/8" }, { R, "10.0.0.1\nsearch x" } }, "the resolver “10.0.0.1\nsearch x”" },
  { { { A, "10.0.0.2/8" }, { R, "dns.example" } }, "the resolver “dns.example”" },
  { { { A, "10.0.0.2/8" }, { R, "fe80::1" } }, "the resolver “fe80::1”" },
  { { { A, "10.0.0.2/8" }, { R, "255.255.255.255" } }, "the resolver “255.255.255.255”" },
  { { { A, "10.0.0.2/8" }, { R, "1.1.1.1" }, { R, "1.1.1.2" }, { R, "1.1.1.3" }, { R, "1.1.1.4" } },
    "more than 3 resolvers" },
  { { { A, "1111111111111111111111111111111111111111111111111111111111111111" } }, "longer than" },
};

static void
test_bad_ones_are_refused_by_name (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
      AgentError error = { "" };

      g_assert_cmpint (parse (config, refusals[i].fields, &error), ==, AGENT_PARSE_REFUSED);
      g_test_message ("%s", error.message);
      g_assert_nonnull (strstr (error.message, refusals[i].words));
    }
}

static void
test_a_nul_byte_is_refused (void)
{
  static const char text[] = "10.0.0.2/8\0 and more";
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  AgentError error = { "" };
  guint8 payload[64];
  size_t used = 0;

  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, A, text, sizeof text - 1));
  g_assert_cmpint (agent_config_parse (config, payload, used, &error), ==, AGENT_PARSE_REFUSED);
  g_assert_nonnull (strstr (error.message, "NUL"));
}

/* ---- What the kernel has ------------------------------------------------------------------- */

typedef struct
{
  struct nl_sock *socket;
  int device;
} World;

static void
world_open (World *world, gconstpointer data)
{
  struct rtnl_link *guest, *host, *up;

  g_assert_no_errno (unshare (CLONE_NEWNET));
  world->socket = nl_socket_alloc ();
  g_assert_cmpint (nl_connect (world->socket, NETLINK_ROUTE), ==, 0);
  g_assert_cmpint (rtnl_link_veth_add (world->socket, "guest", "host", getpid ()), ==, 0);
  g_assert_cmpint (rtnl_link_get_kernel (world->socket, 0, "guest", &guest), ==, 0);
  world->device = rtnl_link_get_ifindex (guest);
  rtnl_link_put (guest);
  g_assert_cmpint (rtnl_link_get_kernel (world->socket, 0, "host", &host), ==, 0);
  up = rtnl_link_alloc ();
  rtnl_link_set_flags (up, IFF_UP);
  g_assert_cmpint (rtnl_link_change (world->socket, host, up, 0), ==, 0);
  rtnl_link_put (up);
  rtnl_link_put (host);
}

static void
world_close (World *world, gconstpointer data)
{
  nl_socket_free (world->socket);
}

static void
set_up (World *world, const Field *fields)
{
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  AgentError error = { "" };

  g_assert_cmpint (parse (config, fields, &error), ==, AGENT_PARSE_OK);
  if (!agent_net_set_up (&config->net, world->device, &error))
    g_error ("%s", error.message);
}

static gboolean
is_up (World *world)
{
  struct rtnl_link *link;
  gboolean up;

  g_assert_cmpint (rtnl_link_get_kernel (world->socket, world->device, NULL, &link), ==, 0);
  up = (rtnl_link_get_flags (link) & IFF_UP) != 0;
  rtnl_link_put (link);
  return up;
}

static int
compare_text (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static char *
join_sorted (GPtrArray *words)
{
  g_ptr_array_sort (words, compare_text);
  g_ptr_array_add (words, NULL);
  return g_strjoinv (" ", (char **) words->pdata);
}

/* The addresses of the device but the link-local one, sorted; each must last and be usable now. */
static char *
list_addresses (World *world)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  struct nl_cache *cache;
  char text[80];

  g_assert_cmpint (rtnl_addr_alloc_cache (world->socket, &cache), ==, 0);
  for (struct nl_object *object = nl_cache_get_first (cache); object != NULL;
       object = nl_cache_get_next (object))
    {
      struct rtnl_addr *address = (struct rtnl_addr *) object;

      if (rtnl_addr_get_ifindex (address) != world->device ||
          rtnl_addr_get_scope (address) == RT_SCOPE_LINK)
        continue;
      g_assert_cmpint (rtnl_addr_get_scope (address), ==, RT_SCOPE_UNIVERSE);
      g_assert_cmphex (rtnl_addr_get_flags (address) & IFA_F_PERMANENT, !=, 0);
      g_assert_cmphex (rtnl_addr_get_flags (address) & IFA_F_TENTATIVE, ==, 0);
      g_ptr_array_add (words,
                       g_strdup (nl_addr2str (rtnl_addr_get_local (address), text, sizeof text)));
      if (rtnl_addr_get_broadcast (address) != NULL)
        g_ptr_array_add (words, g_strdup_printf ("to-all:%s",
                                                 nl_addr2str (rtnl_addr_get_broadcast (address),
                                                              text, sizeof text)));
    }
  nl_cache_free (cache);
  return join_sorted (words);
}

/* The gateways of the default routes over the device. */
static char *
list_gateways (World *world)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  struct nl_cache *cache;
  char text[80];

  g_assert_cmpint (rtnl_route_alloc_cache (world->socket, AF_UNSPEC, 0, &cache), ==, 0);
  for (struct nl_object *object = nl_cache_get_first (cache); object != NULL;
       object = nl_cache_get_next (object))
    {
      struct rtnl_route *route = (struct rtnl_route *) object;
      struct rtnl_nexthop *hop;

      if (rtnl_route_get_table (route) != RT_TABLE_MAIN ||
          nl_addr_get_prefixlen (rtnl_route_get_dst (route)) != 0)
        continue;
      g_assert_cmpint (rtnl_route_get_nnexthops (route), ==, 1);
      hop = rtnl_route_nexthop_n (route, 0);
      g_assert_cmpint (rtnl_route_nh_get_ifindex (hop), ==, world->device);
      g_ptr_array_add (words,
                       g_strdup (nl_addr2str (rtnl_route_nh_get_gateway (hop), text, sizeof text)));
    }
  nl_cache_free (cache);
  return join_sorted (words);
}

static void
assert_network (World *world, const char *addresses, const char *gateways)
{
  g_autofree char *found_addresses = list_addresses (world);
  g_autofree char *found_gateways = list_gateways (world);

  g_assert_true (is_up (world));
  g_assert_cmpstr (found_addresses, ==, addresses);
  g_assert_cmpstr (found_gateways, ==, gateways);
}

static void
assert_ipv6_option (const char *name, const char *value)
{
  g_autofree char *path = g_strdup_printf ("/proc/sys/net/ipv6/conf/guest/%s", name);
  g_autofree char *content = NULL;

  g_assert_true (g_file_get_contents (path, &content, NULL, NULL));
  g_assert_cmpstr (g_strchomp (content), ==, value);
}

static void
test_both_families_are_set_up (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "192.0.0.2/29" },
                                            { G, "192.0.0.1" },
                                            { A, "fd76:6d73:616e::2/64" },
                                            { G, "fd76:6d73:616e::1" } };

  g_assert_false (is_up (world));
  /* The second time, everything is there. */
  for (guint i = 0; i < 2; i++)
    {
      set_up (world, fields);
      assert_network (world, "192.0.0.2/29 fd76:6d73:616e::2/64 to-all:192.0.0.7",
                      "192.0.0.1 fd76:6d73:616e::1");
    }
  assert_ipv6_option ("accept_ra", "0");
  assert_ipv6_option ("autoconf", "0");
}

static void
test_ipv4_alone_is_set_up (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "10.1.2.0/31" }, { G, "10.1.2.1" } };

  set_up (world, fields);
  assert_network (world, "10.1.2.0/31", "10.1.2.1");
  assert_ipv6_option ("accept_ra", "0");
}

static void
test_ipv6_alone_is_set_up_where_it_was_off (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "fd00::2/64" }, { G, "fe80::1" } };
  int fd;

  fd = open ("/proc/sys/net/ipv6/conf/guest/disable_ipv6", O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (write (fd, "1", 1), ==, 1);
  close (fd);
  set_up (world, fields);
  assert_network (world, "fd00::2/64", "fe80::1");
  assert_ipv6_option ("disable_ipv6", "0");
}

static void
test_addresses_without_gateways_make_no_default_route (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "10.1.2.3/24" }, { A, "fd00::2/64" } };

  set_up (world, fields);
  assert_network (world, "10.1.2.3/24 fd00::2/64 to-all:10.1.2.255", "");
}

static void
test_a_device_that_is_gone_is_an_error (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "10.1.2.3/24" } };
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  AgentError error = { "" };

  g_assert_cmpint (parse (config, fields, &error), ==, AGENT_PARSE_OK);
  g_assert_false (agent_net_set_up (&config->net, world->device + 100, &error));
  g_assert_nonnull (strstr (error.message, "device is gone: No such device"));
}

/* What the checks would have found, had they been asked. */
static void
test_what_the_kernel_refuses_is_told (World *world, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "10.1.2.3/24" }, { G, "10.1.2.1" } };
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  AgentError error = { "" };

  g_assert_cmpint (parse (config, fields, &error), ==, AGENT_PARSE_OK);
  config->net.v4.gateway.v4.s_addr = htonl (0x0a090909);
  g_assert_false (agent_net_set_up (&config->net, world->device, &error));
  g_test_message ("%s", error.message);
  g_assert_nonnull (strstr (error.message, "default route over 10.9.9.9 on guest: Network is"));
  config->net.v4.prefix = 77;
  g_assert_false (agent_net_set_up (&config->net, world->device, &error));
  g_test_message ("%s", error.message);
  g_assert_nonnull (strstr (error.message, "the address 10.1.2.3/77 to the network device guest"));
}

static void
test_what_the_kernel_makes_by_itself_is_no_device (World *world, gconstpointer data)
{
  g_assert_cmpint (agent_net_find_device (), ==, 0);
}

/* ---- Resolvers ----------------------------------------------------------------------------- */

typedef struct
{
  char *root;
  char *file;
  char *outside;
} Image;

static void
image_open (Image *image, gconstpointer data)
{
  g_autofree char *etc = NULL;

  image->root = g_dir_make_tmp ("vmsan-agent-net-XXXXXX", NULL);
  g_assert_nonnull (image->root);
  etc = g_build_filename (image->root, "etc", NULL);
  image->file = g_build_filename (etc, "resolv.conf", NULL);
  image->outside = g_build_filename (image->root, "outside", NULL);
  g_assert_no_errno (g_mkdir (etc, 0755));
  g_assert_true (g_file_set_contents (image->outside, "kept", -1, NULL));
}

static void
image_close (Image *image, gconstpointer data)
{
  g_autofree char *etc = g_path_get_dirname (image->file);

  g_remove (image->file);
  g_assert_no_errno (g_remove (image->outside));
  /* Nothing else was left. */
  g_assert_no_errno (g_remove (etc));
  g_assert_no_errno (g_remove (image->root));
  g_free (image->root);
  g_free (image->file);
  g_free (image->outside);
}

/* In a process whose root is the image, as the agent's is. Returns the message of the failure. */
static char *
write_resolvers (Image *image, const Field *fields)
{
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  AgentError error = { "" };
  int ends[2], wait_status;
  ssize_t n;
  pid_t pid;

  g_assert_cmpint (parse (config, fields, &error), ==, AGENT_PARSE_OK);
  g_assert_no_errno (pipe (ends));
  pid = fork ();
  if (pid == 0)
    {
      if (chroot (image->root) < 0 || chdir ("/") < 0)
        _exit (1);
      if (!agent_net_write_resolvers (&config->net, &error) &&
          write (ends[1], error.message, strlen (error.message)) < 0)
        _exit (1);
      _exit (0);
    }
  close (ends[1]);
  g_assert_cmpint (waitpid (pid, &wait_status, 0), ==, pid);
  g_assert_cmpint (wait_status, ==, 0);
  n = read (ends[0], error.message, sizeof error.message - 1);
  g_assert_cmpint (n, >=, 0);
  error.message[n] = '\0';
  close (ends[0]);
  return g_strdup (error.message);
}

static void
assert_content (const char *path, const char *expected)
{
  g_autofree char *content = NULL;

  g_assert_true (g_file_get_contents (path, &content, NULL, NULL));
  g_assert_cmpstr (content, ==, expected);
}

static const Field resolver_fields[FIELDS_MAX] = { { A, "10.0.0.2/8" },
                                                   { R, "10.0.0.1" },
                                                   { R, "FD00::0:1" } };
static const char resolver_content[] = "# Written by vmsan at each start.\n"
                                       "nameserver 10.0.0.1\n"
                                       "nameserver fd00::1\n";

static void
test_resolvers_are_written (Image *image, gconstpointer data)
{
  g_autofree char *first = write_resolvers (image, resolver_fields);
  g_autofree char *second = write_resolvers (image, resolver_fields);
  struct stat status;

  g_assert_cmpstr (first, ==, "");
  g_assert_cmpstr (second, ==, "");
  assert_content (image->file, resolver_content);
  g_assert_no_errno (lstat (image->file, &status));
  g_assert_cmphex (status.st_mode, ==, S_IFREG | 0644);
}

static void
test_links_are_replaced_and_not_followed (Image *image, gconstpointer data)
{
  static const char *const targets[] = { "../outside", "/outside", "../run/nowhere",
                                         "/proc/1/mem" };

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_autofree char *message = NULL;
      struct stat status;

      g_remove (image->file);
      g_assert_no_errno (symlink (targets[i], image->file));
      message = write_resolvers (image, resolver_fields);
      g_assert_cmpstr (message, ==, "");
      g_assert_no_errno (lstat (image->file, &status));
      g_assert_true (S_ISREG (status.st_mode));
      assert_content (image->file, resolver_content);
      assert_content (image->outside, "kept");
    }
}

static void
test_a_fifo_is_replaced (Image *image, gconstpointer data)
{
  g_autofree char *message = NULL;

  g_assert_no_errno (mkfifo (image->file, 0644));
  message = write_resolvers (image, resolver_fields);
  g_assert_cmpstr (message, ==, "");
  assert_content (image->file, resolver_content);
}

static void
test_without_resolvers_the_file_stays (Image *image, gconstpointer data)
{
  static const Field fields[FIELDS_MAX] = { { A, "10.0.0.2/8" } };
  g_autofree char *message = NULL;

  g_assert_true (g_file_set_contents (image->file, "the image's", -1, NULL));
  message = write_resolvers (image, fields);
  g_assert_cmpstr (message, ==, "");
  assert_content (image->file, "the image's");
}

static void
test_what_cannot_be_replaced_is_an_error (Image *image, gconstpointer data)
{
  g_autofree char *etc = g_path_get_dirname (image->file);
  g_autofree char *moved = g_build_filename (image->root, "moved", NULL);
  g_autofree char *directory = NULL, *link = NULL;

  g_assert_no_errno (g_mkdir (image->file, 0755));
  directory = write_resolvers (image, resolver_fields);
  g_assert_cmpstr (directory, ==, "cannot write /etc/resolv.conf: Is a directory");

  g_assert_no_errno (g_rename (etc, moved));
  g_assert_no_errno (symlink ("moved", etc));
  link = write_resolvers (image, resolver_fields);
  g_assert_nonnull (strstr (link, "/etc cannot be opened: Too many levels of symbolic links"));
  g_assert_no_errno (g_remove (etc));
  g_assert_no_errno (g_rename (moved, etc));
}

#define world_test(path, function)                                                                 \
  g_test_add ("/agent-net/" path, World, NULL, world_open, function, world_close)
#define image_test(path, function)                                                                 \
  g_test_add ("/agent-net/" path, Image, NULL, image_open, function, image_close)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/agent-net/good-ones-are-understood", test_good_ones_are_understood);
  g_test_add_func ("/agent-net/bad-ones-are-refused-by-name", test_bad_ones_are_refused_by_name);
  g_test_add_func ("/agent-net/a-nul-byte-is-refused", test_a_nul_byte_is_refused);
  world_test ("both-families-are-set-up", test_both_families_are_set_up);
  world_test ("ipv4-alone-is-set-up", test_ipv4_alone_is_set_up);
  world_test ("ipv6-alone-is-set-up-where-it-was-off", test_ipv6_alone_is_set_up_where_it_was_off);
  world_test ("addresses-without-gateways-make-no-default-route",
              test_addresses_without_gateways_make_no_default_route);
  world_test ("a-device-that-is-gone-is-an-error", test_a_device_that_is_gone_is_an_error);
  world_test ("what-the-kernel-refuses-is-told", test_what_the_kernel_refuses_is_told);
  world_test ("what-the-kernel-makes-by-itself-is-no-device",
              test_what_the_kernel_makes_by_itself_is_no_device);
  image_test ("resolvers-are-written", test_resolvers_are_written);
  image_test ("links-are-replaced-and-not-followed", test_links_are_replaced_and_not_followed);
  image_test ("a-fifo-is-replaced", test_a_fifo_is_replaced);
  image_test ("without-resolvers-the-file-stays", test_without_resolvers_the_file_stays);
  image_test ("what-cannot-be-replaced-is-an-error", test_what_cannot_be_replaced_is_an_error);
  return g_test_run ();
}
