/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The QEMU driver with real machines. */

#include "qemu-world.h"

#include "agent/protocol.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-control.h"
#include "vmm/qemu/qemu-driver.h"
#include "vmm/qemu/qemu-monitor.h"
#include "vmm/qemu/qemu-spawn.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>

static World *world;

typedef struct
{
  Machine *machine;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  fixture->machine = machine_new (world, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  machine_free (fixture->machine);
  vmsan_managed_root_delete (world->root, "disk-0", NULL);
}

/* ---- /proc --------------------------------------------------------------------------------- */

/* The value of a line of /proc/PID/status. */
static char *
read_status (pid_t pid, const char *key)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", pid);
  g_autofree char *text = NULL;
  g_autofree char *start = g_strdup_printf ("\n%s:", key);
  char *value;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  value = strstr (text, start);
  g_assert_nonnull (value);
  value += strlen (start);
  value[strcspn (value, "\n")] = '\0';
  return g_strdup (g_strstrip (value));
}

static void
assert_status (pid_t pid, const char *key, const char *expected)
{
  g_autofree char *value = read_status (pid, key);

  g_assert_cmpstr (value, ==, expected);
}

/* It cannot make its disk longer. */
static void
assert_disk_bounds_files (Machine *machine, pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/limits", pid);
  g_autofree char *text = NULL;
  const char *name = "\nMax file size ";
  const char *line;
  struct stat st;

  g_assert_cmpint (fstat (machine->spec.disk_fd, &st), ==, 0);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  line = strstr (text, name);
  g_assert_nonnull (line);
  g_assert_cmpuint (g_ascii_strtoull (line + strlen (name), NULL, 10), ==, st.st_size);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Everything that the process sees in a directory of its root, sorted. */
static char *
list_in_root (pid_t pid, const char *name)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/root%s", pid, name);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *entry;

  g_assert_nonnull (dir);
  while ((entry = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (names, g_strdup (entry));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

static void
assert_confined (Machine *machine, pid_t pid)
{
  static const char *const namespaces[] = { "mnt", "pid", "net", "ipc", "uts" };
  static const char *const capabilities[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
  g_autofree char *uids = g_strdup_printf ("%u\t%u\t%u\t%u", machine->spec.uid, machine->spec.uid,
                                           machine->spec.uid, machine->spec.uid);
  g_autofree char *net_path = g_strdup_printf ("/proc/%d/net/dev", pid);
  g_autofree char *net = NULL;

  assert_status (pid, "Uid", uids);
  assert_status (pid, "Gid", uids);
  assert_status (pid, "Groups", "");
  assert_status (pid, "NoNewPrivs", "1");
  assert_disk_bounds_files (machine, pid);
  for (gsize i = 0; i < G_N_ELEMENTS (capabilities); i++)
    assert_status (pid, capabilities[i], "0000000000000000");
  g_assert_true (vmsan_cgroup_contains (machine->spec.cgroup, pid));
  for (gsize i = 0; i < G_N_ELEMENTS (namespaces); i++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%d/ns/%s", pid, namespaces[i]);
      g_autofree char *own_path = g_strdup_printf ("/proc/self/ns/%s", namespaces[i]);
      g_autofree char *target = g_file_read_link (path, NULL);
      g_autofree char *own = g_file_read_link (own_path, NULL);

      g_assert_nonnull (target);
      g_assert_cmpstr (target, !=, own);
    }
  g_assert_true (g_file_get_contents (net_path, &net, NULL, NULL));
  g_assert_cmpint (g_strrstr (net, ":") - strchr (net, ':'), ==, 0); /* one interface */
  g_assert_nonnull (strstr (net, "lo:"));
}

static void
assert_sees_little (pid_t pid)
{
  static const char *const allowed[] = { "bin", "lib", "lib64", "share", NULL };
  g_autofree char *top = list_in_root (pid, "/");
  g_autofree char *dev = list_in_root (pid, "/dev");
  g_autofree char *etc = list_in_root (pid, "/etc");
  g_autofree char *bin = list_in_root (pid, "/usr/bin");
  g_autofree char *usr = list_in_root (pid, "/usr");
  g_auto (GStrv) in_usr = g_strsplit (usr, " ", -1);

  g_assert_cmpstr (top, ==, "dev etc initramfs kernel lib lib64 usr");
  g_assert_cmpstr (dev, ==, "null urandom");
  g_assert_cmpstr (etc, ==, "ld.so.cache");
  g_assert_cmpstr (bin, ==, "qemu-system-x86_64");
  for (guint i = 0; in_usr[i] != NULL; i++)
    g_assert_true (g_strv_contains (allowed, in_usr[i]));
}

/* Every mount in its view is read-only. */
static void
assert_read_only (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/mountinfo", pid);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (g_strstrip (text), "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), >, 5);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_auto (GStrv) fields = g_strsplit (lines[i], " ", -1);

      g_assert_true (g_str_has_prefix (fields[5], "ro,nosuid"));
    }
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void
test_probe (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVmmProbe) probe = NULL;

  vmsan_vmm_probe_async (world->vmm, NULL, on_result, &result);
  probe = vmsan_vmm_probe_finish (world->vmm, wait_for_result (&result), &error);
  g_assert_no_error (error);
  g_test_message ("%s, %s, %s", probe->version, probe->acceleration, probe->reason);
  g_assert_true (probe->available);
  g_assert_true (g_ascii_isdigit (probe->version[0]));
  g_assert_true (g_str_equal (probe->acceleration, "kvm") == (probe->reason[0] == '\0'));
}

static void
test_life (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  g_autofree char *reason = NULL;

  machine->spec.vcpus = 2;
  control = machine_assert_starts (machine);
  output =
      machine_run (machine,
                   "cat /sys/class/misc/hw_random/rng_current; grep -c ^processor /proc/cpuinfo",
                   &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "virtio_rng.0\n2\n");
  g_assert_true (vmsan_agent_control_shutdown (VMSAN_AGENT_CONTROL (control),
                                               vmsan_monitor_get_shutdown_action (machine->monitor),
                                               &error));
  reason = machine_wait_for_end (machine);
  g_assert_cmpstr (reason, ==, "The guest powered itself off (exit code 0)");
}

/* What the store unpacked from Debian's bzImage is the kernel: QEMU enters it by PVH, which uses
 * the segments of the ELF file as Firecracker does, and nothing of the bzImage. */
static void
test_elf_kernel (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  g_autofree char *expected = g_strconcat (world->kernel->version, "\n", NULL);

  vmsan_fd_close (&machine->spec.kernel_fd);
  machine->spec.kernel_fd =
      vmsan_content_store_open_elf (world->kernels, world->kernel->id, &error);
  g_assert_no_error (error);
  machine->spec.kernel_is_elf = TRUE;
  control = machine_assert_starts (machine);
  output = machine_run (machine, "uname -r", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, expected);
}

static void
test_confinement (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GError) error = NULL;
  pid_t supervisor, qemu;

  machine_assert_spawns (machine);
  machine_boot (machine, &error);
  g_assert_no_error (error);
  supervisor = vmsan_process_get_pid (vmsan_monitor_get_process (machine->monitor));
  qemu = machine_get_qemu (machine);
  assert_confined (machine, supervisor);
  assert_confined (machine, qemu);
  assert_status (qemu, "Seccomp", "2");
  assert_sees_little (qemu);
  assert_read_only (qemu);
}

