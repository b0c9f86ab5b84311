/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Names, asked by a guest of a real dnsmasq in its machine's namespace, with a name server on the
 * host that keeps what it was asked; and what the answers open, by packets.
 *
 * The verdicts, for allowed domains example.com, *.wild.test and both of both.test:
 *
 *   example.com, in any case, with or without a dot at the end     answered
 *   www.example.com, notexample.com, example.com.evil.test         refused, not asked upstream
 *   a.wild.test, a.b.wild.test                                     answered
 *   wild.test, awild.test                                          refused, not asked upstream
 *   an alias of an allowed name to one that is not listed          answered, its address opened
 *   that other name itself                                         refused, not asked upstream
 *   an answer with a private, link-local or loopback address       answered without any address
 *   an answer with such an address behind an alias                 likewise
 *   an answer with a public and a private address                  likewise; the public one may be
 *                                                                  opened, as a name led there
 */

#include "dns-server.h"
#include "net-outside.h"
#include "net-world.h"

#include "net/net-dns.h"
#include "net/net-inside.h"
#include "net/net-nft.h"
#include "net/net-resolvers.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define POOL6 "fd12:3456:789a::/64"
#define SOON  5000
#define PORT  5353

#define NOERROR  0
#define NXDOMAIN 3
#define REFUSED  5

/* ---- A machine with a resolver ------------------------------------------------------------- */

typedef struct
{
  NetOutside *outside;
  DnsServer *server;
  NetMachine *machine;
  VmsanNetDnsSpec spec;
  VmsanProcess *process;
  GHashTable *allowed; /* names that were asked about and were allowed */
} Names;

static VmsanProcess *
start (const VmsanNetDnsSpec *spec, const VmsanNetPolicy *policy, GError **error)
{
  vmsan_autofd int message_fd = -1;
  g_autoptr (VmsanProcess) process = vmsan_net_dns_spawn (spec, policy, &message_fd, error);

  if (process == NULL || vmsan_net_dns_wait (spec, process, message_fd, error))
    return g_steal_pointer (&process);
  vmsan_process_kill (process, SIGKILL, NULL);
  return NULL;
}

static void
start_resolver (Names *self)
{
  g_autoptr (GError) error = NULL;

  self->process = start (&self->spec, self->machine->policy, &error);
  g_assert_no_error (error);
}

static void
wait_for_end (GObject *source, GAsyncResult *result, gpointer data)
{
  gboolean *done = data;

  g_assert_true (vmsan_process_wait_finish (VMSAN_PROCESS (source), result, NULL, NULL));
  *done = TRUE;
}

static void
end_resolver (Names *self)
{
  gboolean done = FALSE;

  g_assert_true (vmsan_process_kill (self->process, SIGKILL, NULL));
  vmsan_process_wait_async (self->process, NULL, wait_for_end, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&self->process);
}

/* The name server is the host's own, at its outer addresses. */
static Names *
names_new (const char *pool6, const char *options)
{
  static const VmsanNetResolver resolvers[] = { { AF_INET, NET_OUTSIDE_HOST4, PORT },
                                                { AF_INET6, NET_OUTSIDE_HOST6, PORT } };
  Names *self = g_new0 (Names, 1);
  VmsanNetHost host;
  g_autoptr (GError) error = NULL;

  self->outside = net_outside_new (pool6);
  g_array_set_size (self->outside->resolvers, 0);
  g_array_append_vals (self->outside->resolvers, resolvers, self->outside->pools.has_pool6 ? 2 : 1);
  host = (VmsanNetHost){ &self->outside->pools, self->outside->resolvers };
  g_assert_true (vmsan_net_host_rebuild (&host, NULL, 0, &error));
  self->server = dns_server_new (NET_OUTSIDE_HOST4,
                                 self->outside->pools.has_pool6 ? NET_OUTSIDE_HOST6 : NULL, PORT);
  self->machine = net_machine_new (self->outside, 5, options);
  self->spec = (VmsanNetDnsSpec){ .id = "m5",
                                  .namespace_fd = self->machine->namespace_fd,
                                  .resolvers = self->outside->resolvers,
                                  .has_ipv6 = self->outside->pools.has_pool6,
                                  .uid = self->machine->firewall.resolver_uid };
  self->allowed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  start_resolver (self);
  return self;
}

static void
names_free (Names *self)
{
  if (self->process != NULL)
    end_resolver (self);
  net_machine_free (self->machine);
  dns_server_free (self->server);
  net_outside_free (self->outside);
  g_hash_table_unref (self->allowed);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Names, names_free)

