/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Real processes in real confinement; the program is a static busybox. Needs root. */

#include "sys/process.h"

#include "process-fixture.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BUSYBOX   "/bin/busybox"
#define CHILD_UID 64242

static const VmsanBind busybox_bind = { .source = BUSYBOX, .source_fd = -1, .target = BUSYBOX };

/* ---- Fixture ------------------------------------------------------------------------------- */

static VmsanSpawnSpec
confined (const char *const *argv)
{
  return (VmsanSpawnSpec){
    .argv = argv,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS |
             VMSAN_SPAWN_MOUNT_PROC,
    .uid = CHILD_UID,
    .gid = CHILD_UID,
    .root_binds = &busybox_bind,
    .n_root_binds = 1,
  };
}

static void
as_jailer (VmsanSpawnSpec *spec)
{
  spec->flags |= VMSAN_SPAWN_JAILER;
  spec->uid = 0;
  spec->gid = 0;
  spec->kept_capabilities = VMSAN_SPAWN_JAILER_CAPABILITIES;
}

/* A shell gives a background process /dev/null to read. The process in the background is the one
 * that writes, so who has read it knows that there is a tree. */
static VmsanSpawnSpec
confined_tree (void)
{
  static const VmsanBind binds[] = {
    { .source = BUSYBOX, .source_fd = -1, .target = BUSYBOX },
    { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
  };
  static const char *const argv[] = {
    BUSYBOX, "sh", "-c", "trap '' TERM INT; (echo; exec " BUSYBOX " sleep 1000) & wait; wait", NULL
  };
  VmsanSpawnSpec spec = confined (argv);

  spec.root_binds = binds;
  spec.n_root_binds = G_N_ELEMENTS (binds);
  return spec;
}

/* Until end of file, that is, until every process that has the other end is gone. */
static char *
read_to_end (int fd)
{
  g_autoptr (GString) text = g_string_new (NULL);
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
  char buffer[4096];
  gssize n;

  do
    {
      g_assert_cmpint (poll (&poll_fd, 1, DEADLINE_MS), ==, 1);
      n = read (fd, buffer, sizeof buffer);
      g_assert_cmpint (n, >=, 0);
      g_string_append_len (text, buffer, n);
    }
  while (n > 0);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Runs it with its standard output and error in a pipe; the spec's own descriptors are kept. */
static char *
output_of (VmsanSpawnSpec spec, int *status)
{
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) fds = g_array_new (FALSE, FALSE, sizeof (VmsanSpawnFd));
  g_autofree char *output = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  int own_status;

  make_pipe (&read_fd, &write_fd);
  if (spec.n_fds > 0)
    g_array_append_vals (fds, spec.fds, spec.n_fds);
  for (int target = 1; target <= 2; target++)
    {
      VmsanSpawnFd fd = { write_fd, target };
      g_array_append_val (fds, fd);
    }
  spec.fds = (VmsanSpawnFd *) fds->data;
  spec.n_fds = fds->len;

  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  vmsan_fd_close (&write_fd);
  output = read_to_end (read_fd);
  own_status = wait_for (process);
  if (status != NULL)
    *status = own_status;
  else
    g_assert_cmpint (own_status, ==, 0);
  return g_steal_pointer (&output);
}

static char *
output_of_shell (const char *script)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c", script, NULL };

  return output_of (confined (argv), NULL);
}

static void
assert_has_line (const char *text, const char *line)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  if (!g_strv_contains ((const char *const *) lines, line))
    g_error ("No line “%s” in:\n%s", line, text);
}

static void
assert_fails (const VmsanSpawnSpec *spec, int code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_process_spawn (spec, &error));
  g_assert_error (error, VMSAN_ERROR, code);
  if (strstr (error->message, message) == NULL)
    g_error ("“%s” is not in “%s”", message, error->message);
  /* A failed child is reaped. */
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void
test_exit_code_and_signal_reach_the_waiter (void)
{
  const char *const exits[] = { BUSYBOX, "sh", "-c", "exit 7", NULL };
  const char *const dies[] = { BUSYBOX, "sh", "-c", "kill -USR1 $$", NULL };
  VmsanSpawnSpec spec = { .argv = exits, .uid = CHILD_UID, .gid = CHILD_UID };
  int status;

  g_free (output_of (spec, &status));
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 7);

  spec.argv = dies;
  g_free (output_of (spec, &status));
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGUSR1);
}

