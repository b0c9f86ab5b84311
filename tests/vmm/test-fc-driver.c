/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Firecracker's driver with stand-ins for Firecracker and its jailer, in a real jail: what is true
 * of each driver, and what is Firecracker's own. Needs root. */

#include "qemu-world.h"

#include "agent/protocol.h"
#include "net/net-inside.h"
#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-control.h"
#include "vmm/firecracker/fc-driver.h"
#include "vmm/firecracker/fc-jail.h"
#include "vmm/firecracker/fc-monitor.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static World *world;
static char *programs; /* directory of the stand-ins */

typedef struct
{
  Machine *machine;
} Fixture;

/* ---- Stand-ins ----------------------------------------------------------------------------- */

/* They cannot read our environment, and no file of ours but what is bound into the jail: so their
 * orders come with the kernel, which nobody boots. */
static void
order (Machine *machine, const char *orders)
{
  g_autofree char *path = g_build_filename (machine->runtime_dir, "vmlinux", NULL);
  g_autofree char *text = g_strconcat ("\177ELF\nkvm /disk\n", orders, NULL);
  g_autoptr (GError) error = NULL;

  /* Not by a rename: what is bound already is this file. */
  g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0444, &error);
  g_assert_no_error (error);
  g_assert_no_errno (chmod (path, 0444));
  vmsan_fd_close (&machine->spec.kernel_fd);
  machine->spec.kernel_fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_no_errno (machine->spec.kernel_fd);
}

static void
install (const char *from, const char *name)
{
  g_autofree char *to = g_build_filename (programs, name, NULL);
  g_autoptr (GFile) source = g_file_new_for_path (from);
  g_autoptr (GFile) target = g_file_new_for_path (to);
  g_autoptr (GError) error = NULL;

  g_file_copy (source, target, G_FILE_COPY_OVERWRITE, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_no_errno (chmod (to, 0755));
}

/* ---- Machines ------------------------------------------------------------------------------ */

static Machine *
new_machine (guint n)
{
  Machine *machine = machine_new (world, n);

  machine->spec.kernel_is_elf = TRUE;
  order (machine, "");
  return machine;
}

static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  fixture->machine = new_machine (0);
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  machine_free (fixture->machine);
  vmsan_managed_root_delete (world->root, "disk-0", NULL);
}

/* Firecracker itself: the last descendant of the supervisor. */
static pid_t
get_firecracker (Machine *machine)
{
  pid_t pid = vmsan_process_get_pid (vmsan_monitor_get_process (machine->monitor));

  for (;;)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%d/task/%d/children", pid, pid);
      g_autofree char *exe_path = g_strdup_printf ("/proc/%d/exe", pid);
      g_autofree char *exe = g_file_read_link (exe_path, NULL);
      g_autofree char *children = NULL;

      if (exe != NULL && g_str_has_suffix (exe, "/firecracker"))
        return pid;
      g_assert_true (g_file_get_contents (path, &children, NULL, NULL));
      pid = atoi (children);
      g_assert_cmpint (pid, >, 0);
    }
}

static int
open_run (Machine *machine)
{
  g_autoptr (GError) error = NULL;
  int fd = vmsan_fc_jail_open_run (vmsan_monitor_get_process (machine->monitor), machine->spec.id,
                                   &error);

  g_assert_no_error (error);
  return fd;
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
  g_assert_true (probe->available);
  g_assert_true (g_str_has_prefix (probe->version, "1."));
  g_assert_cmpstr (probe->acceleration, ==, "kvm");
  g_assert_cmpstr (probe->reason, ==, "");
}

static void
test_life (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autoptr (GError) error = NULL;
  g_autofree char *output = machine_run (machine, "echo from inside", &error);
  g_autofree char *reason = NULL;

  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "from inside\n");
  g_assert_true (vmsan_agent_control_shutdown (VMSAN_AGENT_CONTROL (control),
                                               vmsan_monitor_get_shutdown_action (machine->monitor),
                                               &error));
  reason = machine_wait_for_end (machine);
  g_assert_cmpstr (reason, ==, "The machine ended (exit code 0)");
}

