/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whose rules have changed, as the kernel tells it. */

#include "net-world.h"

#include "net/net-nft.h"
#include "net/net-ruleset.h"
#include "net/net-watch.h"

#include <linux/netfilter/nfnetlink.h>

#define SOON_MS 5000
/* Longer than a watch waits for more. */
#define NEVER_MS 400

static void
run_nft (const char *commands)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_nft_run (-1, commands, "A test", &error);
  g_assert_no_error (error);
}

/* Two watches: of any change, and of those of others. */
typedef struct
{
  VmsanNetWatch *any;
  VmsanNetWatch *others;
  gboolean any_told;
  gboolean others_told;
} Watches;

static void
on_changed (gpointer data)
{
  *(gboolean *) data = TRUE;
}

static void
watches_clear (Watches *self)
{
  vmsan_net_watch_free (self->any);
  vmsan_net_watch_free (self->others);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Watches, watches_clear)

static gboolean
on_time_over (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Until @told or the time is over. */
static gboolean
wait_until_told (const gboolean *told, guint timeout_ms)
{
  gboolean over = FALSE;
  guint timeout = g_timeout_add (timeout_ms, on_time_over, &over);

  while (!*told && !over)
    g_main_context_iteration (NULL, TRUE);
  if (!over)
    g_source_remove (timeout);
  return *told;
}

static void
follow (Watches *self)
{
  const VmsanNetWatchSpec any = {
    .protocol = NETLINK_NETFILTER,
    .groups = VMSAN_NET_WATCH_GROUP (NFNLGRP_NFTABLES),
    .changed = on_changed,
    .data = &self->any_told,
  };
  VmsanNetWatchSpec others = any;
  g_autoptr (GError) error = NULL;

  run_nft ("flush ruleset");
  others.matches = vmsan_net_ruleset_is_of_others;
  others.data = &self->others_told;
  self->any = vmsan_net_watch_new (&any, &error);
  g_assert_no_error (error);
  self->others = vmsan_net_watch_new (&others, &error);
  g_assert_no_error (error);
}

/* Runs @commands and says whether that was about others. Both watches tell after the same time, and
 * the one of others is read first. */
static gboolean
change (Watches *self, const char *commands)
{
  self->any_told = self->others_told = FALSE;
  run_nft (commands);
  g_assert_true (wait_until_told (&self->any_told, SOON_MS));
  wait_until_told (&self->others_told, NEVER_MS);
  return self->others_told;
}

static void
test_nothing_is_told_without_a_change (void)
{
  g_auto (Watches) watches = { 0 };

  follow (&watches);
  g_assert_false (wait_until_told (&watches.any_told, NEVER_MS));
  g_assert_false (watches.others_told);
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
  g_auto (Watches) watches = { 0 };

  follow (&watches);
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    if (change (&watches, changes[i]))
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
  g_auto (Watches) watches = { 0 };

  follow (&watches);
  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    if (!change (&watches, changes[i]))
      g_error ("“%s” was not taken for a change of others", changes[i]);
}

/* More than fits the socket's buffer, of our own alone. */
static void
test_more_than_can_be_told_may_be_anybodys (void)
{
  g_auto (Watches) watches = { 0 };

  follow (&watches);
  run_nft ("table inet vmsan { chain c { }; }");
  for (guint i = 0; i < 3000; i++)
    run_nft ("add rule inet vmsan c counter accept");
  g_assert_true (wait_until_told (&watches.others_told, SOON_MS));
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