static DnsAnswer
ask_at (Names *self, const char *gateway, const char *name, guint16 type)
{
  g_autoptr (GBytes) question = dns_question (name, type);
  guint8 data[PACKET_MAX_PAYLOAD];
  gssize size;
  DnsAnswer answer;

  if (vmsan_net_policy_allows_name (self->machine->policy, name))
    {
      char *plain = g_ascii_strdown (name, -1);

      if (g_str_has_suffix (plain, "."))
        plain[strlen (plain) - 1] = '\0';
      g_hash_table_add (self->allowed, plain);
    }
  size = tap_guest_exchange (self->machine->guest, gateway, 53, question, data, SOON);

  if (size < 0 || !dns_answer_parse (data, size, &answer))
    g_error ("No answer about “%s”", name);
  return answer;
}

static DnsAnswer
ask (Names *self, const char *name, guint16 type)
{
  return ask_at (self, VMSAN_NET_GATEWAY4, name, type);
}

static void
forget_questions (Names *self)
{
  g_strfreev (dns_server_take_questions (self->server));
}

/* Whether upstream was asked for it since. dnsmasq asks both servers of it, and the second may hear
 * of an earlier name only now: so it matters which one, and that it was an allowed one. */
static gboolean
was_asked (Names *self, const char *name)
{
  g_auto (GStrv) questions = dns_server_take_questions (self->server);
  g_auto (GStrv) parts = g_strsplit (name, "\\", -1);
  g_autofree char *plain = g_strjoinv ("", parts);
  g_autofree char *wanted = g_ascii_strdown (plain, -1);

  if (g_str_has_suffix (wanted, "."))
    wanted[strlen (wanted) - 1] = '\0';
  for (guint i = 0; questions[i] != NULL; i++)
    if (strcmp (questions[i], wanted) != 0)
      g_assert_true (g_hash_table_contains (self->allowed, questions[i]));
  return g_strv_contains ((const char *const *) questions, wanted);
}

static gboolean
reaches (Names *self, const char *to)
{
  static guint16 port = 1000;
  TapProbe probe = { IPPROTO_TCP, to, ++port };

  tap_guest_send (self->machine->guest, &probe);
  net_machine_settle (self->machine);
  return tap_guest_count (self->outside->internet, IPPROTO_TCP, NULL, port) > 0;
}

static void
flush_names (Names *self)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_nft_run (self->machine->namespace_fd,
                     "flush set inet vmsan allowed_names4\n"
                     "flush set inet vmsan allowed_names6\n",
                     "A test", &error);
  g_assert_no_error (error);
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

typedef struct
{
  const char *name;
  int rcode;
  gboolean asked;      /* upstream */
  gboolean addressed;  /* the answer has an address */
  const char *address; /* of the answer */
  gboolean opened;     /* and the machine reaches it then */
} Verdict;

#define ANSWERED(name)                                                                             \
  {                                                                                                \
    name, NOERROR, TRUE, TRUE, DNS_SERVER_A, TRUE                                                  \
  }
#define NOT_ASKED(name)                                                                            \
  {                                                                                                \
    name, REFUSED, FALSE, FALSE, DNS_SERVER_A, FALSE                                               \
  }
#define EMPTIED(name, address)                                                                     \
  {                                                                                                \
    name, NOERROR, TRUE, FALSE, address, FALSE                                                     \
  }

