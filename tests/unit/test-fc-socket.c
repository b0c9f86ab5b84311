/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sockets in a directory of somebody who may be hostile. Needs root, for files of other users. */

#include "vmm/firecracker/fc-socket.h"

#include "process-fixture.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MACHINE_UID 64242
#define NAME        "api.sock"
#define SOON_MS     200

typedef struct
{
  char *path;
  int fd;
  int listener;
} World;

static void
set_up (World *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->path = g_dir_make_tmp ("vmsan-XXXXXX", &error);
  g_assert_no_error (error);
  self->fd = open (self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (self->fd, >=, 0);
  self->listener = -1;
}

static void
tear_down (World *self, gconstpointer data)
{
  vmsan_fd_close (&self->listener);
  unlinkat (self->fd, NAME, 0);
  vmsan_fd_close (&self->fd);
  g_assert_no_errno (rmdir (self->path));
  g_free (self->path);
}

/* A socket that @owner made at @path; the listener is who we are: root. */
static int
make_socket (const char *path, uid_t owner, gboolean listens)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (chown (path, owner, owner));
  if (listens)
    g_assert_no_errno (listen (fd, 1));
  return fd;
}

static void
make_api_socket (World *self, uid_t owner, gboolean listens)
{
  g_autofree char *path = g_build_filename (self->path, NAME, NULL);

  self->listener = make_socket (path, owner, listens);
}

static void
assert_refused (World *self, uid_t uid, int code)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (vmsan_fc_socket_connect (self->fd, NAME, uid, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, code);
}

/* ---- Connecting ---------------------------------------------------------------------------- */

static void
test_its_own_socket_is_connected_to (World *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = -1;

  assert_refused (self, 0, VMSAN_ERROR_NOT_FOUND);
  make_api_socket (self, 0, FALSE);
  assert_refused (self, 0, VMSAN_ERROR_NOT_FOUND);
  g_assert_no_errno (listen (self->listener, 1));
  fd = vmsan_fc_socket_connect (self->fd, NAME, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, !=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, !=, 0);
}

static void
test_a_socket_of_somebody_else_is_refused (World *self, gconstpointer data)
{
  make_api_socket (self, MACHINE_UID + 1, TRUE);
  assert_refused (self, MACHINE_UID, VMSAN_ERROR_VMM_FAILED);
}

/* The name is the machine's, but whoever listens is not. */
static void
test_a_listener_of_somebody_else_is_refused (World *self, gconstpointer data)
{
  make_api_socket (self, MACHINE_UID, TRUE);
  assert_refused (self, MACHINE_UID, VMSAN_ERROR_VMM_FAILED);
}

static void
test_a_link_to_a_socket_is_refused (World *self, gconstpointer data)
{
  g_autofree char *target = g_strconcat (self->path, ".host", NULL);
  vmsan_autofd int listener = make_socket (target, 0, TRUE);

  g_assert_no_errno (symlinkat (target, self->fd, NAME));
  assert_refused (self, 0, VMSAN_ERROR_VMM_FAILED);
  unlink (target);
}

static void
test_what_is_no_socket_is_refused (World *self, gconstpointer data)
{
  g_assert_no_errno (mkdirat (self->fd, NAME, 0700));
  assert_refused (self, 0, VMSAN_ERROR_VMM_FAILED);
  g_assert_no_errno (unlinkat (self->fd, NAME, AT_REMOVEDIR));
  g_assert_no_errno (mknodat (self->fd, NAME, S_IFIFO | 0600, 0));
  assert_refused (self, 0, VMSAN_ERROR_VMM_FAILED);
}

