/* SPDX-License-Identifier: GPL-2.0-or-later */

/* QEMU's command line, as text. */

#include "sys/error.h"
#include "vmm/qemu/qemu-arguments.h"

static const char expected[] =
    "-name vm-1 "
    "-machine microvm,acpi=on,rtc=on,pit=on,pic=on,isa-serial=on,dump-guest-core=off,"
    "mem-merge=off "
    "-accel tcg,thread=multi,tb-size=128 -cpu max -m 256 -smp 2 "
    "-nodefaults -no-user-config -no-reboot -display none -S "
    "-kernel /kernel -initrd /initramfs "
    "-append console=ttyS0 quiet panic=-1 reboot=t tsc=reliable cryptomgr.notests "
    "tsc_early_khz=2600000 "
    "vmsan.format=ext4 "
    "-add-fd fd=10,set=1 -chardev file,id=console,path=/dev/fdset/1,append=on "
    "-serial chardev:console "
    "-add-fd fd=11,set=2 "
    "-blockdev driver=file,filename=/dev/fdset/2,node-name=base-file,auto-read-only=off,"
    "locking=off,read-only=on "
    "-blockdev driver=raw,file=base-file,node-name=base,read-only=on "
    "-device virtio-blk-device,drive=base,serial=base "
    "-add-fd fd=12,set=3 "
    "-blockdev driver=file,filename=/dev/fdset/3,node-name=upper-file,auto-read-only=off,"
    "locking=off,read-only=off,discard=unmap "
    "-blockdev driver=raw,file=upper-file,node-name=upper,read-only=off,discard=unmap "
    "-device virtio-blk-device,drive=upper,serial=upper "
    "-object rng-builtin,id=rng -device virtio-rng-device,rng=rng,max-bytes=65536,period=1000 "
    "-chardev socket,id=qmp,fd=13,server=on,wait=off -mon chardev=qmp,mode=control "
    "-chardev socket,id=stream0,fd=14,server=on,wait=off "
    "-chardev socket,id=stream1,fd=15,server=on,wait=off ";

static const VmsanVmmSpec good_spec = {
  .id = "vm-1",
  .image_format = "ext4",
  .vcpus = 2,
  .memory_mib = 256,
};

static VmsanQemuFds
make_fds (void)
{
  VmsanQemuFds fds = { .console = 10, .image = 11, .disk = 12, .qmp = 13 };

  for (int i = 0; i < VMSAN_QEMU_N_STREAMS; i++)
    fds.streams[i] = 14 + i;
  return fds;
}

static char *
build (const VmsanVmmSpec *spec, guint tsc_khz, GError **error)
{
  const VmsanQemuFds fds = make_fds ();
  g_auto (GStrv) argv = vmsan_qemu_arguments_build (spec, &fds, tsc_khz, error);

  return argv != NULL ? g_strjoinv (" ", argv) : NULL;
}

static void
test_whole (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line = build (&good_spec, 2600000, &error);
  g_autofree char *beginning = NULL;

  g_assert_no_error (error);
  beginning = g_strndup (line, strlen (expected));
  g_assert_cmpstr (beginning, ==, expected);
  g_assert_true (g_str_has_suffix (
      line, "-chardev socket,id=stream29,fd=43,server=on,wait=off "
            "-device virtio-serial-device,max_ports=31 "
            "-device virtserialport,id=port0,chardev=stream0,nr=1,name=org.vmsan.agent.0 "
            "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
}

static void
test_the_filter_is_left_out_on_request_only (void)
{
  VmsanVmmSpec spec = good_spec;
  g_autofree char *line = NULL;

  spec.weakened = VMSAN_WEAKENED_ALL & ~VMSAN_WEAKENED_SECCOMP;
  line = build (&spec, 0, NULL);
  g_assert_nonnull (strstr (line, "-sandbox on"));
  g_free (line);
  spec.weakened = VMSAN_WEAKENED_SECCOMP;
  line = build (&spec, 0, NULL);
  g_assert_null (strstr (line, "-sandbox"));
}

static void
test_port (void)
{
  g_autoptr (JsonObject) arguments = vmsan_qemu_arguments_for_port (29);
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autofree char *text = NULL;

  json_node_set_object (node, arguments);
  text = json_to_string (node, FALSE);
  g_assert_cmpstr (text, ==,
                   "{\"driver\":\"virtserialport\",\"id\":\"port29\",\"chardev\":\"stream29\","
                   "\"nr\":30,\"name\":\"org.vmsan.agent.29\"}");
}

static void
test_kvm (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line = build (&good_spec, 0, &error);

  g_assert_no_error (error);
  g_assert_nonnull (strstr (line, " -accel kvm -cpu host "));
  g_assert_null (strstr (line, "tcg"));
  g_assert_null (strstr (line, "khz"));
}

static void
expect_refused (const VmsanVmmSpec *spec, const char *what)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (build (spec, 2600000, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, what));
}

static void
test_refusals (void)
{
  const char *const ids[] = { "", "-S", "a,debug-threads=on", "a b", "a\nb", "\303\251", "A" };
  const char *const formats[] = { "", "ext4 init=/bin/sh", "EXT4", "btrfs" };
  g_autofree char *long_id = g_strnfill (65, 'a');
  VmsanVmmSpec spec = good_spec;

  for (gsize i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      spec.id = ids[i];
      expect_refused (&spec, "id");
    }
  spec.id = long_id;
  expect_refused (&spec, "id");
  spec = good_spec;
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      spec.image_format = formats[i];
      expect_refused (&spec, "image format");
    }
  spec = good_spec;
  spec.vcpus = 0;
  expect_refused (&spec, "vCPUs");
  spec.vcpus = G_MAXUINT;
  expect_refused (&spec, "vCPUs");
  spec = good_spec;
  spec.memory_mib = 0;
  expect_refused (&spec, "memory");
  spec.memory_mib = G_MAXUINT;
  expect_refused (&spec, "memory");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/qemu-arguments/whole-command-line", test_whole);
  g_test_add_func ("/qemu-arguments/the-filter-is-left-out-on-request-only",
                   test_the_filter_is_left_out_on_request_only);
  g_test_add_func ("/qemu-arguments/a-port-for-a-stream", test_port);
  g_test_add_func ("/qemu-arguments/kvm-gives-the-hosts-cpu", test_kvm);
  g_test_add_func ("/qemu-arguments/nothing-unchecked-gets-in", test_refusals);
  return g_test_run ();
}
