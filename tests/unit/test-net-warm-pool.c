/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Prepared networks: filled, given out, tampered with, and left by a crash. */

#include "net-fixture.h"

#include "net/net-inside.h"
#include "net/net-names.h"
#include "net/net-nft.h"
#include "net/net-prepared.h"
#include "net/net-warm-pool.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SIZE        3
#define N_SLOTS     64
#define N_THREADS   4
#define N_EACH      6
#define N_CRASHES   40
#define DEADLINE_MS 10000

typedef struct
{
  NetFixture *f;
  VmsanNetSlots *slots;
  VmsanNetReaper *reaper;
  VmsanNetWarmPool *pool;
} Service;

static void
service_start (Service *self, NetFixture *f, guint size)
{
  self->f = f;
  self->slots = vmsan_net_slots_new (N_SLOTS);
  self->reaper = vmsan_net_reaper_new (&f->setup);
  self->pool = vmsan_net_warm_pool_new (&f->setup, self->slots, self->reaper, size);
  vmsan_net_warm_pool_start (self->pool);
}

static void
service_stop (Service *self)
{
  vmsan_net_warm_pool_stop (self->pool);
  g_assert_true (vmsan_net_reaper_drain (self->reaper, DEADLINE_MS));
  vmsan_net_warm_pool_free (self->pool);
  vmsan_net_reaper_free (self->reaper);
  vmsan_net_slots_free (self->slots);
}

static guint
reserve (Service *self)
{
  gint64 deadline = g_get_monotonic_time () + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;
  guint slot;

  while ((slot = vmsan_net_warm_pool_reserve (self->pool)) == VMSAN_NET_NO_SLOT)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      g_usleep (1000);
    }
  return slot;
}

/* Deletes what a machine had, and gives its slot back. */
static void
destroy (Service *self, const char *name, guint slot)
{
  g_autoptr (GError) error = NULL;

  vmsan_net_namespace_delete (&self->f->setup, &name, &slot, 1, &error);
  g_assert_no_error (error);
  vmsan_net_warm_pool_give_back (self->pool, slot);
}

/* ---- Giving out ---------------------------------------------------------------------------- */

typedef struct
{
  Service *service;
  GMutex lock;
  GHashTable *inodes; /* of all namespaces that were given out */
  gint n_users[N_SLOTS];
} Contest;

static void
use_one (Contest *contest)
{
  guint slot = reserve (contest->service);
  g_autofree char *name = g_strdup_printf ("vmsan-user%u", slot);
  vmsan_autofd int fd = -1;
  struct stat st;

  g_assert_cmpint (g_atomic_int_add (&contest->n_users[slot], 1), ==, 0);
  g_assert_true (vmsan_net_warm_pool_holds (contest->service->pool, slot));
  fd = vmsan_net_warm_pool_take (contest->service->pool, slot, name);
  g_assert_cmpint (fd, >=, 0);
  g_assert_false (vmsan_net_warm_pool_holds (contest->service->pool, slot));
  g_assert_cmpint (vmsan_net_warm_pool_take (contest->service->pool, slot, name), ==, -1);
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_mutex_lock (&contest->lock);
  /* Kept open, so that no other gets the inode. */
  g_assert_true (
      g_hash_table_insert (contest->inodes, GSIZE_TO_POINTER (st.st_ino), GINT_TO_POINTER (fd)));
  g_mutex_unlock (&contest->lock);
  fd = -1;
  g_atomic_int_add (&contest->n_users[slot], -1);
  destroy (contest->service, name, slot);
}

static gpointer
use_some (gpointer data)
{
  for (guint i = 0; i < N_EACH; i++)
    use_one (data);
  return NULL;
}

static void
test_each_is_given_out_once (NetFixture *f, gconstpointer data)
{
  Service service;
  Contest contest = { .service = &service, .inodes = g_hash_table_new (NULL, NULL) };
  GThread *threads[N_THREADS];
  GHashTableIter iter;
  gpointer fd;

  g_mutex_init (&contest.lock);
  service_start (&service, f, SIZE);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("test", use_some, &contest);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (g_hash_table_size (contest.inodes), ==, N_THREADS * N_EACH);
  g_hash_table_iter_init (&iter, contest.inodes);
  while (g_hash_table_iter_next (&iter, NULL, &fd))
    close (GPOINTER_TO_INT (fd));
  g_hash_table_unref (contest.inodes);
  g_mutex_clear (&contest.lock);
  service_stop (&service);
}

