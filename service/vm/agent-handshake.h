/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The handshake that opens a session on a stream to the guest's agent (agent/protocol.h). */

#pragma once

#include "agent/protocol.h"

#include <gio/gio.h>

/* Says hello on the connected, non-blocking @fd (borrowed until the end) and waits for the welcome.
 * Left-overs of an earlier session are skipped; not one byte behind the welcome is read. TIMED_OUT
 * after @deadline_ms, GUEST_FAILED when the agent refuses, BUSY when it has no session free. */
void vmsan_agent_handshake_async (int fd,
                                  guint16 kind,
                                  const guint8 *token,
                                  guint deadline_ms,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data);
gboolean vmsan_agent_handshake_finish (GAsyncResult *result, GError **error);
