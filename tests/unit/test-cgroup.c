/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Layouts from mount tables of all kinds; the rest with real groups, in whatever layout the machine
 * has, below a parent of the test's own. Needs root. */

#include "sys/cgroup.h"

#include "process-fixture.h"
#include "sys/cgroup-layout.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BUSYBOX "/bin/busybox"
#define MIB     (1024 * 1024)

/* ---- Layouts ------------------------------------------------------------------------------- */

#define LINE_ROOT "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
#define LINE_V2   "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define LINE_V2_BESIDE                                                                             \
  "41 31 0:38 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw,nsdelegate\n"
#define LINE_SYSTEMD                                                                               \
  "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
#define LINE_CPU                                                                                   \
  "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:6 - cgroup cgroup rw,cpu,cpuacct\n"
#define LINE_CPUACCT "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
#define LINE_CPUSET  "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
#define LINE_MEMORY  "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define LINE_PIDS    "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"

static void
test_every_layout_is_recognized (void)
{
  static const struct
  {
    const char *mountinfo;
    VmsanCgroupLayout layout;
  } cases[] = {
    { LINE_ROOT LINE_V2, VMSAN_CGROUP_V2 },
    { LINE_ROOT LINE_SYSTEMD LINE_V2, VMSAN_CGROUP_V2 },
    { LINE_ROOT LINE_CPU LINE_MEMORY LINE_PIDS, VMSAN_CGROUP_V1 },
    { LINE_SYSTEMD LINE_CPUSET LINE_PIDS LINE_MEMORY LINE_CPU, VMSAN_CGROUP_V1 },
    { LINE_ROOT LINE_CPU LINE_MEMORY LINE_PIDS LINE_V2_BESIDE, VMSAN_CGROUP_HYBRID },
    { LINE_V2_BESIDE LINE_SYSTEMD LINE_PIDS LINE_MEMORY LINE_CPU LINE_ROOT, VMSAN_CGROUP_HYBRID },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      VmsanCgroupLayout layout = -1;

      vmsan_cgroup_detect (cases[i].mountinfo, &layout, &error);
      g_assert_no_error (error);
      g_assert_cmpint (layout, ==, cases[i].layout);
    }
}

