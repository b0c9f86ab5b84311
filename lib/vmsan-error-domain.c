/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: one table ties every code to its D-Bus name, for the service and for its clients. */

#include "vmsan-error-domain.h"

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
  { VMSAN_ERROR_VETOED, "org.vmsan.Error.Vetoed" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (entries) == VMSAN_ERROR_LAST + 1);

/**
 * vmsan_error_quark:
 *
 * Returns: the domain of #VmsanError
 */
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
