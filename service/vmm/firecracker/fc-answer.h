/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What Firecracker answered, once its bytes are here. It may be in the hands of its guest. */

#pragma once

#include "vmm/firecracker/fc-version.h"

#include <json-glib/json-glib.h>

/* A longer body is not read to its end. */
#define VMSAN_FC_ANSWER_MAX (256u << 10)

/* The object that came with status 200, or an empty one for 204 (transfer full). VMM_FAILED with
 * Firecracker's words for a refusal, and for what its API does not allow. @what: the request, for
 * the message. */
JsonObject *vmsan_fc_answer_parse (
    const char *what, guint status, const char *body, gsize length, GError **error);

/* Reads the answer to a request for the version. */
gboolean vmsan_fc_answer_read_version (JsonObject *answer, VmsanFcVersion *version, GError **error);

typedef enum
{
  VMSAN_FC_NOT_STARTED,
  VMSAN_FC_RUNNING,
  VMSAN_FC_PAUSED,
} VmsanFcState;

/* Reads the answer to a request to describe the machine. */
gboolean vmsan_fc_answer_read_state (JsonObject *answer, VmsanFcState *state, GError **error);