static void
test_a_missing_controller_is_named (void)
{
  static const struct
  {
    const char *mountinfo;
    const char *missing;
  } cases[] = {
    { "", "cpu and memory and pids" },
    { LINE_ROOT LINE_SYSTEMD LINE_CPUSET, "cpu and memory and pids" },
    { LINE_CPU LINE_MEMORY, "controller pids is" },
    { LINE_CPU LINE_PIDS LINE_V2_BESIDE, "controller memory is" },
    /* cpuacct and cpuset have "cpu" in their names, but are not it. */
    { LINE_CPUACCT LINE_CPUSET LINE_MEMORY LINE_PIDS, "controller cpu is" },
    { "cut short - cgroup", "cpu and memory and pids" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (vmsan_cgroup_detect (cases[i].mountinfo, NULL, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
      if (strstr (error->message, cases[i].missing) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].missing, error->message);
    }
}

static void
test_each_hierarchy_is_used_once_and_whole (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanCgroupMounts) mounts = vmsan_cgroup_mounts_read (
      "50 1 0:32 /docker/x /mnt/part rw - cgroup cgroup rw,memory\n" LINE_CPU LINE_MEMORY LINE_PIDS
      "51 1 0:36 / /mnt/again rw - cgroup cgroup rw,pids\n"
      "52 1 0:38 / /mnt/with\\040space rw - cgroup2 none rw\n",
      &error);
  const char *const expected[] = { "/mnt/with space", "/sys/fs/cgroup/memory",
                                   "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/pids" };

  g_assert_no_error (error);
  g_assert_cmpuint (mounts->hierarchies->len, ==, G_N_ELEMENTS (expected));
  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpstr (g_array_index (mounts->hierarchies, VmsanHierarchy, i).mount_point, ==,
                     expected[i]);
}

/* ---- Fixture: a parent group of its own ---------------------------------------------------- */

typedef struct
{
  char *parent;
  VmsanCgroupMounts *mounts;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  static guint counter = 0;
  g_autoptr (GError) error = NULL;

  fixture->parent = g_strdup_printf ("/vmsan-test-cgroup-%d-%u", getpid (), counter++);
  fixture->mounts = vmsan_cgroup_mounts_read (NULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) left = vmsan_cgroup_list (fixture->parent, &error);

  g_assert_no_error (error);
  for (guint i = 0; left[i] != NULL; i++)
    g_assert_true (vmsan_cgroup_destroy (fixture->parent, left[i], NULL));
  g_assert_true (vmsan_cgroup_destroy ("/", fixture->parent + 1, &error));
  g_assert_no_error (error);
  g_free (fixture->parent);
  vmsan_cgroup_mounts_free (fixture->mounts);
}

static VmsanCgroup *
create (Fixture *fixture, const char *name, VmsanCgroupLimits limits)
{
  g_autoptr (GError) error = NULL;
  VmsanCgroup *cgroup = vmsan_cgroup_create (fixture->parent, name, &limits, &error);

  g_assert_no_error (error);
  g_assert_nonnull (cgroup);
  return cgroup;
}

/* In how many hierarchies the group is. */
static guint
count_directories (Fixture *fixture, const char *name)
{
  guint n = 0;

  for (guint i = 0; i < fixture->mounts->hierarchies->len; i++)
    {
      g_autofree char *path = g_build_filename (
          g_array_index (fixture->mounts->hierarchies, VmsanHierarchy, i).mount_point,
          fixture->parent, name, NULL);

      n += g_file_test (path, G_FILE_TEST_IS_DIR);
    }
  return n;
}

/* What the kernel says in the hierarchy of a controller. */
static char *
read_limit (Fixture *fixture, const char *name, VmsanControllers controller, const char *file)
{
  for (guint i = 0; i < fixture->mounts->hierarchies->len; i++)
    {
      const VmsanHierarchy *hierarchy =
          &g_array_index (fixture->mounts->hierarchies, VmsanHierarchy, i);
      g_autofree char *path =
          g_build_filename (hierarchy->mount_point, fixture->parent, name, file, NULL);
      char *text = NULL;

      if ((hierarchy->controllers & controller) && g_file_get_contents (path, &text, NULL, NULL))
        return g_strchomp (text);
    }
  return NULL;
}

static void
assert_limit (Fixture *fixture,
              const char *name,
              VmsanControllers controller,
              const char *file,
              const char *expected)
{
  g_autofree char *value = read_limit (fixture, name, controller, file);

  g_assert_cmpstr (value, ==, expected);
}

/* A shell in the group; its output, if wanted, goes to @stdout_fd. */
static VmsanProcess *
spawn_shell (VmsanCgroup *cgroup, const char *script, int stdout_fd)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c", script, NULL };
  const VmsanSpawnFd fd = { stdout_fd, 1 };
  VmsanSpawnSpec spec = { .argv = argv, .uid = 64242, .gid = 64242, .cgroup = cgroup };
  g_autoptr (GError) error = NULL;
  VmsanProcess *process;

  if (stdout_fd >= 0)
    {
      spec.fds = &fd;
      spec.n_fds = 1;
    }
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  return process;
}

/* ---- Groups -------------------------------------------------------------------------------- */

