/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing that Firecracker sends, or does not send, can make the service wait past a
 * deadline, grow without bound, or send a request again. */

#include "vmm/firecracker/fc-api.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <libsoup/soup.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READ_CHUNK 16384

struct _VmsanFcApi
{
  GObject parent;

  int socket_fd; /* O_PATH: of the socket's file */
  SoupSession *session;
  GQueue *waiting; /* of GTask */
  GTask *active;   /* nullable */
};

G_DEFINE_FINAL_TYPE (VmsanFcApi, vmsan_fc_api, G_TYPE_OBJECT)

/* One request, from when it is queued to its answer: the data of its task. */
typedef struct
{
  VmsanFcRequest *request;
  char *what; /* "PUT /vsock" */
  guint deadline_ms;
  GSource *cancelled; /* nullable */
  GSource *deadline;  /* once it is sent */
  GCancellable *stop; /* ends the exchange, for whatever reason */
  GError *reason;     /* the first one to stop it; nullable */
  SoupMessage *message;
  GInputStream *stream;
  GByteArray *body;
} Call;

static void send_next (VmsanFcApi *self);

static void
call_free (gpointer data)
{
  Call *call = data;

  vmsan_source_clear (&call->cancelled);
  vmsan_source_clear (&call->deadline);
  if (call->message != NULL)
    g_signal_handlers_disconnect_by_data (call->message, call);
  g_clear_object (&call->message);
  g_clear_object (&call->stream);
  g_clear_object (&call->stop);
  g_clear_error (&call->reason);
  g_byte_array_unref (call->body);
  vmsan_fc_request_unref (call->request);
  g_free (call->what);
  g_free (call);
}

/* ---- The end of an exchange ---------------------------------------------------------------- */

/* Consumes @reason. The exchange notices at the next turn of the loop. */
static void
call_stop (Call *call, GError *reason)
{
  if (call->reason == NULL)
    call->reason = reason;
  else
    g_error_free (reason);
  g_cancellable_cancel (call->stop);
}

/* Consumes @error; NULL when the answer is in the body. */
static void
finish_active (VmsanFcApi *self, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->active);
  Call *call = g_task_get_task_data (task);
  g_autoptr (GError) owned = error;
  JsonObject *answer;

  vmsan_source_clear (&call->cancelled);
  vmsan_source_clear (&call->deadline);
  g_clear_object (&call->stream);
  if (owned == NULL)
    {
      answer = vmsan_fc_answer_parse (call->what, soup_message_get_status (call->message),
                                      (const char *) call->body->data, call->body->len, &owned);
      if (answer != NULL)
        g_task_return_pointer (task, answer, (GDestroyNotify) json_object_unref);
    }
  if (owned != NULL)
    g_task_return_error (task, g_steal_pointer (&owned));
  send_next (self);
}

/* Why there is no whole answer: the reason that was given to stop, or else what libsoup saw. */
static GError *
explain (Call *call, const GError *error)
{
  if (call->reason != NULL)
    return g_steal_pointer (&call->reason);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    return g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                        "Cannot send %s: Firecracker has ended", call->what);
  return g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                      "Firecracker gave no proper answer to %s: %s; it may have ended", call->what,
                      error->message);
}

/* ---- The answer ---------------------------------------------------------------------------- */

static void read_more (GTask *task);

static void
on_read (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcApi *self = g_task_get_source_object (task);
  Call *call = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes =
      g_input_stream_read_bytes_finish (G_INPUT_STREAM (source), result, &error);

  if (bytes == NULL || call->reason != NULL)
    {
      finish_active (self, explain (call, error));
      return;
    }
  if (g_bytes_get_size (bytes) == 0)
    {
      finish_active (self, NULL);
      return;
    }
  g_byte_array_append (call->body, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  if (call->body->len > VMSAN_FC_ANSWER_MAX)
    call_stop (call, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                                  "Firecracker's answer to %s is longer than %u bytes", call->what,
                                  VMSAN_FC_ANSWER_MAX));
  read_more (task);
}