static void
test_all_waiters_hear_of_the_end_and_one_can_give_up (void)
{
  const char *const argv[] = { BUSYBOX, "cat", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (VmsanProcess) process = NULL;
  GAsyncResult *results[3] = { NULL };
  g_autoptr (GError) error = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnFd fd;
  int status;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ read_fd, 0 };
  spec.fds = &fd;
  spec.n_fds = 1;
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  vmsan_process_wait_async (process, cancellable, on_async_result, &results[0]);
  vmsan_process_wait_async (process, NULL, on_async_result, &results[1]);
  vmsan_process_wait_async (process, NULL, on_async_result, &results[2]);

  g_cancellable_cancel (cancellable);
  iterate_until_set ((gpointer *) &results[0]);
  g_assert_false (vmsan_process_wait_finish (process, results[0], &status, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED);
  g_assert_false (vmsan_process_has_ended (process));

  vmsan_fd_close (&write_fd);
  for (int i = 1; i < 3; i++)
    {
      iterate_until_set ((gpointer *) &results[i]);
      g_assert_true (vmsan_process_wait_finish (process, results[i], &status, NULL));
      g_assert_cmpint (status, ==, 0);
    }
  g_assert_true (vmsan_process_has_ended (process));
  g_assert_true (vmsan_process_kill (process, SIGKILL, NULL));
  for (int i = 0; i < 3; i++)
    g_clear_object (&results[i]);
}

static void
test_a_child_that_nobody_waits_for_is_reaped (void)
{
  const char *const argv[] = { BUSYBOX, "cat", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autoptr (GError) error = NULL;
  VmsanProcess *process;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnFd fd;
  guint deadline;
  pid_t pid;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ read_fd, 0 };
  spec.fds = &fd;
  spec.n_fds = 1;
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  pid = vmsan_process_get_pid (process);
  g_object_unref (process);

  vmsan_fd_close (&write_fd);
  deadline = g_timeout_add (DEADLINE_MS, on_deadline, NULL);
  while (kill (pid, 0) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (deadline);
  g_assert_cmpint (errno, ==, ESRCH);
}

/* ---- Failures ------------------------------------------------------------------------------ */

static void
test_a_failed_step_is_named (void)
{
  const char *const missing[] = { "/bin/missing", NULL };
  const char *const works[] = { BUSYBOX, "true", NULL };
  const VmsanRlimit bad_limit = { .resource = 12345, .value = 1 };
  const VmsanBind bad_binds[] = {
    busybox_bind,
    { .source = BUSYBOX, .source_fd = -1, .target = BUSYBOX "/below" },
  };
  VmsanSpawnSpec spec = confined (missing);

  assert_fails (&spec, VMSAN_ERROR_NOT_FOUND, "“/bin/missing”: executing the program failed");
  spec = confined (works);
  spec.cwd = "/missing";
  assert_fails (&spec, VMSAN_ERROR_NOT_FOUND, "changing the working directory at /missing failed");
  spec = confined (works);
  spec.rlimits = &bad_limit;
  spec.n_rlimits = 1;
  assert_fails (&spec, VMSAN_ERROR_FAILED, "setting a resource limit failed");
  spec = confined (works);
  spec.root_binds = bad_binds;
  spec.n_root_binds = 2;
  assert_fails (&spec, VMSAN_ERROR_FAILED, "mount point “" BUSYBOX "/below”");
}

static void
test_a_target_inside_a_bind_is_never_made_on_the_host (void)
{
  const char *const argv[] = { BUSYBOX, "true", NULL };
  g_autofree char *directory = g_dir_make_tmp ("vmsan-test-XXXXXX", NULL);
  g_autofree char *made = g_build_filename (directory, "made", NULL);
  const VmsanBind binds[] = {
    busybox_bind,
    { .source = directory, .source_fd = -1, .target = "/data", .writable = TRUE },
    { .source = BUSYBOX, .source_fd = -1, .target = "/data/made" },
  };
  VmsanSpawnSpec spec = confined (argv);

  spec.root_binds = binds;
  spec.n_root_binds = G_N_ELEMENTS (binds);
  assert_fails (&spec, VMSAN_ERROR_NOT_FOUND, "attaching a bind mount at /data/made failed");
  g_assert_false (g_file_test (made, G_FILE_TEST_EXISTS));
  g_assert_no_errno (rmdir (directory));
}

static void
test_unsafe_specs_are_refused (void)
{
  const char *const argv[] = { BUSYBOX, "true", NULL };
  const char *const relative[] = { "busybox", "true", NULL };
  const VmsanBind not_a_device = { .source = BUSYBOX, .target = "/x", .device = TRUE };
  const VmsanBind escaping = { .source = BUSYBOX, .target = "/a/../../x" };
  const VmsanSpawnFd twice[] = { { 0, 5 }, { 1, 5 } };
  const VmsanSpawnFd negative = { -1, 5 };
  VmsanSpawnSpec specs[17];
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (specs); i++)
    specs[i] = confined (argv);
  specs[n++].argv = relative;
  specs[n++].uid = 0;
  specs[n++].gid = 0;
  specs[n++].flags &= ~VMSAN_SPAWN_NEW_MOUNT_NS;
  specs[n++].flags &= ~VMSAN_SPAWN_NEW_PID_NS;
  specs[n++].root_binds = &not_a_device;
  specs[n++].root_binds = &escaping;
  specs[n].fds = twice;
  specs[n++].n_fds = 2;
  specs[n].fds = &negative;
  specs[n++].n_fds = 1;
  specs[n].flags |= VMSAN_SPAWN_NEW_USER_NS;
  specs[n++].id_map_count = 10; /* from 0 */
  specs[n++].kept_capabilities = 1ull << CAP_NET_ADMIN | 1ull << CAP_SYS_ADMIN;
  specs[n].flags &= ~VMSAN_SPAWN_NEW_NET_NS;
  specs[n++].kept_capabilities = 1ull << CAP_NET_ADMIN; /* over the host's network */
  specs[n].flags |= VMSAN_SPAWN_NEW_USER_NS;
  specs[n].id_map_first = 100000;
  specs[n].id_map_count = 10;
  specs[n++].kept_capabilities = 1ull << CAP_NET_ADMIN;
  for (guint i = n; i < G_N_ELEMENTS (specs); i++)
    as_jailer (&specs[i]);
  specs[n++].uid = CHILD_UID;
  specs[n++].flags &= ~(VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_MOUNT_PROC);
  specs[n++].n_root_binds = 0;
  specs[n++].kept_capabilities |= 1ull << CAP_NET_ADMIN;
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (specs));

  for (guint i = 0; i < n; i++)
    assert_fails (&specs[i], VMSAN_ERROR_INVALID_ARGUMENT, "");
}

