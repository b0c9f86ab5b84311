/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a pure function; whatever the spec holds, no argument means more than it says here. */

#include "vmm/qemu/qemu-arguments.h"

#include "agent/protocol.h"
#include "sys/error.h"

#include <string.h>

#define ID_MAX 64
/* Far above what a quota allows, and what the machine type can do. */
#define VCPUS_MAX      64
#define MEMORY_MIB_MAX (1u << 20)

/* Sets of descriptors that QEMU opens as /dev/fdset/N; see qemu_open() in its manual. */
enum
{
  FDSET_CONSOLE = 1,
  FDSET_IMAGE,
  FDSET_DISK,
};

static void add (GPtrArray *argv, const char *option, const char *format, ...) G_GNUC_PRINTF (3, 4);

static void
add (GPtrArray *argv, const char *option, const char *format, ...)
{
  va_list args;

  g_ptr_array_add (argv, g_strdup (option));
  va_start (args, format);
  g_ptr_array_add (argv, g_strdup_vprintf (format, args));
  va_end (args);
}

static gboolean
check_spec (const VmsanVmmSpec *spec, GError **error)
{
  static const char *const formats[] = { "ext4", "squashfs", "erofs", NULL };
  gsize length = strspn (spec->id, "abcdefghijklmnopqrstuvwxyz0123456789-");
  const char *wrong = NULL;

  /* A comma would begin another property, a leading dash another option. */
  if (length == 0 || length > ID_MAX || spec->id[length] != '\0' || spec->id[0] == '-')
    wrong = "id";
  else if (!g_strv_contains (formats, spec->image_format))
    wrong = "image format";
  else if (spec->vcpus == 0 || spec->vcpus > VCPUS_MAX)
    wrong = "number of vCPUs";
  else if (spec->memory_mib == 0 || spec->memory_mib > MEMORY_MIB_MAX)
    wrong = "size of memory";
  if (wrong == NULL)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
               "Cannot build QEMU's command line: the machine's %s is not acceptable", wrong);
  return FALSE;
}

static void
add_machine (GPtrArray *argv, const VmsanVmmSpec *spec, gboolean use_kvm)
{
  add (argv, "-name", "%s", spec->id);
  /* mem-merge off: a guest must not learn from timing which pages others have. */
  add (argv, "-machine",
       "microvm,acpi=on,rtc=on,pit=on,pic=on,isa-serial=on,dump-guest-core=off,mem-merge=off");
  if (use_kvm)
    add (argv, "-accel", "kvm");
  else
    add (argv, "-accel", "tcg,thread=multi,tb-size=%u", VMSAN_QEMU_TCG_CACHE_MIB);
  add (argv, "-cpu", "%s", use_kvm ? "host" : "max");
  add (argv, "-m", "%u", spec->memory_mib);
  add (argv, "-smp", "%u", spec->vcpus);
  g_ptr_array_add (argv, g_strdup ("-nodefaults"));
  g_ptr_array_add (argv, g_strdup ("-no-user-config"));
  /* A guest's reboot is an end, as with every other monitor. */
  g_ptr_array_add (argv, g_strdup ("-no-reboot"));
  add (argv, "-display", "none");
  /* Paused until QMP says "cont". */
  g_ptr_array_add (argv, g_strdup ("-S"));
}

static void
add_kernel (GPtrArray *argv, const VmsanVmmSpec *spec, guint tsc_khz)
{
  g_autofree char *clock =
      tsc_khz > 0 ? g_strdup_printf ("tsc_early_khz=%u ", tsc_khz) : g_strdup ("");

  add (argv, "-kernel", VMSAN_QEMU_KERNEL_PATH);
  add (argv, "-initrd", VMSAN_QEMU_INITRAMFS_PATH);
  /* panic and reboot: a guest that crashes ends QEMU. cryptomgr: its tests of itself take a tenth
   * of a boot under emulation. The clock: see host-tsc.h. */
  add (argv, "-append",
       "console=ttyS0 quiet panic=-1 reboot=t tsc=reliable cryptomgr.notests %svmsan.format=%s",
       clock, spec->image_format);
}

