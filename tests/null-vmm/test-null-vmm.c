/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The null driver keeps what vmm.h promises, so that tests built on it mean something. */

#include "null-vmm.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-handshake.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TEST_UID 3000000001u

typedef struct
{
  char *dir;
  char *orders_path;
  char *cgroup_parent;
  int dir_fd;
  VmsanCgroup *cgroup;
  VmsanVmm *vmm;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;

  fixture->dir = g_dir_make_tmp ("vmsan-null-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->dir_fd = open (fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fixture->orders_path = g_strconcat (fixture->dir, "/orders", NULL);
  fixture->cgroup_parent = g_strdup_printf ("/vmsan-test-null-%d", getpid ());
  fixture->cgroup =
      vmsan_cgroup_create (fixture->cgroup_parent, "vm", &(VmsanCgroupLimits){ 0 }, &error);
  g_assert_no_error (error);
  fixture->vmm = vmsan_null_vmm_new (NULL_MONITOR_PATH, fixture->orders_path);
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  const char *const files[] = { "orders", "status", "agent.sock" };
  g_autoptr (GError) error = NULL;

  g_object_unref (fixture->vmm);
  vmsan_cgroup_unref (fixture->cgroup);
  g_assert_true (vmsan_cgroup_destroy (fixture->cgroup_parent, "vm", &error));
  g_assert_true (vmsan_cgroup_destroy ("/", fixture->cgroup_parent + 1, &error));
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (files); i++)
    unlinkat (fixture->dir_fd, files[i], 0);
  close (fixture->dir_fd);
  g_assert_cmpint (g_rmdir (fixture->dir), ==, 0);
  g_free (fixture->dir);
  g_free (fixture->orders_path);
  g_free (fixture->cgroup_parent);
}

static void
order (Fixture *fixture, const char *keys)
{
  g_autofree char *text = g_strconcat ("[null]\n", keys, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (fixture->orders_path, text, -1, &error);
  g_assert_no_error (error);
}

/* ---- Waiting for results ------------------------------------------------------------------- */

static void
on_ready (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static GAsyncResult *
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

static VmsanMonitor *
spawn (Fixture *fixture, GCancellable *cancellable, GError **error)
{
  const VmsanVmmSpec spec = {
    .id = "vm",
    .runtime_dir = fixture->dir,
    .runtime_dir_fd = fixture->dir_fd,
    .uid = TEST_UID,
    .cgroup = fixture->cgroup,
  };
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_vmm_spawn_async (fixture->vmm, &spec, cancellable, on_ready, &result);
  return vmsan_vmm_spawn_finish (fixture->vmm, wait_for (&result), error);
}

static gboolean
boot (VmsanMonitor *monitor, GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_monitor_boot_async (monitor, cancellable, on_ready, &result);
  return vmsan_monitor_boot_finish (monitor, wait_for (&result), error);
}

static char *
wait_for_end (VmsanMonitor *monitor)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  VmsanProcess *process = vmsan_monitor_get_process (monitor);
  int status;

  vmsan_process_wait_async (process, NULL, on_ready, &result);
  vmsan_process_wait_finish (process, wait_for (&result), &status, &error);
  g_assert_no_error (error);
  return vmsan_monitor_describe_exit (monitor, status);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_life (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanMonitor) monitor = spawn (fixture, NULL, &error);
  g_autoptr (GAsyncResult) result = NULL;
  g_autofree char *proc = NULL;
  g_autofree char *reason = NULL;
  struct stat st;

  g_assert_no_error (error);
  g_assert_true (boot (monitor, NULL, &error));
  proc = g_strdup_printf ("/proc/%d", vmsan_process_get_pid (vmsan_monitor_get_process (monitor)));
  g_assert_cmpint (stat (proc, &st), ==, 0);
  g_assert_cmpuint (st.st_uid, ==, TEST_UID);
  g_assert_true (vmsan_cgroup_contains (fixture->cgroup, vmsan_process_get_pid (
                                                             vmsan_monitor_get_process (monitor))));
  vmsan_monitor_power_button_async (monitor, NULL, on_ready, &result);
  g_assert_true (vmsan_monitor_power_button_finish (monitor, wait_for (&result), &error));
  reason = wait_for_end (monitor);
  g_assert_cmpstr (reason, ==, "The monitor ended with exit code 0");
  g_assert_false (boot (monitor, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
}

static void
test_dies (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanMonitor) monitor = NULL;
  g_autofree char *reason = NULL;

  order (fixture, "die-after-ms=20\nexit-code=149\n");
  monitor = spawn (fixture, NULL, &error);
  g_assert_no_error (error);
  reason = wait_for_end (monitor);
  g_assert_cmpstr (reason, ==, "The monitor ended with exit code 149");
}

static void
test_killed (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanMonitor) monitor = spawn (fixture, NULL, &error);
  g_autofree char *reason = NULL;

  g_assert_no_error (error);
  g_assert_true (vmsan_process_kill (vmsan_monitor_get_process (monitor), SIGKILL, &error));
  reason = wait_for_end (monitor);
  g_assert_cmpstr (reason, ==, "The monitor was killed by signal 9 (Killed)");
}

static void
test_adopted (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanMonitor) first = NULL;
  g_autoptr (VmsanMonitor) second = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  g_autofree char *reason = NULL;
  VmsanProcess *old;

  first = spawn (fixture, NULL, &error);
  g_assert_no_error (error);
  old = vmsan_monitor_get_process (first);
  process = vmsan_process_adopt (vmsan_process_get_pid (old), vmsan_process_get_start_time (old),
                                 fixture->cgroup, &error);
  g_assert_no_error (error);
  second = vmsan_vmm_adopt (fixture->vmm, fixture->dir, process, &error);
  g_assert_no_error (error);
  g_assert_true (boot (second, NULL, &error));
  g_assert_true (vmsan_process_kill (process, SIGTERM, &error));
  g_free (wait_for_end (first));
  reason = vmsan_monitor_describe_exit (second, -1);
  g_assert_cmpstr (reason, ==, "The monitor ended with exit code 0");
}