/* ---- Confinement --------------------------------------------------------------------------- */

static void
test_only_bound_files_are_in_view (void)
{
  const char *const argv[] = {
    BUSYBOX, "sh", "-c", BUSYBOX " find / -path '/proc/*' -prune -o -print | " BUSYBOX " sort", NULL
  };
  const VmsanBind binds[] = {
    busybox_bind,
    { .source = "/no/such/file", .source_fd = -1, .target = "/skipped", .optional = TRUE },
    { .source = "/dev/zero", .source_fd = -1, .target = "/dev/zero", .device = TRUE },
  };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *output = NULL;

  spec.root_binds = binds;
  spec.n_root_binds = G_N_ELEMENTS (binds);
  output = output_of (spec, NULL);
  g_assert_cmpstr (output, ==, "/\n/bin\n/bin/busybox\n/dev\n/dev/zero\n/proc\n");
}

static void
test_the_process_has_no_privileges (void)
{
  g_autofree char *status = NULL;
  const gid_t groups[] = { 4, 64243 };

  g_assert_no_errno (setgroups (G_N_ELEMENTS (groups), groups));
  signal (SIGPIPE, SIG_IGN);
  status = output_of_shell ("exec " BUSYBOX " cat /proc/self/status");
  signal (SIGPIPE, SIG_DFL);
  g_assert_no_errno (setgroups (0, NULL));

  assert_has_line (status, "Uid:\t64242\t64242\t64242\t64242");
  assert_has_line (status, "Gid:\t64242\t64242\t64242\t64242");
  assert_has_line (status, "Groups:\t ");
  assert_has_line (status, "CapInh:\t0000000000000000");
  assert_has_line (status, "CapPrm:\t0000000000000000");
  assert_has_line (status, "CapEff:\t0000000000000000");
  assert_has_line (status, "CapBnd:\t0000000000000000");
  assert_has_line (status, "CapAmb:\t0000000000000000");
  assert_has_line (status, "NoNewPrivs:\t1");
  assert_has_line (status, "SigBlk:\t0000000000000000");
  assert_has_line (status, "SigIgn:\t0000000000000000");
  assert_has_line (status, "Pid:\t1");
}