static void
read_more (GTask *task)
{
  Call *call = g_task_get_task_data (task);

  g_input_stream_read_bytes_async (call->stream, READ_CHUNK, G_PRIORITY_DEFAULT, call->stop,
                                   on_read, g_object_ref (task));
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanFcApi *self = g_task_get_source_object (task);
  Call *call = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  call->stream = soup_session_send_finish (SOUP_SESSION (source), result, &error);
  if (call->stream != NULL)
    read_more (task);
  else
    finish_active (self, explain (call, error));
}

/* ---- The request --------------------------------------------------------------------------- */

static gboolean
on_deadline (gpointer user_data)
{
  Call *call = user_data;

  call_stop (call, g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                                "Firecracker did not answer %s within %u ms", call->what,
                                call->deadline_ms));
  return G_SOURCE_REMOVE;
}

/* libsoup sends a request again when the connection was lost before its answer began. Firecracker
 * may have carried it out. */
static void
on_restarted (SoupMessage *message, gpointer user_data)
{
  Call *call = user_data;

  call_stop (call,
             g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                          "Firecracker closed its connection and did not answer %s", call->what));
}

/* Firecracker says nothing of a length with 204, and without one libsoup gives the connection up.
 */
static void
on_headers (SoupMessage *message, gpointer user_data)
{
  if (soup_message_get_status (message) == SOUP_STATUS_NO_CONTENT)
    soup_message_headers_set_content_length (soup_message_get_response_headers (message), 0);
}

/* libsoup would read any number of them. Firecracker sends none, as we do not ask for them. */
static void
on_interim (SoupMessage *message, gpointer user_data)
{
  Call *call = user_data;

  call_stop (call, g_error_new (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                                "Firecracker's answer to %s breaks its API: status %u", call->what,
                                soup_message_get_status (message)));
}

static SoupMessage *
create_message (Call *call)
{
  const char *body = vmsan_fc_request_get_body (call->request);
  g_autofree char *uri =
      g_strconcat ("http://localhost", vmsan_fc_request_get_path (call->request), NULL);
  SoupMessage *message = soup_message_new (vmsan_fc_request_get_method (call->request), uri);
  g_autoptr (GBytes) bytes = NULL;

  /* Idempotent: may go on a connection that was used before, which PATCH would not. */
  soup_message_set_flags (message, SOUP_MESSAGE_NO_REDIRECT | SOUP_MESSAGE_IDEMPOTENT |
                                       SOUP_MESSAGE_DO_NOT_USE_AUTH_CACHE);
  if (body != NULL)
    {
      bytes = g_bytes_new (body, strlen (body));
      soup_message_set_request_body_from_bytes (message, "application/json", bytes);
    }
  g_signal_connect (message, "got-informational", G_CALLBACK (on_interim), call);
  g_signal_connect (message, "got-headers", G_CALLBACK (on_headers), call);
  g_signal_connect (message, "restarted", G_CALLBACK (on_restarted), call);
  return message;
}

static void
send_next (VmsanFcApi *self)
{
  Call *call;

  if (self->active != NULL || g_queue_is_empty (self->waiting))
    return;
  self->active = g_queue_pop_head (self->waiting);
  call = g_task_get_task_data (self->active);
  call->message = create_message (call);
  call->deadline = g_timeout_source_new (call->deadline_ms);
  g_source_set_callback (call->deadline, on_deadline, call, NULL);
  g_source_attach (call->deadline, g_task_get_context (self->active));
  soup_session_send_async (self->session, call->message, G_PRIORITY_DEFAULT, call->stop,
                           on_answered, g_object_ref (self->active));
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (G_TASK (user_data));
  VmsanFcApi *self = g_task_get_source_object (task);
  GList *link = g_queue_find (self->waiting, task);
  g_autoptr (GError) error = NULL;

  if (link == NULL)
    {
      g_cancellable_set_error_if_cancelled (cancellable, &error);
      call_stop (g_task_get_task_data (task), g_steal_pointer (&error));
      return G_SOURCE_REMOVE;
    }
  g_queue_delete_link (self->waiting, link);
  g_task_return_error_if_cancelled (task);
  g_object_unref (task);
  return G_SOURCE_REMOVE;
}

/* ---- Object -------------------------------------------------------------------------------- */

