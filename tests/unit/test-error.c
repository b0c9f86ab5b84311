/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/error.h"

#include <errno.h>
#include <gio/gio.h>

static void
test_every_code_travels_under_its_name (void)
{
  for (int code = 0; code <= VMSAN_ERROR_LAST; code++)
    {
      g_autoptr (GError) sent = g_error_new_literal (VMSAN_ERROR, code, "x");
      g_autofree char *name = g_dbus_error_encode_gerror (sent);

      g_assert_cmpstr (name, ==, vmsan_error_dbus_name (code));
      g_assert_true (g_str_has_prefix (name, "org.vmsan.Error."));
    }
}

static void
test_errno_becomes_the_fitting_code (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (vmsan_error_set_errno (&error, ENOSPC, "Writing “%s” failed", "x"));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE);
  g_assert_true (g_str_has_prefix (error->message, "Writing “x” failed: "));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/error/every-code-travels-under-its-name",
                   test_every_code_travels_under_its_name);
  g_test_add_func ("/error/errno-becomes-the-fitting-code", test_errno_becomes_the_fitting_code);
  return g_test_run ();
}