static void
test_orders (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (VmsanMonitor) monitor = NULL;

  order (fixture, "fail=spawn\n");
  g_assert_null (spawn (fixture, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_clear_error (&error);

  order (fixture, "fail=boot;connect\n");
  monitor = spawn (fixture, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (boot (monitor, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_clear_error (&error);

  order (fixture, "hang=boot\n");
  vmsan_monitor_boot_async (monitor, cancellable, on_ready, &result);
  g_assert_null (result);
  g_cancellable_cancel (cancellable);
  g_assert_false (vmsan_monitor_boot_finish (monitor, wait_for (&result), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  order (fixture, "");
  g_assert_true (boot (monitor, NULL, &error));
  g_assert_true (vmsan_process_kill (vmsan_monitor_get_process (monitor), SIGKILL, &error));
  g_free (wait_for_end (monitor));
}

static void
test_silent_stream (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanMonitor) monitor = spawn (fixture, NULL, &error);
  g_autoptr (GAsyncResult) result = NULL;
  vmsan_autofd int fd = -1;
  char byte = 0;

  g_assert_no_error (error);
  vmsan_monitor_connect_async (monitor, 0, 10000, NULL, on_ready, &result);
  fd = vmsan_monitor_connect_finish (monitor, wait_for (&result), &error);
  g_assert_no_error (error);
  g_assert_cmpint (write (fd, &byte, 1), ==, 1);
  g_assert_cmpint (read (fd, &byte, 1), ==, -1);
  g_assert_cmpint (errno, ==, EAGAIN);
  g_assert_true (vmsan_process_kill (vmsan_monitor_get_process (monitor), SIGKILL, &error));
  g_free (wait_for_end (monitor));
}

static void
test_agent (Fixture *fixture, gconstpointer user_data)
{
  const guint8 token[VMSAN_TOKEN_SIZE] = { 1, 2, 3 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GAsyncResult) connected = NULL;
  g_autoptr (GAsyncResult) greeted = NULL;
  g_autoptr (VmsanMonitor) monitor = NULL;
  vmsan_autofd int fd = -1;

  order (fixture, "agent=" AGENT_PATH "\n");
  monitor = spawn (fixture, NULL, &error);
  g_assert_no_error (error);
  vmsan_monitor_connect_async (monitor, 0, 10000, NULL, on_ready, &connected);
  fd = vmsan_monitor_connect_finish (monitor, wait_for (&connected), &error);
  g_assert_no_error (error);
  vmsan_agent_handshake_async (fd, VMSAN_SESSION_CONTROL, token, 10000, NULL, on_ready, &greeted);
  vmsan_agent_handshake_finish (wait_for (&greeted), &error);
  g_assert_no_error (error);
  g_assert_true (vmsan_process_kill (vmsan_monitor_get_process (monitor), SIGKILL, &error));
  g_free (wait_for_end (monitor));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (60); /* kills a test that hangs */
#define ADD(name, function)                                                                        \
  g_test_add ("/null-vmm/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("spawns-boots-and-powers-off", test_life);
  ADD ("dies-when-ordered", test_dies);
  ADD ("a-kill-is-described", test_killed);
  ADD ("adopted-and-its-exit-code-is-known", test_adopted);
  ADD ("fails-and-hangs-when-ordered", test_orders);
  ADD ("its-agent-answers", test_agent);
  ADD ("a-stream-without-agent-waits", test_silent_stream);
  return g_test_run ();
}