static const Verdict verdicts[] = {
  ANSWERED ("example.com"),
  ANSWERED ("example.com."),
  ANSWERED ("EXAMPLE.COM"),
  ANSWERED ("eXaMpLe.cOm."),
  NOT_ASKED ("notexample.com"),
  NOT_ASKED ("not-example.com"),
  NOT_ASKED ("example.com.evil.test"),
  NOT_ASKED ("example.comx"),
  NOT_ASKED ("www.example.com"),
  NOT_ASKED ("a.b.example.com"),
  NOT_ASKED ("com"),
  NOT_ASKED ("example"),
  NOT_ASKED ("localhost"),
  NOT_ASKED ("other.test"),
  NOT_ASKED ("1.1.0.192.in-addr.arpa"),
  NOT_ASKED ("version.bind"),
  NOT_ASKED ("example\\.com"),
  NOT_ASKED ("x.example\\.com"),
  NOT_ASKED ("a\\.wild.test"),
  ANSWERED ("a.wild.test"),
  ANSWERED ("a.b.c.d.wild.test"),
  ANSWERED ("A.WILD.TEST."),
  ANSWERED ("_x.wild.test"),
  NOT_ASKED ("wild.test"),
  NOT_ASKED ("awild.test"),
  NOT_ASKED ("a.wild.test.evil.test"),
  ANSWERED ("both.test"),
  ANSWERED ("a.both.test"),
  { "nowhere.wild.test", NXDOMAIN, TRUE, FALSE, DNS_SERVER_A, FALSE },
  { "alias.wild.test", NOERROR, TRUE, TRUE, DNS_SERVER_CDN, TRUE },
  NOT_ASKED ("cdn.other.test"), /* after it was the end of an alias */
  EMPTIED ("alias-private.wild.test", "10.1.2.3"),
  EMPTIED ("private.wild.test", "10.1.2.3"),
  EMPTIED ("linklocal.wild.test", "169.254.169.254"),
  EMPTIED ("loopback.wild.test", "127.0.0.1"),
  EMPTIED ("mixed.wild.test", "10.1.2.3"),
};

static const Verdict verdicts6[] = {
  { "example.com", NOERROR, TRUE, TRUE, DNS_SERVER_AAAA, TRUE },
  { "www.example.com", REFUSED, FALSE, FALSE, DNS_SERVER_AAAA, FALSE },
  { "x.wild.test", NOERROR, TRUE, TRUE, DNS_SERVER_AAAA, TRUE },
  EMPTIED ("private6.wild.test", "fd00::1"),
  EMPTIED ("linklocal6.wild.test", "fe80::1"),
  EMPTIED ("mapped6.wild.test", "10.1.2.3"),
};

static void
check_verdict (Names *names, const Verdict *verdict, guint16 type, const char *gateway)
{
  DnsAnswer answer;
  gboolean asked, opened;

  flush_names (names);
  forget_questions (names);
  answer = ask_at (names, gateway, verdict->name, type);
  asked = was_asked (names, verdict->name);
  opened = reaches (names, verdict->address);
  if (answer.rcode != verdict->rcode || asked != verdict->asked ||
      answer.has_address != verdict->addressed || opened != verdict->opened)
    g_error ("“%s” by %s: code %d, %s, %s address, %s %s", verdict->name, gateway, answer.rcode,
             asked ? "asked upstream" : "not asked", answer.has_address ? "with" : "without",
             verdict->address, opened ? "open" : "closed");
}

static void
test_the_table_of_verdicts (void)
{
  g_autoptr (Names) names = names_new (
      POOL6, "{'allowed-domains': <['example.com', '*.wild.test', 'both.test', '*.both.test']>}");

  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    check_verdict (names, &verdicts[i], DNS_A, VMSAN_NET_GATEWAY4);
  for (guint i = 0; i < G_N_ELEMENTS (verdicts6); i++)
    check_verdict (names, &verdicts6[i], DNS_AAAA, VMSAN_NET_GATEWAY6);
}

/* What a policy says about names and what dnsmasq makes of it. */
static void
test_any_list_is_understood_as_it_is_meant (void)
{
  static const char *const labels[] = { "a", "b", "ab" };
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['x']>}");

  for (guint round = 0; round < 12; round++)
    {
      g_autoptr (GString) options = g_string_new ("{'allowed-domains': <[");
      guint n = g_test_rand_int_range (1, 6);

      for (guint i = 0; i < n; i++)
        {
          guint depth = g_test_rand_int_range (1, 4);

          g_string_append_printf (options, "%s'%s", i > 0 ? ", " : "",
                                  g_test_rand_bit () ? "*." : "");
          for (guint j = 0; j < depth; j++)
            g_string_append_printf (options, "%s%s", j > 0 ? "." : "",
                                    labels[g_test_rand_int_range (0, 3)]);
          g_string_append (options, ".t'");
        }
      g_string_append (options, "]>}");
      end_resolver (names);
      net_machine_change (names->machine, options->str);
      start_resolver (names);
      for (guint i = 0; i < 25; i++)
        {
          g_autoptr (GString) name = g_string_new (NULL);
          guint depth = g_test_rand_int_range (0, 5);
          gboolean allowed, asked;
          DnsAnswer answer;

          for (guint j = 0; j < depth; j++)
            g_string_append_printf (name, "%s.", labels[g_test_rand_int_range (0, 3)]);
          g_string_append (name, "t");
          allowed = vmsan_net_policy_allows_name (names->machine->policy, name->str);
          forget_questions (names);
          answer = ask (names, name->str, DNS_A);
          asked = was_asked (names, name->str);
          if (asked != allowed || answer.rcode != (allowed ? NOERROR : REFUSED))
            g_error ("%s: “%s” has code %d, %s", options->str, name->str, answer.rcode,
                     asked ? "asked upstream" : "not asked");
        }
    }
}

