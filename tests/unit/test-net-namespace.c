/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Machines' namespaces from their making to their end, one and many. */

#include "net-fixture.h"

#include "net/net-inside.h"
#include "net/net-names.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH NET_WORLD_NAMES "/" NET_NAME

/* ---- A life -------------------------------------------------------------------------------- */

static void
test_what_is_created_goes_whole (NetFixture *f, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *with = NULL;

      net_fixture_create (f);
      with = net_world_describe ();
      g_assert_nonnull (strstr (with, "link vmsan5\n"));
      g_assert_nonnull (strstr (with, "mount " PATH "\n"));
      net_fixture_delete (f);
      net_fixture_assert_nothing_left (f);
      net_fixture_delete (f);
      net_fixture_assert_nothing_left (f);
    }
}

static void
test_ip_netns_shows_it (NetFixture *f, gconstpointer data)
{
  g_autofree char *output = NULL;
  g_autoptr (GError) error = NULL;

  net_fixture_create (f);
  g_spawn_command_line_sync ("ip netns list", &output, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (output, NET_NAME));
  g_clear_pointer (&output, g_free);
  g_spawn_command_line_sync ("ip -n " NET_NAME " -br link", &output, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (output, "up0@"));
  g_assert_nonnull (strstr (output, "tap0"));
  net_fixture_delete (f);
}