static void
test_what_is_given_out_lets_nothing_pass (NetFixture *f, gconstpointer data)
{
  Service service;
  vmsan_autofd int fd = -1;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) answer = NULL;
  g_autofree char *text = NULL;
  guint slot;

  service_start (&service, f, SIZE);
  slot = reserve (&service);
  fd = vmsan_net_warm_pool_take (service.pool, slot, NET_NAME);
  g_assert_cmpint (fd, >=, 0);
  answer = vmsan_net_nft_list (fd, "list chain inet vmsan forward", "A test", &error);
  g_assert_no_error (error);
  text = json_to_string (answer, FALSE);
  g_assert_nonnull (strstr (text, "\"policy\":\"drop\""));
  g_clear_pointer (&answer, json_node_unref);
  answer = vmsan_net_nft_list (fd, "list chain inet vmsan live", "A test", &error);
  g_assert_no_error (error);
  g_clear_pointer (&text, g_free);
  text = json_to_string (answer, FALSE);
  g_assert_null (strstr (text, "\"rule\""));
  vmsan_fd_close (&fd);
  destroy (&service, NET_NAME, slot);
  service_stop (&service);
}

static void
test_one_that_was_not_taken_waits_for_another (NetFixture *f, gconstpointer data)
{
  Service service;
  guint slot;

  service_start (&service, f, 1);
  slot = reserve (&service);
  g_assert_cmpuint (vmsan_net_warm_pool_reserve (service.pool), ==, VMSAN_NET_NO_SLOT);
  vmsan_net_warm_pool_give_back (service.pool, slot);
  g_assert_false (vmsan_net_warm_pool_holds (service.pool, slot));
  g_assert_cmpuint (vmsan_net_warm_pool_reserve (service.pool), ==, slot);
  service_stop (&service);
}

static void
test_a_slot_is_not_used_again_before_it_is_given_back (NetFixture *f, gconstpointer data)
{
  Service service;
  guint slots[N_SLOTS];
  guint n = 0;

  service_start (&service, f, 1);
  slots[n++] = reserve (&service);
  for (guint slot; (slot = vmsan_net_slots_take (service.slots, 0)) != VMSAN_NET_NO_SLOT; n++)
    {
      g_assert_cmpuint (n, <, N_SLOTS);
      for (guint i = 0; i < n; i++)
        g_assert_cmpuint (slot, !=, slots[i]);
      slots[n] = slot;
    }
  g_assert_cmpuint (n, ==, N_SLOTS);
  /* Its network has it still. */
  vmsan_net_warm_pool_give_back (service.pool, slots[0]);
  g_assert_cmpuint (vmsan_net_slots_take (service.slots, 0), ==, VMSAN_NET_NO_SLOT);
  g_assert_cmpuint (vmsan_net_warm_pool_reserve (service.pool), ==, slots[0]);
  service_stop (&service);
}

static void
test_a_pool_of_none_gives_none (NetFixture *f, gconstpointer data)
{
  Service service;
  guint slot;

  service_start (&service, f, 0);
  g_assert_cmpuint (vmsan_net_warm_pool_reserve (service.pool), ==, VMSAN_NET_NO_SLOT);
  slot = vmsan_net_slots_take (service.slots, 0);
  g_assert_false (vmsan_net_warm_pool_holds (service.pool, slot));
  g_assert_cmpint (vmsan_net_warm_pool_take (service.pool, slot, NET_NAME), ==, -1);
  vmsan_net_warm_pool_give_back (service.pool, slot);
  for (guint i = 0; i < N_SLOTS; i++)
    g_assert_cmpuint (vmsan_net_slots_take (service.slots, 0), !=, VMSAN_NET_NO_SLOT);
  service_stop (&service);
}

/* ---- Others who change it ------------------------------------------------------------------ */

typedef struct
{
  const char *what;
  gboolean on_host;
  const char *command; /* of a shell, with the slot for "%u" */
} Harm;