static void
test_answers_are_valid_for_less_than_addresses_are_allowed (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['*.a.test']>}");
  DnsAnswer answer = ask (names, "long.a.test", DNS_A);

  g_assert_true (answer.has_address);
  g_assert_cmpuint (answer.ttl, ==, VMSAN_NET_NAMES_MAX_TTL_S);
  G_STATIC_ASSERT (VMSAN_NET_NAMES_PERIOD_S > VMSAN_NET_NAMES_MAX_TTL_S);
  answer = ask (names, "short.a.test", DNS_A);
  g_assert_cmpuint (answer.ttl, ==, 60);
  /* Asked again, upstream is asked again, so the firewall hears of it again. */
  forget_questions (names);
  ask (names, "short.a.test", DNS_A);
  g_assert_true (was_asked (names, "short.a.test"));
}

static void
test_other_types_of_allowed_names_are_answered (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['a.test']>}");
  DnsAnswer answer = ask (names, "a.test", DNS_TXT);

  g_assert_cmpint (answer.rcode, ==, NOERROR);
  g_assert_cmpuint (answer.n_answers, ==, 1);
  forget_questions (names);
  answer = ask (names, "b.test", DNS_TXT);
  g_assert_cmpint (answer.rcode, ==, REFUSED);
  g_assert_false (was_asked (names, "b.test"));
}

typedef struct
{
  GBytes *question;
  DnsAnswer answer;
} Stream;

static gboolean
ask_by_stream (gpointer data, GError **error)
{
  Stream *stream = data;
  vmsan_autofd int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (53) };
  struct timeval deadline = { .tv_sec = 5 };
  gsize size;
  const guint8 *question = g_bytes_get_data (stream->question, &size);
  guint16 length = htons (size);
  guint8 reply[2048];

  inet_pton (AF_INET, VMSAN_NET_GATEWAY4, &to.sin_addr);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &to, sizeof to), ==, 0);
  g_assert_cmpint (send (fd, &length, sizeof length, 0), ==, sizeof length);
  g_assert_cmpint (send (fd, question, size, 0), ==, size);
  g_assert_cmpint (recv (fd, &length, sizeof length, MSG_WAITALL), ==, sizeof length);
  g_assert_cmpuint (ntohs (length), <=, sizeof reply);
  g_assert_cmpint (recv (fd, reply, ntohs (length), MSG_WAITALL), ==, ntohs (length));
  return dns_answer_parse (reply, ntohs (length), &stream->answer);
}

static void
test_tcp_says_the_same (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['a.test']>}");
  Stream allowed = { dns_question ("a.test", DNS_A) };
  Stream refused = { dns_question ("b.test", DNS_A) };

  g_assert_cmpint (tap_guest_probe (names->machine->guest,
                                    (TapProbe){ IPPROTO_TCP, VMSAN_NET_GATEWAY4, 53 }, SOON),
                   ==, TAP_ANSWERED);
  g_assert_true (
      vmsan_net_inside_run (names->machine->namespace_fd, ask_by_stream, &allowed, NULL));
  g_assert_true (allowed.answer.has_address);
  g_assert_true (reaches (names, DNS_SERVER_A));
  forget_questions (names);
  g_assert_true (
      vmsan_net_inside_run (names->machine->namespace_fd, ask_by_stream, &refused, NULL));
  g_assert_cmpint (refused.answer.rcode, ==, REFUSED);
  g_assert_false (was_asked (names, "b.test"));
  g_bytes_unref (allowed.question);
  g_bytes_unref (refused.question);
}

static void
test_an_address_is_open_when_its_name_was_asked_for (void)
{
  g_autoptr (Names) names =
      names_new (POOL6, "{'allowed-domains': <['a.test']>, 'denied-cidrs': <['93.184.1.8/29']>}");

  g_assert_false (reaches (names, DNS_SERVER_A));
  g_assert_false (reaches (names, DNS_SERVER_AAAA));
  ask (names, "a.test", DNS_A);
  g_assert_true (reaches (names, DNS_SERVER_A));
  g_assert_false (reaches (names, DNS_SERVER_AAAA));
  ask (names, "a.test", DNS_AAAA);
  g_assert_true (reaches (names, DNS_SERVER_AAAA));
  g_assert_false (reaches (names, "93.184.1.2"));
  /* Nobody else's name servers, whatever was resolved. */
  g_assert_cmpint (tap_guest_probe (names->machine->guest,
                                    (TapProbe){ IPPROTO_UDP, DNS_SERVER_A, 53 }, 100),
                   ==, TAP_SILENT);
}

