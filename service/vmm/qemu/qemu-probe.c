/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what it says was tried, by running the program and a guest, and is still so. */

#include "vmm/qemu/qemu-probe.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/qemu/kvm-probe.h"
#include "vmm/qemu/qemu-root.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Anybody but root: asking for a version needs no rights. */
#define NOBODY              65534
#define VERSION_DEADLINE_MS 10000
#define VERSION_OUTPUT_MAX  4096
#define KVM_DEADLINE_MS     3000
/* The microvm machine type with ACPI, and descriptors as listening sockets. */
#define MAJOR_VERSION_MIN 6

/* Tells one state of a file from another; all zero when it is not there. */
typedef struct
{
  dev_t device;
  ino_t inode;
  struct timespec changed;
} Stamp;

struct _VmsanQemuProbe
{
  char *program;
  char *kvm_device;
  GMutex lock; /* of all below */
  Stamp program_stamp;
  Stamp kvm_stamp;
  VmsanVmmProbe *result;
};

static Stamp
stamp_file (const char *path)
{
  Stamp stamp;
  struct stat st;

  memset (&stamp, 0, sizeof stamp); /* padding too: stamps are compared as bytes */
  if (stat (path, &st) == 0)
    {
      stamp.device = st.st_dev;
      stamp.inode = st.st_ino;
      stamp.changed = st.st_ctim;
    }
  return stamp;
}

/* ---- The program --------------------------------------------------------------------------- */

char *
vmsan_qemu_probe_parse_version (const char *output)
{
  const char *version = strstr (output, "version ");
  gsize length;

  if (version == NULL)
    return NULL;
  version += strlen ("version ");
  length = strspn (version, "0123456789.");
  if (length == 0 || length > 32 || !g_ascii_isdigit (version[0]))
    return NULL;
  return g_strndup (version, length);
}

/* Runs the program as a machine would be run, so that a library that it cannot see shows here. */
static char *
read_version (const char *program, GError **error)
{
  const char *const argv[] = { program, "--version", NULL };
  const VmsanRlimit rlimits[] = { { RLIMIT_CORE, 0 } };
  vmsan_autofd int read_fd = -1;
  vmsan_autofd int write_fd = -1;
  char output[VERSION_OUTPUT_MAX + 1];
  VmsanQemuRoot root;
  VmsanSpawnSpec spec = { 0 };
  VmsanSpawnFd fd;
  int pipe_fds[2];
  gssize size;

  if (pipe2 (pipe_fds, O_CLOEXEC) != 0)
    {
      vmsan_error_set_errno (error, errno, "Making a pipe failed");
      return NULL;
    }
  read_fd = pipe_fds[0];
  write_fd = pipe_fds[1];
  vmsan_qemu_root_init (&root, program);
  fd = (VmsanSpawnFd){ .source = write_fd, .target = STDOUT_FILENO };
  spec.argv = argv;
  spec.flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS;
  spec.uid = NOBODY;
  spec.gid = NOBODY;
  spec.root_binds = root.binds;
  spec.n_root_binds = root.n_binds;
  spec.fds = &fd;
  spec.n_fds = 1;
  spec.rlimits = rlimits;
  spec.n_rlimits = G_N_ELEMENTS (rlimits);
  if (!vmsan_process_run (&spec, VERSION_DEADLINE_MS, NULL, error))
    return NULL;
  vmsan_fd_close (&write_fd);
  size = vmsan_fd_read_all (read_fd, output, VERSION_OUTPUT_MAX, error);
  if (size < 0)
    return NULL;
  output[size] = '\0';
  return vmsan_qemu_probe_parse_version (output);
}

/* Sets the version, or the reason why there is no usable program. */
static void
probe_program (const char *program, VmsanVmmProbe *probe)
{
  g_autoptr (GError) error = NULL;

  if (access (program, X_OK) != 0)
    {
      probe->reason = g_strdup_printf (
          "%s cannot be run: %s. Install QEMU: the package qemu-system-x86 (Debian, Ubuntu), "
          "qemu-system-x86-core (Fedora) or qemu-system-x86_64 (Alpine)",
          program, g_strerror (errno));
      return;
    }
  probe->version = read_version (program, &error);
  if (probe->version == NULL)
    probe->reason = g_strdup_printf ("%s does not tell its version: %s", program,
                                     error != NULL ? error->message : "its answer is unknown");
  else if (g_ascii_strtoull (probe->version, NULL, 10) < MAJOR_VERSION_MIN)
    probe->reason = g_strdup_printf ("%s is of version %s; at least %d.0 is needed", program,
                                     probe->version, MAJOR_VERSION_MIN);
  else
    probe->available = TRUE;
}

/* ---- All of it ----------------------------------------------------------------------------- */

static VmsanVmmProbe *
find_out (const VmsanQemuProbe *self)
{
  VmsanVmmProbe *probe = g_new0 (VmsanVmmProbe, 1);
  g_autofree char *kvm_reason = NULL;
  gid_t group;

  probe->acceleration = "emulation";
  probe_program (self->program, probe);
  if (probe->available)
    {
      if (vmsan_kvm_probe (self->kvm_device, KVM_DEADLINE_MS, &kvm_reason) == VMSAN_KVM_USABLE &&
          vmsan_kvm_find_group (self->kvm_device, &group, &kvm_reason))
        probe->acceleration = "kvm";
      else
        probe->reason =
            g_strdup_printf ("Machines run in software emulation, many times slower than with "
                             "hardware virtualization, because %s",
                             kvm_reason);
    }
  if (probe->version == NULL)
    probe->version = g_strdup ("");
  if (probe->reason == NULL)
    probe->reason = g_strdup ("");
  return probe;
}

static VmsanVmmProbe *
copy_probe (const VmsanVmmProbe *probe)
{
  VmsanVmmProbe *copy = g_new0 (VmsanVmmProbe, 1);

  copy->available = probe->available;
  copy->acceleration = probe->acceleration;
  copy->version = g_strdup (probe->version);
  copy->reason = g_strdup (probe->reason);
  return copy;
}

VmsanQemuProbe *
vmsan_qemu_probe_new (const char *program, const char *kvm_device)
{
  VmsanQemuProbe *self = g_new0 (VmsanQemuProbe, 1);

  self->program = g_strdup (program);
  self->kvm_device = g_strdup (kvm_device);
  g_mutex_init (&self->lock);
  return self;
}

VmsanVmmProbe *
vmsan_qemu_probe_run (VmsanQemuProbe *self)
{
  Stamp program_stamp = stamp_file (self->program);
  Stamp kvm_stamp = stamp_file (self->kvm_device);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  if (self->result == NULL ||
      memcmp (&program_stamp, &self->program_stamp, sizeof program_stamp) != 0 ||
      memcmp (&kvm_stamp, &self->kvm_stamp, sizeof kvm_stamp) != 0)
    {
      g_clear_pointer (&self->result, vmsan_vmm_probe_free);
      self->result = find_out (self);
      self->program_stamp = program_stamp;
      self->kvm_stamp = kvm_stamp;
    }
  return copy_probe (self->result);
}

void
vmsan_qemu_probe_free (VmsanQemuProbe *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->result, vmsan_vmm_probe_free);
  g_mutex_clear (&self->lock);
  g_free (self->program);
  g_free (self->kvm_device);
  g_free (self);
}