static void
test_a_name_bound_here_shows_in_mount_namespaces_that_were_there (NetFixture *f, gconstpointer data)
{
  int ready[2];
  int go[2];
  int status;
  char byte;
  pid_t pid;

  /* The directory is made shared by the first one. */
  net_fixture_create (f);
  net_fixture_delete (f);
  g_assert_cmpint (pipe2 (ready, O_CLOEXEC), ==, 0);
  g_assert_cmpint (pipe2 (go, O_CLOEXEC), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      if (unshare (CLONE_NEWNS) < 0 || write (ready[1], "1", 1) != 1 || read (go[0], &byte, 1) != 1)
        _exit (1);
      _exit (vmsan_net_names_open (NET_WORLD_NAMES, NET_NAME, NULL) >= 0 ? 0 : 2);
    }
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  net_fixture_create (f);
  g_assert_cmpint (write (go[1], "1", 1), ==, 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  net_fixture_delete (f);
  for (guint i = 0; i < 2; i++)
    {
      close (ready[i]);
      close (go[i]);
    }
}

typedef struct
{
  const char *path;
  const char *value;
} Expected;

static gboolean
check_settings (gpointer data, GError **error)
{
  const Expected *expected = data;

  for (guint i = 0; expected[i].path != NULL; i++)
    {
      g_autofree char *path = g_strconcat ("/proc/sys/net/", expected[i].path, NULL);
      g_autofree char *value = NULL;

      g_assert_true (g_file_get_contents (path, &value, NULL, NULL));
      if (!g_str_equal (g_strchomp (value), expected[i].value))
        g_error ("%s is %s, not %s", path, value, expected[i].value);
    }
  return TRUE;
}

static void
test_settings_are_strict (NetFixture *f, gconstpointer data)
{
  static const Expected inside4[] = {
    { "ipv4/ip_forward", "0" },
    { "ipv4/conf/lo/forwarding", "0" },
    { "ipv4/conf/tap0/forwarding", "1" },
    { "ipv4/conf/up0/forwarding", "1" },
    { "ipv4/conf/all/rp_filter", "1" },
    { "ipv4/conf/tap0/rp_filter", "1" },
    { "ipv4/conf/up0/rp_filter", "1" },
    { "ipv4/conf/tap0/arp_ignore", "1" },
    { "ipv4/conf/up0/arp_ignore", "1" },
    { "ipv4/conf/tap0/arp_accept", "0" },
    { "ipv4/conf/tap0/accept_redirects", "0" },
    { "ipv4/conf/tap0/accept_source_route", "0" },
    { "ipv4/conf/all/send_redirects", "0" },
    { "ipv4/conf/tap0/send_redirects", "0" },
    { "ipv4/conf/tap0/route_localnet", "0" },
    { "ipv4/conf/tap0/proxy_arp", "0" },
    { NULL, NULL },
  };
  static const Expected inside6[] = {
    { "ipv6/conf/all/forwarding", "1" },
    { "ipv6/conf/tap0/accept_ra", "0" },
    { "ipv6/conf/up0/accept_ra", "0" },
    { "ipv6/conf/tap0/accept_redirects", "0" },
    { "ipv6/conf/tap0/disable_ipv6", "0" },
    { "ipv6/conf/tap0/addr_gen_mode", "1" },
    { NULL, NULL },
  };
  static const Expected inside_no_6[] = {
    { "ipv6/conf/lo/disable_ipv6", "1" },
    { "ipv6/conf/tap0/disable_ipv6", "1" },
    { "ipv6/conf/up0/disable_ipv6", "1" },
    { NULL, NULL },
  };
  static const Expected host4[] = {
    { "ipv4/ip_forward", "0" },
    { "ipv4/conf/eth0/forwarding", "0" },
    { "ipv4/conf/vmsan5/forwarding", "1" },
    { "ipv4/conf/vmsan5/rp_filter", "1" },
    { "ipv4/conf/vmsan5/accept_redirects", "0" },
    { NULL, NULL },
  };
  static const Expected host6[] = {
    { "ipv6/conf/all/forwarding", "0" },
    { "ipv6/conf/vmsan5/accept_ra", "0" },
    { "ipv6/conf/vmsan5/addr_gen_mode", "1" },
    { NULL, NULL },
  };
  static const Expected host_no_6[] = {
    { "ipv6/conf/vmsan5/disable_ipv6", "1" },
    { NULL, NULL },
  };
  vmsan_autofd int fd = -1;

  net_fixture_create (f);
  fd = net_fixture_open (f);
  vmsan_net_inside_run (fd, check_settings, (gpointer) inside4, NULL);
  vmsan_net_inside_run (fd, check_settings, (gpointer) (f->pools.has_pool6 ? inside6 : inside_no_6),
                        NULL);
  check_settings ((gpointer) host4, NULL);
  check_settings ((gpointer) (f->pools.has_pool6 ? host6 : host_no_6), NULL);
  vmsan_fd_close (&fd);
  net_fixture_delete (f);
}

static gboolean
check_mtu (gpointer data, GError **error)
{
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (error);
  VmsanNetLink link;

  g_assert_nonnull (netlink);
  g_assert_true (vmsan_netlink_get_link (netlink, "up0", 0, &link, error));
  g_assert_cmpuint (link.mtu, ==, GPOINTER_TO_UINT (data));
  g_assert_true (vmsan_netlink_get_link (netlink, "tap0", 0, &link, error));
  g_assert_cmpuint (link.mtu, ==, GPOINTER_TO_UINT (data));
  return TRUE;
}

static void
assert_mtu (NetFixture *f, guint asked, guint got)
{
  vmsan_autofd int fd = -1;
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (NULL);
  VmsanNetLink link;

  f->setup.mtu = asked;
  net_fixture_create (f);
  fd = net_fixture_open (f);
  g_assert_true (vmsan_netlink_get_link (netlink, "vmsan5", 0, &link, NULL));
  g_assert_cmpuint (link.mtu, ==, got);
  g_assert_true (vmsan_net_inside_run (fd, check_mtu, GUINT_TO_POINTER (got), NULL));
  vmsan_fd_close (&fd);
  net_fixture_delete (f);
  f->setup.mtu = 0;
}

static void
test_mtu_is_the_uplinks (NetFixture *f, gconstpointer data)
{
  static const guint bad[] = { 1, 68, VMSAN_NET_MIN_MTU - 1, VMSAN_NET_MAX_MTU + 1, G_MAXUINT };

  assert_mtu (f, 0, 1500);
  assert_mtu (f, 9000, 9000);
  assert_mtu (f, VMSAN_NET_MIN_MTU, VMSAN_NET_MIN_MTU);
  assert_mtu (f, VMSAN_NET_MAX_MTU, VMSAN_NET_MAX_MTU);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      f->setup.mtu = bad[i];
      g_assert_false (vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
    }
  f->setup.mtu = 0;

  net_world_free (f->world);
  assert_mtu (f, 0, 1500);
  f->world = net_world_new (1400);
  assert_mtu (f, 0, 1400);
  net_world_free (f->world);
  f->world = net_world_new (65535);
  assert_mtu (f, 0, VMSAN_NET_MAX_MTU);
  net_world_free (f->world);
  f->world = net_world_new (1500);
}

/* ---- Names --------------------------------------------------------------------------------- */

static guint64
inode_of (NetFixture *f, const char *name)
{
  vmsan_autofd int fd = vmsan_net_namespace_open (&f->setup, name, NULL);
  struct stat st = { .st_ino = 0 };

  if (fd >= 0)
    g_assert_cmpint (fstat (fd, &st), ==, 0);
  return st.st_ino;
}

static void
test_renaming_keeps_the_namespace (NetFixture *f, gconstpointer data)
{
  const char *const names[] = { NET_NAME, "vmsan-three", "vmsan-four" };
  const guint slots[] = { NET_SLOT, 6, 7 };
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = -1;
  guint64 inode;

  net_fixture_create (f);
  inode = inode_of (f, NET_NAME);
  g_assert_cmpuint (inode, !=, 0);
  fd = net_fixture_open (f);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (vmsan_net_namespace_rename (&f->setup, fd, NET_NAME, "vmsan-two", &error));
      g_assert_cmpuint (inode_of (f, "vmsan-two"), ==, inode);
      g_assert_cmpuint (inode_of (f, NET_NAME), ==, 0);
    }

  /* As a crash between its two halves leaves it. */
  g_assert_true (vmsan_net_names_bind (NET_WORLD_NAMES, "vmsan-three", fd, &error));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (
          vmsan_net_namespace_rename (&f->setup, fd, "vmsan-two", "vmsan-three", &error));
      g_assert_cmpuint (inode_of (f, "vmsan-three"), ==, inode);
      g_assert_cmpuint (inode_of (f, "vmsan-two"), ==, 0);
    }
  g_assert_true (vmsan_net_namespace_rename (&f->setup, fd, "vmsan-three", "vmsan-three", &error));
  g_assert_cmpuint (inode_of (f, "vmsan-three"), ==, inode);
  g_assert_no_error (error);

  g_assert_true (vmsan_net_namespace_create (&f->setup, "vmsan-two", 6, &error));
  g_assert_false (vmsan_net_namespace_rename (&f->setup, fd, "vmsan-three", "vmsan-two", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS);
  g_assert_cmpuint (inode_of (f, "vmsan-three"), ==, inode);
  g_assert_cmpuint (inode_of (f, "vmsan-two"), !=, inode);
  g_clear_error (&error);

  /* Somebody took its name away, or gave it to another. */
  g_assert_true (vmsan_net_names_unbind (NET_WORLD_NAMES, "vmsan-three", &error));
  g_assert_true (vmsan_net_namespace_rename (&f->setup, fd, "vmsan-three", "vmsan-four", &error));
  g_assert_cmpuint (inode_of (f, "vmsan-four"), ==, inode);
  g_assert_true (vmsan_net_namespace_rename (&f->setup, fd, "vmsan-two", "vmsan-three", &error));
  g_assert_cmpuint (inode_of (f, "vmsan-three"), ==, inode);
  g_assert_cmpuint (inode_of (f, "vmsan-two"), ==, 0);
  g_assert_no_error (error);
  vmsan_fd_close (&fd);
  vmsan_net_namespace_delete (&f->setup, names, slots, 3, &error);
  g_assert_no_error (error);
}