static void
test_kept_capabilities_are_the_only_ones (void)
{
  const char *const argv[] = { BUSYBOX, "cat", "/proc/self/status", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *status = NULL;

  spec.kept_capabilities = 1ull << CAP_NET_ADMIN | 1ull << CAP_NET_BIND_SERVICE;
  status = output_of (spec, NULL);
  assert_has_line (status, "Uid:\t64242\t64242\t64242\t64242");
  assert_has_line (status, "CapInh:\t0000000000001400");
  assert_has_line (status, "CapPrm:\t0000000000001400");
  assert_has_line (status, "CapEff:\t0000000000001400");
  assert_has_line (status, "CapBnd:\t0000000000001400");
  assert_has_line (status, "CapAmb:\t0000000000001400");
  assert_has_line (status, "NoNewPrivs:\t1");
}

static void
test_a_jailer_is_root_over_its_own_only (void)
{
  const char *const argv[] = { BUSYBOX, "cat", "/proc/self/status", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *status = NULL;
  g_autofree char *expected = NULL;

  as_jailer (&spec);
  status = output_of (spec, NULL);
  assert_has_line (status, "Uid:\t0\t0\t0\t0");
  expected = g_strdup_printf ("CapEff:\t%016llx", VMSAN_SPAWN_JAILER_CAPABILITIES);
  assert_has_line (status, expected);
  memcpy (strstr (expected, "Eff"), "Bnd", 3);
  assert_has_line (status, expected);
  assert_has_line (status, "CapAmb:\t0000000000000000");
  assert_has_line (status, "NoNewPrivs:\t1");
}

/* What a jailer does: a copy of the program, a device node, another root, another user. */
static void
test_a_jail_can_be_made_in_a_new_tmpfs (void)
{
  const char *const script = "set -e; b=" BUSYBOX "; $b cp $b /jail/root/busybox\n"
                             "$b mknod /jail/root/null c 1 3; $b chown 64242 /jail/root/null\n"
                             "$b chroot /jail/root /busybox sh -c 'echo x >/null; echo made'\n"
                             "$b cat /jail/root/deep/file | $b head -c 4 | $b tail -c 3; echo\n"
                             "echo x >/jail/root/deep/file || echo read-only\n"
                             "$b mkdir /other 2>&- || echo nowhere else";
  const char *const argv[] = { BUSYBOX, "sh", "-c", script, NULL };
  const VmsanBind binds[] = {
    busybox_bind,
    { .tmpfs_bytes = 8 << 20, .target = "/jail" },
    { .source = BUSYBOX, .source_fd = -1, .target = "/jail/root/deep/file" },
    { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
  };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *output = NULL;

  as_jailer (&spec);
  spec.root_binds = binds;
  spec.n_root_binds = G_N_ELEMENTS (binds);
  output = output_of (spec, NULL);
  assert_has_line (output, "made");
  assert_has_line (output, "ELF");
  assert_has_line (output, "read-only");
  assert_has_line (output, "nowhere else");
  g_assert_false (g_file_test ("/jail", G_FILE_TEST_EXISTS));
}

static void
test_every_namespace_is_its_own (void)
{
  static const char *const kinds[] = { "ipc", "mnt", "net", "pid", "uts" };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *path = g_strconcat ("/proc/self/ns/", kinds[i], NULL);
      g_autofree char *script = g_strconcat ("exec " BUSYBOX " readlink ", path, NULL);
      g_autofree char *theirs = output_of_shell (script);
      g_autofree char *ours = g_file_read_link (path, NULL);

      g_assert_true (g_str_has_prefix (theirs, kinds[i]));
      g_assert_cmpstr (g_strchomp (theirs), !=, ours);
    }
}

static void
test_a_network_namespace_can_be_joined (void)
{
  const char *const waits[] = { BUSYBOX, "cat", NULL };
  const char *const tells[] = { BUSYBOX, "readlink", "/proc/self/ns/net", NULL };
  VmsanSpawnSpec spec = confined (waits);
  g_autoptr (VmsanProcess) holder = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  g_autofree char *expected = NULL;
  g_autofree char *seen = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  vmsan_autofd int netns_fd = -1;
  VmsanSpawnFd fd;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ read_fd, 0 };
  spec.fds = &fd;
  spec.n_fds = 1;
  holder = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  path = g_strdup_printf ("/proc/%d/ns/net", vmsan_process_get_pid (holder));
  expected = g_file_read_link (path, NULL);
  netns_fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (netns_fd, >, 0);

  spec = confined (tells);
  spec.netns_fd = netns_fd;
  seen = output_of (spec, NULL);
  g_assert_cmpstr (g_strchomp (seen), ==, expected);
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (wait_for (holder), ==, 0);
}

/* A shell's "test -e" opens nothing, so what it sees is what it was given. */
static void
test_only_listed_descriptors_are_open (void)
{
  const char *const argv[] = {
    BUSYBOX, "sh", "-c",
    "i=0; while [ $i -lt 100 ]; do [ -e /proc/self/fd/$i ] && echo $i; i=$((i+1)); done; "
    "read a <&50; read b <&51; echo $a $b",
    NULL
  };
  VmsanSpawnSpec spec = confined (argv);
  VmsanSpawnFd fds[2];
  g_autofree char *output = NULL;
  int stray = open ("/dev/null", O_RDONLY);
  int first[2], second[2];

  /* Sources that are each other's targets. */
  make_pipe (&first[0], &first[1]);
  make_pipe (&second[0], &second[1]);
  g_assert_no_errno (dup2 (first[0], 50));
  g_assert_no_errno (dup2 (second[0], 51));
  g_assert_cmpint (write (first[1], "first\n", 6), ==, 6);
  g_assert_cmpint (write (second[1], "second\n", 7), ==, 7);
  fds[0] = (VmsanSpawnFd){ 50, 51 };
  fds[1] = (VmsanSpawnFd){ 51, 50 };
  spec.fds = fds;
  spec.n_fds = 2;
  output = output_of (spec, NULL);
  g_assert_cmpstr (output, ==, "0\n1\n2\n50\n51\nsecond first\n");

  for (int i = 0; i < 2; i++)
    {
      close (first[i]);
      close (second[i]);
      close (50 + i);
    }
  close (stray);
}

static void
test_binds_are_read_only_unless_asked (void)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c",
                               "echo x > /rw/made && ! echo x 2>&- > /ro/made && "
                               "! echo x 2>&- > /made && ! " BUSYBOX " cat /rw/null 2>&- && "
                               "echo well > /dev/null && echo well",
                               NULL };
  g_autofree char *directory = g_dir_make_tmp ("vmsan-test-XXXXXX", NULL);
  g_autofree char *made = g_build_filename (directory, "made", NULL);
  g_autofree char *node = g_build_filename (directory, "null", NULL);
  vmsan_autofd int directory_fd = open (directory, O_PATH | O_CLOEXEC);
  const VmsanBind binds[] = {
    busybox_bind,
    { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
    { .source_fd = directory_fd, .target = "/rw", .writable = TRUE },
    { .source_fd = directory_fd, .target = "/ro" },
  };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *output = NULL;
  int status;

  g_assert_no_errno (chown (directory, CHILD_UID, CHILD_UID));
  g_assert_no_errno (mknod (node, S_IFCHR | 0666, 0x103));
  spec.root_binds = binds;
  spec.n_root_binds = G_N_ELEMENTS (binds);
  output = output_of (spec, &status);
  g_assert_cmpstr (output, ==, "well\n");
  g_assert_cmpint (status, ==, 0);
  g_assert_no_errno (unlink (made));
  g_assert_no_errno (unlink (node));
  g_assert_no_errno (rmdir (directory));
}

