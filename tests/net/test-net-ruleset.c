/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whose rules have changed, as the kernel tells it. */

#include "net-world.h"

#include "net/net-nft.h"
#include "net/net-ruleset.h"
#include "sys/fd.h"

#define SOON 5000

static void
run_nft (const char *commands)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_nft_run (-1, commands, "A test", &error);
  g_assert_no_error (error);
}

static int
follow (void)
{
  g_autoptr (GError) error = NULL;
  int fd;

  run_nft ("flush ruleset");
  fd = vmsan_net_ruleset_follow (&error);
  g_assert_no_error (error);
  return fd;
}

/* Runs @commands and says whether that was about others. */
static gboolean
change (int fd, const char *commands)
{
  run_nft (commands);
  g_assert_true (net_world_wait_readable (fd, SOON));
  return vmsan_net_ruleset_take_changes (fd);
}

static void
test_nothing_is_told_without_a_change (void)
{
  vmsan_autofd int fd = follow ();

  g_assert_false (net_world_wait_readable (fd, 0));
  g_assert_false (vmsan_net_ruleset_take_changes (fd));
}

static void
test_our_own_changes_are_none_of_others (void)
{
  static const char *const changes[] = {
    "table inet vmsan { set s { type ipv4_addr; }; chain c { }; }",
    "add element inet vmsan s { 192.0.2.1, 192.0.2.2 }",
    "add rule inet vmsan c counter accept",
    "delete element inet vmsan s { 192.0.2.1 }",
    "flush chain inet vmsan c",
    "delete table inet vmsan",
  };
  vmsan_autofd int fd = follow ();

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    if (change (fd, changes[i]))
      g_error ("“%s” was taken for a change of others", changes[i]);
}

static void
test_changes_of_others_are_told_from_ours (void)
{
  static const char *const changes[] = {
    "add table inet vmsan2",
    "add table inet vmsa",
    "add table ip vmsan",
    "add chain ip vmsan c { type filter hook forward priority 0; policy drop; }",
    "add rule ip vmsan c accept",
    "delete table ip vmsan",
    "table inet vmsan { }; table ip6 filter { }",
    "flush ruleset",
  };
  vmsan_autofd int fd = follow ();

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    if (!change (fd, changes[i]))
      g_error ("“%s” was not taken for a change of others", changes[i]);
}

static void
test_more_than_can_be_told_may_be_anybodys (void)
{
  vmsan_autofd int fd = follow ();
  const int small = 1;
  const int large = 1 << 17;

  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), ==, 0);
  run_nft ("table inet vmsan { chain c { }; }");
  for (guint i = 0; i < 50; i++)
    run_nft ("add rule inet vmsan c counter accept");
  g_assert_true (vmsan_net_ruleset_take_changes (fd));
  /* And it can be read from on. */
  g_assert_cmpint (setsockopt (fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large), ==, 0);
  g_assert_false (change (fd, "flush chain inet vmsan c"));
  run_nft ("flush ruleset");
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

  g_test_add_func ("/net/ruleset/nothing-is-told-without-a-change",
                   test_nothing_is_told_without_a_change);
  g_test_add_func ("/net/ruleset/our-own-changes-are-none-of-others",
                   test_our_own_changes_are_none_of_others);
  g_test_add_func ("/net/ruleset/changes-of-others-are-told-from-ours",
                   test_changes_of_others_are_told_from_ours);
  g_test_add_func ("/net/ruleset/more-than-can-be-told-may-be-anybodys",
                   test_more_than_can_be_told_may_be_anybodys);
  return net_world_run_tests ();
}