static void
test_killed (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;

  machine_assert_spawns (machine);
  machine_boot (machine, &error);
  g_assert_no_error (error);
  g_assert_cmpint (kill (machine_get_qemu (machine), SIGKILL), ==, 0);
  reason = machine_wait_for_end (machine);
  g_assert_true (g_str_has_prefix (reason, "QEMU was killed by signal 9 (Killed)"));
  g_assert_false (machine_pause (machine, TRUE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
}

static void
test_supervisor_killed (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;
  pid_t qemu;

  machine_assert_spawns (machine);
  machine_boot (machine, &error);
  g_assert_no_error (error);
  qemu = machine_get_qemu (machine);
  vmsan_process_kill (vmsan_monitor_get_process (machine->monitor), SIGKILL, &error);
  reason = machine_wait_for_end (machine);
  g_assert_true (g_str_has_prefix (reason, "QEMU was killed by signal 9"));
  g_assert_cmpint (kill (qemu, 0), ==, -1); /* PID 1 of its namespace took it along */
}

static void
test_guest_crash (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autofree char *output = machine_run (machine, "echo c > /proc/sysrq-trigger", NULL);
  g_autofree char *reason = machine_wait_for_end (machine);

  g_assert_null (output);
  g_assert_cmpstr (reason, ==,
                   "The guest restarted or crashed, which ends a machine (exit code 0)");
}

/* The guest writes four times the bound to its console. */
static void
test_console (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  g_autofree char *console = NULL;
  struct stat st;

  machine->spec.console_max_bytes = 16 << 10;
  control = machine_assert_starts (machine);
  output = machine_run (
      machine,
      "i=0; while [ $i -lt 2048 ]; do echo 'a line of thirty-two characters' > /dev/console;"
      " i=$((i+1)); done; echo the last > /dev/console; echo done",
      &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "done\n");
  for (;;)
    {
      console = machine_read_console (machine);
      if (strstr (console, "the last") != NULL)
        break;
      g_clear_pointer (&console, g_free);
      g_main_context_iteration (NULL, FALSE);
    }
  g_assert_cmpint (fstatat (machine->spec.runtime_dir_fd, "console.log", &st, 0), ==, 0);
  g_assert_cmpint (st.st_size, <=, machine->spec.console_max_bytes);
}

static void
test_pause (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  machine_pause (machine, TRUE, &error);
  g_assert_no_error (error);
  machine_pause (machine, FALSE, &error);
  g_assert_no_error (error);
  output = machine_run (machine, "echo on", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "on\n");
}

static void
on_pressed (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  vmsan_monitor_power_button_finish (VMSAN_MONITOR (source), result, &error);
  g_assert_no_error (error);
}

static gboolean
press (gpointer user_data)
{
  vmsan_monitor_power_button_async (VMSAN_MONITOR (user_data), NULL, on_pressed, NULL);
  return G_SOURCE_CONTINUE;
}

/* The guest's kernel reports the button as a key. It is pressed until that was read, as a press
 * before the device is open is lost. */
static void
test_power_button (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  guint presses = g_timeout_add (100, press, machine->monitor);
  g_autoptr (GError) error = NULL;
  g_autofree char *output = machine_run (machine, "head -c 24 /dev/input/event0 | wc -c", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "24\n");
  g_source_remove (presses);
}

/* ---- Adoption: another process stands for the service after its restart ---------------------- */

#define ADOPT_VARIABLE "VMSAN_TEST_ADOPT" /* "PID START_TIME RUNTIME_DIR CGROUP_PARENT" */

static void
test_adopted (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  VmsanProcess *process = g_object_ref (vmsan_monitor_get_process (machine->monitor));
  g_autofree char *self_path = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *value =
      g_strdup_printf ("%d %" G_GUINT64_FORMAT " %s %s", vmsan_process_get_pid (process),
                       vmsan_process_get_start_time (process), machine->runtime_dir,
                       world->cgroup_parent);
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr (GSubprocess) successor = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;

  /* This process lets go of all connections, as one that ends. */
  g_clear_object (&control);
  g_clear_object (&machine->monitor);
  g_subprocess_launcher_setenv (launcher, ADOPT_VARIABLE, value, TRUE);
  successor = g_subprocess_launcher_spawn (launcher, &error, self_path, NULL);
  g_assert_no_error (error);
  g_subprocess_wait_check (successor, NULL, &error);
  g_assert_no_error (error);

  /* The successor has ended the guest, and did not get its status by wait(). */
  machine->monitor = vmsan_vmm_adopt (world->vmm, machine->runtime_dir, process, &error);
  g_assert_no_error (error);
  g_object_unref (process);
  reason = machine_wait_for_end (machine);
  g_assert_cmpstr (reason, ==, "The machine ended (exit code 0)");
}

/* main() of the successor. */
static int
be_successor (const char *value)
{
  g_auto (GStrv) words = g_strsplit (value, " ", 4);
  Machine machine = { .name = (char *) "vm0", .runtime_dir = words[2] };
  g_autoptr (VmsanVmm) vmm = vmsan_qemu_driver_new ("qemu-system-x86_64", SUPERVISOR_DIRECTORY);
  g_autoptr (VmsanCgroup) cgroup = NULL;
  g_autoptr (VmsanProcess) process = NULL;
  g_autoptr (VmsanAgentControl) control = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  g_autofree char *reason = NULL;
  int fd;

  memset (machine.token, 7, sizeof machine.token);
  cgroup = vmsan_cgroup_open (words[3], "vm0", &error);
  g_assert_no_error (error);
  process =
      vmsan_process_adopt (atoi (words[0]), g_ascii_strtoull (words[1], NULL, 10), cgroup, &error);
  g_assert_no_error (error);
  machine.monitor = vmsan_vmm_adopt (vmm, words[2], process, &error);
  g_assert_no_error (error);
  machine_pause (&machine, TRUE, &error);
  g_assert_no_error (error);
  machine_pause (&machine, FALSE, &error);
  g_assert_no_error (error);
  output = machine_run (&machine, "echo still here", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "still here\n");
  fd = machine_open_stream (&machine, 0, VMSAN_SESSION_CONTROL, &error);
  g_assert_no_error (error);
  control = vmsan_agent_control_new (fd);
  g_assert_true (vmsan_agent_control_shutdown (control, VMSAN_SHUTDOWN_POWER_OFF, &error));
  reason = machine_wait_for_end (&machine);
  g_assert_cmpstr (reason, ==, "The guest powered itself off (exit code 0)");
  g_object_unref (machine.monitor);
  return 0;
}

/* ---- KVM --------------------------------------------------------------------------------------
 */

/* TRUE when the process has the device open. */
static gboolean
has_open (pid_t pid, const char *device)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/fd", pid);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *link = g_build_filename (path, name, NULL);
      g_autofree char *target = g_file_read_link (link, NULL);

      if (g_strcmp0 (target, device) == 0)
        return TRUE;
    }
  return FALSE;
}