static void
test_limits_are_in_force (Fixture *fixture, gconstpointer data)
{
  gboolean v2 = fixture->mounts->layout == VMSAN_CGROUP_V2;
  VmsanCgroupLimits limits = {
    .memory_max_bytes = 64 * MIB + 1, /* the kernel counts pages */
    .cpu_percent = 150,
    .pids_max = 17,
  };
  g_autoptr (VmsanCgroup) cgroup = create (fixture, "a", limits);
  g_autofree char *path = g_strconcat (fixture->parent, "/a", NULL);

  g_assert_cmpstr (vmsan_cgroup_get_path (cgroup), ==, path);
  g_assert_cmpuint (count_directories (fixture, "a"), ==, fixture->mounts->hierarchies->len);
  assert_limit (fixture, "a", VMSAN_CONTROLLER_MEMORY, v2 ? "memory.max" : "memory.limit_in_bytes",
                "67108864");
  assert_limit (fixture, "a", VMSAN_CONTROLLER_PIDS, "pids.max", "17");
  assert_limit (fixture, "a", VMSAN_CONTROLLER_CPU, v2 ? "cpu.max" : "cpu.cfs_quota_us",
                v2 ? "150000 100000" : "150000");
}

static void
test_no_limit_is_no_limit (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) cgroup = create (fixture, "a", (VmsanCgroupLimits){ 0 });

  assert_limit (fixture, "a", VMSAN_CONTROLLER_PIDS, "pids.max", "max");
  g_assert_cmpuint (count_directories (fixture, "a"), ==, fixture->mounts->hierarchies->len);
}

static void
test_a_limit_that_the_kernel_changes_leaves_nothing (Fixture *fixture, gconstpointer data)
{
  VmsanCgroupLimits limits = { .memory_max_bytes = G_MAXUINT64, .pids_max = 1 };
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_cgroup_create (fixture->parent, "a", &limits, &error));
  g_assert_nonnull (error);
  g_assert_cmpuint (count_directories (fixture, "a"), ==, 0);
  g_assert_cmpuint (count_directories (fixture, ""), ==, 0);
}

static void
test_the_pids_limit_stops_forks (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) cgroup = create (fixture, "a", (VmsanCgroupLimits){ .pids_max = 1 });
  g_autoptr (VmsanProcess) process = spawn_shell (cgroup, "(exit 0); exit 0", -1);

  /* the shell's own error: it cannot fork */
  g_assert_cmpint (WEXITSTATUS (wait_for (process)), ==, 2);
}

static void
test_the_memory_limit_kills (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) cgroup =
      create (fixture, "a", (VmsanCgroupLimits){ .memory_max_bytes = 16 * MIB });
  g_autoptr (VmsanProcess) process =
      spawn_shell (cgroup, "exec " BUSYBOX " dd if=/dev/zero of=/dev/null bs=128M count=1", -1);

  g_assert_cmpint (wait_for (process), ==, SIGKILL);
}

static void
test_members_are_known (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) own = create (fixture, "own", (VmsanCgroupLimits){ 0 });
  g_autoptr (VmsanCgroup) other = create (fixture, "other", (VmsanCgroupLimits){ 0 });
  g_autoptr (VmsanCgroup) opened = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = spawn_shell (own, "exec " BUSYBOX " sleep 1000", -1);
  pid_t pid = vmsan_process_get_pid (process);

  opened = vmsan_cgroup_open (fixture->parent, "own", &error);
  g_assert_no_error (error);
  g_assert_true (vmsan_cgroup_contains (opened, pid));
  g_assert_false (vmsan_cgroup_contains (other, pid));
  g_assert_false (vmsan_cgroup_contains (own, getpid ()));

  g_assert_true (vmsan_cgroup_attach (other, pid, &error));
  g_assert_no_error (error);
  g_assert_false (vmsan_cgroup_contains (own, pid));
  g_assert_true (vmsan_cgroup_contains (other, pid));

  /* Its own group is empty, so killing that does not reach it. */
  g_assert_true (vmsan_cgroup_kill (own, DEADLINE_MS, &error));
  g_assert_false (vmsan_process_has_ended (process));
  g_assert_true (vmsan_cgroup_kill (other, DEADLINE_MS, &error));
  g_assert_true (vmsan_process_has_ended (process));
  g_assert_cmpint (wait_for (process), ==, SIGKILL);
}

