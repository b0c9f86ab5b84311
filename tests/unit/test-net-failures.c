/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Making machines' networks where something is in the way, with every step failing, and with a
 * crash at any moment: nothing is left, or what is left is found. */

#include "net-fixture.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define PATH NET_WORLD_NAMES "/" NET_NAME

static void
assert_create_fails (NetFixture *f, int code, const char *word)
{
  g_autofree char *before = net_world_describe ();
  g_autofree char *after = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  if (strstr (error->message, word) == NULL)
    g_error ("No “%s” in: %s", word, error->message);
  after = net_world_describe ();
  net_world_assert_same (before, after);
}

/* ---- What is in the way -------------------------------------------------------------------- */

static void
test_names_and_slots_that_cannot_be_are_refused (NetFixture *f, gconstpointer data)
{
  g_autofree char *long_name = g_strnfill (300, 'x');
  g_autofree char *too_long = g_strconcat ("vmsan-", long_name, NULL);
  const char *names[] = { "",           "one",      "/",         "..",     "vmsan",
                          "../vmsan-x", "vmsan-/x", "vmsan-/..", too_long, NULL };
  g_autoptr (GError) slot_error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (GError) create_error = NULL;
      g_autoptr (GError) open_error = NULL;
      g_autoptr (GError) from_error = NULL;
      g_autoptr (GError) delete_error = NULL;

      g_assert_false (vmsan_net_namespace_create (&f->setup, names[i], NET_SLOT, &create_error));
      g_assert_error (create_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      if (names[i] == NULL)
        continue;
      g_assert_cmpint (vmsan_net_namespace_open (&f->setup, names[i], &open_error), ==, -1);
      g_assert_error (open_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_false (vmsan_net_namespace_rename (&f->setup, 0, NET_NAME, names[i], &from_error));
      g_assert_error (from_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_assert_false (vmsan_net_namespace_delete (&f->setup, &names[i], NULL, 1, &delete_error));
      g_assert_error (delete_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
    }
  g_assert_false (vmsan_net_namespace_create (&f->setup, NET_NAME, 16384, &slot_error));
  g_assert_error (slot_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
}

static void
test_a_name_that_is_taken_stays_as_it_is (NetFixture *f, gconstpointer data)
{
  struct stat before;
  struct stat after;

  net_fixture_create (f);
  g_assert_cmpint (stat (PATH, &before), ==, 0);
  assert_create_fails (f, VMSAN_ERROR_EXISTS, NET_NAME);
  g_assert_cmpint (stat (PATH, &after), ==, 0);
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  net_fixture_delete (f);

  g_assert_cmpint (mkdir (PATH, 0700), ==, 0);
  assert_create_fails (f, VMSAN_ERROR_EXISTS, NET_NAME);
  g_assert_cmpint (rmdir (PATH), ==, 0);
  g_assert_cmpint (symlink ("/dev/null", PATH), ==, 0);
  assert_create_fails (f, VMSAN_ERROR_EXISTS, NET_NAME);
  g_assert_cmpint (unlink (PATH), ==, 0);
  g_assert_true (g_file_set_contents (PATH, "x", 1, NULL));
  assert_create_fails (f, VMSAN_ERROR_EXISTS, NET_NAME);
  g_assert_cmpint (unlink (PATH), ==, 0);
}

static void
test_left_overs_of_ours_are_replaced (NetFixture *f, gconstpointer data)
{
  const char *const names[] = { NET_NAME };
  vmsan_autofd int old_fd = -1;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (PATH, "", 0, NULL));
  g_assert_cmpint (vmsan_net_namespace_open (&f->setup, NET_NAME, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  net_fixture_create (f);

  /* The name goes; the namespace is held, and so the link stays. */
  old_fd = net_fixture_open (f);
  g_assert_true (vmsan_net_namespace_delete (&f->setup, names, NULL, 1, NULL));
  g_assert_cmpint (if_nametoindex ("vmsan5"), >, 0);
  net_fixture_create (f);
  vmsan_fd_close (&old_fd);
  net_fixture_delete (f);
}

static void
test_links_of_others_are_left_alone (NetFixture *f, gconstpointer data)
{
  VmsanNetVeth veth = { .name = "vmsan5",
                        .mac = "02:00:00:00:00:03",
                        .peer_name = "other",
                        .peer_mac = "02:00:00:00:00:04",
                        .peer_namespace_fd = f->world->internet_fd,
                        .mtu = 1500 };
  g_autoptr (GArray) slots = NULL;
  g_auto (GStrv) names = NULL;
  VmsanNetLink link;

  g_assert_true (vmsan_netlink_add_veth (f->world->host, &veth, NULL));
  g_assert_true (vmsan_netlink_get_link (f->world->host, "vmsan5", 0, &link, NULL));
  assert_create_fails (f, VMSAN_ERROR_EXISTS, "vmsan5");
  net_fixture_delete (f);
  g_assert_cmpint (if_nametoindex ("vmsan5"), ==, link.ifindex);
  names = vmsan_net_namespace_list (&f->setup, &slots, NULL);
  g_assert_cmpuint (g_strv_length (names), ==, 0);
  g_assert_cmpuint (slots->len, ==, 0);
  g_assert_true (vmsan_netlink_delete_link (f->world->host, link.ifindex, NULL));
}

/* ---- Failures ------------------------------------------------------------------------------ */

static void
test_a_directory_that_cannot_be_written_is_an_error (NetFixture *f, gconstpointer data)
{
  /* Make the mount point first. */
  net_fixture_create (f);
  net_fixture_delete (f);
  g_assert_cmpint (mount ("", NET_WORLD_NAMES, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==,
                   0);
  assert_create_fails (f, VMSAN_ERROR_FAILED, PATH);
  g_assert_cmpint (mount ("", NET_WORLD_NAMES, NULL, MS_REMOUNT | MS_BIND, NULL), ==, 0);

  f->setup.directory = "/run/no/such";
  assert_create_fails (f, VMSAN_ERROR_NOT_FOUND, "/run/no/such");
}

/* Every descriptor that is opened on the way fails once. */
static void
test_running_out_of_descriptors_anywhere_leaves_nothing (NetFixture *f, gconstpointer data)
{
  struct rlimit old;
  guint n_failures = 0;
  gboolean done = FALSE;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  for (guint limit = 3; !done; limit++)
    {
      struct rlimit low = { limit, old.rlim_max };
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
      done = vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, &error);
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &old), ==, 0);
      if (!done)
        {
          g_assert_nonnull (error);
          n_failures++;
          net_fixture_assert_nothing_left (f);
        }
    }
  g_test_message ("%u ways to run out", n_failures);
  g_assert_cmpuint (n_failures, >=, 5);
  net_fixture_delete (f);
}

typedef struct
{
  const char *what;
  int number;
  int argument; /* -1: any call */
  guint32 value;
} Denied;

static void
deny (const Denied *denied)
{
  guint8 skip = denied->argument < 0 ? 0 : 2;
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, denied->number, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS,
              offsetof (struct seccomp_data, args) + 8 * MAX (denied->argument, 0)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, denied->value, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  if (skip == 0)
    filter[3] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, denied->value, 0, 0);
  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), ==, 0);
}