static void
test_a_full_queue_is_busy (World *self, gconstpointer data)
{
  vmsan_autofd int first = -1;
  vmsan_autofd int second = -1;

  make_api_socket (self, 0, TRUE);
  first = vmsan_fc_socket_connect (self->fd, NAME, 0, NULL);
  second = vmsan_fc_socket_connect (self->fd, NAME, 0, NULL);
  g_assert_cmpint (second, >=, 0);
  assert_refused (self, 0, VMSAN_ERROR_BUSY);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static int
finish_wait (GAsyncResult **result, GError **error)
{
  iterate_until_set ((gpointer *) result);
  return vmsan_fc_socket_wait_finish (*result, error);
}

static gboolean
on_make (gpointer user_data)
{
  make_api_socket (user_data, 0, FALSE);
  return G_SOURCE_REMOVE;
}

static gboolean
on_listen (gpointer user_data)
{
  World *self = user_data;

  g_assert_no_errno (listen (self->listener, 1));
  return G_SOURCE_REMOVE;
}

static void
test_a_socket_that_comes_is_waited_for (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = -1;

  vmsan_fc_socket_wait_async (self->fd, NAME, 0, DEADLINE_MS, NULL, on_async_result, &result);
  g_timeout_add (20, on_make, self);
  g_timeout_add (60, on_listen, self);
  fd = finish_wait (&result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
}

static void
test_a_socket_that_is_there_is_not_waited_for (World *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = -1;

  make_api_socket (self, 0, TRUE);
  vmsan_fc_socket_wait_async (self->fd, NAME, 0, DEADLINE_MS, NULL, on_async_result, &result);
  fd = finish_wait (&result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
}

static void
test_waiting_ends (World *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) late = NULL;
  g_autoptr (GAsyncResult) cancelled = NULL;
  g_autoptr (GAsyncResult) wrong = NULL;
  g_autoptr (GError) error = NULL;

  vmsan_fc_socket_wait_async (self->fd, NAME, 0, SOON_MS, NULL, on_async_result, &late);
  g_assert_cmpint (finish_wait (&late, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  g_clear_error (&error);
  vmsan_fc_socket_wait_async (self->fd, NAME, 0, DEADLINE_MS, cancellable, on_async_result,
                              &cancelled);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (finish_wait (&cancelled, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  make_api_socket (self, MACHINE_UID, TRUE);
  vmsan_fc_socket_wait_async (self->fd, NAME, 0, DEADLINE_MS, NULL, on_async_result, &wrong);
  g_assert_cmpint (finish_wait (&wrong, &error), ==, -1);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
}

/* ---- Ports of the guest -------------------------------------------------------------------- */

/* What is asked of a peer that then says @answer, and closes if @closes. */
static int
ask (World *self, const char *answer, gboolean closes, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  vmsan_autofd int peer = -1;
  char request[64] = "";

  make_api_socket (self, 0, TRUE);
  vmsan_fc_vsock_connect_async (self->fd, NAME, 0, 7000, SOON_MS, NULL, on_async_result, &result);
  peer = accept4 (self->listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (peer, >=, 0);
  g_assert_cmpint (read (peer, request, sizeof request - 1), >, 0);
  g_assert_cmpstr (request, ==, "CONNECT 7000\n");
  g_assert_cmpint (write (peer, answer, strlen (answer)), ==, strlen (answer));
  if (closes)
    vmsan_fd_close (&peer);
  iterate_until_set ((gpointer *) &result);
  vmsan_fd_close (&self->listener);
  g_assert_no_errno (unlinkat (self->fd, NAME, 0));
  return vmsan_fc_vsock_connect_finish (result, error);
}

static void
test_a_port_is_connected_to_and_nothing_of_the_guests_is_lost (World *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  char rest[64] = "";
  vmsan_autofd int fd = ask (self, "OK 1073741824\nhello\n", FALSE, &error);

  g_assert_no_error (error);
  g_assert_cmpint (read (fd, rest, sizeof rest - 1), ==, 6);
  g_assert_cmpstr (rest, ==, "hello\n");
}

static void
test_wrong_answers_are_refused (World *self, gconstpointer data)
{
  static const struct
  {
    const char *answer;
    gboolean closes;
    int code;
  } cases[] = {
    { "", TRUE, VMSAN_ERROR_NOT_FOUND },
    { "OK 10", TRUE, VMSAN_ERROR_NOT_FOUND },
    { "", FALSE, VMSAN_ERROR_TIMED_OUT },
    { "OK 1", FALSE, VMSAN_ERROR_TIMED_OUT },
    { "OK\n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "OK \n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "OK -1\n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "OK 1 2\n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "OK 99999999999\n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "NO 1\n", FALSE, VMSAN_ERROR_VMM_FAILED },
    { "OK 00000000000000000000000000001\n", FALSE, VMSAN_ERROR_VMM_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (ask (self, cases[i].answer, cases[i].closes, &error), ==, -1);
      g_assert_error (error, VMSAN_ERROR, cases[i].code);
    }
}

static const struct
{
  const char *name;
  void (*function) (World *, gconstpointer);
} tests[] = {
  { "its-own-socket-is-connected-to", test_its_own_socket_is_connected_to },
  { "a-socket-of-somebody-else-is-refused", test_a_socket_of_somebody_else_is_refused },
  { "a-listener-of-somebody-else-is-refused", test_a_listener_of_somebody_else_is_refused },
  { "a-link-to-a-socket-is-refused", test_a_link_to_a_socket_is_refused },
  { "what-is-no-socket-is-refused", test_what_is_no_socket_is_refused },
  { "a-full-queue-is-busy", test_a_full_queue_is_busy },
  { "a-socket-that-comes-is-waited-for", test_a_socket_that_comes_is_waited_for },
  { "a-socket-that-is-there-is-not-waited-for", test_a_socket_that_is_there_is_not_waited_for },
  { "waiting-ends", test_waiting_ends },
  { "a-port-is-connected-to-and-nothing-of-the-guests-is-lost",
    test_a_port_is_connected_to_and_nothing_of_the_guests_is_lost },
  { "wrong-answers-are-refused", test_wrong_answers_are_refused },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/fc-socket/", tests[i].name, NULL);

      g_test_add (path, World, NULL, set_up, tests[i].function, tear_down);
    }
  return g_test_run ();
}
