/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Network options: what is said reaches the service as it is, or is refused with the value that is
 * wrong; and what the service says of a network is shown. */

#include "network-options.h"
#include "network-text.h"

#include <locale.h>
#include <string.h>

static GVariant *
fill (const NetworkOptions *options, GError **error)
{
  g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);

  if (!network_options_fill (options, dict, error))
    return NULL;
  return g_variant_ref_sink (g_variant_dict_end (dict));
}

/* @text: an a{sv}; the order of its members means nothing. */
static void
assert_filled (const NetworkOptions *options, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) filled = fill (options, &error);
  g_autoptr (GVariant) want = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (filled), ==, g_variant_n_children (want));
  g_variant_iter_init (&iter, want);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      g_autoptr (GVariant) got = g_variant_lookup_value (filled, key, NULL);

      g_test_message ("%s", key);
      g_assert_nonnull (got);
      g_assert_cmpvariant (got, value);
    }
}

static void
assert_refused (const NetworkOptions *options, const char *named)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) filled = fill (options, &error);

  g_assert_null (filled);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, named));
}

#define LIST(...) ((char *[]){ __VA_ARGS__, NULL })

static void
test_what_is_given_is_passed_on (void)
{
  assert_filled (&(NetworkOptions){ 0 }, "@a{sv} {}");
  assert_filled (&(NetworkOptions){ .none = TRUE }, "{'network': <'none'>}");
  assert_filled (&(NetworkOptions){ .policy = "deny-all" }, "{'network-policy': <'deny-all'>}");
  assert_filled (
      &(NetworkOptions){ .policy = "custom",
                         .allowed_domains = LIST ("a.test", "*.B.test."),
                         .allowed_cidrs = LIST ("192.0.2.0/24"),
                         .denied_cidrs = LIST ("192.0.2.1", "2001:db8::/32"),
                         .ports = LIST ("8080:80", "[2001:db8::1]:5353:53/udp"),
                         .bandwidth = "100",
                         .no_icmp = TRUE },
      "{'network-policy': <'custom'>, 'allowed-domains': <['a.test', '*.B.test.']>,"
      " 'allowed-cidrs': <['192.0.2.0/24']>, 'denied-cidrs': <['192.0.2.1', '2001:db8::/32']>,"
      " 'published-ports': <['8080:80', '[2001:db8::1]:5353:53/udp']>,"
      " 'bandwidth-mbit': <uint32 100>, 'allow-icmp': <false>}");
  assert_filled (&(NetworkOptions){ .icmp = TRUE, .bandwidth = "none" },
                 "{'allow-icmp': <true>, 'bandwidth-mbit': <uint32 0>}");
}

static void
test_empty_text_empties_a_list (void)
{
  assert_filled (
      &(NetworkOptions){
          .allowed_domains = LIST (""), .denied_cidrs = LIST (""), .ports = LIST ("") },
      "{'allowed-domains': <@as []>, 'denied-cidrs': <@as []>, 'published-ports': <@as []>}");
  assert_refused (&(NetworkOptions){ .ports = LIST ("8080:80", "") }, "published ports");
  assert_refused (&(NetworkOptions){ .allowed_cidrs = LIST ("192.0.2.1", "") },
                  "allowed addresses");
}

static void
test_what_makes_no_sense_is_refused (void)
{
  assert_refused (&(NetworkOptions){ .policy = "allow" }, "“allow”");
  assert_refused (&(NetworkOptions){ .policy = "" }, "“”");
  assert_refused (&(NetworkOptions){ .bandwidth = "1G" }, "“1G”");
  assert_refused (&(NetworkOptions){ .bandwidth = "" }, "“”");
  assert_refused (&(NetworkOptions){ .bandwidth = "4294967296" }, "“4294967296”");
  assert_refused (&(NetworkOptions){ .icmp = TRUE, .no_icmp = TRUE }, "--no-icmp");
}

