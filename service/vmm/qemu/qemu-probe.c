/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what it says was tried, by running the program and a guest, and is still so. */

#include "vmm/qemu/qemu-probe.h"

#include "vmm/kvm-probe.h"
#include "vmm/program-probe.h"
#include "vmm/qemu/qemu-root.h"

#include <string.h>
#include <unistd.h>

#define KVM_DEADLINE_MS 3000
/* The microvm machine type with ACPI, and descriptors as listening sockets. */
#define MAJOR_VERSION_MIN 6

struct _VmsanQemuProbe
{
  char *program;
  char *kvm_device;
  GMutex lock; /* of all below */
  VmsanFileStamp program_stamp;
  VmsanFileStamp kvm_stamp;
  VmsanVmmProbe *result;
};

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

static char *
read_version (const char *program, GError **error)
{
  VmsanQemuRoot root;
  g_autofree char *output = NULL;

  vmsan_qemu_root_init (&root, program);
  output = vmsan_program_probe_read_version (program, root.binds, root.n_binds, error);
  return output != NULL ? vmsan_qemu_probe_parse_version (output) : NULL;
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
  VmsanFileStamp program_stamp;
  VmsanFileStamp kvm_stamp;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  vmsan_file_stamp_take (&program_stamp, self->program);
  vmsan_file_stamp_take (&kvm_stamp, self->kvm_device);
  if (self->result == NULL || !vmsan_file_stamp_equal (&program_stamp, &self->program_stamp) ||
      !vmsan_file_stamp_equal (&kvm_stamp, &self->kvm_stamp))
    {
      g_clear_pointer (&self->result, vmsan_vmm_probe_free);
      self->result = find_out (self);
      self->program_stamp = program_stamp;
      self->kvm_stamp = kvm_stamp;
    }
  return vmsan_vmm_probe_copy (self->result);
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