static void
test_denied_beats_what_a_name_led_to (void)
{
  g_autoptr (Names) names =
      names_new (POOL6, "{'allowed-domains': <['*.a.test']>, 'denied-cidrs': <['93.184.1.8/29']>}");

  g_assert_true (ask (names, "alias.a.test", DNS_A).has_address);
  g_assert_false (reaches (names, DNS_SERVER_CDN));
  ask (names, "b.a.test", DNS_A);
  g_assert_true (reaches (names, DNS_SERVER_A));
}

static void
test_names_that_are_listed_no_more_are_closed (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['a.test']>}");

  ask (names, "a.test", DNS_A);
  g_assert_true (reaches (names, DNS_SERVER_A));
  end_resolver (names);
  net_machine_change (names->machine, "{'allowed-domains': <['b.test']>}");
  start_resolver (names);
  g_assert_false (reaches (names, DNS_SERVER_A));
  g_assert_cmpint (ask (names, "a.test", DNS_A).rcode, ==, REFUSED);
  g_assert_false (reaches (names, DNS_SERVER_A));
  ask (names, "b.test", DNS_A);
  g_assert_true (reaches (names, DNS_SERVER_A));
}

static void
test_a_machine_without_ipv6_resolves_too (void)
{
  g_autoptr (Names) names = names_new ("", "{'allowed-domains': <['a.test']>}");

  g_assert_true (ask (names, "a.test", DNS_A).has_address);
  g_assert_true (reaches (names, DNS_SERVER_A));
  g_assert_cmpint (ask (names, "b.test", DNS_A).rcode, ==, REFUSED);
}

static void
test_the_longest_list_works (void)
{
  g_autoptr (GString) options = g_string_new ("{'allowed-domains': <[");
  g_autoptr (Names) names = NULL;
  gint64 start;

  for (guint i = 0; i < VMSAN_NET_MAX_DOMAINS; i++)
    g_string_append_printf (options, "%s'*.%u.%s.test'", i > 0 ? ", " : "", i,
                            "a-label-that-is-as-long-as-labels-can-be-in-the-names-of-dns-xx");
  g_string_append (options, "]>}");
  names = names_new (POOL6, options->str);
  g_assert_true (ask (names,
                      "x.255.a-label-that-is-as-long-as-labels-can-be-in-the-names-of-dns-xx.test",
                      DNS_A)
                     .has_address);
  g_assert_cmpint (
      ask (names, "x.256.a-label-that-is-as-long-as-labels-can-be-in-the-names-of-dns-xx.test",
           DNS_A)
          .rcode,
      ==, REFUSED);
  end_resolver (names);
  start = g_get_monotonic_time ();
  start_resolver (names);
  g_test_message ("%d domains: started in %.1f ms", VMSAN_NET_MAX_DOMAINS,
                  (g_get_monotonic_time () - start) / 1000.0);
  end_resolver (names);
  net_machine_change (names->machine, "{'allowed-domains': <['a.test']>}");
  start = g_get_monotonic_time ();
  start_resolver (names);
  g_test_message ("1 domain: started in %.1f ms", (g_get_monotonic_time () - start) / 1000.0);
}

/* ---- The process --------------------------------------------------------------------------- */

static void
assert_has_line (const char *text, const char *line)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  if (!g_strv_contains ((const char *const *) lines, line))
    g_error ("No “%s” in “%s”", line, text);
}

