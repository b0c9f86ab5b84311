/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "qemu-world.h"

#include "storage/disk.h"
#include "storage/kernel-unpack.h"
#include "sys/console-log.h"
#include "sys/fd.h"
#include "vm/agent-control.h"
#include "vm/agent-exec.h"
#include "vm/agent-handshake.h"
#include "vmm/qemu/qemu-driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FIRST_UID      3000000100u
#define HANDSHAKE_MS   60000
#define CONFIGURE_MS   60000
#define MODULE_MAX     (16u << 20)
#define IMAGE_SIZE_MIB "16"

void
on_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

GAsyncResult *
wait_for_result (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

/* ---- World --------------------------------------------------------------------------------- */

static void
run_tool (const char *const *argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *errors = NULL;
  int status;

  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                NULL, NULL, &errors, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s: %s: %s", argv[0], error->message, errors);
}

/* The version of the newest cloud kernel in /boot; Debian's package linux-image-cloud-amd64. */
static char *
find_kernel_version (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/boot", 0, NULL);
  char *newest = NULL;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, "vmlinuz-") && g_str_has_suffix (name, "-cloud-amd64") &&
        (newest == NULL || g_strcmp0 (newest, name + 8) < 0))
      {
        g_free (newest);
        newest = g_strdup (name + 8);
      }
  if (newest == NULL)
    g_error ("There is no kernel to boot in /boot: install linux-image-cloud-amd64");
  return newest;
}

/* Modules in load order, behind each other in a memory file. */
static int
collect_modules (const char *version, GArray *modules)
{
  static const char *const paths[] = {
    "drivers/virtio/virtio_ring",  "drivers/virtio/virtio",
    "drivers/virtio/virtio_mmio",  "drivers/block/virtio_blk",
    "drivers/char/virtio_console", "drivers/char/hw_random/virtio-rng",
    "fs/overlayfs/overlay",        "drivers/acpi/button",
    "drivers/input/evdev",
  };
  vmsan_autofd int fd = memfd_create ("modules", MFD_CLOEXEC);
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autofree char *path = g_strdup_printf ("/lib/modules/%s/kernel/%s.ko", version, paths[i]);
      g_autofree char *data = NULL;
      VmsanModule module = { .name = g_path_get_basename (paths[i]) };
      gsize size;

      g_file_get_contents (path, &data, &size, &error);
      g_assert_no_error (error);
      vmsan_fd_write_all (fd, data, size, &error);
      g_assert_no_error (error);
      module.size_bytes = size;
      g_array_append_val (modules, module);
    }
  return g_steal_fd (&fd);
}

static void
add_kernel (World *self)
{
  g_autofree char *version = find_kernel_version ();
  g_autofree char *path = g_strconcat ("/boot/vmlinuz-", version, NULL);
  g_autoptr (GArray) modules = g_array_new (FALSE, FALSE, sizeof (VmsanModule));
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int kernel_fd = open (path, O_RDONLY | O_CLOEXEC);
  vmsan_autofd int modules_fd = collect_modules (version, modules);

  vmsan_content_store_add_kernel_async (self->kernels, kernel_fd, modules_fd,
                                        (VmsanModule *) modules->data, modules->len, "cloud",
                                        version, 0, NULL, on_result, &result);
  self->kernel = vmsan_content_store_add_finish (self->kernels, wait_for_result (&result), &error);
  g_assert_no_error (error);
  for (guint i = 0; i < modules->len; i++)
    g_free (g_array_index (modules, VmsanModule, i).name);
}

/* An ext4 image with a shell. */
static void
make_image (World *self)
{
  g_autofree char *tree = g_build_filename (self->directory, "tree", NULL);
  g_autofree char *bin = g_build_filename (tree, "bin", NULL);
  g_autofree char *shell = g_build_filename (bin, "sh", NULL);
  g_autofree char *image = g_build_filename (self->directory, "image", NULL);
  const char *const copy[] = { "cp", "/bin/busybox", shell, NULL };
  const char *const make[] = { "mke2fs",           "-q", "-t", "ext4", "-d", tree, image,
                               IMAGE_SIZE_MIB "m", NULL };
  const char *const remove[] = { "rm", "-r", tree, NULL };

  g_assert_cmpint (g_mkdir_with_parents (bin, 0755), ==, 0);
  run_tool (copy);
  run_tool (make);
  run_tool (remove);
}

