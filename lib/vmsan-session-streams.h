/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A session's input and outputs as GIO streams: pollable, so that asynchronous use needs no
 * threads; blocking use waits on the session's socket itself, so it needs no main loop. */

#pragma once

#include "vmsan-session.h"

#define VMSAN_TYPE_SESSION_INPUT (vmsan_session_input_get_type ())
G_DECLARE_FINAL_TYPE (VmsanSessionInput, vmsan_session_input, VMSAN, SESSION_INPUT, GInputStream)

/* What the guest's program writes. Closing it throws the rest away. */
GInputStream *vmsan_session_input_new (VmsanSession *session, VmsanOutput output);

#define VMSAN_TYPE_SESSION_OUTPUT (vmsan_session_output_get_type ())
G_DECLARE_FINAL_TYPE (
    VmsanSessionOutput, vmsan_session_output, VMSAN, SESSION_OUTPUT, GOutputStream)

/* What the guest's program reads. Closing it is the end of its input. */
GOutputStream *vmsan_session_output_new (VmsanSession *session);