static const Harm harms[] = {
  { "its link is gone", TRUE, "ip link del vmsan%u" },
  { "its link is down", TRUE, "ip link set vmsan%u down" },
  { "its link has no address", TRUE, "ip addr flush dev vmsan%u" },
  { "its link has another MTU", TRUE, "ip link set vmsan%u mtu 1400" },
  { "the uplink has another MTU", TRUE, "ip link set eth0 mtu 1400" },
  { "its tap is gone", FALSE, "ip link del tap0" },
  { "its tap is down", FALSE, "ip link set tap0 down" },
  { "its uplink is down", FALSE, "ip link set up0 down" },
  { "it has no way out", FALSE, "ip route flush root 0/0" },
  { "its rules are gone", FALSE, "nft flush ruleset" },
  { "it has a rule more", FALSE, "nft add rule inet vmsan forward accept" },
};

static void
run (const char *command)
{
  const char *const argv[] = { "/bin/sh", "-c", command, NULL };
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status,
                &error);
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, &error));
}

static void
do_harm (const Harm *harm, guint slot)
{
  g_autofree char *number = g_strdup_printf ("%u", slot);
  g_auto (GStrv) parts = g_strsplit (harm->command, "%u", -1);
  g_autofree char *command = g_strjoinv (number, parts);
  g_autofree char *inside =
      g_strdup_printf ("ip netns exec " VMSAN_NET_PREPARED_PREFIX "%u %s", slot, command);

  run (harm->on_host ? command : inside);
}

static void
test_one_that_somebody_changed_is_noticed (NetFixture *f, gconstpointer data)
{
  for (guint i = 0; i < G_N_ELEMENTS (harms); i++)
    {
      Service service;
      g_autoptr (GError) error = NULL;
      guint slot;

      service_start (&service, f, 1);
      slot = reserve (&service);
      do_harm (&harms[i], slot);
      if (vmsan_net_warm_pool_take (service.pool, slot, NET_NAME) >= 0)
        g_error ("It was not noticed that %s", harms[i].what);
      /* Nothing is in the way of another one with the slot. */
      vmsan_net_namespace_create (&f->setup, NET_NAME, slot, &error);
      g_assert_no_error (error);
      destroy (&service, NET_NAME, slot);
      /* And the pool goes on. */
      vmsan_net_warm_pool_give_back (service.pool, reserve (&service));
      service_stop (&service);
      run ("ip link set eth0 mtu 1500");
      net_fixture_assert_nothing_left (f);
    }
}

