/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The control session with a guest's agent: configures it after boot, asks it to shut down, and
 * hears which streams have become free. */

#pragma once

#include <gio/gio.h>

#define VMSAN_TYPE_AGENT_CONTROL (vmsan_agent_control_get_type ())
G_DECLARE_FINAL_TYPE (VmsanAgentControl, vmsan_agent_control, VMSAN, AGENT_CONTROL, GObject)

/**
 * VmsanAgentControl::stream-ended: (stream) that stream of the guest has no session any more
 * VmsanAgentControl::streams-listed: the answer to vmsan_agent_control_list() begins
 * VmsanAgentControl::stream-busy: (stream) that stream is in the answer
 * VmsanAgentControl::closed: (message) the session is over
 */

/* Takes over @fd, after the handshake. (transfer full) */
VmsanAgentControl *vmsan_agent_control_new (int fd);

typedef struct
{
  const char *hostname;
  const char *init;
  gboolean has_network; /* the fixed addresses of net-address.h */
  gboolean has_ipv6;
} VmsanGuestConfiguration;

/* Configures a guest that has just booted and waits until it is ready. GUEST_FAILED with the
 * guest's own message when it cannot come up; TIMED_OUT. */
void vmsan_agent_control_configure_async (VmsanAgentControl *self,
                                          const VmsanGuestConfiguration *configuration,
                                          guint deadline_ms,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data);
gboolean vmsan_agent_control_configure_finish (VmsanAgentControl *self,
                                               GAsyncResult *result,
                                               guint *boot_ms,
                                               GError **error);

/* Asks for a shutdown; the end of the monitor says that it happened. */
gboolean vmsan_agent_control_shutdown (VmsanAgentControl *self, guint action, GError **error);

/* Asks which streams are busy; the answer is ::streams-listed and then
 * ::stream-busy for each that is. */
gboolean vmsan_agent_control_list (VmsanAgentControl *self, GError **error);