static void
test_the_resolver_is_confined (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['a.test']>}");
  pid_t pid = vmsan_process_get_pid (names->process);
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", pid);
  g_autofree char *root = g_strdup_printf ("/proc/%d/root", pid);
  g_autofree char *own_root = g_strdup_printf ("/proc/%d/root/root", pid);
  g_autofree char *passwd = g_strdup_printf ("/proc/%d/root/etc/passwd", pid);
  g_autofree char *usr = g_strdup_printf ("/proc/%d/root/usr", pid);
  g_autofree char *status = NULL;
  g_autofree char *uid_line = g_strdup_printf ("Uid:\t%d\t%d\t%d\t%d", 4711, 4711, 4711, 4711);

  g_assert_true (g_file_get_contents (path, &status, NULL, NULL));
  assert_has_line (status, uid_line);
  assert_has_line (status, "Groups:\t ");
  assert_has_line (status, "CapEff:\t0000000000001400");
  assert_has_line (status, "CapBnd:\t0000000000001400");
  assert_has_line (status, "NoNewPrivs:\t1");
  g_assert_true (g_file_test (usr, G_FILE_TEST_IS_DIR));
  g_assert_false (g_file_test (own_root, G_FILE_TEST_EXISTS));
  g_assert_false (g_file_test (passwd, G_FILE_TEST_EXISTS));
}

static void
test_what_keeps_it_from_starting_is_said (void)
{
  g_autoptr (Names) names = names_new (POOL6, "{'allowed-domains': <['a.test']>}");
  g_autoptr (GArray) none = g_array_new (FALSE, FALSE, sizeof (VmsanNetResolver));
  VmsanNetDnsSpec spec = names->spec;
  g_autoptr (GError) error = NULL;

  g_assert_null (start (&spec, names->machine->policy, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY);
  g_clear_error (&error);
  end_resolver (names);

  spec.binary = "/no/such/dnsmasq";
  g_assert_null (start (&spec, names->machine->policy, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "/no/such/dnsmasq"));
  g_assert_nonnull (strstr (error->message, "dnsmasq-base"));
  g_clear_error (&error);

  spec.binary = "/usr/bin/false";
  g_assert_null (start (&spec, names->machine->policy, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "m5"));
  g_clear_error (&error);

  /* Its own words: an address that is not there. */
  spec = names->spec;
  vmsan_net_nft_run (spec.namespace_fd, "delete table inet vmsan", "A test", NULL);
  spec.binary = NULL;
  spec.resolvers = none;
  g_assert_null (start (&spec, names->machine->policy, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "Resolver"));
}

/* The resolvers live on when their starter ends: that of a test that fails must not. So all of it
 * is in a PID namespace, which ends with its first process. */
static gboolean
enter_pid_namespace (void)
{
  int status;
  pid_t pid;

  if (unshare (CLONE_NEWPID | CLONE_NEWNS) < 0)
    return FALSE;
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid > 0)
    {
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      exit (WIFEXITED (status) ? WEXITSTATUS (status) : 1);
    }
  g_assert_cmpint (mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), ==, 0);
  g_assert_cmpint (mount ("proc", "/proc", "proc", 0, NULL), ==, 0);
  return TRUE;
}

int
main (int argc, char **argv)
{
  if (!enter_pid_namespace () || !net_world_enter ())
    {
      g_print ("1..0 # SKIP needs root, for namespaces of its own\n");
      return 0;
    }
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/net/dns/the-table-of-verdicts", test_the_table_of_verdicts);
  g_test_add_func ("/net/dns/any-list-is-understood-as-it-is-meant",
                   test_any_list_is_understood_as_it_is_meant);
  g_test_add_func ("/net/dns/answers-are-valid-for-less-than-addresses-are-allowed",
                   test_answers_are_valid_for_less_than_addresses_are_allowed);
  g_test_add_func ("/net/dns/other-types-of-allowed-names-are-answered",
                   test_other_types_of_allowed_names_are_answered);
  g_test_add_func ("/net/dns/tcp-says-the-same", test_tcp_says_the_same);
  g_test_add_func ("/net/dns/an-address-is-open-when-its-name-was-asked-for",
                   test_an_address_is_open_when_its_name_was_asked_for);
  g_test_add_func ("/net/dns/denied-beats-what-a-name-led-to",
                   test_denied_beats_what_a_name_led_to);
  g_test_add_func ("/net/dns/names-that-are-listed-no-more-are-closed",
                   test_names_that_are_listed_no_more_are_closed);
  g_test_add_func ("/net/dns/a-machine-without-ipv6-resolves-too",
                   test_a_machine_without_ipv6_resolves_too);
  g_test_add_func ("/net/dns/the-longest-list-works", test_the_longest_list_works);
  g_test_add_func ("/net/dns/the-resolver-is-confined", test_the_resolver_is_confined);
  g_test_add_func ("/net/dns/what-keeps-it-from-starting-is-said",
                   test_what_keeps_it_from_starting_is_said);
  return g_test_run ();
}
