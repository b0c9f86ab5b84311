/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one table ties every code to its D-Bus name. */

#include "sys/error.h"

#include <errno.h>
#include <gio/gio.h>

static const GDBusErrorEntry entries[] = {
  { VMSAN_ERROR_FAILED, "org.vmsan.Error.Failed" },
  { VMSAN_ERROR_INVALID_ARGUMENT, "org.vmsan.Error.InvalidArgument" },
  { VMSAN_ERROR_UNKNOWN_OPTION, "org.vmsan.Error.UnknownOption" },
  { VMSAN_ERROR_NOT_FOUND, "org.vmsan.Error.NotFound" },
  { VMSAN_ERROR_AMBIGUOUS, "org.vmsan.Error.Ambiguous" },
  { VMSAN_ERROR_EXISTS, "org.vmsan.Error.Exists" },
  { VMSAN_ERROR_BUSY, "org.vmsan.Error.Busy" },
  { VMSAN_ERROR_WRONG_STATE, "org.vmsan.Error.WrongState" },
  { VMSAN_ERROR_IN_USE, "org.vmsan.Error.InUse" },
  { VMSAN_ERROR_NOT_AUTHORIZED, "org.vmsan.Error.NotAuthorized" },
  { VMSAN_ERROR_AUTHORIZATION_DISMISSED, "org.vmsan.Error.AuthorizationDismissed" },
  { VMSAN_ERROR_AUTHORIZATION_REQUIRED, "org.vmsan.Error.AuthorizationRequired" },
  { VMSAN_ERROR_LIMIT_EXCEEDED, "org.vmsan.Error.LimitExceeded" },
  { VMSAN_ERROR_NO_SPACE, "org.vmsan.Error.NoSpace" },
  { VMSAN_ERROR_NOT_SUPPORTED, "org.vmsan.Error.NotSupported" },
  { VMSAN_ERROR_UNAVAILABLE, "org.vmsan.Error.Unavailable" },
  { VMSAN_ERROR_VMM_FAILED, "org.vmsan.Error.VmmFailed" },
  { VMSAN_ERROR_GUEST_FAILED, "org.vmsan.Error.GuestFailed" },
  { VMSAN_ERROR_TIMED_OUT, "org.vmsan.Error.TimedOut" },
  { VMSAN_ERROR_CANCELLED, "org.vmsan.Error.Cancelled" },
  { VMSAN_ERROR_DAMAGED, "org.vmsan.Error.Damaged" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (entries) == VMSAN_ERROR_LAST + 1);

GQuark
vmsan_error_quark (void)
{
  static gsize quark = 0;

  g_dbus_error_register_error_domain ("vmsan-error-quark", &quark, entries, G_N_ELEMENTS (entries));
  return (GQuark) quark;
}

const char *
vmsan_error_dbus_name (VmsanError code)
{
  g_return_val_if_fail ((guint) code < G_N_ELEMENTS (entries), entries[0].dbus_error_name);
  return entries[code].dbus_error_name;
}

gboolean
vmsan_error_refuse (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_propagate_error (error,
                     g_error_new_valist (VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, format, args));
  va_end (args);
  return FALSE;
}

gboolean
vmsan_error_set_errno (GError **error, int saved_errno, const char *format, ...)
{
  g_autofree char *what = NULL;
  VmsanError code = VMSAN_ERROR_FAILED;
  va_list args;

  if (saved_errno == ENOSPC || saved_errno == EDQUOT)
    code = VMSAN_ERROR_NO_SPACE;
  else if (saved_errno == ENOENT)
    code = VMSAN_ERROR_NOT_FOUND;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);

  g_set_error (error, VMSAN_ERROR, code, "%s: %s", what, g_strerror (saved_errno));
  return FALSE;
}
