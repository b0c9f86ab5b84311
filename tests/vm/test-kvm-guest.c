/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest of the KVM probe does all that it says, on a CPU that is known to work: QEMU's
 * emulated one. Otherwise a mistake in it would make every host's KVM look broken. */

#include "vmm/kvm-probe.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define BIOS_SIZE    65536
#define RESET_VECTOR 0xfff0

static void
write_file (const char *path, const void *data, gsize size)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, data, size, &error);
  g_assert_no_error (error);
}

/* Firmware that only jumps to the guest, in real mode as KVM enters it: ljmp $0, $0x1000. */
static void
write_bios (const char *path)
{
  static const guint8 jump[] = { 0xea, VMSAN_KVM_GUEST_CODE_ADDRESS & 0xff,
                                 VMSAN_KVM_GUEST_CODE_ADDRESS >> 8, 0, 0 };
  g_autofree guint8 *bios = g_malloc0 (BIOS_SIZE);

  memcpy (bios + RESET_VECTOR, jump, sizeof jump);
  write_file (path, bios, BIOS_SIZE);
}

static char *
loader (const char *path, guint address)
{
  return g_strdup_printf ("loader,file=%s,addr=%u,force-raw=on", path, address);
}

/* Waits until QEMU has written what the guest reports, and returns it. */
static char *
read_reports (GSubprocess *qemu, gsize length)
{
  GInputStream *output = g_subprocess_get_stdout_pipe (qemu);
  g_autoptr (GError) error = NULL;
  char *reports = g_malloc0 (length + 1);

  g_input_stream_read_all (output, reports, length, NULL, NULL, &error);
  g_assert_no_error (error);
  return reports;
}

static void
test_guest (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp ("vmsan-kvm-guest-XXXXXX", &error);
  g_autofree char *bios = g_build_filename (dir, "bios", NULL);
  g_autofree char *code = g_build_filename (dir, "code", NULL);
  g_autofree char *tables = g_build_filename (dir, "tables", NULL);
  g_autofree char *load_code = loader (code, VMSAN_KVM_GUEST_CODE_ADDRESS);
  g_autofree char *load_tables = loader (tables, VMSAN_KVM_GUEST_TABLES_ADDRESS);
  g_autofree guint8 *table_data = g_malloc (VMSAN_KVM_GUEST_TABLES_SIZE);
  g_autofree char *debug_port =
      g_strdup_printf ("isa-debugcon,iobase=%u,chardev=out", VMSAN_KVM_GUEST_REPORT_PORT);
  g_autofree char *reports = NULL;
  g_autoptr (GSubprocess) qemu = NULL;
  gsize code_size;
  const void *code_data = vmsan_kvm_guest_get_code (&code_size);

  vmsan_kvm_guest_fill_tables (table_data);
  write_bios (bios);
  write_file (code, code_data, code_size);
  write_file (tables, table_data, VMSAN_KVM_GUEST_TABLES_SIZE);
  qemu = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "qemu-system-x86_64", "-machine",
                           "microvm,isa-serial=off", "-accel", "tcg", "-cpu", "max", "-m", "16",
                           "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                           "-bios", bios, "-device", load_code, "-device", load_tables, "-chardev",
                           "stdio,id=out,signal=off", "-device", debug_port, NULL);
  g_assert_no_error (error);
  reports = read_reports (qemu, strlen (VMSAN_KVM_GUEST_REPORT));
  g_assert_cmpstr (reports, ==, VMSAN_KVM_GUEST_REPORT);
  g_subprocess_force_exit (qemu);
  g_subprocess_wait (qemu, NULL, NULL);
  g_unlink (bios);
  g_unlink (code);
  g_unlink (tables);
  g_assert_cmpint (g_rmdir (dir), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (60); /* kills a test that hangs */
  g_test_add_func ("/kvm-guest/an-emulated-cpu-runs-it-to-its-end", test_guest);
  return g_test_run ();
}
