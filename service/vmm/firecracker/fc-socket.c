/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no socket is talked to but one that the machine's user made and listens on. */

#include "vmm/firecracker/fc-socket.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A name is there a moment before somebody listens, of which nothing tells. */
#define NOT_LISTENING_YET_MS 2

/* "OK 4294967295\n" */
#define ANSWER_MAX 16

static gboolean
refuse_stranger (const char *name, GError **error)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
               "Firecracker's “%s” is not a socket that Firecracker made; stop the machine: its "
               "guest may have taken over Firecracker",
               name);
  return FALSE;
}

/* The listener's user as the kernel noted it when it began to listen. */
static gboolean
check_listener (int fd, const char *name, uid_t uid, GError **error)
{
  struct ucred peer;
  socklen_t size = sizeof peer;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
    return vmsan_error_set_errno (error, errno, "Asking who listens on “%s” failed", name);
  return peer.uid == uid || refuse_stranger (name, error);
}

int
vmsan_fc_socket_connect (int run_fd, const char *name, uid_t uid, GError **error)
{
  vmsan_autofd int name_fd = openat (run_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  vmsan_autofd int fd = -1;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct stat st;

  if (name_fd < 0 && errno == ENOENT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "Firecracker has no socket “%s”",
                   name);
      return -1;
    }
  if (name_fd < 0 || fstat (name_fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Opening Firecracker's socket “%s” failed", name);
      return -1;
    }
  if (!S_ISSOCK (st.st_mode) || st.st_uid != uid)
    {
      refuse_stranger (name, error);
      return -1;
    }
  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", name_fd);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    {
      if (errno == ECONNREFUSED)
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                     "Nobody listens on Firecracker's socket “%s”", name);
      else if (errno == EAGAIN)
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                     "Too many wait for Firecracker's socket “%s”; try again", name);
      else
        vmsan_error_set_errno (error, errno, "Connecting to Firecracker's “%s” failed", name);
      return -1;
    }
  return check_listener (fd, name, uid, error) ? g_steal_fd (&fd) : -1;
}

/* ---- Until there is one -------------------------------------------------------------------- */

/* What a task of these calls waits with, in the context it was started in. */
typedef struct
{
  int run_fd;
  char *name;
  uid_t uid;
  int fd; /* inotify, or the connection */
  char answer[ANSWER_MAX + 1];
  gsize n_answer;
  GSource *readable;
  GSource *retry;
  GSource *deadline;
  GSource *cancelled;
} Wait;

static void
wait_stop (Wait *self)
{
  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->retry);
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancelled);
}

static void
wait_free (Wait *self)
{
  wait_stop (self);
  vmsan_fd_close (&self->fd);
  vmsan_fd_close (&self->run_fd);
  g_free (self->name);
  g_free (self);
}

/* Consumes @error, and with the sources the last references to @task. */
static void
fail (GTask *task, GError *error)
{
  g_autoptr (GTask) held = g_object_ref (task);

  wait_stop (g_task_get_task_data (task));
  g_task_return_error (task, error);
}

static void
succeed (GTask *task, int fd)
{
  g_autoptr (GTask) held = g_object_ref (task);

  wait_stop (g_task_get_task_data (task));
  g_task_return_int (task, fd);
}

static gboolean
on_deadline (gpointer user_data)
{
  Wait *self = g_task_get_task_data (user_data);

  fail (user_data, g_error_new (VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT,
                                "Firecracker's socket “%s” gave no answer in time", self->name));
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GError *error = NULL;

  g_cancellable_set_error_if_cancelled (cancellable, &error);
  fail (user_data, error);
  return G_SOURCE_REMOVE;
}

/* Each source holds the task. */
static void
attach (GTask *task, GSource **place, GSource *source, GSourceFunc func)
{
  vmsan_source_clear (place);
  *place = source;
  g_source_set_callback (source, func, g_object_ref (task), g_object_unref);
  g_source_attach (source, g_task_get_context (task));
}

static GTask *
begin (int run_fd,
       const char *name,
       uid_t uid,
       guint deadline_ms,
       GCancellable *cancellable,
       GAsyncReadyCallback callback,
       gpointer user_data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Wait *self = g_new0 (Wait, 1);

  self->run_fd = fcntl (run_fd, F_DUPFD_CLOEXEC, 3);
  self->name = g_strdup (name);
  self->uid = uid;
  self->fd = -1;
  g_task_set_check_cancellable (task, FALSE); /* a descriptor that is there must not be lost */
  g_task_set_task_data (task, self, (GDestroyNotify) wait_free);
  attach (task, &self->deadline, g_timeout_source_new (deadline_ms), on_deadline);
  if (cancellable != NULL)
    attach (task, &self->cancelled, g_cancellable_source_new (cancellable),
            G_SOURCE_FUNC (on_cancelled));
  return task;
}

