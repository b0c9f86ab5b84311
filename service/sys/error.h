/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The service's error domain. Every layer reports in it; each code has a D-Bus name, so that an
 * error reaches the caller as it was made. Messages say what was attempted on which object, what
 * went wrong and what to do. */

#pragma once

#include <glib.h>

#define VMSAN_ERROR (vmsan_error_quark ())

/**
 * VmsanError:
 * @VMSAN_ERROR_FAILED: something that should work did not; the message has the cause
 * @VMSAN_ERROR_INVALID_ARGUMENT: an argument or option value is not acceptable
 * @VMSAN_ERROR_UNKNOWN_OPTION: an option's name is not known
 * @VMSAN_ERROR_NOT_FOUND: no such machine, image, kernel or file
 * @VMSAN_ERROR_AMBIGUOUS: a short id or name fits more than one object
 * @VMSAN_ERROR_EXISTS: the name is taken
 * @VMSAN_ERROR_BUSY: another operation on the object is under way
 * @VMSAN_ERROR_WRONG_STATE: the state does not allow the verb
 * @VMSAN_ERROR_IN_USE: something else depends on the object
 * @VMSAN_ERROR_NOT_AUTHORIZED: polkit said no
 * @VMSAN_ERROR_AUTHORIZATION_DISMISSED: the person closed the password prompt
 * @VMSAN_ERROR_AUTHORIZATION_REQUIRED: polkit would ask, but the call did not allow interaction
 * @VMSAN_ERROR_LIMIT_EXCEEDED: a quota or bound; the message has what is used and allowed
 * @VMSAN_ERROR_NO_SPACE: the file system is full, or would be
 * @VMSAN_ERROR_NOT_SUPPORTED: this machine, driver or image cannot do it
 * @VMSAN_ERROR_UNAVAILABLE: something needed is missing or unusable: QEMU, KVM, a mount option
 * @VMSAN_ERROR_VMM_FAILED: the virtual machine monitor refused or died
 * @VMSAN_ERROR_GUEST_FAILED: the guest or its agent refused, died or answered nonsense
 * @VMSAN_ERROR_TIMED_OUT: a deadline passed
 * @VMSAN_ERROR_CANCELLED: cancelled, and undone
 * @VMSAN_ERROR_DAMAGED: stored data cannot be read
 */
typedef enum
{
  VMSAN_ERROR_FAILED,
  VMSAN_ERROR_INVALID_ARGUMENT,
  VMSAN_ERROR_UNKNOWN_OPTION,
  VMSAN_ERROR_NOT_FOUND,
  VMSAN_ERROR_AMBIGUOUS,
  VMSAN_ERROR_EXISTS,
  VMSAN_ERROR_BUSY,
  VMSAN_ERROR_WRONG_STATE,
  VMSAN_ERROR_IN_USE,
  VMSAN_ERROR_NOT_AUTHORIZED,
  VMSAN_ERROR_AUTHORIZATION_DISMISSED,
  VMSAN_ERROR_AUTHORIZATION_REQUIRED,
  VMSAN_ERROR_LIMIT_EXCEEDED,
  VMSAN_ERROR_NO_SPACE,
  VMSAN_ERROR_NOT_SUPPORTED,
  VMSAN_ERROR_UNAVAILABLE,
  VMSAN_ERROR_VMM_FAILED,
  VMSAN_ERROR_GUEST_FAILED,
  VMSAN_ERROR_TIMED_OUT,
  VMSAN_ERROR_CANCELLED,
  VMSAN_ERROR_DAMAGED,
} VmsanError;

#define VMSAN_ERROR_LAST VMSAN_ERROR_DAMAGED

GQuark vmsan_error_quark (void);

/* Registers the D-Bus names; idempotent. vmsan_error_quark() does it as well. */
const char *vmsan_error_dbus_name (VmsanError code);

/* Sets @error to INVALID_ARGUMENT. Always returns FALSE, so that callers can return it. */
gboolean vmsan_error_refuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Sets @error from errno: "FORMAT: strerror". ENOSPC and EDQUOT become NO_SPACE, ENOENT becomes
 * NOT_FOUND, everything else FAILED. Always returns FALSE, so that callers can return it. */
gboolean vmsan_error_set_errno (GError **error, int saved_errno, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