/* TRUE if the creation succeeded all the same. */
static gboolean
create_without (NetFixture *f, const Denied *denied)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;
      gboolean done;

      deny (denied);
      done = vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, &error);
      _exit (done ? 1 : error != NULL ? 0 : 2);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), <=, 1);
  return WEXITSTATUS (status) == 1;
}

static void
test_a_refused_system_call_leaves_nothing (NetFixture *f, gconstpointer data)
{
  static const Denied all[] = {
    { "unshare", SYS_unshare, -1, 0 },
    { "fsopen", SYS_fsopen, -1, 0 },
    { "fsmount", SYS_fsmount, -1, 0 },
    { "mount (bind)", SYS_mount, 3, MS_BIND },
    { "mount (shared)", SYS_mount, 3, MS_SHARED },
    { "flock", SYS_flock, -1, 0 },
    { "socket", SYS_socket, -1, 0 },
    { "sendmsg", SYS_sendmsg, -1, 0 },
    { "TUNSETIFF", SYS_ioctl, 1, TUNSETIFF },
    { "TUNSETPERSIST", SYS_ioctl, 1, TUNSETPERSIST },
    { "writing settings", SYS_openat, 2, O_WRONLY | O_CLOEXEC },
    { "the tap's device", SYS_openat, 2, O_RDWR | O_CLOEXEC | O_NONBLOCK },
  };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    {
      if (create_without (f, &all[i]))
        g_error ("A network was made without %s", all[i].what);
      net_fixture_assert_nothing_left (f);
    }
}

