/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One exec session over a connected socket: what the guest sent and was not read yet, what may be
 * sent, and how it ended. Owns the socket; reads it only while somebody can take more, so that a
 * slow consumer slows the guest down instead of filling memory. For one thread. */

#pragma once

#include <gio/gio.h>

#include "agent/protocol.h"

typedef struct _VmsanSession VmsanSession;

typedef enum
{
  VMSAN_OUTPUT_STDOUT,
  VMSAN_OUTPUT_STDERR,
} VmsanOutput;
#define VMSAN_N_OUTPUTS 2

typedef gboolean (*VmsanSessionPredicate) (VmsanSession *session, gpointer user_data);

/* Takes @fd. */
VmsanSession *vmsan_session_new (int fd);
VmsanSession *vmsan_session_ref (VmsanSession *session);
void vmsan_session_unref (VmsanSession *session);

/* Moves what can be moved without waiting, in both directions. */
void vmsan_session_pump (VmsanSession *session);

/* Pumps until @until holds, waiting on the socket. FALSE only when cancelled, or when nothing can
 * move any more because output that nobody reads is in the way. */
gboolean vmsan_session_wait (VmsanSession *session,
                             VmsanSessionPredicate until,
                             gpointer user_data,
                             GCancellable *cancellable,
                             GError **error);

/* A source that pumps when the socket is ready, and is dispatched when @ready holds (never when
 * NULL: it just pumps). Keeps a reference on the session unless @weak. */
GSource *vmsan_session_create_source (VmsanSession *session,
                                      VmsanSessionPredicate ready,
                                      gpointer user_data,
                                      gboolean weak);

/* Called after each pump that changed the phase: started, or over. */
void vmsan_session_set_notify (VmsanSession *session,
                               void (*notify) (gpointer user_data),
                               gpointer user_data);

/* STARTED came; the session may be over since. */
gboolean vmsan_session_is_started (VmsanSession *session);
guint32 vmsan_session_get_pid (VmsanSession *session);

/* Nothing will come any more: the program exited, could not start, or the connection is gone. */
gboolean vmsan_session_is_over (VmsanSession *session);

/* Why a session is over that has no exit status; NULL otherwise. */
const GError *vmsan_session_get_failure (VmsanSession *session);
const VmsanExited *vmsan_session_get_exited (VmsanSession *session);

/* Never wait. read: 0 is the end of this output. Errors: WOULD_BLOCK, or the session's failure
 * once all that came before it was read. */
gssize vmsan_session_read (
    VmsanSession *session, VmsanOutput output, void *buffer, gsize size, GError **error);
gboolean vmsan_session_is_readable (VmsanSession *session, VmsanOutput output);
/* Throws away what is there and what will come. */
void vmsan_session_discard (VmsanSession *session, VmsanOutput output);

gssize vmsan_session_write (VmsanSession *session, const void *data, gsize size, GError **error);
gboolean vmsan_session_is_writable (VmsanSession *session);
void vmsan_session_close_stdin (VmsanSession *session);

gboolean vmsan_session_send_signal (VmsanSession *session, guint32 signal_number, GError **error);
gboolean
vmsan_session_resize (VmsanSession *session, guint16 rows, guint16 columns, GError **error);

/* Closes the connection; the guest hangs the program up. */
void vmsan_session_hang_up (VmsanSession *session);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanSession, vmsan_session_unref)
