/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The control of one QEMU, which the test plays: connecting, waiting, losing and making anew. */

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/monitor-socket.h"
#include "vmm/qemu/qemu-control.h"
#include "vmm/qemu/qemu-probe.h"
#include "vmm/qemu/qemu-spawn.h"

#include <glib/gstdio.h>
#include <sys/socket.h>

#define GREETING "{\"QMP\": {\"capabilities\": []}}\n"

typedef struct
{
  char *dir;
  int listener;
  int peer;
  VmsanQemuControl *control;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;

  fixture->dir = g_dir_make_tmp ("vmsan-control-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->listener = vmsan_monitor_socket_listen (fixture->dir, VMSAN_QEMU_QMP_SOCKET, &error);
  g_assert_no_error (error);
  fixture->peer = -1;
  fixture->control = vmsan_qemu_control_new (fixture->dir);
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *path = g_build_filename (fixture->dir, VMSAN_QEMU_QMP_SOCKET, NULL);

  g_object_add_weak_pointer (G_OBJECT (fixture->control), (gpointer *) &fixture->control);
  vmsan_fd_close (&fixture->peer);
  vmsan_fd_close (&fixture->listener);
  g_object_unref (fixture->control);
  while (fixture->control != NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_rmdir (fixture->dir), ==, 0);
  g_free (fixture->dir);
}

static void
on_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static void
execute (Fixture *fixture, const char *command, GCancellable *cancellable, GAsyncResult **result)
{
  vmsan_qemu_control_execute_async (fixture->control, command, NULL, cancellable, on_result,
                                    result);
}

static gboolean
finish (Fixture *fixture, GAsyncResult **result, GError **error)
{
  g_autoptr (JsonNode) answer = NULL;
  g_autoptr (GAsyncResult) owned = NULL;

  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  owned = g_steal_pointer (result);
  answer = vmsan_qemu_control_execute_finish (fixture->control, owned, error);
  return answer != NULL;
}

static void
peer_send (Fixture *fixture, const char *text)
{
  g_autoptr (GError) error = NULL;

  vmsan_fd_write_all (fixture->peer, text, strlen (text), &error);
  g_assert_no_error (error);
}

/* Waits until the client has sent this command, the next one. */
static void
peer_expect (Fixture *fixture, const char *command)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_autofree char *begin = g_strdup_printf ("{\"execute\":\"%s\"", command);
  char byte = 0;

  while (byte != '\n')
    {
      if (recv (fixture->peer, &byte, 1, MSG_DONTWAIT) == 1)
        g_string_append_c (line, byte);
      else
        g_main_context_iteration (NULL, TRUE);
    }
  g_assert_true (g_str_has_prefix (line->str, begin));
}

/* Accepts the client's connection and negotiates. */
static void
peer_accept (Fixture *fixture)
{
  fixture->peer = accept4 (fixture->listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (fixture->peer, >=, 0);
  peer_send (fixture, GREETING);
  peer_expect (fixture, "qmp_capabilities");
  peer_send (fixture, "{\"return\": {}, \"id\": 1}\n");
}

static void
test_waits_and_reuses (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GAsyncResult *first = NULL, *second = NULL;

  execute (fixture, "cont", NULL, &first);
  execute (fixture, "stop", NULL, &second);
  peer_accept (fixture);
  peer_expect (fixture, "cont");
  peer_expect (fixture, "stop");
  peer_send (fixture, "{\"return\": {}, \"id\": 2}\n{\"return\": {}, \"id\": 3}\n");
  g_assert_true (finish (fixture, &first, &error));
  g_assert_true (finish (fixture, &second, &error));
  g_assert_no_error (error);
}

static void
test_cancelled_while_waiting (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GAsyncResult *cancelled = NULL, *other = NULL;

  execute (fixture, "cont", cancellable, &cancelled);
  execute (fixture, "stop", NULL, &other);
  g_cancellable_cancel (cancellable);
  g_assert_false (finish (fixture, &cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  peer_accept (fixture);
  peer_expect (fixture, "stop");
  peer_send (fixture, "{\"return\": {}, \"id\": 2}\n");
  g_assert_true (finish (fixture, &other, &error));
  g_assert_no_error (error);
}

static void
test_lost_and_made_anew (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GAsyncResult *lost = NULL, *again = NULL, *gone = NULL;

  execute (fixture, "cont", NULL, &lost);
  peer_accept (fixture);
  peer_expect (fixture, "cont");
  vmsan_fd_close (&fixture->peer);
  g_assert_false (finish (fixture, &lost, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_clear_error (&error);

  execute (fixture, "cont", NULL, &again);
  peer_accept (fixture);
  peer_expect (fixture, "cont");
  peer_send (fixture, "{\"return\": {}, \"id\": 2}\n");
  g_assert_true (finish (fixture, &again, &error));
  g_assert_no_error (error);

  /* A message that is none ends the connection; then nobody listens any more. */
  peer_send (fixture, "nonsense\n");
  execute (fixture, "cont", NULL, &lost);
  g_assert_false (finish (fixture, &lost, &error));
  g_clear_error (&error);
  vmsan_fd_close (&fixture->listener);
  execute (fixture, "cont", NULL, &gone);
  g_assert_false (finish (fixture, &gone, &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
}

/* The event may still be in the socket when QEMU's end is known. */
static void
test_end_reason (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  GAsyncResult *result = NULL;

  execute (fixture, "cont", NULL, &result);
  peer_accept (fixture);
  peer_expect (fixture, "cont");
  peer_send (fixture, "{\"return\": {}, \"id\": 2}\n");
  g_assert_true (finish (fixture, &result, &error));
  g_assert_null (vmsan_qemu_control_get_end_reason (fixture->control));
  peer_send (fixture, "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": [1]}}\n"
                      "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-shutdown\"}}\n");
  vmsan_fd_close (&fixture->peer);
  g_assert_cmpstr (vmsan_qemu_control_get_end_reason (fixture->control), ==,
                   "The guest powered itself off");
}

static void
test_version (void)
{
  static const struct
  {
    const char *output;
    const char *version;
  } cases[] = {
    { "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright", "7.2.22" },
    { "QEMU emulator version 9.0.1\n", "9.0.1" },
    { "QEMU emulator version 10.0.50 (v10.0.0-1-gabc)", "10.0.50" },
    { "", NULL },
    { "QEMU emulator version ", NULL },
    { "QEMU emulator version .7", NULL },
    { "usage: qemu", NULL },
    { "version 1111111111111111111111111111111111111111", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *version = vmsan_qemu_probe_parse_version (cases[i].output);

      g_assert_cmpstr (version, ==, cases[i].version);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (60); /* kills a test that hangs */
#define ADD(name, function)                                                                        \
  g_test_add ("/qemu-control/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("commands-wait-for-the-connection", test_waits_and_reuses);
  ADD ("a-waiting-command-can-be-cancelled", test_cancelled_while_waiting);
  ADD ("a-lost-connection-is-made-anew", test_lost_and_made_anew);
  ADD ("the-end-has-a-reason", test_end_reason);
  g_test_add_func ("/qemu-probe/versions", test_version);
  return g_test_run ();
}