World *
world_new (void)
{
  World *self = g_new0 (World, 1);
  const VmsanKernelUnpackConfig unpack = { .program = KERNEL_UNPACKER };
  g_autoptr (GError) error = NULL;
  g_autofree char *root = NULL;

  self->directory = g_dir_make_tmp ("vmsan-qemu-XXXXXX", &error);
  g_assert_no_error (error);
  root = g_build_filename (self->directory, "state", NULL);
  self->root = vmsan_managed_root_open (root, 0700, &error);
  g_assert_no_error (error);
  self->kernels = vmsan_content_store_open (self->root, VMSAN_CONTENT_KERNEL, &error);
  g_assert_no_error (error);
  vmsan_kernel_unpack_configure (&unpack);
  add_kernel (self);
  make_image (self);
  self->vmm = vmsan_qemu_driver_new ("qemu-system-x86_64", SUPERVISOR_DIRECTORY);
  self->cgroup_parent = g_strdup_printf ("/vmsan-test-qemu-%d", getpid ());
  return self;
}

void
world_free (World *self)
{
  const char *const remove[] = { "rm", "-r", self->directory, NULL };
  g_autoptr (GError) error = NULL;

  g_object_unref (self->vmm);
  vmsan_content_unref (self->kernel);
  g_object_unref (self->kernels);
  vmsan_managed_root_unref (self->root);
  vmsan_cgroup_destroy ("/", self->cgroup_parent + 1, &error);
  g_assert_no_error (error);
  run_tool (remove);
  g_free (self->directory);
  g_free (self->cgroup_parent);
  g_free (self);
}

/* ---- Machine ------------------------------------------------------------------------------- */

