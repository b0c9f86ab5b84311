/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Error domains: VMSAN_ERROR for what the service refuses or fails to do, VMSAN_PROCESS_ERROR for
 * a program in a guest. */

#pragma once

#include "vmsan-macros.h"

G_BEGIN_DECLS

#define VMSAN_ERROR         (vmsan_error_quark ())
#define VMSAN_PROCESS_ERROR (vmsan_process_error_quark ())

/**
 * VmsanError:
 * @VMSAN_ERROR_FAILED: something that should work did not; the message has the cause
 * @VMSAN_ERROR_INVALID_ARGUMENT: an argument or option value is not acceptable
 * @VMSAN_ERROR_UNKNOWN_OPTION: an option's name is not known
 * @VMSAN_ERROR_NOT_FOUND: no such machine, image or kernel
 * @VMSAN_ERROR_AMBIGUOUS: a short id or name fits more than one object
 * @VMSAN_ERROR_EXISTS: the name is taken
 * @VMSAN_ERROR_BUSY: another operation on the object is under way
 * @VMSAN_ERROR_WRONG_STATE: the state does not allow the verb
 * @VMSAN_ERROR_IN_USE: something else depends on the object
 * @VMSAN_ERROR_NOT_AUTHORIZED: the caller may not do this
 * @VMSAN_ERROR_AUTHORIZATION_DISMISSED: the person closed the password prompt
 * @VMSAN_ERROR_AUTHORIZATION_REQUIRED: a password would be needed, but the client is not
 *   interactive
 * @VMSAN_ERROR_LIMIT_EXCEEDED: a quota or bound; the message has what is used and allowed
 * @VMSAN_ERROR_NO_SPACE: the file system is full, or would be
 * @VMSAN_ERROR_NOT_SUPPORTED: the machine, driver or image cannot do it
 * @VMSAN_ERROR_UNAVAILABLE: something needed is missing or unusable, such as the service itself
 * @VMSAN_ERROR_VMM_FAILED: the virtual machine monitor refused or died
 * @VMSAN_ERROR_GUEST_FAILED: the guest or its agent refused, died or answered nonsense
 * @VMSAN_ERROR_TIMED_OUT: a deadline passed
 * @VMSAN_ERROR_CANCELLED: cancelled, and undone
 * @VMSAN_ERROR_DAMAGED: stored data cannot be read
 * @VMSAN_ERROR_VETOED: a plugin of the service refused it, or had to agree and did not answer
 *
 * What the service reports. Each code stands for the D-Bus error `org.vmsan.Error.*` of the same
 * name.
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
  VMSAN_ERROR_VETOED,
} VmsanError;

/**
 * VmsanProcessError:
 * @VMSAN_PROCESS_ERROR_NOT_FOUND: the guest has no such program
 * @VMSAN_PROCESS_ERROR_NOT_EXECUTABLE: the file is there but cannot be executed
 * @VMSAN_PROCESS_ERROR_NO_USER: the guest has no such user or group
 * @VMSAN_PROCESS_ERROR_NO_DIRECTORY: the working directory cannot be entered
 * @VMSAN_PROCESS_ERROR_BAD_REQUEST: the agent did not accept the request
 * @VMSAN_PROCESS_ERROR_NO_RESOURCES: the guest is out of memory, processes or sessions
 * @VMSAN_PROCESS_ERROR_CONNECTION_LOST: the connection ended before the program did; how it
 *   ended is not known
 * @VMSAN_PROCESS_ERROR_PROTOCOL: the guest broke the protocol, and the connection was closed
 *
 * Why a program in a guest did not start or how it ended is not known.
 */
typedef enum
{
  VMSAN_PROCESS_ERROR_NOT_FOUND,
  VMSAN_PROCESS_ERROR_NOT_EXECUTABLE,
  VMSAN_PROCESS_ERROR_NO_USER,
  VMSAN_PROCESS_ERROR_NO_DIRECTORY,
  VMSAN_PROCESS_ERROR_BAD_REQUEST,
  VMSAN_PROCESS_ERROR_NO_RESOURCES,
  VMSAN_PROCESS_ERROR_CONNECTION_LOST,
  VMSAN_PROCESS_ERROR_PROTOCOL,
} VmsanProcessError;

VMSAN_PUBLIC GQuark vmsan_error_quark (void);
VMSAN_PUBLIC GQuark vmsan_process_error_quark (void);

G_END_DECLS
