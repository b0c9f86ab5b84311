/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The three ways in which KVM may not work have three messages, and none of them hangs. */

#include "vmm/kvm-probe.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_MS 2000

static VmsanKvmState
probe (const char *device, char **reason)
{
  VmsanKvmState state = vmsan_kvm_probe (device, DEADLINE_MS, reason);

  g_test_message ("%s: %d: %s", device, state, *reason != NULL ? *reason : "works");
  g_assert_true ((state == VMSAN_KVM_USABLE) == (*reason == NULL));
  return state;
}

static void
test_absent (void)
{
  g_autofree char *reason = NULL;

  g_assert_cmpint (probe ("/nonexistent/kvm", &reason), ==, VMSAN_KVM_ABSENT);
  g_assert_nonnull (strstr (reason, "does not exist"));
}

static void
test_unreadable (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("vmsan-kvm-XXXXXX", &path, &error);

  g_assert_no_error (error);
  close (fd);
  g_assert_cmpint (g_chmod (path, 0), ==, 0);
  /* Root may open everything; so another uid tries it, which is all that changes. */
  if (geteuid () == 0)
    g_assert_cmpint (seteuid (65534), ==, 0);
  g_assert_cmpint (probe (path, &reason), ==, VMSAN_KVM_UNREADABLE);
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
  g_assert_nonnull (strstr (reason, "cannot be opened"));
  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
test_unusable (void)
{
  g_autofree char *reason = NULL;

  g_assert_cmpint (probe ("/dev/null", &reason), ==, VMSAN_KVM_UNUSABLE);
  g_assert_nonnull (strstr (reason, "is there but cannot run"));
}

/* A lease of ours makes every other open() of the file wait: so a device that hangs is played. */
static void
test_hang (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *reason = NULL;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("vmsan-kvm-XXXXXX", &path, &error);

  g_assert_no_error (error);
  signal (SIGIO, SIG_IGN); /* the kernel's request to give the lease back */
  g_assert_cmpint (fcntl (fd, F_SETLEASE, F_WRLCK), ==, 0);
  g_assert_cmpint (vmsan_kvm_probe (path, 50, &reason), ==, VMSAN_KVM_UNUSABLE);
  g_test_message ("%s", reason);
  g_assert_nonnull (strstr (reason, "did not end within 50 ms"));
  close (fd);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

static void
test_here (void)
{
  g_autofree char *reason = NULL;
  VmsanKvmState state = probe ("/dev/kvm", &reason);

  g_assert_true ((state == VMSAN_KVM_ABSENT) == !g_file_test ("/dev/kvm", G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (60); /* kills a test that hangs */
  g_test_add_func ("/kvm-probe/absent", test_absent);
  g_test_add_func ("/kvm-probe/unreadable", test_unreadable);
  g_test_add_func ("/kvm-probe/present-but-unusable", test_unusable);
  g_test_add_func ("/kvm-probe/ends-with-its-deadline", test_hang);
  g_test_add_func ("/kvm-probe/says-something-about-this-host", test_here);
  return g_test_run ();
}
