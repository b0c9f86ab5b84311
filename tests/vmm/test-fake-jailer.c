/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The stand-in for the jailer: it makes a real jail, in which a machine works, and refuses what
 * the real one refuses. */

#include "fc-world.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-control.h"
#include "vm/agent-exec.h"
#include "vm/agent-handshake.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define VM_UID "3000000001"
#define ID     "vm-1"

typedef struct
{
  FcWorld *world; /* its directory has the jails and the binary */
  char *exec_file;
  char *root; /* of the jail */
  int root_fd;
} Fixture;

/* A file system on which devices can be opened and programs run, whatever /tmp is. */
static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *contents = NULL;
  g_autoptr (GError) error = NULL;
  FcWorld *world = fixture->world = g_new0 (FcWorld, 1);
  gsize size;

  world->dir = g_dir_make_tmp ("vmsan-jail-XXXXXX", &error);
  g_assert_no_error (error);
  g_assert_no_errno (mount ("jails", world->dir, "tmpfs", 0, "mode=0755"));
  world->dir_fd = open (world->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  world->log_fd = -1;
  world->log = g_string_new (NULL);
  fixture->root_fd = -1;
  fixture->root = fc_world_path (world, "firecracker/" ID "/root");
  /* Beside the jails it would have the name of their folder. */
  fixture->exec_file = fc_world_path (world, "bin/firecracker");
  g_assert_no_errno (mkdirat (world->dir_fd, "bin", 0755));
  g_assert_true (g_file_get_contents (FAKE_FIRECRACKER, &contents, &size, &error));
  g_assert_true (g_file_set_contents_full (fixture->exec_file, contents, size,
                                           G_FILE_SET_CONTENTS_NONE, 0755, &error));
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  FcWorld *world = fixture->world;

  g_clear_object (&world->api);
  fc_world_stop (world);
  vmsan_fd_close (&fixture->root_fd);
  vmsan_fd_close (&world->dir_fd);
  g_assert_no_errno (umount2 (world->dir, MNT_DETACH));
  g_assert_no_errno (g_rmdir (world->dir));
  g_string_free (world->log, TRUE);
  g_free (world->dir);
  g_free (world);
  g_free (fixture->exec_file);
  g_free (fixture->root);
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* Runs the jailer with usual arguments and @more. */
static void
start_jailer (Fixture *fixture, const char *const *more)
{
  const char *const usual[] = {
    FAKE_JAILER, "--id",  ID,     "--exec-file",       fixture->exec_file,  "--uid",
    VM_UID,      "--gid", VM_UID, "--chroot-base-dir", fixture->world->dir,
  };
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();

  for (guint i = 0; i < G_N_ELEMENTS (usual); i++)
    g_ptr_array_add (argv, (gpointer) usual[i]);
  for (; *more != NULL; more++)
    g_ptr_array_add (argv, (gpointer) *more);
  g_ptr_array_add (argv, NULL);
  fc_world_spawn (fixture->world, (const char *const *) argv->pdata,
                  (const char *const[]){ "LEFT_OVER=1", NULL });
}

/* The process in the jail is then the world's. */
static void
take_over (Fixture *fixture)
{
  g_autofree char *pid_file = g_build_filename (fixture->root, "firecracker.pid", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  pid_t pid;

  g_assert_cmpint (fc_world_wait (fixture->world), ==, 0);
  g_assert_true (g_file_get_contents (pid_file, &text, NULL, &error));
  pid = g_ascii_strtoll (text, NULL, 10);
  g_assert_cmpint (pid, >, 1);
  fixture->world->pid = pid;
}

static void
connect_api (Fixture *fixture)
{
  FcWorld *world = fixture->world;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  fixture->root_fd = open (fixture->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  world->api = vmsan_fc_api_open (fixture->root_fd, "run/firecracker.socket", &error);
  g_assert_no_error (error);
  vmsan_fc_api_ask_version_async (world->api, FC_DEADLINE_MS, NULL, fc_on_result, &result);
  vmsan_fc_api_ask_version_finish (world->api, fc_wait (&result), &world->version, &error);
  g_assert_no_error (error);
}

static void
start_jail (Fixture *fixture, const char *const *more)
{
  start_jailer (fixture, more);
  if (!fc_world_wait_listening (fixture->world))
    g_error ("The jailer failed: %s", fixture->world->log->str);
  take_over (fixture);
  connect_api (fixture);
}

/* A file of the guest's, as the service would put it into the jail. */
static void
put_file (Fixture *fixture, const char *name, const char *text, uid_t uid)
{
  vmsan_autofd int fd =
      openat (fixture->root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (vmsan_fd_write_all (fd, text, strlen (text), &error));
  g_assert_no_errno (fchown (fd, uid, uid));
}

/* ---- What is made -------------------------------------------------------------------------- */

static void
assert_owner (Fixture *fixture, const char *name, mode_t mode, dev_t device)
{
  struct stat st;

  g_assert_no_errno (fstatat (fixture->root_fd, name, &st, AT_SYMLINK_NOFOLLOW));
  g_assert_cmpuint (st.st_uid, ==, 3000000001u);
  g_assert_cmpuint (st.st_gid, ==, 3000000001u);
  g_assert_cmpuint (st.st_mode, ==, mode);
  g_assert_cmpuint (st.st_rdev, ==, device);
}

static void
test_jail (Fixture *fixture, gconstpointer user_data)
{
  static const char *const more[] = { "--new-pid-ns", "--resource-limit", "no-file=512", NULL };
  g_autofree char *status_path = NULL;
  g_autofree char *environment_path = NULL;
  g_autofree char *status = NULL;
  g_autofree char *environment = NULL;
  gboolean has_kvm = access ("/dev/kvm", F_OK) == 0;
  gsize size;

  start_jail (fixture, more);
  assert_owner (fixture, ".", S_IFDIR | 0700, 0);
  assert_owner (fixture, "dev", S_IFDIR | 0700, 0);
  assert_owner (fixture, "run", S_IFDIR | 0700, 0);
  assert_owner (fixture, "dev/net/tun", S_IFCHR | 0600, makedev (10, 200));
  assert_owner (fixture, "dev/urandom", S_IFCHR | 0600, makedev (1, 9));
  assert_owner (fixture, "dev/kvm", (has_kvm ? S_IFCHR : S_IFREG) | 0600,
                has_kvm ? makedev (10, 232) : 0);
  g_assert_cmpint (faccessat (fixture->root_fd, "old_root", F_OK, 0), ==, -1);

  status_path = g_strdup_printf ("/proc/%d/status", fixture->world->pid);
  g_assert_true (g_file_get_contents (status_path, &status, NULL, NULL));
  g_assert_nonnull (strstr (status, "Uid:\t" VM_UID "\t" VM_UID "\t" VM_UID));
  g_assert_nonnull (strstr (status, "Groups:\t \n"));
  g_assert_nonnull (strstr (status, "\t1\n")); /* NSpid: the first of its namespace */
  environment_path = g_strdup_printf ("/proc/%d/environ", fixture->world->pid);
  g_assert_true (g_file_get_contents (environment_path, &environment, &size, NULL));
  g_assert_cmpuint (size, ==, 0);
}

static void
test_without_pid_ns (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *pid_file = g_build_filename (fixture->root, "firecracker.pid", NULL);
  g_autofree char *text = NULL;
  g_autofree char *expected = NULL;

  start_jailer (fixture, (const char *const[]){ NULL });
  g_assert_true (fc_world_wait_listening (fixture->world));
  g_assert_true (g_file_get_contents (pid_file, &text, NULL, NULL));
  expected = g_strdup_printf ("%d", fixture->world->pid);
  g_assert_cmpstr (text, ==, expected);
}

/* The next process that ends, of those whose parents have ended: they are ours then. */
static void
wait_for_orphan (void)
{
  int status;

  g_assert_cmpint (waitpid (-1, &status, 0), >, 0);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* Its standard error is gone, so that nothing says when it listens. */
static void
test_daemon (Fixture *fixture, gconstpointer user_data)
{
  static const char *const more[] = { "--daemonize", "--new-pid-ns", NULL };
  g_autofree char *pid_file = g_build_filename (fixture->root, "firecracker.pid", NULL);
  g_autofree char *text = NULL;

  start_jailer (fixture, more);
  g_assert_cmpint (fc_world_wait (fixture->world), ==, 0);
  wait_for_orphan (); /* that made a session */
  wait_for_orphan (); /* that wrote the file */
  g_assert_true (g_file_get_contents (pid_file, &text, NULL, NULL));
  fixture->world->pid = g_ascii_strtoll (text, NULL, 10);
  g_assert_no_errno (kill (fixture->world->pid, 0));
  g_assert_false (fc_world_wait_listening (fixture->world));
}

/* ---- A machine in it ----------------------------------------------------------------------- */

static int
open_session (Fixture *fixture, guint16 kind)
{
  g_autofree char *path = g_build_filename (fixture->root, "run/vsock", NULL);

  return fc_open_session (path, kind);
}

static VmsanAgentControl *
configure_guest (Fixture *fixture)
{
  const VmsanGuestConfiguration configuration = { .hostname = "guest", .init = "none" };
  VmsanAgentControl *control =
      vmsan_agent_control_new (open_session (fixture, VMSAN_SESSION_CONTROL));
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  guint boot_ms;

  vmsan_agent_control_configure_async (control, &configuration, FC_DEADLINE_MS, NULL, fc_on_result,
                                       &result);
  vmsan_agent_control_configure_finish (control, fc_wait (&result), &boot_ms, &error);
  g_assert_no_error (error);
  return control;
}

static void
run_in_guest (Fixture *fixture, const char *command, int exit_code, const char *output)
{
  const char *const argv[] = { "sh", "-c", command, NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanExecRequest) request = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (VmsanRunResult) run = NULL;

  request = vmsan_exec_request_new (argv, NULL, NULL, NULL, 0, NULL, &error);
  g_assert_no_error (error);
  vmsan_agent_run_async (open_session (fixture, VMSAN_SESSION_CALLER), request, NULL, fc_on_result,
                         &result);
  run = vmsan_agent_run_finish (fc_wait (&result), &error);
  g_assert_no_error (error);
  g_assert_cmpint (run->exit_code, ==, exit_code);
  g_byte_array_append (run->output, (const guint8 *) "", 1);
  g_assert_cmpstr ((const char *) run->output->data, ==, output);
}

static void
configure_machine (Fixture *fixture)
{
  const VmsanFcBootSource source = { "/kernel", NULL, "reboot=k" };
  const VmsanFcDrive drive = { .id = "base", .path = "/disk" };
  const VmsanFcInterface interface = { .id = "eth0", .tap = "tap0" };
  FcWorld *world = fixture->world;

  put_file (fixture, "kernel", "\177ELF", 3000000001u);
  put_file (fixture, "disk", "", 3000000001u);
  fc_world_send (world, fc_world_machine ());
  fc_world_send (world, vmsan_fc_request_new_boot_source (&source, NULL));
  fc_world_send (world, vmsan_fc_request_new_drive (&drive, NULL));
  fc_world_send (world, vmsan_fc_request_new_interface (&world->version, &interface, NULL));
  fc_world_send (world, vmsan_fc_request_new_vsock (3, "/run/vsock", NULL));
}

/* The tap is in another namespace than ours, and belongs to the machine's uid. */
static void
test_machine (Fixture *fixture, gconstpointer user_data)
{
  const char *const more[] = { "--new-pid-ns", "--netns", user_data, NULL };
  FcWorld *world = fixture->world;
  g_autoptr (VmsanAgentControl) control = NULL;

  start_jail (fixture, more);
  configure_machine (fixture);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  control = configure_guest (fixture);
  run_in_guest (fixture, "echo hello; exit 7", 7, "hello\n");
  run_in_guest (fixture, "id -u; ls /", 0,
                VM_UID "\nbin\ndev\ndisk\nfirecracker\nfirecracker.pid\nkernel\nrun\n");
  g_assert_true (vmsan_agent_control_shutdown (control, VMSAN_SHUTDOWN_REBOOT, NULL));
  g_assert_cmpint (fc_world_wait (world), ==, 0);
}

/* A restored guest is where the saved one was: configured, and with its token. */
static void
test_restored_machine (Fixture *fixture, gconstpointer user_data)
{
  const char *const more[] = { "--new-pid-ns", "--netns", user_data, NULL };
  const VmsanFcSnapshotLoad load = { "/state", "/memory", .resume = TRUE };
  FcWorld *world = fixture->world;
  g_autoptr (VmsanAgentControl) control = NULL;
  g_autofree char *old = g_strconcat (world->dir, "/old", NULL);
  g_autofree char *jail = g_strconcat (world->dir, "/firecracker", NULL);

  start_jail (fixture, more);
  configure_machine (fixture);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  control = configure_guest (fixture);
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_send (world, vmsan_fc_request_new_snapshot_create ("/state", "/memory", FALSE, NULL));
  g_clear_object (&world->api);
  fc_world_stop (world);
  vmsan_fd_close (&fixture->root_fd);
  g_assert_no_errno (rename (jail, old));

  start_jail (fixture, more);
  put_file (fixture, "disk", "", 3000000001u);
  for (guint i = 0; i < 2; i++)
    {
      static const char *const names[] = { "state", "memory" };
      g_autofree char *from = g_strconcat (old, "/" ID "/root/", names[i], NULL);
      g_autofree char *to = g_build_filename (fixture->root, names[i], NULL);

      g_assert_no_errno (rename (from, to));
    }
  fc_world_send (world, vmsan_fc_request_new_snapshot_load (&world->version, &load, NULL));
  run_in_guest (fixture, "echo again", 0, "again\n");
}

static void
on_control_closed (VmsanAgentControl *control, const char *message, gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
}

/* A Firecracker machine has nothing that switches it off. */
static void
test_power_off (Fixture *fixture, gconstpointer user_data)
{
  const char *const more[] = { "--new-pid-ns", "--netns", user_data, NULL };
  FcWorld *world = fixture->world;
  g_autoptr (VmsanAgentControl) control = NULL;
  g_autoptr (JsonObject) answer = NULL;
  gboolean closed = FALSE;

  start_jail (fixture, more);
  configure_machine (fixture);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  control = configure_guest (fixture);
  g_signal_connect (control, "closed", G_CALLBACK (on_control_closed), &closed);
  g_assert_true (vmsan_agent_control_shutdown (control, VMSAN_SHUTDOWN_POWER_OFF, NULL));
  while (!closed)
    g_main_context_iteration (NULL, TRUE);
  answer = fc_world_try (world, vmsan_fc_request_new_describe (), FC_DEADLINE_MS, NULL);
  g_assert_nonnull (answer);
  g_assert_cmpstr (json_object_get_string_member (answer, "state"), ==, "Running");
}

/* What root can read, the machine's uid cannot. */
static void
test_files_of_others (Fixture *fixture, gconstpointer user_data)
{
  const VmsanFcBootSource source = { "/kernel" };
  const VmsanFcDrive drive = { .id = "base", .path = "/disk" };

  start_jail (fixture, (const char *const[]){ "--new-pid-ns", NULL });
  put_file (fixture, "kernel", "\177ELF", 0);
  put_file (fixture, "disk", "", 0);
  fc_world_refused (fixture->world, vmsan_fc_request_new_boot_source (&source, NULL),
                    "Permission denied");
  fc_world_refused (fixture->world, vmsan_fc_request_new_drive (&drive, NULL), "Permission denied");
}

/* Orders beside the binary come into the jail with it. */
static void
test_orders (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *orders = g_strconcat (fixture->exec_file, ".orders", NULL);
  VmsanFcVersion version;

  g_assert_true (
      g_file_set_contents (orders, "version 1.12.1\ndie PUT /machine-config 149\n", -1, NULL));
  start_jail (fixture, (const char *const[]){ "--new-pid-ns", NULL });
  version = fixture->world->version;
  g_assert_cmpuint (version.minor, ==, 12);
  fc_world_refused (fixture->world, fc_world_machine (), "PUT /machine-config");
  g_assert_cmpint (fc_world_wait (fixture->world), ==, 149);
}

/* ---- Control groups ------------------------------------------------------------------------ */

/* Where this machine has the controller for processes: version 1, or 2. */
static const char *
find_pids_hierarchy (int *version)
{
  if (g_file_test ("/sys/fs/cgroup/pids/cgroup.procs", G_FILE_TEST_EXISTS))
    {
      *version = 1;
      return "/sys/fs/cgroup/pids";
    }
  *version = 2;
  return "/sys/fs/cgroup";
}

static void
test_cgroup (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *parent = g_strdup_printf ("vmsan-test-jailer-%d", fixture->world->dir_fd);
  int version;
  const char *hierarchy = find_pids_hierarchy (&version);
  g_autofree char *version_text = g_strdup_printf ("%d", version);
  g_autofree char *group = g_strdup_printf ("%s/%s/" ID, hierarchy, parent);
  g_autofree char *parent_path = g_strdup_printf ("%s/%s", hierarchy, parent);
  g_autofree char *max_path = g_strconcat (group, "/pids.max", NULL);
  g_autofree char *procs_path = g_strconcat (group, "/cgroup.procs", NULL);
  g_autofree char *max = NULL;
  g_autofree char *procs = NULL;
  const char *const more[] = {
    "--new-pid-ns", "--cgroup-version", version_text,  "--parent-cgroup",
    parent,         "--cgroup",         "pids.max=50", NULL,
  };

  start_jailer (fixture, more);
  if (fc_world_wait_listening (fixture->world))
    {
      take_over (fixture);
      g_assert_true (g_file_get_contents (max_path, &max, NULL, NULL));
      g_assert_cmpstr (max, ==, "50\n");
      g_assert_true (g_file_get_contents (procs_path, &procs, NULL, NULL));
      g_assert_cmpint (g_ascii_strtoll (procs, NULL, 10), ==, fixture->world->pid);
    }
  else
    {
      /* Version 2 below a group that has processes: the real one cannot do it either. */
      g_assert_cmpint (version, ==, 2);
      g_assert_nonnull (strstr (fixture->world->log->str, "cgroup.subtree_control"));
      g_assert_cmpint (fc_world_wait (fixture->world), ==, 101);
    }
  fc_world_stop (fixture->world);
  g_rmdir (group);
  g_assert_no_errno (g_rmdir (parent_path));
}

/* Version 2 without values joins the parent group, and says nothing when there is none. */
static void
test_parent_cgroup (Fixture *fixture, gconstpointer user_data)
{
  static const char unified[] = "/sys/fs/cgroup/unified";
  const char *hierarchy = g_file_test (unified, G_FILE_TEST_IS_DIR) ? unified : "/sys/fs/cgroup";
  g_autofree char *parent = g_strdup_printf ("vmsan-test-parent-%d", fixture->world->dir_fd);
  g_autofree char *path = g_build_filename (hierarchy, parent, NULL);
  g_autofree char *procs_path = g_strconcat (path, "/cgroup.procs", NULL);
  g_autofree char *procs = NULL;
  const char *const more[] = {
    "--new-pid-ns", "--cgroup-version", "2", "--parent-cgroup", parent, NULL,
  };

  start_jail (fixture, more);
  tear_down (fixture, NULL);
  set_up (fixture, NULL);
  g_assert_no_errno (mkdir (path, 0755));
  start_jail (fixture, more);
  g_assert_true (g_file_get_contents (procs_path, &procs, NULL, NULL));
  g_assert_cmpint (g_ascii_strtoll (procs, NULL, 10), ==, fixture->world->pid);
  g_clear_object (&fixture->world->api);
  fc_world_stop (fixture->world);
  g_assert_no_errno (g_rmdir (path));
}

/* ---- Refusals ------------------------------------------------------------------------------ */

typedef struct
{
  const char *more[6];
  int exit_code;
  const char *words;
} Refusal;

/* Checks how the jailer ended, and throws away what it left. */
static void
assert_refused (Fixture *fixture, int exit_code, const char *words)
{
  g_assert_cmpint (fc_world_wait (fixture->world), ==, exit_code);
  if (strstr (fixture->world->log->str, words) == NULL)
    g_error ("“%s” is not in “%s”", words, fixture->world->log->str);
  tear_down (fixture, NULL);
  set_up (fixture, NULL);
}

static void
test_refusals (Fixture *fixture, gconstpointer user_data)
{
  static const Refusal refusals[] = {
    { { "--fast" }, 1, "'--fast' which wasn't expected" },
    { { "--id", "x" }, 1, "'id' was provided more than once" },
    { { "--netns" }, 1, "'netns' requires a value" },
    { { "--netns", "/nowhere" }, 1, "Failed to open file /nowhere" },
    { { "--netns", "/etc/passwd" }, 1, "Failed to join network namespace" },
    { { "--parent-cgroup", "/a" }, 1, "Parent cgroup path is invalid" },
    { { "--parent-cgroup", "a/../b" }, 1, "Parent cgroup path is invalid" },
    { { "--cgroup-version", "3", "--cgroup", "pids.max=1" }, 1, "3 is an invalid cgroup version" },
    { { "--cgroup-version", "two" }, 1, "Invalid cgroup version: two" },
    { { "--cgroup", "pids.max" }, 1, "Invalid format for cgroups: pids.max" },
    { { "--cgroup", "pids.max=" }, 1, "Invalid format for cgroups: pids.max=" },
    { { "--cgroup", "pids.max=1=2" }, 1, "Invalid format for cgroups" },
    { { "--cgroup", "../pids.max=1" }, 1, "Cgroup invalid file" },
    { { "--cgroup", "pids=1" }, 1, "Cgroup invalid file" },
    { { "--resource-limit", "no-file" }, 1, "Invalid format for resources limits" },
    { { "--resource-limit", "cpu=1" }, 1, "Invalid resource argument" },
    { { "--resource-limit", "fsize=-1" }, 1, "Invalid limit value" },
    { { "--", "--no-such-option" }, 153, "unexpected argument --no-such-option" },
    { { "--", "--config-file", "x" }, 153, "unexpected argument --config-file" },
    { { "--", "--id", "x" }, 153, "given twice: --id" },
    { { "--", "--no-seccomp", "--seccomp-filter", "/f" }, 153, "forbids" },
    { { "--", "--level", "loud" }, 152, "Invalid value for logger level" },
    { { "--", "--api-sock", "/nowhere/api" }, 1, "Failed to bind the API socket" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      start_jailer (fixture, refusals[i].more);
      assert_refused (fixture, refusals[i].exit_code, refusals[i].words);
    }
}

/* @name, @uid and @base: instead of the usual ones, if not NULL. */
static void
start_with (Fixture *fixture, const char *id, const char *name, const char *uid, const char *base)
{
  const char *const argv[] = {
    FAKE_JAILER,
    "--id",
    id != NULL ? id : ID,
    "--exec-file",
    name != NULL ? name : fixture->exec_file,
    "--uid",
    uid != NULL ? uid : VM_UID,
    "--gid",
    VM_UID,
    "--chroot-base-dir",
    base != NULL ? base : fixture->world->dir,
    NULL,
  };

  fc_world_spawn (fixture->world, argv, (const char *const[]){ NULL });
}

static void
test_bad_basics (Fixture *fixture, gconstpointer user_data)
{
  static const char *const ids[] = { "", "a_b", "a.b", "a/b", "\303\251", "-é", "a b" };
  static const char *const uids[] = { "", "-1", "root", "4294967296", "0x10" };
  g_autofree char *long_id = g_strnfill (65, 'a');
  g_autofree char *other_name = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      start_with (fixture, ids[i], NULL, NULL, NULL);
      assert_refused (fixture, 1, "Invalid instance ID");
    }
  for (guint i = 0; i < G_N_ELEMENTS (uids); i++)
    {
      start_with (fixture, NULL, NULL, uids[i], NULL);
      assert_refused (fixture, 1, "Invalid uid");
    }
  start_with (fixture, long_id, NULL, NULL, NULL);
  assert_refused (fixture, 1, "Invalid len (65)");
  start_with (fixture, NULL, "/nowhere/firecracker", NULL, NULL);
  assert_refused (fixture, 1, "Failed to canonicalize path");
  start_with (fixture, NULL, "/etc", NULL, NULL);
  assert_refused (fixture, 1, "/etc is not a file");
  start_with (fixture, NULL, FAKE_JAILER, NULL, NULL);
  assert_refused (fixture, 1, "must contain \"firecracker\": fake-jailer");
  start_with (fixture, NULL, NULL, NULL, "/nowhere");
  assert_refused (fixture, 1, "Failed to canonicalize path /nowhere");
  start_with (fixture, NULL, NULL, NULL, "/etc/passwd");
  assert_refused (fixture, 1, "is not a directory");
}

/* On file systems without devices or programs the real one fails late, and with these words. */
static void
test_mount_options (Fixture *fixture, gconstpointer user_data)
{
  const VmsanFcInterface interface = { .id = "eth0", .tap = "tap0" };
  const char *const more[] = { "--new-pid-ns", "--netns", user_data, NULL };
  FcWorld *world = fixture->world;

  g_assert_no_errno (mount (NULL, world->dir, NULL, MS_REMOUNT | MS_NODEV, NULL));
  start_jail (fixture, more);
  fc_world_refused (world, vmsan_fc_request_new_interface (&world->version, &interface, NULL),
                    "Permission denied");
  fc_world_stop (world);
  tear_down (fixture, NULL);
  set_up (fixture, NULL);
  world = fixture->world;
  g_assert_no_errno (mount (NULL, world->dir, NULL, MS_REMOUNT | MS_NOEXEC, NULL));
  start_jailer (fixture, (const char *const[]){ NULL });
  g_assert_cmpint (fc_world_wait (world), ==, 1);
  g_assert_nonnull (strstr (world->log->str, "Failed to exec into Firecracker: Permission denied"));
}

static void
test_existing_jail (Fixture *fixture, gconstpointer user_data)
{
  start_jail (fixture, (const char *const[]){ "--new-pid-ns", NULL });
  fc_world_stop (fixture->world);
  start_jailer (fixture, (const char *const[]){ "--new-pid-ns", NULL });
  g_assert_cmpint (fc_world_wait (fixture->world), ==, 1);
  g_assert_nonnull (strstr (fixture->world->log->str, "/dev/net/tun via mknod"));
  g_assert_nonnull (strstr (fixture->world->log->str, "File exists"));
}

/* What is left of an earlier run makes the next one fail, each of it. */
static void
test_left_overs (Fixture *fixture, gconstpointer user_data)
{
  static const struct
  {
    const char *path;
    const char *words;
  } left[] = {
    { "old_root/", "Failed to create the jail root directory" },
    { "firecracker.pid", "/firecracker.pid: File exists" },
    { "run/firecracker.socket", "Failed to bind the API socket: Address already in use" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (left); i++)
    {
      g_autofree char *path = g_build_filename (fixture->root, left[i].path, NULL);
      g_autofree char *parent = g_path_get_dirname (path);

      g_assert_no_errno (g_mkdir_with_parents (parent, 0755));
      if (!g_str_has_suffix (path, "/"))
        g_assert_true (g_file_set_contents (path, "", 0, NULL));
      start_jailer (fixture, (const char *const[]){ NULL });
      assert_refused (fixture, 1, left[i].words);
    }
}

/* ---- The tests' own machine ---------------------------------------------------------------- */

static char *
make_netns_file (void)
{
  char *path = g_strdup ("/tmp/vmsan-jail-netns-XXXXXX");
  int fd = g_mkstemp (path);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_no_errno (unshare (CLONE_NEWNET));
  fc_make_tap ("tap0", 3000000001u);
  g_assert_no_errno (mount ("/proc/self/ns/net", path, NULL, MS_BIND, NULL));
  g_assert_no_errno (unshare (CLONE_NEWNET));
  return path;
}

static void
on_alarm (int signal_number)
{
  _exit (1);
}

static int
run_tests (int argc, char **argv, const char *netns)
{
  g_test_init (&argc, &argv, NULL);
  /* Ends a test that hangs, and as it is the first process, all that it started. */
  signal (SIGALRM, on_alarm);
  alarm (110);
#define ADD(name, function)                                                                        \
  g_test_add ("/fake-jailer/" name, Fixture, netns, set_up, function, tear_down)
  ADD ("makes-the-jail-of-the-real-one", test_jail);
  ADD ("writes-its-own-pid-without-a-namespace", test_without_pid_ns);
  ADD ("becomes-a-daemon", test_daemon);
  ADD ("a-machine-works-in-it", test_machine);
  ADD ("a-restored-machine-is-where-it-was", test_restored_machine);
  ADD ("a-guest-that-powers-off-does-not-end-it", test_power_off);
  ADD ("files-of-others-cannot-be-opened", test_files_of_others);
  ADD ("orders-come-along", test_orders);
  ADD ("puts-it-into-a-cgroup", test_cgroup);
  ADD ("joins-its-parent-cgroup", test_parent_cgroup);
  ADD ("refuses-what-the-real-one-refuses", test_refusals);
  ADD ("refuses-bad-ids-and-programs", test_bad_basics);
  ADD ("mount-options-are-noticed-late", test_mount_options);
  ADD ("a-jail-is-not-used-twice", test_existing_jail);
  ADD ("left-overs-are-in-the-way", test_left_overs);
  return g_test_run ();
}

/* In a PID namespace, so that nothing in a jail survives the tests, and a mount namespace. */
int
main (int argc, char **argv)
{
  g_autofree char *netns = NULL;
  int status;
  pid_t pid;

  g_assert_no_errno (unshare (CLONE_NEWPID | CLONE_NEWNS));
  g_assert_no_errno (mount (NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL));
  netns = make_netns_file ();
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      g_assert_no_errno (prctl (PR_SET_PDEATHSIG, SIGKILL));
      g_assert_no_errno (mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
      return run_tests (argc, argv, netns);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_no_errno (umount2 (netns, MNT_DETACH));
  g_assert_no_errno (g_unlink (netns));
  return WIFEXITED (status) ? WEXITSTATUS (status) : 1;
}