/* Mount point and options of each mount that the child has, in order. */
static void
test_the_root_is_locked_down (void)
{
  g_autofree char *output = output_of_shell ("while read a b c d point options rest; do echo "
                                             "$point $options; done < /proc/self/mountinfo");
  g_auto (GStrv) lines = g_strsplit (output, "\n", -1);

  g_assert_cmpuint (g_strv_length (lines), ==, 4);
  g_assert_true (g_str_has_prefix (lines[0], "/ ro,nosuid,nodev,noexec,"));
  g_assert_true (g_str_has_prefix (lines[1], BUSYBOX " ro,nosuid,nodev,"));
  g_assert_true (g_str_has_prefix (lines[2], "/proc ro,nosuid,nodev,noexec,"));
}

static void
test_the_host_sees_none_of_the_mounts (void)
{
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_assert_true (g_file_get_contents ("/proc/self/mountinfo", &before, NULL, NULL));
  g_free (output_of_shell ("true"));
  g_assert_true (g_file_get_contents ("/proc/self/mountinfo", &after, NULL, NULL));
  g_assert_cmpstr (before, ==, after);
}

static void
test_a_user_namespace_maps_the_ids (void)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c",
                               "read u < /proc/self/uid_map; read g < /proc/self/gid_map; "
                               "echo $u, $g; exec " BUSYBOX " cat /proc/self/status",
                               NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *output = NULL;
  g_auto (GStrv) words = NULL;

  spec.flags |= VMSAN_SPAWN_NEW_USER_NS;
  spec.id_map_first = 700000;
  spec.id_map_count = 65536;
  output = output_of (spec, NULL);
  assert_has_line (output, "0 700000 65536, 0 700000 65536");
  assert_has_line (output, "Uid:\t0\t0\t0\t0");
  assert_has_line (output, "Groups:\t ");
  assert_has_line (output, "NoNewPrivs:\t1");
  g_assert_null (strstr (output, "CapEff:\t0000000000000000"));
}

static void
test_a_user_namespace_is_unprivileged_outside (void)
{
  const char *const argv[] = { BUSYBOX, "cat", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  g_autofree char *status = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnFd fd;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ read_fd, 0 };
  spec.fds = &fd;
  spec.n_fds = 1;
  spec.flags |= VMSAN_SPAWN_NEW_USER_NS;
  spec.id_map_first = 700000;
  spec.id_map_count = 1;
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  path = g_strdup_printf ("/proc/%d/status", vmsan_process_get_pid (process));
  g_assert_true (g_file_get_contents (path, &status, NULL, NULL));
  assert_has_line (status, "Uid:\t700000\t700000\t700000\t700000");
  assert_has_line (status, "Gid:\t700000\t700000\t700000\t700000");
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (wait_for (process), ==, 0);
}