static gboolean on_retry (gpointer user_data);

static void
try (GTask *task)
{
  Wait *self = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  int fd = vmsan_fc_socket_connect (self->run_fd, self->name, self->uid, &error);

  if (fd >= 0)
    succeed (task, fd);
  else if (!g_error_matches (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    fail (task, g_steal_pointer (&error));
  else if (faccessat (self->run_fd, self->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    attach (task, &self->retry, g_timeout_source_new (NOT_LISTENING_YET_MS), on_retry);
}

static gboolean
on_retry (gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (user_data);

  try (task);
  return G_SOURCE_REMOVE;
}

static gboolean
on_directory_changed (int fd, GIOCondition condition, gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (user_data);
  char events[4096];

  while (read (fd, events, sizeof events) > 0)
    ;
  try (task);
  return G_SOURCE_CONTINUE;
}

void
vmsan_fc_socket_wait_async (int run_fd,
                            const char *name,
                            uid_t uid,
                            guint deadline_ms,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = begin (run_fd, name, uid, deadline_ms, cancellable, callback, user_data);
  Wait *self = g_task_get_task_data (task);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", self->run_fd);
  GError *error = NULL;

  self->fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  if (self->fd < 0 || inotify_add_watch (self->fd, path, IN_CREATE | IN_MOVED_TO) < 0)
    {
      vmsan_error_set_errno (&error, errno, "Waiting for Firecracker's socket “%s” failed", name);
      fail (task, error);
      return;
    }
  attach (task, &self->readable, g_unix_fd_source_new (self->fd, G_IO_IN),
          G_SOURCE_FUNC (on_directory_changed));
  try (task); /* it may have come before the watch */
}

int
vmsan_fc_socket_wait_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_int (G_TASK (result), error);
}

/* ---- A port of the guest ------------------------------------------------------------------- */

static gboolean
is_ok (const char *line)
{
  return g_str_has_prefix (line, "OK ") &&
         g_ascii_string_to_unsigned (line + strlen ("OK "), 10, 0, G_MAXUINT32, NULL, NULL);
}

/* Firecracker answers "OK N" with a number of its own, or closes. What follows the line is the
 * guest's already, so not a byte more is taken. */
static gboolean
on_answer (int fd, GIOCondition condition, gpointer user_data)
{
  g_autoptr (GTask) task = g_object_ref (user_data);
  Wait *self = g_task_get_task_data (task);
  gssize n;

  while (self->n_answer < ANSWER_MAX)
    {
      char *byte = self->answer + self->n_answer;

      n = recv (fd, byte, 1, 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
      if (n <= 0)
        {
          fail (task, g_error_new_literal (VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                                           "The guest's agent does not listen"));
          return G_SOURCE_REMOVE;
        }
      if (*byte == '\n')
        break;
      self->n_answer++;
    }
  self->answer[self->n_answer] = '\0';
  if (self->n_answer < ANSWER_MAX && is_ok (self->answer))
    succeed (task, g_steal_fd (&self->fd));
  else
    fail (task, g_error_new_literal (VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                                     "Firecracker gave an answer that is none to CONNECT"));
  return G_SOURCE_REMOVE;
}

void
vmsan_fc_vsock_connect_async (int run_fd,
                              const char *name,
                              uid_t uid,
                              guint port,
                              guint deadline_ms,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (GTask) task = begin (run_fd, name, uid, deadline_ms, cancellable, callback, user_data);
  Wait *self = g_task_get_task_data (task);
  g_autofree char *request = g_strdup_printf ("CONNECT %u\n", port);
  gssize size = strlen (request);
  GError *error = NULL;

  self->fd = vmsan_fc_socket_connect (run_fd, name, uid, &error);
  /* In one write: Firecracker does not put a line together. */
  if (self->fd >= 0 && send (self->fd, request, size, MSG_NOSIGNAL) != size)
    vmsan_error_set_errno (&error, errno, "Asking Firecracker for port %u of the guest failed",
                           port);
  if (error != NULL)
    {
      fail (task, error);
      return;
    }
  attach (task, &self->readable, g_unix_fd_source_new (self->fd, G_IO_IN | G_IO_HUP),
          G_SOURCE_FUNC (on_answer));
}

int
vmsan_fc_vsock_connect_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_int (G_TASK (result), error);
}