/* Also where KVM cannot run a kernel, QEMU can be given the device: by its group, while the host's
 * node stays as it is. */
static void
test_kvm (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  const VmsanQemuPrograms programs = {
    .qemu = "/usr/bin/qemu-system-x86_64",
    .supervisor = SUPERVISOR_DIRECTORY "/vmsan-supervisor",
    .kvm_device = "/dev/kvm",
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = vmsan_qemu_spawn (&programs, &machine->spec, &error);
  g_autofree char *groups = NULL;
  struct stat before, after;

  if (stat ("/dev/kvm", &before) != 0)
    {
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE);
      return;
    }
  g_assert_no_error (error);
  machine->monitor = vmsan_qemu_monitor_new (machine->runtime_dir, process, "kvm");
  machine_boot (machine, &error);
  g_assert_no_error (error);
  g_assert_true (has_open (machine_get_qemu (machine), "/dev/kvm"));
  groups = g_strdup_printf ("%u", before.st_gid);
  if ((before.st_mode & S_IWOTH) == 0)
    assert_status (machine_get_qemu (machine), "Groups", groups);
  g_assert_cmpint (stat ("/dev/kvm", &after), ==, 0);
  g_assert_cmpuint (after.st_mode, ==, before.st_mode);
  g_assert_cmpuint (after.st_gid, ==, before.st_gid);
}