static void
test_a_program_outside_the_root_runs_by_descriptor (void)
{
  const char *const argv[] = { "/not/there", "echo", "ran", NULL };
  const VmsanBind null_bind = { .source = "/dev/null", .target = "/dev/null", .device = TRUE };
  vmsan_autofd int exec_fd = open (BUSYBOX, O_PATH | O_CLOEXEC);
  VmsanSpawnSpec spec = confined (argv);
  const char *const busybox_argv[] = { "/busybox", "echo", "ran", NULL };
  g_autofree char *output = NULL;

  spec.argv = busybox_argv;
  spec.exec_fd = exec_fd;
  spec.root_binds = &null_bind;
  output = output_of (spec, NULL);
  g_assert_cmpstr (output, ==, "ran\n");
}

static void
test_limits_and_environment_are_as_given (void)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c", "ulimit -n; ulimit -Hf; echo $A-$HOME; pwd",
                               NULL };
  const char *const envp[] = { "A=b", NULL };
  const VmsanRlimit rlimits[] = { { RLIMIT_NOFILE, 64 }, { RLIMIT_FSIZE, 512 * 7 } };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *output = NULL;

  spec.envp = envp;
  spec.cwd = "/bin";
  spec.rlimits = rlimits;
  spec.n_rlimits = 2;
  output = output_of (spec, NULL);
  g_assert_cmpstr (output, ==, "64\n7\nb-\n/bin\n");
}

/* ---- Trees --------------------------------------------------------------------------------- */

static void
test_a_pid_namespace_ends_with_its_first_process (void)
{
  VmsanSpawnSpec spec = confined_tree ();
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnFd fd;
  char byte;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ write_fd, 1 };
  spec.fds = &fd;
  spec.n_fds = 1;
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (read (read_fd, &byte, 1), ==, 1);
  g_assert_true (vmsan_process_kill (process, SIGKILL, NULL));
  g_free (read_to_end (read_fd));
  g_assert_cmpint (wait_for (process), ==, SIGKILL);
}

static void
test_run_says_how_a_tool_failed (void)
{
  const char *const works[] = { BUSYBOX, "true", NULL };
  const char *const fails[] = { BUSYBOX, "sh", "-c", "echo 'no space on it' >&2; exit 3", NULL };
  VmsanSpawnSpec spec = confined (works);
  g_autoptr (GError) error = NULL;

  g_assert_true (vmsan_process_run (&spec, DEADLINE_MS, NULL, &error));
  g_assert_no_error (error);
  spec.argv = fails;
  g_assert_false (vmsan_process_run (&spec, DEADLINE_MS, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==,
                   "“" BUSYBOX "” ended with exit code 3; it said: no space on it");
}

static void
test_run_keeps_the_last_of_much_output (void)
{
  const char *const argv[] = { BUSYBOX, "sh", "-c",
                               "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2;"
                               "exit 1",
                               NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_process_run (&spec, DEADLINE_MS, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_assert_true (g_str_has_suffix (error->message, "line 19998 line 19999"));
  g_assert_cmpuint (strlen (error->message), <, 1200);
}

static gpointer
cancel_when_readable (gpointer data)
{
  gpointer *arguments = data;
  char byte;

  g_assert_cmpint (read (GPOINTER_TO_INT (arguments[0]), &byte, 1), ==, 1);
  g_cancellable_cancel (arguments[1]);
  return NULL;
}

/* The pipe's end tells that no process of the tree is left. */
static void
run_tree_to_its_end (guint deadline_ms, gboolean cancel, int expected_code)
{
  VmsanSpawnSpec spec = confined_tree ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *rest = NULL;
  GThread *thread = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  gpointer arguments[2];
  VmsanSpawnFd fd;

  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ write_fd, 1 };
  spec.fds = &fd;
  spec.n_fds = 1;
  arguments[0] = GINT_TO_POINTER (read_fd);
  arguments[1] = cancellable;
  if (cancel)
    thread = g_thread_new ("cancel", cancel_when_readable, arguments);
  g_assert_false (vmsan_process_run (&spec, deadline_ms, cancellable, &error));
  g_assert_error (error, VMSAN_ERROR, expected_code);
  if (thread != NULL)
    g_thread_join (thread);
  vmsan_fd_close (&write_fd);
  rest = read_to_end (read_fd);
  g_assert_cmpstr (rest, ==, cancel ? "" : "\n");
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
}

static void
test_run_ends_the_tree_at_the_deadline (void)
{
  run_tree_to_its_end (1500, FALSE, VMSAN_ERROR_TIMED_OUT);
}

static void
test_run_ends_the_tree_when_cancelled (void)
{
  run_tree_to_its_end (DEADLINE_MS, TRUE, VMSAN_ERROR_CANCELLED);
}

static gpointer
run_many (gpointer data)
{
  const char *const works[] = { BUSYBOX, "true", NULL };
  const char *const fails[] = { "/bin/missing", NULL };
  gboolean user_ns = GPOINTER_TO_INT (data) % 2;

  for (int i = 0; i < 20; i++)
    {
      VmsanSpawnSpec spec = confined (i % 4 == 3 ? fails : works);
      g_autoptr (GError) error = NULL;

      if (user_ns)
        {
          spec.flags |= VMSAN_SPAWN_NEW_USER_NS;
          spec.id_map_first = 700000;
          spec.id_map_count = 1;
        }
      vmsan_process_run (&spec, DEADLINE_MS, NULL, &error);
      if (i % 4 == 3)
        g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
      else
        g_assert_no_error (error);
    }
  return NULL;
}

static guint
count_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* A child has copies of the pipes of all that are being started at the same time. */
static void
test_threads_can_spawn_at_the_same_time (void)
{
  guint before = count_descriptors ();
  GThread *threads[4];

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("spawner", run_many, GINT_TO_POINTER (i));
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (count_descriptors (), ==, before);
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
}

/* ---- Adoption ------------------------------------------------------------------------------ */

typedef struct
{
  pid_t pid;
  guint64 start_time;
} Record;

static char *
test_parent (void)
{
  return g_strdup_printf ("/vmsan-test-process-%d", getpid ());
}

static void
remove_test_parent (const char *parent)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) left = vmsan_cgroup_list (parent, &error);

  g_assert_no_error (error);
  for (guint i = 0; left[i] != NULL; i++)
    {
      vmsan_cgroup_destroy (parent, left[i], &error);
      g_assert_no_error (error);
    }
  vmsan_cgroup_destroy ("/", parent + 1, &error);
  g_assert_no_error (error);
}

