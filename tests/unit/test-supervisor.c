/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The real vmsan-supervisor, confined as in the service, with a shell in the monitor's place. Needs
 * root. VMSAN_SUPERVISOR is the path of the program. */

#include "process-fixture.h"
#include "sys/console-log.h"
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

/* What the child finds its descriptors as. */
enum
{
  CONSOLE_READ = 10,
  LOG,
  STATUS,
  CONSOLE_WRITE,
  TO_TEST,
  FROM_TEST,
};

typedef struct
{
  char *directory;
  int directory_fd;
  int log_fd;
  int status_fd;
  int from_monitor; /* what it writes to TO_TEST */
  int to_monitor;   /* what it reads from FROM_TEST */
  VmsanProcess *process;
} World;

static void
set_up (World *world, gconstpointer data)
{
  world->directory = g_dir_make_tmp ("vmsan-test-XXXXXX", NULL);
  world->directory_fd = open (world->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  world->log_fd = openat (world->directory_fd, "log", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  world->status_fd =
      openat (world->directory_fd, "status", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  world->from_monitor = world->to_monitor = -1;
  g_assert_cmpint (world->log_fd, >=, 0);
  g_assert_cmpint (world->status_fd, >=, 0);
}

static void
tear_down (World *world, gconstpointer data)
{
  g_clear_object (&world->process);
  vmsan_fd_close (&world->log_fd);
  vmsan_fd_close (&world->status_fd);
  vmsan_fd_close (&world->from_monitor);
  vmsan_fd_close (&world->to_monitor);
  g_assert_no_errno (unlinkat (world->directory_fd, "log", 0));
  g_assert_no_errno (unlinkat (world->directory_fd, "status", 0));
  vmsan_fd_close (&world->directory_fd);
  g_assert_no_errno (rmdir (world->directory));
  g_free (world->directory);
}

static int
open_supervisor (void)
{
  const char *path = g_getenv ("VMSAN_SUPERVISOR");
  int fd;

  g_assert_nonnull (path);
  fd = open (path, O_PATH | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
start_with (World *world, const char *const *argv, gboolean jailer)
{
  const VmsanBind binds[] = {
    { .source = BUSYBOX, .source_fd = -1, .target = BUSYBOX },
    { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
  };
  vmsan_autofd int exec_fd = open_supervisor ();
  vmsan_autofd int console_read = -1;
  vmsan_autofd int console_write = -1;
  vmsan_autofd int to_test = -1;
  vmsan_autofd int from_test = -1;
  g_autoptr (GError) error = NULL;
  VmsanSpawnFd fds[6];
  VmsanSpawnSpec spec = {
    .argv = argv,
    .exec_fd = exec_fd,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS |
             VMSAN_SPAWN_MOUNT_PROC,
    .uid = 64242,
    .gid = 64242,
    .root_binds = binds,
    .n_root_binds = G_N_ELEMENTS (binds),
    .fds = fds,
    .n_fds = G_N_ELEMENTS (fds),
  };

  if (jailer)
    {
      spec.flags |= VMSAN_SPAWN_JAILER;
      spec.uid = spec.gid = 0;
      spec.kept_capabilities = VMSAN_SPAWN_JAILER_CAPABILITIES;
    }
  make_pipe (&console_read, &console_write);
  make_pipe (&world->from_monitor, &to_test);
  make_pipe (&from_test, &world->to_monitor);
  fds[0] = (VmsanSpawnFd){ console_read, CONSOLE_READ };
  fds[1] = (VmsanSpawnFd){ world->log_fd, LOG };
  fds[2] = (VmsanSpawnFd){ world->status_fd, STATUS };
  fds[3] = (VmsanSpawnFd){ console_write, CONSOLE_WRITE };
  fds[4] = (VmsanSpawnFd){ to_test, TO_TEST };
  fds[5] = (VmsanSpawnFd){ from_test, FROM_TEST };
  world->process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
}

static void
start (World *world, const char *max_bytes, const char *program, const char *script)
{
  const char *const argv[] = {
    "/vmsan-supervisor", "10", "11", "12", max_bytes, "--", program, "sh", "-c", script, NULL
  };

  start_with (world, argv, FALSE);
}

static void
start_jailer (World *world, const char *script)
{
  const char *const argv[] = { "/vmsan-supervisor",
                               "--jailer",
                               "64242",
                               "10",
                               "11",
                               "12",
                               "65536",
                               "--",
                               BUSYBOX,
                               "sh",
                               "-c",
                               script,
                               NULL };

  start_with (world, argv, TRUE);
}

static void
start_shell (World *world, const char *script)
{
  start (world, "65536", BUSYBOX, script);
}

static void
assert_exits (World *world, int code)
{
  int status = wait_for (world->process);

  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, code);
}

static void
assert_status_file (World *world, const char *expected)
{
  g_autofree char *text = vmsan_fd_read_file_at (world->directory_fd, "status", 100, NULL, NULL);

  g_assert_cmpstr (text, ==, expected);
}

static char *
read_log (World *world)
{
  g_autoptr (GError) error = NULL;
  char *text = vmsan_console_log_read_tail (world->directory_fd, "log", 32768, NULL, &error);

  g_assert_no_error (error);
  return text;
}

/* One line, or "" for end of file, from the monitor. */
static char *
read_line (World *world)
{
  GString *line = g_string_new (NULL);
  struct pollfd one = { .fd = world->from_monitor, .events = POLLIN };
  char byte = '\0';

  while (byte != '\n')
    {
      g_assert_cmpint (poll (&one, 1, DEADLINE_MS), ==, 1);
      if (read (one.fd, &byte, 1) != 1)
        break;
      if (byte != '\n')
        g_string_append_c (line, byte);
    }
  return g_string_free (line, FALSE);
}

static void
assert_line (World *world, const char *expected)
{
  g_autofree char *line = read_line (world);

  g_assert_cmpstr (line, ==, expected);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_the_exit_code_is_recorded_and_passed_on (World *world, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int status = -1;

  start_shell (world, "read line <&15; exit 42");
  g_assert_false (vmsan_console_log_read_status (world->directory_fd, "status", &status, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  vmsan_fd_close (&world->to_monitor);
  assert_exits (world, 42);
  assert_status_file (world, "exit 42\n");
  g_assert_true (vmsan_console_log_read_status (world->directory_fd, "status", &status, NULL));
  g_assert_cmpint (WEXITSTATUS (status), ==, 42);
}

static void
test_a_signal_is_recorded_and_passed_on (World *world, gconstpointer data)
{
  int status = -1;

  start_shell (world, "kill -SEGV $$");
  assert_exits (world, 128 + SIGSEGV);
  assert_status_file (world, "signal 11\n");
  g_assert_true (vmsan_console_log_read_status (world->directory_fd, "status", &status, NULL));
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGSEGV);
}

static void
test_a_missing_program_is_explained_in_the_log (World *world, gconstpointer data)
{
  g_autofree char *log = NULL;

  start (world, "65536", "/bin/missing", "");
  assert_exits (world, 127);
  assert_status_file (world, "exit 127\n");
  log = read_log (world);
  g_assert_nonnull (strstr (log, "“/bin/missing” failed: No such file or directory"));
}

static void
test_output_error_and_console_are_logged (World *world, gconstpointer data)
{
  g_autofree char *log = NULL;

  start_shell (world, "echo to output; echo to error >&2; echo to console >&13");
  assert_exits (world, 0);
  log = read_log (world);
  g_assert_nonnull (strstr (log, "to output\nto error\n"));
  g_assert_nonnull (strstr (log, "to console\n"));
  g_assert_cmpuint (strlen (log), ==, strlen ("to output\nto error\nto console\n"));
}

/* 800 KiB of numbered lines into a log of 64 KiB. */
static void
test_the_log_is_bounded_and_keeps_the_last_part (World *world, gconstpointer data)
{
  g_autofree char *log = NULL;
  g_auto (GStrv) lines = NULL;
  struct stat st;
  gsize size;
  guint n;

  start_shell (world, "exec " BUSYBOX " seq 1000001 1100000 >&13");
  assert_exits (world, 0);
  g_assert_no_errno (fstat (world->log_fd, &st));
  g_assert_cmpint (st.st_size, <=, 65536);
  g_assert_cmpint (st.st_size, >=, 32768);

  log = vmsan_console_log_read_tail (world->directory_fd, "log", 32768, &size, NULL);
  g_assert_cmpuint (size, ==, 32768);
  g_assert_cmpuint (strlen (log), ==, size);
  lines = g_strsplit (log, "\n", -1);
  n = g_strv_length (lines);
  g_assert_cmpstr (lines[n - 1], ==, "");
  /* The first may be cut; all others are there, in order, up to the last. */
  for (guint i = 1; i < n - 1; i++)
    {
      g_assert_cmpint (atoi (lines[i]), ==, 1100000 - (int) (n - 2 - i));
    }
}

/* While the supervisor writes and moves, what vmsand reads is whole. */
static void
test_the_tail_is_whole_while_it_is_written (World *world, gconstpointer data)
{
  gint64 deadline = g_get_monotonic_time () + DEADLINE_MS * 1000;
  guint rounds = 0;

  start_shell (world, "exec " BUSYBOX " seq 1000001 1999999 >&13");
  while (!vmsan_process_has_ended (world->process))
    {
      g_autofree char *log = NULL;
      g_auto (GStrv) lines = NULL;
      gsize size;
      guint n;

      g_assert_cmpint (g_get_monotonic_time (), <, deadline);
      log = vmsan_console_log_read_tail (world->directory_fd, "log", 32768, &size, NULL);
      g_assert_cmpuint (size, <=, 32768);
      lines = g_strsplit (log, "\n", -1);
      n = g_strv_length (lines);
      for (guint i = 2; i + 1 < n; i++)
        g_assert_cmpint (atoi (lines[i]), ==, atoi (lines[i - 1]) + 1);
      rounds += n > 3;
    }
  assert_exits (world, 0);
  g_assert_cmpuint (rounds, >, 1);
}

static void
test_a_log_is_continued (World *world, gconstpointer data)
{
  g_autofree char *old = g_strnfill (100000, 'o');
  g_autofree char *log = NULL;
  struct stat st;

  g_assert_true (vmsan_fd_write_all (world->log_fd, old, 100000, NULL));
  start_shell (world, "echo new");
  assert_exits (world, 0);
  g_assert_no_errno (fstat (world->log_fd, &st));
  g_assert_cmpint (st.st_size, ==, 32768 + 4);
  log = read_log (world);
  g_assert_true (g_str_has_suffix (log, "oonew\n"));
}

static void
test_a_full_disk_holds_nobody_up (World *world, gconstpointer data)
{
  vmsan_fd_close (&world->log_fd);
  world->log_fd = open ("/dev/full", O_RDWR | O_CLOEXEC);
  g_assert_cmpint (world->log_fd, >=, 0);
  start_shell (world, BUSYBOX " seq 1 100000 && " BUSYBOX " seq 1 100000 >&13 && exit 3");
  assert_exits (world, 3);
  assert_status_file (world, "exit 3\n");
}

static void
test_sigterm_reaches_the_monitor (World *world, gconstpointer data)
{
  start_shell (world, "trap 'exit 9' TERM; (echo ready >&14; exec " BUSYBOX " sleep 1000) & wait");
  assert_line (world, "ready");
  g_assert_true (vmsan_process_kill (world->process, SIGTERM, NULL));
  assert_exits (world, 9);
  assert_status_file (world, "exit 9\n");
}

static void
test_orphans_are_reaped (World *world, gconstpointer data)
{
  /* Until only the supervisor and the shell are in /proc; a zombie would stay there. */
  start_shell (world, "for i in 1 2 3 4 5; do (" BUSYBOX " true & exec " BUSYBOX " true); done; "
                      "while set -- /proc/[0-9]*; [ $# -gt 2 ]; do :; done; exit 6");
  assert_exits (world, 6);
}

static void
test_descriptors_belong_to_one_side_each (World *world, gconstpointer data)
{
  start_shell (world, "i=3; while [ $i -lt 100 ]; do [ -e /proc/self/fd/$i ] && echo $i >&14; "
                      "i=$((i+1)); done; "
                      "[ -r /proc/1/fd/11 ] && echo leak >&14; " BUSYBOX
                      " ls /proc/1/fd >/dev/null 2>&1 && echo leak >&14; "
                      "exec 14>&-; read line <&15; exit 7");
  assert_line (world, "13");
  assert_line (world, "14");
  assert_line (world, "15");
  /* End of file while the supervisor and the monitor live on. */
  assert_line (world, "");
  g_assert_false (vmsan_process_has_ended (world->process));
  vmsan_fd_close (&world->to_monitor);
  assert_exits (world, 7);
}

static void
test_the_monitor_dies_with_the_supervisor (World *world, gconstpointer data)
{
  start_shell (world, "echo ready >&14; read line <&15");
  assert_line (world, "ready");
  g_assert_true (vmsan_process_kill (world->process, SIGKILL, NULL));
  assert_line (world, "");
  g_assert_cmpint (wait_for (world->process), ==, SIGKILL);
  assert_status_file (world, "");
}

/* As where PID namespaces are switched off: no kernel rule ends the monitor then. */
static void
test_it_works_without_a_pid_namespace (World *world, gconstpointer data)
{
  const char *const argv[] = { "/vmsan-supervisor",
                               "-1",
                               "11",
                               "12",
                               "4096",
                               "--",
                               BUSYBOX,
                               "sh",
                               "-c",
                               "echo ready >&14; exec " BUSYBOX " sleep 1000",
                               NULL };
  vmsan_autofd int exec_fd = open_supervisor ();
  vmsan_autofd int to_test = -1;
  g_autoptr (GError) error = NULL;
  VmsanSpawnFd fds[3];
  VmsanSpawnSpec spec = { .argv = argv, .exec_fd = exec_fd, .uid = 64242, .gid = 64242 };

  make_pipe (&world->from_monitor, &to_test);
  fds[0] = (VmsanSpawnFd){ world->log_fd, LOG };
  fds[1] = (VmsanSpawnFd){ world->status_fd, STATUS };
  fds[2] = (VmsanSpawnFd){ to_test, TO_TEST };
  spec.fds = fds;
  spec.n_fds = G_N_ELEMENTS (fds);
  world->process = vmsan_process_spawn (&spec, &error);
  g_assert_no_error (error);
  vmsan_fd_close (&to_test);
  assert_line (world, "ready");
  g_assert_true (vmsan_process_kill (world->process, SIGKILL, NULL));
  assert_line (world, "");
  g_assert_cmpint (wait_for (world->process), ==, SIGKILL);
}

static void
test_a_jailers_orphan_is_the_monitor (World *world, gconstpointer data)
{
  start_jailer (world, "(read line <&15; " BUSYBOX " grep ^Uid: /proc/1/status >&14; exit 7) & "
                       "exit 0");
  g_assert_cmpint (write (world->to_monitor, "\n", 1), ==, 1);
  assert_line (world, "Uid:\t64242\t64242\t64242\t64242");
  assert_exits (world, 7);
  assert_status_file (world, "exit 7\n");
}

static void
test_a_jailer_that_fails_is_told (World *world, gconstpointer data)
{
  start_jailer (world, "exit 3");
  assert_exits (world, 3);
  assert_status_file (world, "exit 3\n");
}

static void
test_sigterm_ends_what_a_jailer_left (World *world, gconstpointer data)
{
  start_jailer (world, "(trap '' TERM; echo ready >&14; read line <&15) & exit 0");
  assert_line (world, "ready");
  g_assert_true (vmsan_process_kill (world->process, SIGTERM, NULL));
  assert_line (world, "");
  assert_exits (world, 128 + SIGTERM);
  assert_status_file (world, "signal 15\n");
}

static void
test_wrong_arguments_are_refused (World *world, gconstpointer data)
{
  static const char *const cases[][6] = {
    { "--jailer", "0", "-1", "11", "12", "4096" },
    { "--jailer", "nobody", "-1", "11", "12", "4096" },
    { "99", "11", "12", "4096", "--", "/bin/busybox" },
    { "-1", "2", "12", "4096", "--", "/bin/busybox" },
    { "-1", "11", "11", "4096", "--", "/bin/busybox" },
    { "-1", "11", "12", "4095", "--", "/bin/busybox" },
    { "-1", "11", "12", "4096x", "--", "/bin/busybox" },
    { "-1", "11", "12", "4096", "/bin/busybox", NULL },
    { "-1", "11", "12", "4096", "--", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *argv[8] = { "/vmsan-supervisor" };
      vmsan_autofd int exec_fd = open_supervisor ();
      g_autoptr (GError) error = NULL;
      const VmsanSpawnFd fds[] = { { world->log_fd, LOG }, { world->status_fd, STATUS } };
      const VmsanSpawnSpec spec = { .argv = argv,
                                    .exec_fd = exec_fd,
                                    .uid = 64242,
                                    .gid = 64242,
                                    .fds = fds,
                                    .n_fds = G_N_ELEMENTS (fds) };

      memcpy (argv + 1, cases[i], sizeof cases[i]);
      g_assert_false (vmsan_process_run (&spec, DEADLINE_MS, NULL, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
      g_assert_nonnull (strstr (error->message, "exit code 125; it said: vmsan-supervisor: "));
    }
  assert_status_file (world, "");
}

static void
test_a_damaged_status_is_no_status (World *world, gconstpointer data)
{
  static const char *const cases[] = { "exit 256\n", "exit -1\n", "signal 0\n",  "signal 99\n",
                                       "exit 1",     "exit \n",   "exit 1\n2\n", "\n" };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      int status;

      g_assert_true (vmsan_fd_write_file_at (world->directory_fd, "status", cases[i],
                                             strlen (cases[i]), 0600, NULL));
      g_assert_false (
          vmsan_console_log_read_status (world->directory_fd, "status", &status, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED);
    }
}

static const struct
{
  const char *name;
  void (*function) (World *, gconstpointer);
} tests[] = {
  { "the-exit-code-is-recorded-and-passed-on", test_the_exit_code_is_recorded_and_passed_on },
  { "a-signal-is-recorded-and-passed-on", test_a_signal_is_recorded_and_passed_on },
  { "a-missing-program-is-explained-in-the-log", test_a_missing_program_is_explained_in_the_log },
  { "output-error-and-console-are-logged", test_output_error_and_console_are_logged },
  { "the-log-is-bounded-and-keeps-the-last-part", test_the_log_is_bounded_and_keeps_the_last_part },
  { "the-tail-is-whole-while-it-is-written", test_the_tail_is_whole_while_it_is_written },
  { "a-log-is-continued", test_a_log_is_continued },
  { "a-full-disk-holds-nobody-up", test_a_full_disk_holds_nobody_up },
  { "sigterm-reaches-the-monitor", test_sigterm_reaches_the_monitor },
  { "orphans-are-reaped", test_orphans_are_reaped },
  { "descriptors-belong-to-one-side-each", test_descriptors_belong_to_one_side_each },
  { "the-monitor-dies-with-the-supervisor", test_the_monitor_dies_with_the_supervisor },
  { "it-works-without-a-pid-namespace", test_it_works_without_a_pid_namespace },
  { "a-jailers-orphan-is-the-monitor", test_a_jailers_orphan_is_the_monitor },
  { "a-jailer-that-fails-is-told", test_a_jailer_that_fails_is_told },
  { "sigterm-ends-what-a-jailer-left", test_sigterm_ends_what_a_jailer_left },
  { "wrong-arguments-are-refused", test_wrong_arguments_are_refused },
  { "a-damaged-status-is-no-status", test_a_damaged_status_is_no_status },
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
      g_autofree char *path = g_strconcat ("/supervisor/", tests[i].name, NULL);

      g_test_add (path, World, NULL, set_up, tests[i].function, tear_down);
    }
  return g_test_run ();
}