static void
test_no_member_escapes_by_forking (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) cgroup = create (fixture, "a", (VmsanCgroupLimits){ .pids_max = 400 });
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  struct pollfd end = { .events = POLLIN };
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  int ends[2];
  char byte;

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  read_fd = ends[0];
  write_fd = ends[1];
  /* Each process starts the next and ends, so a list of pids is always out of date. */
  process =
      spawn_shell (cgroup, "f () { f & }; f; f; f; echo; exec " BUSYBOX " sleep 1000", write_fd);
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (read (read_fd, &byte, 1), ==, 1);

  g_assert_true (vmsan_cgroup_kill (cgroup, DEADLINE_MS, &error));
  g_assert_no_error (error);
  end.fd = read_fd;
  g_assert_cmpint (poll (&end, 1, DEADLINE_MS), ==, 1);
  g_assert_cmpint (read (read_fd, &byte, 1), ==, 0);
  g_assert_cmpint (wait_for (process), ==, SIGKILL);
  assert_limit (fixture, "a", VMSAN_CONTROLLER_PIDS, "pids.max", "400");
}

static void
test_a_group_in_use_is_busy_and_an_empty_one_reused (Fixture *fixture, gconstpointer data)
{
  VmsanCgroupLimits limits = { .pids_max = 5 };
  g_autoptr (VmsanCgroup) first = create (fixture, "a", (VmsanCgroupLimits){ .pids_max = 9 });
  g_autoptr (VmsanCgroup) second = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = spawn_shell (first, "exec " BUSYBOX " sleep 1000", -1);

  g_assert_null (vmsan_cgroup_create (fixture->parent, "a", &limits, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY);
  g_assert_true (vmsan_cgroup_contains (first, vmsan_process_get_pid (process)));
  assert_limit (fixture, "a", VMSAN_CONTROLLER_PIDS, "pids.max", "9");
  g_clear_error (&error);

  g_assert_true (vmsan_cgroup_destroy (fixture->parent, "a", &error));
  wait_for (process);
  g_assert_cmpuint (count_directories (fixture, "a"), ==, 0);

  second = create (fixture, "a", (VmsanCgroupLimits){ .memory_max_bytes = 8 * MIB });
  g_clear_pointer (&second, vmsan_cgroup_unref);
  second = create (fixture, "a", limits);
  assert_limit (fixture, "a", VMSAN_CONTROLLER_PIDS, "pids.max", "5");
}

static void
test_destroying_is_repeatable_and_complete (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) cgroup = create (fixture, "a", (VmsanCgroupLimits){ .pids_max = 5 });
  g_autoptr (VmsanProcess) process = spawn_shell (cgroup, "exec " BUSYBOX " sleep 1000", -1);
  g_autoptr (GError) error = NULL;
  g_autofree char *by_hand = NULL;
  const VmsanHierarchy *first = &g_array_index (fixture->mounts->hierarchies, VmsanHierarchy, 0);

  g_assert_true (vmsan_cgroup_destroy (fixture->parent, "a", &error));
  g_assert_no_error (error);
  g_assert_true (vmsan_process_has_ended (process));
  g_assert_cmpuint (count_directories (fixture, "a"), ==, 0);
  g_assert_true (vmsan_cgroup_destroy (fixture->parent, "a", &error));
  g_assert_null (vmsan_cgroup_open (fixture->parent, "a", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  wait_for (process);

  /* Someone removed a part of it by hand. */
  g_clear_pointer (&cgroup, vmsan_cgroup_unref);
  cgroup = create (fixture, "b", (VmsanCgroupLimits){ 0 });
  by_hand = g_build_filename (first->mount_point, fixture->parent, "b", NULL);
  g_assert_no_errno (rmdir (by_hand));
  g_assert_true (vmsan_cgroup_destroy (fixture->parent, "b", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count_directories (fixture, "b"), ==, 0);
}

static void
test_left_overs_are_listed (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) none = vmsan_cgroup_list (fixture->parent, &error);
  g_auto (GStrv) two = NULL;
  g_autoptr (VmsanCgroup) a = create (fixture, "a", (VmsanCgroupLimits){ 0 });
  g_autoptr (VmsanCgroup) b = create (fixture, "b", (VmsanCgroupLimits){ 0 });

  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (none), ==, 0);
  two = vmsan_cgroup_list (fixture->parent, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (two), ==, 2);
  g_assert_true (g_strv_contains ((const char *const *) two, "a"));
  g_assert_true (g_strv_contains ((const char *const *) two, "b"));
}

static void
test_paths_stay_below_the_hierarchies (void)
{
  static const char *const bad[][2] = {
    { "relative", "a" }, { "/x/../..", "a" }, { "/x", "a/b" }, { "/x", ".." }, { "/x", "" },
  };
  VmsanCgroupLimits limits = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (vmsan_cgroup_create (bad[i][0], bad[i][1], &limits, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_false (vmsan_cgroup_destroy (bad[i][0], bad[i][1], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
    }
}

/* Only a v2 tree with controllers has the rule that a group has processes or groups, not both. */
static void
test_a_parent_with_processes_is_explained (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VmsanCgroup) parent = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (GError) error = NULL;
  VmsanCgroupLimits limits = { .pids_max = 5 };

  if (fixture->mounts->layout != VMSAN_CGROUP_V2)
    {
      g_test_message ("This machine's layout does not have the rule");
      return;
    }
  parent = vmsan_cgroup_create ("/", fixture->parent + 1, &(VmsanCgroupLimits){ 0 }, &error);
  g_assert_no_error (error);
  process = spawn_shell (parent, "exec " BUSYBOX " sleep 1000", -1);
  g_assert_null (vmsan_cgroup_create (fixture->parent, "a", &limits, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
  g_assert_nonnull (strstr (error->message, "has processes of its own"));
  g_assert_true (vmsan_cgroup_kill (parent, DEADLINE_MS, NULL));
  wait_for (process);
}

static const struct
{
  const char *name;
  void (*function) (Fixture *, gconstpointer);
} group_tests[] = {
  { "limits-are-in-force", test_limits_are_in_force },
  { "no-limit-is-no-limit", test_no_limit_is_no_limit },
  { "a-limit-that-the-kernel-changes-leaves-nothing",
    test_a_limit_that_the_kernel_changes_leaves_nothing },
  { "the-pids-limit-stops-forks", test_the_pids_limit_stops_forks },
  { "the-memory-limit-kills", test_the_memory_limit_kills },
  { "members-are-known", test_members_are_known },
  { "no-member-escapes-by-forking", test_no_member_escapes_by_forking },
  { "a-group-in-use-is-busy-and-an-empty-one-reused",
    test_a_group_in_use_is_busy_and_an_empty_one_reused },
  { "destroying-is-repeatable-and-complete", test_destroying_is_repeatable_and_complete },
  { "left-overs-are-listed", test_left_overs_are_listed },
  { "a-parent-with-processes-is-explained", test_a_parent_with_processes_is_explained },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cgroup/every-layout-is-recognized", test_every_layout_is_recognized);
  g_test_add_func ("/cgroup/a-missing-controller-is-named", test_a_missing_controller_is_named);
  g_test_add_func ("/cgroup/each-hierarchy-is-used-once-and-whole",
                   test_each_hierarchy_is_used_once_and_whole);
  g_test_add_func ("/cgroup/paths-stay-below-the-hierarchies",
                   test_paths_stay_below_the_hierarchies);
  for (guint i = 0; geteuid () == 0 && i < G_N_ELEMENTS (group_tests); i++)
    {
      g_autofree char *path = g_strconcat ("/cgroup/", group_tests[i].name, NULL);

      g_test_add (path, Fixture, NULL, set_up, group_tests[i].function, tear_down);
    }
  return g_test_run ();
}