/* Starts a child from a process in between that ends at once, as if vmsand had crashed. */
static Record
spawn_orphan (VmsanCgroup *cgroup, int stdin_fd)
{
  const char *const argv[] = { BUSYBOX, "cat", NULL };
  const VmsanSpawnFd fd = { stdin_fd, 0 };
  VmsanSpawnSpec spec = confined (argv);
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  Record record = { 0 };
  int status;
  pid_t middle;

  spec.fds = &fd;
  spec.n_fds = 1;
  spec.cgroup = cgroup;
  make_pipe (&read_fd, &write_fd);
  middle = fork ();
  g_assert_no_errno (middle);
  if (middle == 0)
    {
      VmsanProcess *process = vmsan_process_spawn (&spec, NULL);

      if (process == NULL)
        _exit (1);
      record.pid = vmsan_process_get_pid (process);
      record.start_time = vmsan_process_get_start_time (process);
      _exit (write (write_fd, &record, sizeof record) != sizeof record);
    }
  g_assert_cmpint (waitpid (middle, &status, 0), ==, middle);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (read (read_fd, &record, sizeof record), ==, sizeof record);
  return record;
}

static void
test_a_child_outlives_its_parent_and_is_adopted (void)
{
  g_autofree char *parent = test_parent ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanCgroup) own = NULL;
  g_autoptr (VmsanCgroup) other = NULL;
  g_autoptr (VmsanProcess) adopted = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  const VmsanCgroupLimits limits = { .pids_max = 10 };
  Record record;

  own = vmsan_cgroup_create (parent, "own", &limits, &error);
  g_assert_no_error (error);
  other = vmsan_cgroup_create (parent, "other", &limits, &error);
  g_assert_no_error (error);
  make_pipe (&read_fd, &write_fd);
  record = spawn_orphan (own, read_fd);

  g_assert_null (vmsan_process_adopt (record.pid, record.start_time + 1, own, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (vmsan_process_adopt (record.pid, record.start_time, other, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (vmsan_process_adopt (-1, record.start_time, own, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);

  adopted = vmsan_process_adopt (record.pid, record.start_time, own, &error);
  g_assert_no_error (error);
  g_assert_false (vmsan_process_has_ended (adopted));
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (wait_for (adopted), ==, -1);

  g_assert_null (vmsan_process_adopt (record.pid, record.start_time, own, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  remove_test_parent (parent);
}

/* It joins before it has an identity in its user namespace. */
static void
test_a_user_namespace_goes_with_a_cgroup (void)
{
  const char *const argv[] = { BUSYBOX, "cat", NULL };
  VmsanSpawnSpec spec = confined (argv);
  g_autofree char *parent = test_parent ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanCgroup) cgroup = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  VmsanSpawnFd fd;

  cgroup = vmsan_cgroup_create (parent, "own", &(VmsanCgroupLimits){ .pids_max = 3 }, &error);
  g_assert_no_error (error);
  make_pipe (&read_fd, &write_fd);
  fd = (VmsanSpawnFd){ read_fd, 0 };
  spec.fds = &fd;
  spec.n_fds = 1;
  spec.cgroup = cgroup;
  spec.flags |= VMSAN_SPAWN_NEW_USER_NS;
  spec.id_map_first = 700000;
  spec.id_map_count = 1;
  process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  g_assert_true (vmsan_cgroup_contains (cgroup, vmsan_process_get_pid (process)));
  vmsan_fd_close (&write_fd);
  g_assert_cmpint (wait_for (process), ==, 0);
  remove_test_parent (parent);
}

static void
test_start_time_is_that_of_the_process (void)
{
  g_autoptr (GError) error = NULL;
  guint64 first = 0, second = 0;

  g_assert_true (vmsan_process_read_start_time (getpid (), &first, &error));
  g_assert_true (vmsan_process_read_start_time (getpid (), &second, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (first, >, 0);
  g_assert_cmpuint (first, ==, second);
  g_assert_false (vmsan_process_read_start_time (0x7fffffff, &first, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
}

static const struct
{
  const char *name;
  GTestFunc function;
} tests[] = {
  { "exit-code-and-signal-reach-the-waiter", test_exit_code_and_signal_reach_the_waiter },
  { "all-waiters-hear-of-the-end-and-one-can-give-up",
    test_all_waiters_hear_of_the_end_and_one_can_give_up },
  { "a-child-that-nobody-waits-for-is-reaped", test_a_child_that_nobody_waits_for_is_reaped },
  { "a-failed-step-is-named", test_a_failed_step_is_named },
  { "a-target-inside-a-bind-is-never-made-on-the-host",
    test_a_target_inside_a_bind_is_never_made_on_the_host },
  { "unsafe-specs-are-refused", test_unsafe_specs_are_refused },
  { "only-bound-files-are-in-view", test_only_bound_files_are_in_view },
  { "the-process-has-no-privileges", test_the_process_has_no_privileges },
  { "kept-capabilities-are-the-only-ones", test_kept_capabilities_are_the_only_ones },
  { "a-jailer-is-root-over-its-own-only", test_a_jailer_is_root_over_its_own_only },
  { "a-jail-can-be-made-in-a-new-tmpfs", test_a_jail_can_be_made_in_a_new_tmpfs },
  { "every-namespace-is-its-own", test_every_namespace_is_its_own },
  { "a-network-namespace-can-be-joined", test_a_network_namespace_can_be_joined },
  { "only-listed-descriptors-are-open", test_only_listed_descriptors_are_open },
  { "binds-are-read-only-unless-asked", test_binds_are_read_only_unless_asked },
  { "the-root-is-locked-down", test_the_root_is_locked_down },
  { "the-host-sees-none-of-the-mounts", test_the_host_sees_none_of_the_mounts },
  { "a-user-namespace-maps-the-ids", test_a_user_namespace_maps_the_ids },
  { "a-user-namespace-is-unprivileged-outside", test_a_user_namespace_is_unprivileged_outside },
  { "a-program-outside-the-root-runs-by-descriptor",
    test_a_program_outside_the_root_runs_by_descriptor },
  { "limits-and-environment-are-as-given", test_limits_and_environment_are_as_given },
  { "a-pid-namespace-ends-with-its-first-process",
    test_a_pid_namespace_ends_with_its_first_process },
  { "run-says-how-a-tool-failed", test_run_says_how_a_tool_failed },
  { "run-keeps-the-last-of-much-output", test_run_keeps_the_last_of_much_output },
  { "run-ends-the-tree-at-the-deadline", test_run_ends_the_tree_at_the_deadline },
  { "run-ends-the-tree-when-cancelled", test_run_ends_the_tree_when_cancelled },
  { "threads-can-spawn-at-the-same-time", test_threads_can_spawn_at_the_same_time },
  { "a-child-outlives-its-parent-and-is-adopted", test_a_child_outlives_its_parent_and_is_adopted },
  { "a-user-namespace-goes-with-a-cgroup", test_a_user_namespace_goes_with_a_cgroup },
  { "start-time-is-that-of-the-process", test_start_time_is_that_of_the_process },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (geteuid () != 0)
    {
      g_print ("1..0 # SKIP confinement needs root\n");
      return 0;
    }
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/process/", tests[i].name, NULL);

      g_test_add_func (path, tests[i].function);
    }
  return g_test_run ();
}