static void
add_console (GPtrArray *argv, const VmsanQemuFds *fds)
{
  add (argv, "-add-fd", "fd=%d,set=%d", fds->console, FDSET_CONSOLE);
  add (argv, "-chardev", "file,id=console,path=/dev/fdset/%d,append=on", FDSET_CONSOLE);
  add (argv, "-serial", "chardev:console");
}

/* One disk. No locking: the image is shared read-only, and nobody else opens the disk. */
static void
add_disk (GPtrArray *argv, const char *name, int fd, int fdset, gboolean read_only)
{
  const char *mode = read_only ? "read-only=on" : "read-only=off,discard=unmap";

  add (argv, "-add-fd", "fd=%d,set=%d", fd, fdset);
  add (argv, "-blockdev",
       "driver=file,filename=/dev/fdset/%d,node-name=%s-file,auto-read-only=off,locking=off,%s",
       fdset, name, mode);
  add (argv, "-blockdev", "driver=raw,file=%s-file,node-name=%s,%s", name, name, mode);
  add (argv, "-device", "virtio-blk-device,drive=%s,serial=%s", name, name);
}

static void
add_listener (GPtrArray *argv, const char *name, int fd)
{
  add (argv, "-chardev", "socket,id=%s,fd=%d,server=on,wait=off", name, fd);
}

static void
add_network (GPtrArray *argv, const VmsanVmmSpec *spec, const VmsanQemuFds *fds)
{
  /* vhost would move packets in the host's kernel, past QEMU's confinement. */
  add (argv, "-netdev", "tap,id=net0,fd=%d,vhost=off", fds->tap);
  add (argv, "-device", "virtio-net-device,netdev=net0,mac=%s", spec->mac);
}

/* All listen from the beginning; only stream 0 has a port yet. */
static void
add_sockets (GPtrArray *argv, const VmsanQemuFds *fds)
{
  add_listener (argv, "qmp", fds->qmp);
  add (argv, "-mon", "chardev=qmp,mode=control");
  for (int i = 0; i < VMSAN_QEMU_N_STREAMS; i++)
    {
      g_autofree char *name = g_strdup_printf ("stream%d", i);

      add_listener (argv, name, fds->streams[i]);
    }
  add (argv, "-device", "virtio-serial-device,max_ports=%d", VMSAN_QEMU_N_STREAMS + 1);
  add (argv, "-device",
       "virtserialport,id=" VMSAN_QEMU_PORT_ID "0,chardev=stream0,nr=1,name=" VMSAN_SERIAL_NAME
       "0");
}

GStrv
vmsan_qemu_arguments_build (const VmsanVmmSpec *spec,
                            const VmsanQemuFds *fds,
                            guint tsc_khz,
                            GError **error)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);

  if (!check_spec (spec, error))
    return NULL;
  add_machine (argv, spec, tsc_khz == 0);
  add_kernel (argv, spec, tsc_khz);
  add_console (argv, fds);
  add_disk (argv, "base", fds->image, FDSET_IMAGE, TRUE);
  add_disk (argv, "upper", fds->disk, FDSET_DISK, FALSE);
  /* The rate is a bound on the host's time that a guest can take, far above what one needs. */
  add (argv, "-object", "rng-builtin,id=rng");
  add (argv, "-device", "virtio-rng-device,rng=rng,max-bytes=65536,period=1000");
  if (spec->tap_fd > 0)
    add_network (argv, spec, fds);
  add_sockets (argv, fds);
  if (!(spec->weakened & VMSAN_WEAKENED_SECCOMP))
    add (argv, "-sandbox",
         "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  g_ptr_array_add (argv, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&argv), FALSE);
}

JsonObject *
vmsan_qemu_arguments_for_port (guint stream)
{
  g_autofree char *id = g_strdup_printf (VMSAN_QEMU_PORT_ID "%u", stream);
  g_autofree char *chardev = g_strdup_printf ("stream%u", stream);
  g_autofree char *name = g_strdup_printf (VMSAN_SERIAL_NAME "%u", stream);
  JsonObject *arguments = json_object_new ();

  json_object_set_string_member (arguments, "driver", "virtserialport");
  json_object_set_string_member (arguments, "id", id);
  json_object_set_string_member (arguments, "chardev", chardev);
  json_object_set_int_member (arguments, "nr", stream + 1);
  json_object_set_string_member (arguments, "name", name);
  return arguments;
}