static void
test_lists_are_of_ours (NetFixture *f, gconstpointer data)
{
  const char *const names[] = { NET_NAME, "vmsan-two", NULL };
  const guint slots[] = { NET_SLOT, 16383, 0 };
  g_autoptr (GArray) found_slots = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) found = NULL;

  net_fixture_create (f);
  g_assert_true (vmsan_net_namespace_create (&f->setup, "vmsan-two", 16383, &error));
  g_assert_true (g_file_set_contents (NET_WORLD_NAMES "/other", "", 0, NULL));
  g_assert_true (g_file_set_contents (NET_WORLD_NAMES "/vmsan-left", "", 0, NULL));
  found = vmsan_net_namespace_list (&f->setup, &found_slots, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (found), ==, 3);
  g_assert_true (g_strv_contains ((const char *const *) found, NET_NAME));
  g_assert_true (g_strv_contains ((const char *const *) found, "vmsan-two"));
  g_assert_true (g_strv_contains ((const char *const *) found, "vmsan-left"));
  g_assert_cmpuint (found_slots->len, ==, 2);
  g_assert_cmpuint (g_array_index (found_slots, guint, 0) + g_array_index (found_slots, guint, 1),
                    ==, NET_SLOT + 16383);

  vmsan_net_namespace_delete (&f->setup, names, slots, 3, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_test (NET_WORLD_NAMES "/vmsan-left", G_FILE_TEST_EXISTS));
  g_assert_cmpint (unlink (NET_WORLD_NAMES "/vmsan-left"), ==, 0);
  g_assert_cmpint (unlink (NET_WORLD_NAMES "/other"), ==, 0);
}