static void
vmsan_fc_api_finalize (GObject *object)
{
  VmsanFcApi *self = VMSAN_FC_API (object);

  /* Tasks hold a reference to us: none is left. */
  g_queue_free (self->waiting);
  if (self->session != NULL)
    soup_session_abort (self->session);
  g_clear_object (&self->session);
  vmsan_fd_close (&self->socket_fd);
  G_OBJECT_CLASS (vmsan_fc_api_parent_class)->finalize (object);
}

static void
vmsan_fc_api_class_init (VmsanFcApiClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_fc_api_finalize;
}

static void
vmsan_fc_api_init (VmsanFcApi *self)
{
  self->socket_fd = -1;
  self->waiting = g_queue_new ();
}

static int
open_socket_file (int dir_fd, const char *path, GError **error)
{
  const struct open_how how = {
    .flags = O_PATH | O_CLOEXEC,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
  };
  vmsan_autofd int fd = syscall (SYS_openat2, dir_fd, path, &how, sizeof how);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Cannot open Firecracker's API socket “%s”", path);
      return -1;
    }
  if (S_ISSOCK (st.st_mode))
    return g_steal_fd (&fd);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
               "Firecracker's API socket “%s” is not a socket", path);
  return -1;
}

VmsanFcApi *
vmsan_fc_api_open (int dir_fd, const char *path, GError **error)
{
  g_autoptr (VmsanFcApi) self = g_object_new (VMSAN_TYPE_FC_API, NULL);
  g_autoptr (GSocketAddress) address = NULL;
  g_autofree char *link = NULL;

  if ((self->socket_fd = open_socket_file (dir_fd, path, error)) < 0)
    return NULL;
  /* The file itself, not its name, which the jail's owner can give to something else. And no path
   * to the jail is too long for an address. */
  link = g_strdup_printf ("/proc/self/fd/%d", self->socket_fd);
  address = g_unix_socket_address_new (link);
  self->session = soup_session_new_with_options ("remote-connectable", address, "max-conns", 1,
                                                 "max-conns-per-host", 1, "proxy-resolver", NULL,
                                                 "timeout", 0, "idle-timeout", 0, NULL);
  /* A short answer must not unfold into a long one. */
  soup_session_remove_feature_by_type (self->session, SOUP_TYPE_CONTENT_DECODER);
  return g_steal_pointer (&self);
}

void
vmsan_fc_api_send_async (VmsanFcApi *self,
                         VmsanFcRequest *request,
                         guint deadline_ms,
                         GCancellable *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Call *call = g_new0 (Call, 1);

  call->request = vmsan_fc_request_ref (request);
  call->what = g_strconcat (vmsan_fc_request_get_method (request), " ",
                            vmsan_fc_request_get_path (request), NULL);
  call->deadline_ms = deadline_ms;
  call->stop = g_cancellable_new ();
  call->body = g_byte_array_new ();
  g_task_set_task_data (task, call, call_free);
  g_task_set_source_tag (task, vmsan_fc_api_send_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (cancellable != NULL)
    {
      call->cancelled = g_cancellable_source_new (cancellable);
      g_source_set_callback (call->cancelled, G_SOURCE_FUNC (on_cancelled), task, NULL);
      g_source_attach (call->cancelled, g_task_get_context (task));
    }
  g_queue_push_tail (self->waiting, g_steal_pointer (&task));
  send_next (self);
}

JsonObject *
vmsan_fc_api_send_finish (VmsanFcApi *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  return g_task_propagate_pointer (G_TASK (result), error);
}

void
vmsan_fc_api_ask_version_async (VmsanFcApi *self,
                                guint deadline_ms,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  g_autoptr (VmsanFcRequest) request = vmsan_fc_request_new_get_version ();

  vmsan_fc_api_send_async (self, request, deadline_ms, cancellable, callback, user_data);
}

gboolean
vmsan_fc_api_ask_version_finish (VmsanFcApi *self,
                                 GAsyncResult *result,
                                 VmsanFcVersion *version,
                                 GError **error)
{
  g_autoptr (JsonObject) answer = vmsan_fc_api_send_finish (self, result, error);

  return answer != NULL && vmsan_fc_answer_read_version (answer, version, error);
}