/* It is the same network all the same. */
static void
test_one_whose_name_somebody_took_is_given_out (NetFixture *f, gconstpointer data)
{
  static const Harm takings[] = {
    { "unbound", TRUE, "umount /run/netns/vmsan-prepared-%u" },
    { "deleted", TRUE, "ip netns del vmsan-prepared-%u" },
    { "another's", TRUE,
      "umount /run/netns/vmsan-prepared-%u; "
      "mount --bind /proc/self/ns/net /run/netns/vmsan-prepared-%u" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (takings); i++)
    {
      Service service;
      vmsan_autofd int fd = -1;
      guint slot;

      service_start (&service, f, 1);
      slot = reserve (&service);
      do_harm (&takings[i], slot);
      fd = vmsan_net_warm_pool_take (service.pool, slot, NET_NAME);
      g_assert_cmpint (fd, >=, 0);
      vmsan_fd_close (&fd);
      fd = net_fixture_open (f);
      vmsan_fd_close (&fd);
      destroy (&service, NET_NAME, slot);
      service_stop (&service);
      net_fixture_assert_nothing_left (f);
    }
}

static void
test_a_failure_is_tried_again_when_something_changes (NetFixture *f, gconstpointer data)
{
  VmsanNetVeth veth = { .name = "vmsan0",
                        .mac = "02:00:00:00:00:03",
                        .peer_name = "other",
                        .peer_mac = "02:00:00:00:00:04",
                        .peer_namespace_fd = f->world->internet_fd,
                        .mtu = 1500 };
  gint64 deadline = g_get_monotonic_time () + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;
  Service service;
  VmsanNetLink link;
  guint slot;

  /* Somebody's link in the first slot. */
  g_assert_true (vmsan_netlink_add_veth (f->world->host, &veth, NULL));
  service_start (&service, f, 1);
  do
    {
      guint other = vmsan_net_slots_take (service.slots, 0);

      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      g_usleep (1000);
      vmsan_net_warm_pool_give_back (service.pool, other);
      slot = vmsan_net_warm_pool_reserve (service.pool);
    }
  while (slot == VMSAN_NET_NO_SLOT);
  g_assert_cmpuint (slot, !=, 0);
  service_stop (&service);
  g_assert_true (vmsan_netlink_get_link (f->world->host, "vmsan0", 0, &link, NULL));
  g_assert_true (vmsan_netlink_delete_link (f->world->host, link.ifindex, NULL));
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void
test_an_end_while_it_is_filled_leaves_nothing (NetFixture *f, gconstpointer data)
{
  for (guint i = 0; i < 8; i++)
    {
      Service service;

      service_start (&service, f, SIZE);
      if (i % 2 == 1)
        reserve (&service);
      service_stop (&service);
      net_fixture_assert_nothing_left (f);
    }
}

static void
fill_until_killed (NetFixture *f, guint after_us)
{
  struct itimerval timer = { .it_value = { 0, MAX (after_us, 1) } };
  Service service;

  signal (SIGALRM, SIG_DFL);
  setitimer (ITIMER_REAL, &timer, NULL);
  service_start (&service, f, SIZE);
  while (TRUE)
    {
      guint slot = reserve (&service);
      g_autofree char *name = g_strdup_printf ("vmsan-user%u", slot);

      vmsan_net_warm_pool_take (service.pool, slot, name);
      vmsan_net_warm_pool_refill (service.pool);
    }
}

static void
test_what_a_crash_leaves_is_listed_and_deleted (NetFixture *f, gconstpointer data)
{
  guint n_names = 0;

  for (guint i = 0; i < N_CRASHES; i++)
    {
      g_autoptr (GArray) slots = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (GStrv) names = NULL;
      int status;
      pid_t pid = fork ();

      if (pid == 0)
        fill_until_killed (f, 200000 * i / N_CRASHES);
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGALRM);
      names = vmsan_net_namespace_list (&f->setup, &slots, &error);
      g_assert_no_error (error);
      n_names += g_strv_length (names);
      vmsan_net_namespace_delete (&f->setup, (const char *const *) names, NULL,
                                  g_strv_length (names), &error);
      g_assert_no_error (error);
      vmsan_net_namespace_delete (&f->setup, NULL, (guint *) slots->data, slots->len, &error);
      g_assert_no_error (error);
      net_fixture_assert_nothing_left (f);
    }
  g_test_message ("%u crashes left %u names", N_CRASHES, n_names);
  g_assert_cmpuint (n_names, >, 0);
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

  /* First, as it forks: there is no other thread yet. */
  NET_FIXTURE_ADD ("/net/warm-pool/what-a-crash-leaves-is-listed-and-deleted",
                   test_what_a_crash_leaves_is_listed_and_deleted);
  NET_FIXTURE_ADD ("/net/warm-pool/each-is-given-out-once", test_each_is_given_out_once);
  NET_FIXTURE_ADD ("/net/warm-pool/what-is-given-out-lets-nothing-pass",
                   test_what_is_given_out_lets_nothing_pass);
  NET_FIXTURE_ADD ("/net/warm-pool/one-that-was-not-taken-waits-for-another",
                   test_one_that_was_not_taken_waits_for_another);
  NET_FIXTURE_ADD ("/net/warm-pool/a-slot-is-not-used-again-before-it-is-given-back",
                   test_a_slot_is_not_used_again_before_it_is_given_back);
  NET_FIXTURE_ADD ("/net/warm-pool/a-pool-of-none-gives-none", test_a_pool_of_none_gives_none);
  NET_FIXTURE_ADD ("/net/warm-pool/one-that-somebody-changed-is-noticed",
                   test_one_that_somebody_changed_is_noticed);
  NET_FIXTURE_ADD ("/net/warm-pool/one-whose-name-somebody-took-is-given-out",
                   test_one_whose_name_somebody_took_is_given_out);
  NET_FIXTURE_ADD ("/net/warm-pool/a-failure-is-tried-again-when-something-changes",
                   test_a_failure_is_tried_again_when_something_changes);
  NET_FIXTURE_ADD ("/net/warm-pool/an-end-while-it-is-filled-leaves-nothing",
                   test_an_end_while_it_is_filled_leaves_nothing);
  return net_world_run_tests ();
}