/* ---- The tap ------------------------------------------------------------------------------- */

static gboolean
delete_tap (gpointer data, GError **error)
{
  g_autoptr (VmsanNetlink) netlink = vmsan_netlink_open (error);
  VmsanNetLink link;

  return vmsan_netlink_get_link (netlink, "tap0", 0, &link, error) &&
         vmsan_netlink_delete_link (netlink, link.ifindex, error);
}

static void
test_the_tap_has_one_owner (NetFixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  vmsan_autofd int first = -1;
  vmsan_autofd int fd = -1;

  net_fixture_create (f);
  fd = net_fixture_open (f);
  for (guint i = 0; i < 2; i++)
    {
      first = vmsan_net_namespace_open_tap (fd, &error);
      g_assert_no_error (error);
      g_assert_cmpint (fcntl (first, F_GETFD) & FD_CLOEXEC, !=, 0);
      g_assert_cmpint (vmsan_net_namespace_open_tap (fd, &error), ==, -1);
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY);
      g_clear_error (&error);
      vmsan_fd_close (&first);
    }

  g_assert_true (vmsan_net_inside_run (fd, delete_tap, NULL, &error));
  g_assert_cmpint (vmsan_net_namespace_open_tap (fd, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  vmsan_fd_close (&fd);
  net_fixture_delete (f);
}

/* ---- A restricted service ------------------------------------------------------------------ */

/* As process 1 of a PID namespace, whose mount namespace another process leaves. */
static int
be_a_host (NetFixture *f)
{
  VmsanNetSetup setup = f->setup;
  int status;
  int fd;
  pid_t pid;

  if (mount ("proc", "/proc", "proc", 0, NULL) < 0)
    return 10;
  pid = fork ();
  if (pid == 0)
    {
      setup.host_mounts = TRUE;
      if (unshare (CLONE_NEWNS) < 0 || mount ("", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
          mount ("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) < 0 ||
          mount ("", "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 ||
          mount ("tmpfs", "/run", "tmpfs", MS_RDONLY, NULL) < 0)
        _exit (20);
      if (vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, NULL))
        _exit (22);
      _exit (vmsan_net_namespace_create (&setup, NET_NAME, NET_SLOT, NULL) &&
                     (fd = vmsan_net_namespace_open (&setup, NET_NAME, NULL)) >= 0 &&
                     vmsan_net_namespace_rename (&setup, fd, NET_NAME, "vmsan-two", NULL) &&
                     vmsan_net_namespace_open (&setup, "vmsan-two", NULL) >= 0
                 ? 0
                 : 21);
    }
  if (waitpid (pid, &status, 0) != pid || status != 0)
    return 11;
  return vmsan_net_namespace_open (&setup, "vmsan-two", NULL) >= 0 ? 0 : 12;
}

static void
test_a_service_with_mounts_of_its_own_works_on_the_hosts (NetFixture *f, gconstpointer data)
{
  const char *const names[] = { "vmsan-two" };
  const guint slots[] = { NET_SLOT };
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    {
      pid_t host_pid;

      if (unshare (CLONE_NEWPID | CLONE_NEWNS) < 0)
        _exit (1);
      host_pid = fork ();
      if (host_pid == 0)
        _exit (be_a_host (f));
      _exit (waitpid (host_pid, &status, 0) == host_pid && WIFEXITED (status) ? WEXITSTATUS (status)
                                                                              : 2);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);

  /* The names went with that host's mounts; its links are on ours. */
  vmsan_net_namespace_delete (&f->setup, names, slots, 1, NULL);
}

/* ---- Many ---------------------------------------------------------------------------------- */

static void
make_many (NetFixture *f, guint n)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree guint *slots = g_new (guint, n);
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  gint64 made;

  for (guint i = 0; i < n; i++)
    {
      slots[i] = 100 + i;
      g_ptr_array_add (names, g_strdup_printf ("vmsan-%u", i));
      vmsan_net_namespace_create (&f->setup, names->pdata[i], slots[i], &error);
      g_assert_no_error (error);
    }
  made = g_get_monotonic_time ();
  vmsan_net_namespace_delete (&f->setup, (const char *const *) names->pdata, slots, n, &error);
  g_assert_no_error (error);
  g_test_message ("%u networks: %.2f ms to make and %.2f ms to delete each", n,
                  (made - start) / 1000.0 / n, (g_get_monotonic_time () - made) / 1000.0 / n);
  net_fixture_assert_nothing_left (f);
}

static void
test_many_go_at_once (NetFixture *f, gconstpointer data)
{
  make_many (f, 1);
  make_many (f, 200);
}

static gpointer
create_in_parallel (gpointer data)
{
  static gint next;
  NetFixture *f = data;

  for (guint i = 0; i < 8; i++)
    {
      guint slot = 1000 + g_atomic_int_add (&next, 1);
      g_autofree char *name = g_strdup_printf ("vmsan-%u", slot);
      const char *const names[] = { name };
      g_autoptr (GError) error = NULL;

      vmsan_net_namespace_create (&f->setup, name, slot, &error);
      g_assert_no_error (error);
      if (i % 2 == 1)
        vmsan_net_namespace_delete (&f->setup, names, &slot, 1, &error);
      g_assert_no_error (error);
    }
  return NULL;
}

static void
test_threads_do_not_disturb_each_other (NetFixture *f, gconstpointer data)
{
  GThread *threads[8];
  g_autoptr (GArray) slots = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("test", create_in_parallel, f);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  names = vmsan_net_namespace_list (&f->setup, &slots, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (names), ==, 32);
  g_assert_cmpuint (slots->len, ==, 32);
  vmsan_net_namespace_delete (&f->setup, (const char *const *) names, (guint *) slots->data, 32,
                              &error);
  g_assert_no_error (error);
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

  NET_FIXTURE_ADD ("/net/namespace/what-is-created-goes-whole", test_what_is_created_goes_whole);
  NET_FIXTURE_ADD_IPV4 ("/net/namespace/what-is-created-goes-whole",
                        test_what_is_created_goes_whole);
  NET_FIXTURE_ADD ("/net/namespace/ip-netns-shows-it", test_ip_netns_shows_it);
  NET_FIXTURE_ADD ("/net/namespace/a-name-shows-in-mount-namespaces-that-were-there",
                   test_a_name_bound_here_shows_in_mount_namespaces_that_were_there);
  NET_FIXTURE_ADD ("/net/namespace/settings-are-strict", test_settings_are_strict);
  NET_FIXTURE_ADD_IPV4 ("/net/namespace/settings-are-strict", test_settings_are_strict);
  NET_FIXTURE_ADD ("/net/namespace/mtu-is-the-uplinks", test_mtu_is_the_uplinks);
  NET_FIXTURE_ADD ("/net/namespace/renaming-keeps-the-namespace",
                   test_renaming_keeps_the_namespace);
  NET_FIXTURE_ADD ("/net/namespace/lists-are-of-ours", test_lists_are_of_ours);
  NET_FIXTURE_ADD ("/net/namespace/the-tap-has-one-owner", test_the_tap_has_one_owner);
  NET_FIXTURE_ADD ("/net/namespace/a-service-with-mounts-of-its-own-works-on-the-hosts",
                   test_a_service_with_mounts_of_its_own_works_on_the_hosts);
  NET_FIXTURE_ADD ("/net/namespace/many-go-at-once", test_many_go_at_once);
  NET_FIXTURE_ADD ("/net/namespace/threads-do-not-disturb-each-other",
                   test_threads_do_not_disturb_each_other);
  return net_world_run_tests ();
}