/* ---- Many, and failures -----------------------------------------------------------------------
 */

#define N_PARALLEL 10

static void
test_parallel (void)
{
  Machine *machines[N_PARALLEL];
  GAsyncResult *spawned[N_PARALLEL] = { 0 };
  GAsyncResult *booted[N_PARALLEL] = { 0 };
  g_autoptr (GError) error = NULL;
  gint64 begin;

  for (int i = 0; i < N_PARALLEL; i++)
    machines[i] = machine_new (world, 1 + i);
  begin = g_get_monotonic_time ();
  for (int i = 0; i < N_PARALLEL; i++)
    vmsan_vmm_spawn_async (world->vmm, &machines[i]->spec, NULL, on_result, &spawned[i]);
  for (int i = 0; i < N_PARALLEL; i++)
    {
      machines[i]->monitor =
          vmsan_vmm_spawn_finish (world->vmm, wait_for_result (&spawned[i]), &error);
      g_assert_no_error (error);
      vmsan_monitor_boot_async (machines[i]->monitor, NULL, on_result, &booted[i]);
    }
  for (int i = 0; i < N_PARALLEL; i++)
    {
      vmsan_monitor_boot_finish (machines[i]->monitor, wait_for_result (&booted[i]), &error);
      g_assert_no_error (error);
    }
  g_test_message ("%d machines run after %" G_GINT64_FORMAT " ms", N_PARALLEL,
                  (g_get_monotonic_time () - begin) / 1000);
  for (int i = 0; i < N_PARALLEL; i++)
    {
      g_autofree char *disk = g_strdup_printf ("disk-%d", 1 + i);

      g_object_unref (spawned[i]);
      g_object_unref (booted[i]);
      machine_free (machines[i]);
      vmsan_managed_root_delete (world->root, disk, NULL);
    }
}