/* A guest whose agent listens no more keeps nobody waiting. */
static void
test_deaf_guest (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  order (machine, "deaf\n");
  vmsan_monitor_connect_async (machine->monitor, 1, 300, NULL, on_result, &result);
  g_assert_cmpint (vmsan_monitor_connect_finish (machine->monitor, wait_for_result (&result),
                                                 &error),
                   ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
}

static void
test_confinement (Fixture *fixture, gconstpointer user_data)
{
  static const char *const namespaces[] = { "mnt", "pid", "net", "ipc", "uts" };
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  pid_t firecracker = get_firecracker (machine);
  pid_t supervisor = vmsan_process_get_pid (vmsan_monitor_get_process (machine->monitor));
  const pid_t pids[] = { firecracker, supervisor };

  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/%d/status", pids[i]);
      g_autofree char *uids =
          g_strdup_printf ("\nUid:\t%u\t%u\t%u\t%u\n", machine->spec.uid, machine->spec.uid,
                           machine->spec.uid, machine->spec.uid);
      g_autofree char *status = NULL;

      g_assert_true (g_file_get_contents (path, &status, NULL, NULL));
      g_assert_nonnull (strstr (status, uids));
      g_assert_nonnull (strstr (status, "\nCapEff:\t0000000000000000\n"));
      g_assert_nonnull (strstr (status, "\nCapPrm:\t0000000000000000\n"));
      g_assert_nonnull (strstr (status, "\nNoNewPrivs:\t1\n"));
      g_assert_true (vmsan_cgroup_contains (machine->spec.cgroup, pids[i]));
      for (gsize j = 0; j < G_N_ELEMENTS (namespaces); j++)
        {
          g_autofree char *theirs = g_strdup_printf ("/proc/%d/ns/%s", pids[i], namespaces[j]);
          g_autofree char *ours = g_strdup_printf ("/proc/self/ns/%s", namespaces[j]);
          g_autofree char *their_link = g_file_read_link (theirs, NULL);
          g_autofree char *our_link = g_file_read_link (ours, NULL);

          g_assert_nonnull (their_link);
          g_assert_cmpstr (their_link, !=, our_link);
        }
    }
  /* Nothing of the jail is on the host. */
  g_assert_false (g_file_test ("/jail", G_FILE_TEST_EXISTS));
}

/* Whoever took Firecracker over fills nothing of the host's with files. */
static void
test_run_is_bounded (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  vmsan_autofd int run_fd = open_run (machine);
  g_autofree char *path = g_strdup_printf ("/proc/%d/root/run", get_firecracker (machine));
  struct stat st, seen, host;
  struct statfs bounds;

  g_assert_no_errno (fstat (run_fd, &st));
  g_assert_no_errno (stat (path, &seen));
  g_assert_cmpuint (seen.st_dev, ==, st.st_dev);
  g_assert_cmpuint (seen.st_ino, ==, st.st_ino);
  g_assert_cmpuint (st.st_uid, ==, machine->spec.uid);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0700);
  g_assert_no_errno (stat ("/run", &host));
  g_assert_cmpuint (st.st_dev, !=, host.st_dev);
  g_assert_no_errno (stat (machine->runtime_dir, &host));
  g_assert_cmpuint (st.st_dev, !=, host.st_dev);

  g_assert_no_errno (fstatfs (run_fd, &bounds));
  g_assert_cmpint (bounds.f_type, ==, TMPFS_MAGIC);
  g_assert_cmpuint (bounds.f_blocks, >, 0); /* 0: no bound */
  g_assert_cmpuint (bounds.f_blocks * bounds.f_bsize, <=, 1 << 20);
  g_assert_cmpuint (bounds.f_files, >, 0);
  g_assert_cmpuint (bounds.f_files, <=, 4096);
}