static void
test_no_network_goes_with_nothing_else (void)
{
  const NetworkOptions others[] = {
    { .policy = "deny-all" },
    { .allowed_domains = LIST ("a.test") },
    { .allowed_cidrs = LIST ("192.0.2.1") },
    { .denied_cidrs = LIST ("192.0.2.1") },
    { .ports = LIST ("8080:80") },
    { .bandwidth = "1" },
    { .icmp = TRUE },
    { .no_icmp = TRUE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    {
      NetworkOptions both = others[i];

      both.none = TRUE;
      assert_refused (&both, "--no-network");
    }
}

static void
test_ports_have_their_form_or_are_refused (void)
{
  static const struct
  {
    const char *text;
    gboolean good;
  } cases[] = {
    { "8080:80", TRUE },
    { "8080:80/tcp", TRUE },
    { "8080:80/udp", TRUE },
    { "0.0.0.0:8080:80", TRUE },
    { "[2001:db8::1]:8080:80/udp", TRUE },
    { "65535:65535", TRUE },
    { "8080", FALSE },
    { ":80", FALSE },
    { "8080:", FALSE },
    { ":8080:80", FALSE },
    { "0:80", FALSE },
    { "8080:0", FALSE },
    { "65536:80", FALSE },
    { "8080:65536", FALSE },
    { "+1:80", FALSE },
    { "-1:80", FALSE },
    { " 1:80", FALSE },
    { "0x10:80", FALSE },
    { "http:80", FALSE },
    { "8080:80/sctp", FALSE },
    { "8080:80/UDP", FALSE },
    { "8080:80/", FALSE },
    { "8080:80 ", FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const NetworkOptions options = { .ports = LIST ("7:7", (char *) cases[i].text) };
      g_autofree char *quoted = g_strdup_printf ("“%s”", cases[i].text);
      g_autofree char *want =
          g_strdup_printf ("{'published-ports': <['7:7', '%s']>}", cases[i].text);

      g_test_message ("%s", cases[i].text);
      if (cases[i].good)
        assert_filled (&options, want);
      else
        assert_refused (&options, quoted);
    }
}

static char *
show (const char *network)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) variant =
      g_variant_parse (G_VARIANT_TYPE_VARDICT, network, NULL, NULL, &error);
  GString *text = g_string_new (NULL);

  g_assert_no_error (error);
  network_text_append (text, variant, FALSE);
  return g_string_free (text, FALSE);
}

static void
test_all_of_a_network_is_shown (void)
{
  g_autofree char *text =
      show ("{'bandwidth-mbit': <uint32 100>, 'allow-icmp': <false>, 'network': <'nat'>,"
            " 'network-policy': <'custom'>, 'address': <'198.18.0.2'>, 'skip-dnat': <true>,"
            " 'address6': <'fd00::2'>,"
            " 'allowed-cidrs': <['192.0.2.0/24']>, 'denied-cidrs': <@as []>,"
            " 'allowed-domains': <['a.test', '*.b.test']>, 'published-ports': <['1024:1']>,"
            " 'from-the-future': <uint32 7>}");

  g_assert_cmpstr (text, ==,
                   "         Network: nat\n"
                   "         Address: 198.18.0.2\n"
                   "    IPv6 address: fd00::2\n"
                   "          Policy: custom\n"
                   "   Allowed names: a.test\n"
                   "                  *.b.test\n"
                   "   Allowed CIDRs: 192.0.2.0/24\n"
                   "            ICMP: dropped\n"
                   " Published ports: 1024:1\n"
                   "    Port routing: left to others\n"
                   "       Bandwidth: 100 Mbit/s\n"
                   " from-the-future: 7\n");
}

static void
test_no_network_is_shown_as_that (void)
{
  g_autofree char *text = show ("{'network': <'none'>, 'network-policy': <'deny-all'>,"
                                " 'allow-icmp': <false>, 'bandwidth-mbit': <uint32 0>}");

  g_assert_cmpstr (text, ==, "         Network: none\n");
}

/* What comes over the bus is text of somebody else's. */
static void
test_other_types_and_control_characters_do_no_harm (void)
{
  g_autofree char *text = show ("{'network': <'n\\u001bat'>, 'allow-icmp': <'x'>,"
                                " 'bandwidth-mbit': <true>, 'allowed-domains': <['a\\nb']>}");

  g_assert_cmpstr (text, ==,
                   "         Network: n?at\n"
                   "   Allowed names: a?b\n"
                   "            ICMP: x\n"
                   "       Bandwidth: true\n");
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add_func ("/client/network/" name, function)
  ADD ("what-is-given-is-passed-on", test_what_is_given_is_passed_on);
  ADD ("empty-text-empties-a-list", test_empty_text_empties_a_list);
  ADD ("what-makes-no-sense-is-refused", test_what_makes_no_sense_is_refused);
  ADD ("no-network-goes-with-nothing-else", test_no_network_goes_with_nothing_else);
  ADD ("ports-have-their-form-or-are-refused", test_ports_have_their_form_or_are_refused);
  ADD ("all-of-a-network-is-shown", test_all_of_a_network_is_shown);
  ADD ("no-network-is-shown-as-that", test_no_network_is_shown_as_that);
  ADD ("other-types-and-control-characters-do-no-harm",
       test_other_types_and_control_characters_do_no_harm);
  return g_test_run ();
}