static void
test_failures (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  const VmsanVmmSpec good = machine->spec;
  g_autofree char *long_dir = g_strnfill (120, 'd');
  g_autofree char *secret = g_build_filename (machine->runtime_dir, "secret", NULL);
  g_autoptr (VmsanVmm) no_qemu = vmsan_qemu_driver_new ("/nonexistent/qemu", SUPERVISOR_DIRECTORY);
  g_autoptr (VmsanVmm) no_supervisor = vmsan_qemu_driver_new ("qemu-system-x86_64", "/nonexistent");
  g_autoptr (GCancellable) cancelled = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  VmsanVmm *vmm = world->vmm;

  world->vmm = no_qemu;
  machine_assert_no_spawn (machine, VMSAN_ERROR_UNAVAILABLE, "qemu-system-x86");
  world->vmm = no_supervisor;
  machine_assert_no_spawn (machine, VMSAN_ERROR_NOT_FOUND, "/nonexistent/vmsan-supervisor");
  world->vmm = vmm;

  machine->spec.runtime_dir = long_dir;
  machine_assert_no_spawn (machine, VMSAN_ERROR_FAILED, "107 bytes");
  machine->spec = good;
  machine->spec.id = "a,b";
  machine_assert_no_spawn (machine, VMSAN_ERROR_INVALID_ARGUMENT, "id");
  machine->spec = good;
  machine->spec.image_fd = good.disk_fd;
  machine_assert_no_spawn (machine, VMSAN_ERROR_INVALID_ARGUMENT, "read");
  machine->spec = good;
  machine->spec.kernel_fd = open (secret, O_RDWR | O_CREAT | O_CLOEXEC, 0400);
  machine_assert_no_spawn (machine, VMSAN_ERROR_FAILED, "444");
  close (machine->spec.kernel_fd);
  machine->spec = good;

  g_cancellable_cancel (cancelled);
  g_assert_false (machine_spawn (machine, cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  machine_assert_cgroup_is_empty (machine);
}

/* QEMU refuses a kernel that is none: boot fails at once, and QEMU's words are kept. */
static void
test_bad_kernel (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;
  g_autofree char *console = NULL;
  int kernel_fd = machine->spec.kernel_fd;

  machine->spec.kernel_fd = open ("/etc/os-release", O_RDONLY | O_CLOEXEC);
  machine_assert_spawns (machine);
  g_assert_false (machine_boot (machine, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  reason = machine_wait_for_end (machine);
  g_test_message ("%s; %s", error->message, reason);
  g_assert_true (g_str_has_prefix (reason, "QEMU failed with exit code 1"));
  console = machine_read_console (machine);
  g_assert_nonnull (strstr (console, "kernel"));
  close (machine->spec.kernel_fd);
  machine->spec.kernel_fd = kernel_fd;
}

int
main (int argc, char **argv)
{
  const char *adopt = g_getenv (ADOPT_VARIABLE);
  int status;

  alarm (300); /* kills a test that hangs */
  if (adopt != NULL)
    return be_successor (adopt);
  g_test_init (&argc, &argv, NULL);
  world = world_new ();
#define ADD(name, function)                                                                        \
  g_test_add ("/qemu-driver/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("says-what-works-here", test_probe);
  ADD ("boots-to-its-agent-and-powers-off", test_life);
  ADD ("boots-the-elf-file-of-a-bzimage", test_elf_kernel);
  ADD ("is-confined", test_confinement);
  ADD ("a-kill-is-described", test_killed);
  ADD ("a-killed-supervisor-takes-qemu-along", test_supervisor_killed);
  ADD ("a-guests-crash-ends-it", test_guest_crash);
  ADD ("the-console-log-is-bounded", test_console);
  ADD ("pauses-and-goes-on", test_pause);
  ADD ("the-power-button-reaches-the-guest", test_power_button);
  ADD ("kvm-is-given-by-its-group", test_kvm);
  ADD ("another-process-adopts-it", test_adopted);
  g_test_add_func ("/qemu-driver/many-start-at-once", test_parallel);
  ADD ("a-failed-spawn-leaves-nothing", test_failures);
  ADD ("what-qemu-says-is-kept", test_bad_kernel);
  status = g_test_run ();
  world_free (world);
  return status;
}
