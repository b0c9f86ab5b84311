/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing is configured that the specification does not name; no MMDS, no balloon. */

#include "vmm/firecracker/fc-setup.h"

#include "net/net-address.h"
#include "sys/error.h"
#include "vmm/firecracker/fc-jail.h"

#include <sys/stat.h>

#define INTERFACE  "eth0"
#define VSOCK_PATH "/run/" VMSAN_FC_VSOCK_SOCKET

/* Of virtio-blk. */
#define SERIAL_LENGTH_MAX 20

/* A bound on the host's time that a guest can take for random numbers, far above what one needs. */
static const VmsanFcRateLimiter entropy_limit = { .bytes = { 65536, 0, 1000 } };

char *
vmsan_fc_setup_get_serial (int fd, GError **error)
{
  g_autofree char *serial = NULL;
  struct stat st;

  if (fstat (fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot examine a disk of the machine");
      return NULL;
    }
  serial = g_strdup_printf ("%" G_GUINT64_FORMAT "%" G_GUINT64_FORMAT "%" G_GUINT64_FORMAT,
                            (guint64) st.st_dev, (guint64) st.st_rdev, (guint64) st.st_ino);
  return g_strndup (serial, SERIAL_LENGTH_MAX);
}

/* reboot: a guest's end is a reboot by the keyboard controller, which ends Firecracker. pci: there
 * is none to look for; i8042: nor more than that controller. panic, cryptomgr: as for QEMU. */
static char *
make_kernel_arguments (const VmsanVmmSpec *spec, GError **error)
{
  g_autofree char *image = vmsan_fc_setup_get_serial (spec->image_fd, error);
  g_autofree char *disk = image != NULL ? vmsan_fc_setup_get_serial (spec->disk_fd, error) : NULL;

  if (disk == NULL)
    return NULL;
  if (g_str_equal (image, disk))
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
                           "Image and disk of the machine cannot be told apart by their serials");
      return NULL;
    }
  return g_strdup_printf ("console=ttyS0 quiet panic=-1 reboot=k pci=off i8042.noaux i8042.nomux "
                          "i8042.dumbkbd cryptomgr.notests vmsan.format=%s vmsan.image=%s "
                          "vmsan.disk=%s",
                          spec->image_format, image, disk);
}

/* Takes over @request; FALSE when it is NULL. */
static gboolean
add (GPtrArray *requests, VmsanFcRequest *request)
{
  if (request != NULL)
    g_ptr_array_add (requests, request);
  return request != NULL;
}

static gboolean
add_disks (GPtrArray *requests, GError **error)
{
  const VmsanFcDrive image = {
    .id = "image", .path = VMSAN_FC_IMAGE_PATH, .read_only = TRUE, .root_device = FALSE
  };
  /* What the guest syncs is on the disk. */
  const VmsanFcDrive disk = { .id = "disk", .path = VMSAN_FC_DISK_PATH, .writeback = TRUE };

  return add (requests, vmsan_fc_request_new_drive (&image, error)) &&
         add (requests, vmsan_fc_request_new_drive (&disk, error));
}

static gboolean
add_network (GPtrArray *requests,
             const VmsanVmmSpec *spec,
             const VmsanFcVersion *version,
             GError **error)
{
  const VmsanFcInterface interface = { .id = INTERFACE,
                                       .tap = VMSAN_NET_TAP_NAME,
                                       .mac = spec->mac };

  return spec->namespace_fd <= 0 ||
         add (requests, vmsan_fc_request_new_interface (version, &interface, error));
}

/* All else is in the snapshot. Inside its jail and namespace every machine has the same paths and
 * the same tap, so the overrides say what the snapshot does; they are for one that was made
 * elsewhere. */
static gboolean
add_restore (GPtrArray *requests,
             const VmsanVmmSpec *spec,
             const VmsanFcVersion *version,
             GError **error)
{
  const VmsanFcOverride override = { .id = INTERFACE, .tap = VMSAN_NET_TAP_NAME };
  VmsanFcSnapshotLoad load = {
    .state_path = VMSAN_FC_RESTORE_PATH VMSAN_SNAPSHOT_STATE,
    .memory_path = VMSAN_FC_RESTORE_PATH VMSAN_SNAPSHOT_MEMORY,
    .clock_realtime = vmsan_fc_version_has (version, VMSAN_FC_CLOCK_REALTIME),
  };

  if (spec->namespace_fd > 0 && vmsan_fc_version_has (version, VMSAN_FC_NETWORK_OVERRIDES))
    {
      load.overrides = &override;
      load.n_overrides = 1;
    }
  if (vmsan_fc_version_has (version, VMSAN_FC_VSOCK_OVERRIDE))
    load.vsock_path = VSOCK_PATH;
  return add (requests, vmsan_fc_request_new_snapshot_load (version, &load, error));
}

static gboolean
add_machine (GPtrArray *requests,
             const VmsanVmmSpec *spec,
             const VmsanFcVersion *version,
             GError **error)
{
  g_autofree char *arguments = make_kernel_arguments (spec, error);
  const VmsanFcMachine machine = { .vcpus = spec->vcpus, .memory_mib = spec->memory_mib };
  const VmsanFcBootSource source = {
    .kernel_path = VMSAN_FC_KERNEL_PATH,
    .initrd_path = VMSAN_FC_INITRAMFS_PATH,
    .arguments = arguments,
  };

  return arguments != NULL && add (requests, vmsan_fc_request_new_machine (&machine, error)) &&
         add (requests, vmsan_fc_request_new_boot_source (&source, error)) &&
         add_disks (requests, error) && add_network (requests, spec, version, error) &&
         add (requests, vmsan_fc_request_new_vsock (VMSAN_FC_GUEST_CID, VSOCK_PATH, error)) &&
         add (requests, vmsan_fc_request_new_entropy (&entropy_limit, error));
}

GPtrArray *
vmsan_fc_setup_build (const VmsanVmmSpec *spec, const VmsanFcVersion *version, GError **error)
{
  g_autoptr (GPtrArray) requests =
      g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_fc_request_unref);
  gboolean made = spec->state_fd > 0 ? add_restore (requests, spec, version, error)
                                     : add_machine (requests, spec, version, error);

  return made ? g_steal_pointer (&requests) : NULL;
}