/* Neither the image nor the kernel changes hands; the disk is the machine's own. */
static void
test_only_the_disk_changes_its_owner (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  struct stat st;

  machine_assert_spawns (machine);
  g_assert_no_errno (fstat (machine->spec.image_fd, &st));
  g_assert_cmpuint (st.st_uid, ==, 0);
  g_assert_no_errno (fstat (machine->spec.kernel_fd, &st));
  g_assert_cmpuint (st.st_uid, ==, 0);
  g_assert_no_errno (fstat (machine->spec.initramfs_fd, &st));
  g_assert_cmpuint (st.st_uid, ==, 0);
  g_assert_no_errno (fstat (machine->spec.disk_fd, &st));
  g_assert_cmpuint (st.st_uid, ==, machine->spec.uid);
}

static gboolean
make_namespace (gpointer data, GError **error)
{
  struct ifreq request = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  int *namespace_fd = data;
  int fd;

  g_assert_no_errno (unshare (CLONE_NEWNET));
  fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);
  g_assert_no_errno (ioctl (fd, TUNSETIFF, &request));
  g_assert_no_errno (ioctl (fd, TUNSETPERSIST, 1));
  close (fd);
  *namespace_fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  return TRUE;
}

static void
test_network (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  vmsan_autofd int namespace_fd = -1;
  g_autoptr (GObject) control = NULL;
  g_autoptr (GError) error = NULL;
  struct stat ours, theirs;
  g_autofree char *path = NULL;

  vmsan_net_inside_thread (make_namespace, &namespace_fd, &error);
  g_assert_no_error (error);
  machine->spec.namespace_fd = namespace_fd;
  machine->spec.mac = "02:76:6d:73:00:02";
  control = machine_assert_starts (machine);
  path = g_strdup_printf ("/proc/%d/ns/net", get_firecracker (machine));
  g_assert_no_errno (stat (path, &theirs));
  g_assert_no_errno (fstat (namespace_fd, &ours));
  g_assert_cmpuint (theirs.st_ino, ==, ours.st_ino);
  machine->spec.namespace_fd = 0;
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
test_a_release_that_loses_its_guest_is_not_paused (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  order (machine, "version 1.16.1\n");
  control = machine_assert_starts (machine);
  g_assert_false (machine_pause (machine, TRUE, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
  output = machine_run (machine, "echo on", NULL);
  g_assert_cmpstr (output, ==, "on\n");
}

static void
test_every_release (Fixture *fixture, gconstpointer user_data)
{
  static const char *const releases[] = { "1.10.1", "1.11.0", "1.12.1", "1.13.1",
                                          "1.14.4", "1.15.1", "1.16.1", "1.17.0" };

  for (guint i = 0; i < G_N_ELEMENTS (releases); i++)
    {
      g_autofree char *orders = g_strdup_printf ("version %s\n", releases[i]);
      g_autofree char *disk = g_strdup_printf ("disk-%u", 1 + i);
      Machine *machine = new_machine (1 + i);
      g_autoptr (GObject) control = NULL;
      g_autofree char *output = NULL;

      order (machine, orders);
      control = machine_assert_starts (machine);
      output = machine_run (machine, "echo on", NULL);
      g_assert_cmpstr (output, ==, "on\n");
      g_clear_object (&control);
      machine_free (machine);
      vmsan_managed_root_delete (world->root, disk, NULL);
    }
}

static void
test_an_older_release_is_refused (Fixture *fixture, gconstpointer user_data)
{
  order (fixture->machine, "answer GET /version 200 {\"firecracker_version\":\"1.9.1\"}\n");
  machine_assert_no_spawn (fixture->machine, VMSAN_ERROR_NOT_SUPPORTED, "1.9.1");
}

/* ---- Faults -------------------------------------------------------------------------------- */

static void
test_a_refusal_is_told_and_leaves_nothing (Fixture *fixture, gconstpointer user_data)
{
  static const char *const calls[] = { "PUT /machine-config", "PUT /boot-source",
                                       "PUT /drives/image",   "PUT /drives/disk",
                                       "PUT /vsock",          "PUT /entropy" };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autofree char *orders =
          g_strdup_printf ("answer %s 400 {\"fault_message\":\"not today %u\"}\n", calls[i], i);
      g_autofree char *words = g_strdup_printf ("not today %u", i);

      order (fixture->machine, orders);
      machine_assert_no_spawn (fixture->machine, VMSAN_ERROR_VMM_FAILED, words);
    }
}

static void
test_a_death_is_told_and_leaves_nothing (Fixture *fixture, gconstpointer user_data)
{
  static const char *const calls[] = { "GET /version", "PUT /machine-config", "PUT /entropy" };

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autofree char *orders = g_strdup_printf ("die %s 148\n", calls[i]);

      order (fixture->machine, orders);
      machine_assert_no_spawn (fixture->machine, VMSAN_ERROR_VMM_FAILED,
                               "Firecracker ended before");
    }
}

static void
test_a_death_at_the_start_is_told (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;

  order (machine, "die PUT /actions 148\n");
  machine_assert_spawns (machine);
  g_assert_false (machine_boot (machine, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  reason = machine_wait_for_end (machine);
  g_test_message ("%s", reason);
  g_assert_nonnull (strstr (reason, "exit code 148"));
  g_assert_nonnull (strstr (reason, "seccomp"));
}

static void
test_a_kill_is_told (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autofree char *reason = NULL;

  g_assert_no_errno (kill (get_firecracker (machine), SIGKILL));
  reason = machine_wait_for_end (machine);
  g_assert_nonnull (strstr (reason, "killed by signal 9"));
  machine_assert_cgroup_is_empty (machine);
}

static void
test_what_cannot_be_run_is_refused_first (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  const VmsanVmmSpec good = machine->spec;
  g_autoptr (VmsanVmm) nowhere =
      vmsan_fc_driver_new ("/nonexistent:/neither", "", SUPERVISOR_DIRECTORY);
  g_autoptr (VmsanVmm) no_kvm =
      vmsan_fc_driver_new (programs, "/nonexistent/kvm", SUPERVISOR_DIRECTORY);
  g_autofree char *secret = g_build_filename (machine->runtime_dir, "secret", NULL);
  g_autofree char *second = g_build_filename (world->directory, "second", NULL);
  g_autofree char *proc = g_strdup_printf ("/proc/self/fd/%d", good.disk_fd);
  g_autofree char *disk = g_file_read_link (proc, NULL);
  VmsanVmm *vmm = world->vmm;

  world->vmm = nowhere;
  machine_assert_no_spawn (machine, VMSAN_ERROR_UNAVAILABLE, "/nonexistent, /neither");
  world->vmm = no_kvm;
  machine_assert_no_spawn (machine, VMSAN_ERROR_UNAVAILABLE, "KVM");
  world->vmm = vmm;
  machine->spec.kernel_is_elf = FALSE;
  machine_assert_no_spawn (machine, VMSAN_ERROR_NOT_SUPPORTED, "vmlinux");
  machine->spec = good;
  machine->spec.image_fd = open (secret, O_RDWR | O_CREAT | O_CLOEXEC, 0400);
  machine_assert_no_spawn (machine, VMSAN_ERROR_FAILED, "444");
  close (machine->spec.image_fd);
  machine->spec = good;
  /* a disk with another name may be somebody else's, too */
  g_assert_no_errno (link (disk, second));
  machine_assert_no_spawn (machine, VMSAN_ERROR_FAILED, "no file of its own");
  g_assert_no_errno (unlink (second));
}

/* ---- Adoption ------------------------------------------------------------------------------ */

static void
test_it_is_adopted (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autoptr (VmsanProcess) process = g_object_ref (vmsan_monitor_get_process (machine->monitor));
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  g_clear_object (&control);
  g_clear_object (&machine->monitor);
  machine->monitor = vmsan_vmm_adopt (world->vmm, machine->runtime_dir, process, &error);
  g_assert_no_error (error);
  machine_pause (machine, TRUE, &error);
  g_assert_no_error (error);
  machine_pause (machine, FALSE, &error);
  g_assert_no_error (error);
  output = machine_run (machine, "echo still here", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "still here\n");
}

/* A guest that took over its Firecracker leads nobody anywhere. */
static void
test_a_socket_that_was_exchanged_is_refused (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  g_autoptr (GObject) control = machine_assert_starts (machine);
  g_autoptr (VmsanProcess) process = g_object_ref (vmsan_monitor_get_process (machine->monitor));
  vmsan_autofd int run_fd = open_run (machine);
  g_autoptr (GError) error = NULL;

  g_clear_object (&control);
  g_clear_object (&machine->monitor);
  g_assert_no_errno (unlinkat (run_fd, VMSAN_FC_API_SOCKET, 0));
  g_assert_no_errno (symlinkat ("/run/dbus/system_bus_socket", run_fd, VMSAN_FC_API_SOCKET));
  g_assert_null (vmsan_vmm_adopt (world->vmm, machine->runtime_dir, process, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  vmsan_process_kill (process, SIGKILL, NULL);
}

/* ---- Snapshots ----------------------------------------------------------------------------- */

static void
test_a_snapshot_goes_on_in_another_machine (Fixture *fixture, gconstpointer user_data)
{
  Machine *machine = fixture->machine;
  Machine *clone = NULL;
  g_autofree char *parent = g_build_filename (world->directory, "snapshots", NULL);
  g_autofree char *staging = g_build_filename (parent, "staging", NULL);
  vmsan_autofd int parent_fd = -1;
  vmsan_autofd int staging_fd = -1;
  vmsan_autofd int state_fd = -1;
  vmsan_autofd int memory_fd = -1;
  g_auto (VmsanSnapshotMeta) meta = { 0 };
  g_auto (VmsanSnapshotMeta) read = { 0 };
  g_autoptr (GObject) control = NULL;
  g_autoptr (GObject) cloned_control = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  g_assert_no_errno (g_mkdir_with_parents (staging, 0700));
  parent_fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  staging_fd = open (staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  machine->spec.snapshot_dir_fd = staging_fd;
  control = machine_assert_starts (machine);
  machine_pause (machine, TRUE, &error);
  g_assert_no_error (error);
  vmsan_monitor_snapshot_async (machine->monitor, NULL, on_result, &result);
  vmsan_monitor_snapshot_finish (machine->monitor, wait_for_result (&result), &meta, &error);
  g_assert_no_error (error);
  meta.kernel_id = g_strdup (world->kernel->id);
  meta.protocol = VMSAN_PROTOCOL_VERSION;
  meta.vcpus = machine->spec.vcpus;
  meta.memory_mib = machine->spec.memory_mib;
  vmsan_snapshot_seal (parent_fd, "staging", "s1", machine->spec.uid, &meta, &error);
  g_assert_no_error (error);

  vmsan_snapshot_open (parent_fd, "s1", &state_fd, &memory_fd, &read, &error);
  g_assert_no_error (error);
  vmsan_vmm_check_snapshot (world->vmm, &read, &error);
  g_assert_no_error (error);
  clone = new_machine (1);
  clone->spec.state_fd = state_fd;
  clone->spec.memory_fd = memory_fd;
  machine_assert_spawns (clone);
  /* The stand-in has no memory: its agent has to be told everything again. */
  cloned_control = machine_start (clone, &error);
  g_assert_no_error (error);
  output = machine_run (clone, "echo once more", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "once more\n");
  g_clear_object (&cloned_control);
  machine_free (clone);
  vmsan_managed_root_delete (world->root, "disk-1", NULL);

  /* Another format is refused before anything is made. */
  read.format++;
  g_assert_false (vmsan_vmm_check_snapshot (world->vmm, &read, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
}

/* ---- Many ---------------------------------------------------------------------------------- */

#define N_PARALLEL 50

static void
test_many_start_and_stop_at_once (Fixture *fixture, gconstpointer user_data)
{
  Machine *machines[N_PARALLEL];
  GAsyncResult *spawned[N_PARALLEL] = { 0 };
  GAsyncResult *booted[N_PARALLEL] = { 0 };
  g_autoptr (GError) error = NULL;
  gint64 begin;

  for (int i = 0; i < N_PARALLEL; i++)
    machines[i] = new_machine (1 + i);
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
    vmsan_process_kill (vmsan_monitor_get_process (machines[i]->monitor), SIGKILL, NULL);
  for (int i = 0; i < N_PARALLEL; i++)
    {
      g_autofree char *disk = g_strdup_printf ("disk-%d", 1 + i);
      g_autofree char *reason = machine_wait_for_end (machines[i]);

      machine_assert_cgroup_is_empty (machines[i]);
      g_object_unref (spawned[i]);
      g_object_unref (booted[i]);
      machine_free (machines[i]);
      vmsan_managed_root_delete (world->root, disk, NULL);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  int status;

  alarm (300); /* kills a test that hangs */
  g_test_init (&argc, &argv, NULL);
  world = world_new ();
  programs = g_build_filename (world->directory, "programs", NULL);
  g_assert_no_errno (g_mkdir (programs, 0755));
  install (FAKE_FIRECRACKER, "firecracker");
  install (FAKE_JAILER, "jailer");
  g_object_unref (world->vmm);
  world->vmm = vmsan_fc_driver_new (programs, "", SUPERVISOR_DIRECTORY);
#define ADD(name, function)                                                                        \
  g_test_add ("/fc-driver/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("says-what-works-here", test_probe);
  ADD ("starts-to-its-agent-and-ends", test_life);
  ADD ("keeps-nobody-waiting-when-deaf", test_deaf_guest);
  ADD ("is-confined", test_confinement);
  ADD ("its-run-is-bounded-and-not-the-hosts", test_run_is_bounded);
  ADD ("only-the-disk-changes-its-owner", test_only_the_disk_changes_its_owner);
  ADD ("is-in-its-network-namespace", test_network);
  ADD ("pauses-and-goes-on", test_pause);
  ADD ("a-release-that-loses-its-guest-is-not-paused",
       test_a_release_that_loses_its_guest_is_not_paused);
  ADD ("every-release", test_every_release);
  ADD ("an-older-release-is-refused", test_an_older_release_is_refused);
  ADD ("a-refusal-is-told-and-leaves-nothing", test_a_refusal_is_told_and_leaves_nothing);
  ADD ("a-death-is-told-and-leaves-nothing", test_a_death_is_told_and_leaves_nothing);
  ADD ("a-death-at-the-start-is-told", test_a_death_at_the_start_is_told);
  ADD ("a-kill-is-told", test_a_kill_is_told);
  ADD ("what-cannot-be-run-is-refused-first", test_what_cannot_be_run_is_refused_first);
  ADD ("it-is-adopted", test_it_is_adopted);
  ADD ("a-socket-that-was-exchanged-is-refused", test_a_socket_that_was_exchanged_is_refused);
  ADD ("a-snapshot-goes-on-in-another-machine", test_a_snapshot_goes_on_in_another_machine);
  ADD ("many-start-and-stop-at-once", test_many_start_and_stop_at_once);
  status = g_test_run ();
  world_free (world);
  g_free (programs);
  return status;
}