Machine *
machine_new (World *world, guint n)
{
  Machine *self = g_new0 (Machine, 1);
  g_autofree char *image = g_build_filename (world->directory, "image", NULL);
  g_autofree char *disk = g_strdup_printf ("disk-%u", n);
  const VmsanCgroupLimits limits = { .memory_max_bytes = 512u << 20, .pids_max = 128 };
  g_autoptr (GError) error = NULL;

  self->world = world;
  self->name = g_strdup_printf ("vm%u", n);
  self->runtime_dir = g_build_filename (world->directory, self->name, NULL);
  g_assert_cmpint (g_mkdir (self->runtime_dir, 0700), ==, 0);
  self->spec.id = self->name;
  self->spec.runtime_dir = self->runtime_dir;
  self->spec.runtime_dir_fd = open (self->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self->spec.image_fd = open (image, O_RDONLY | O_CLOEXEC);
  vmsan_disk_create (world->root, disk, 64, NULL, &error);
  g_assert_no_error (error);
  self->spec.disk_fd = vmsan_managed_root_open_at (world->root, disk, O_RDWR, 0, &error);
  g_assert_no_error (error);
  self->spec.kernel_fd =
      vmsan_content_store_open_content (world->kernels, world->kernel->id, &error);
  g_assert_no_error (error);
  self->spec.initramfs_fd =
      vmsan_content_store_open_initramfs (world->kernels, world->kernel->id, AGENT_PATH, &error);
  g_assert_no_error (error);
  self->spec.image_format = "ext4";
  self->spec.vcpus = 1;
  self->spec.memory_mib = 128;
  self->spec.uid = FIRST_UID + n;
  self->spec.cgroup = vmsan_cgroup_create (world->cgroup_parent, self->name, &limits, &error);
  g_assert_no_error (error);
  self->spec.console_max_bytes = 64 << 10;
  memset (self->token, 7, sizeof self->token);
  return self;
}

void
machine_free (Machine *self)
{
  const char *const remove[] = { "rm", "-r", self->runtime_dir, NULL };
  g_autoptr (GError) error = NULL;

  g_clear_object (&self->monitor);
  vmsan_cgroup_unref (self->spec.cgroup);
  vmsan_cgroup_destroy (self->world->cgroup_parent, self->name, &error);
  g_assert_no_error (error);
  vmsan_fd_close (&self->spec.runtime_dir_fd);
  vmsan_fd_close (&self->spec.image_fd);
  vmsan_fd_close (&self->spec.disk_fd);
  vmsan_fd_close (&self->spec.kernel_fd);
  vmsan_fd_close (&self->spec.initramfs_fd);
  run_tool (remove);
  g_free (self->name);
  g_free (self->runtime_dir);
  g_free (self);
}

gboolean
machine_spawn (Machine *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_vmm_spawn_async (self->world->vmm, &self->spec, cancellable, on_result, &result);
  self->monitor = vmsan_vmm_spawn_finish (self->world->vmm, wait_for_result (&result), error);
  return self->monitor != NULL;
}

gboolean
machine_boot (Machine *self, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_monitor_boot_async (self->monitor, NULL, on_result, &result);
  return vmsan_monitor_boot_finish (self->monitor, wait_for_result (&result), error);
}

gboolean
machine_pause (Machine *self, gboolean paused, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  vmsan_monitor_pause_async (self->monitor, paused, NULL, on_result, &result);
  return vmsan_monitor_pause_finish (self->monitor, wait_for_result (&result), error);
}

int
machine_open_stream (Machine *self, guint stream, guint16 kind, GError **error)
{
  g_autoptr (GAsyncResult) connected = NULL;
  g_autoptr (GAsyncResult) greeted = NULL;
  vmsan_autofd int fd = -1;

  vmsan_monitor_connect_async (self->monitor, stream, 10000, NULL, on_result, &connected);
  fd = vmsan_monitor_connect_finish (self->monitor, wait_for_result (&connected), error);
  if (fd < 0)
    return -1;
  vmsan_agent_handshake_async (fd, kind, self->token, HANDSHAKE_MS, NULL, on_result, &greeted);
  return vmsan_agent_handshake_finish (wait_for_result (&greeted), error) ? g_steal_fd (&fd) : -1;
}

GObject *
machine_start (Machine *self, GError **error)
{
  const VmsanGuestConfiguration configuration = { .hostname = self->name, .init = "none" };
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (VmsanAgentControl) control = NULL;
  guint boot_ms;
  int fd;

  if (!machine_boot (self, error) ||
      (fd = machine_open_stream (self, 0, VMSAN_SESSION_CONTROL, error)) < 0)
    return NULL;
  control = vmsan_agent_control_new (fd);
  vmsan_agent_control_configure_async (control, &configuration, CONFIGURE_MS, NULL, on_result,
                                       &result);
  if (!vmsan_agent_control_configure_finish (control, wait_for_result (&result), &boot_ms, error))
    return NULL;
  g_test_message ("%s: the guest took %u ms to be ready", self->name, boot_ms);
  return G_OBJECT (g_steal_pointer (&control));
}

char *
machine_run (Machine *self, const char *command, GError **error)
{
  const char *const argv[] = { "/bin/sh", "-c", command, NULL };
  g_autoptr (VmsanExecRequest) request =
      vmsan_exec_request_new (argv, NULL, NULL, NULL, 0, NULL, error);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (VmsanRunResult) run = NULL;
  int fd = machine_open_stream (self, 1, VMSAN_SESSION_CALLER, error);

  if (fd < 0)
    return NULL;
  vmsan_agent_run_async (fd, request, NULL, on_result, &result);
  run = vmsan_agent_run_finish (wait_for_result (&result), error);
  return run != NULL ? g_strndup ((const char *) run->output->data, run->output->len) : NULL;
}

char *
machine_wait_for_end (Machine *self)
{
  VmsanProcess *process = vmsan_monitor_get_process (self->monitor);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  int status;

  vmsan_process_wait_async (process, NULL, on_result, &result);
  vmsan_process_wait_finish (process, wait_for_result (&result), &status, &error);
  g_assert_no_error (error);
  return vmsan_monitor_describe_exit (self->monitor, status);
}

pid_t
machine_get_qemu (Machine *self)
{
  pid_t supervisor = vmsan_process_get_pid (vmsan_monitor_get_process (self->monitor));
  g_autofree char *path = g_strdup_printf ("/proc/%d/task/%d/children", supervisor, supervisor);
  g_autofree char *children = NULL;

  g_assert_true (g_file_get_contents (path, &children, NULL, NULL));
  g_assert_cmpint (atoi (children), >, 0);
  return atoi (children);
}

char *
machine_read_console (Machine *self)
{
  g_autoptr (GError) error = NULL;
  char *text = vmsan_console_log_read_tail (self->spec.runtime_dir_fd, "console.log",
                                            self->spec.console_max_bytes / 2, NULL, &error);

  g_assert_no_error (error);
  return text;
}

/* ---- What tests expect ----------------------------------------------------------------------- */

void
machine_assert_spawns (Machine *self)
{
  g_autoptr (GError) error = NULL;

  machine_spawn (self, NULL, &error);
  g_assert_no_error (error);
}

GObject *
machine_assert_starts (Machine *self)
{
  g_autoptr (GError) error = NULL;
  GObject *control;

  machine_assert_spawns (self);
  control = machine_start (self, &error);
  if (error != NULL)
    {
      g_autofree char *console = machine_read_console (self);

      g_test_message ("console: %s", console);
    }
  g_assert_no_error (error);
  return control;
}

void
machine_assert_cgroup_is_empty (Machine *self)
{
  guint n;
  const int *fds = vmsan_cgroup_get_procs_fds (self->spec.cgroup, &n);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fds[0]);
  g_autofree char *procs_path = g_file_read_link (path, NULL);
  g_autofree char *procs = NULL;

  g_assert_true (g_file_get_contents (procs_path, &procs, NULL, NULL));
  g_assert_cmpstr (procs, ==, "");
}

void
machine_assert_no_spawn (Machine *self, VmsanError code, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (machine_spawn (self, NULL, &error));
  g_assert_error (error, VMSAN_ERROR, (int) code);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, words));
  machine_assert_cgroup_is_empty (self);
}