/* The netlink sockets of the host and of the inside are told apart by their descriptors. */
static void
test_a_refused_netlink_request_leaves_nothing (NetFixture *f, gconstpointer data)
{
  guint n_failures = 0;

  for (guint fd = 3; fd < 24; fd++)
    {
      Denied denied = { "sendmsg", SYS_sendmsg, 0, fd };

      if (create_without (f, &denied))
        net_fixture_delete (f);
      else
        n_failures++;
      net_fixture_assert_nothing_left (f);
    }
  g_assert_cmpuint (n_failures, ==, 2);
}

static void
create_until_killed (NetFixture *f, guint after_us)
{
  struct itimerval timer = { .it_value = { 0, MAX (after_us, 1) } };

  signal (SIGALRM, SIG_DFL);
  setitimer (ITIMER_REAL, &timer, NULL);
  vmsan_net_namespace_create (&f->setup, NET_NAME, NET_SLOT, NULL);
  while (TRUE)
    pause ();
}

static void
test_what_a_crash_leaves_is_listed_and_deleted (NetFixture *f, gconstpointer data)
{
  guint n_names = 0;
  guint n_links = 0;
  gint64 start = g_get_monotonic_time ();
  guint longest_us;

  net_fixture_create (f);
  longest_us = MIN (2 * (g_get_monotonic_time () - start), 900000);
  net_fixture_delete (f);
  for (guint i = 0; i < 60; i++)
    {
      g_autoptr (GArray) slots = NULL;
      g_autoptr (GError) error = NULL;
      g_auto (GStrv) names = NULL;
      int status;
      pid_t pid = fork ();

      if (pid == 0)
        create_until_killed (f, longest_us * i / 60);
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      names = vmsan_net_namespace_list (&f->setup, &slots, &error);
      g_assert_no_error (error);
      n_names += g_strv_length (names);
      n_links += slots->len;
      vmsan_net_namespace_delete (&f->setup, (const char *const *) names, NULL,
                                  g_strv_length (names), &error);
      g_assert_no_error (error);
      vmsan_net_namespace_delete (&f->setup, NULL, (guint *) slots->data, slots->len, &error);
      g_assert_no_error (error);
      net_fixture_assert_nothing_left (f);
    }
  g_test_message ("Of 60 crashes %u left a name and %u a link", n_names, n_links);
  g_assert_cmpuint (n_names, >, 0);
  g_assert_cmpuint (n_names, <, 60);
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

  NET_FIXTURE_ADD ("/net/failures/names-and-slots-that-cannot-be-are-refused",
                   test_names_and_slots_that_cannot_be_are_refused);
  NET_FIXTURE_ADD ("/net/failures/a-name-that-is-taken-stays-as-it-is",
                   test_a_name_that_is_taken_stays_as_it_is);
  NET_FIXTURE_ADD ("/net/failures/left-overs-of-ours-are-replaced",
                   test_left_overs_of_ours_are_replaced);
  NET_FIXTURE_ADD ("/net/failures/links-of-others-are-left-alone",
                   test_links_of_others_are_left_alone);
  NET_FIXTURE_ADD ("/net/failures/a-directory-that-cannot-be-written-is-an-error",
                   test_a_directory_that_cannot_be_written_is_an_error);
  NET_FIXTURE_ADD ("/net/failures/running-out-of-descriptors-anywhere-leaves-nothing",
                   test_running_out_of_descriptors_anywhere_leaves_nothing);
  NET_FIXTURE_ADD ("/net/failures/a-refused-system-call-leaves-nothing",
                   test_a_refused_system_call_leaves_nothing);
  NET_FIXTURE_ADD ("/net/failures/a-refused-netlink-request-leaves-nothing",
                   test_a_refused_netlink_request_leaves_nothing);
  NET_FIXTURE_ADD ("/net/failures/what-a-crash-leaves-is-listed-and-deleted",
                   test_what_a_crash_leaves_is_listed_and_deleted);
  return net_world_run_tests ();
}
