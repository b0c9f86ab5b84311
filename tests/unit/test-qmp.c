/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The QMP client against a peer that the test plays, also a hostile one. */

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/qemu/qmp.h"

#include <sys/socket.h>

#define GREETING                                                                                   \
  "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"
#define DEADLINE_MS 10000

typedef struct
{
  int peer;
  GString *received; /* from the client, by the peer */
  VmsanQmp *qmp;
  GError *open_error;
  gboolean open_done;
  guint n_events;
  char *last_event;
  gint64 last_event_value;
  guint n_closed;
} Fixture;

typedef struct
{
  gboolean done;
  JsonNode *answer;
  GError *error;
} Answer;

static void
peer_send_bytes (Fixture *fixture, const void *data, gsize size)
{
  g_autoptr (GError) error = NULL;

  vmsan_fd_write_all (fixture->peer, data, size, &error);
  g_assert_no_error (error);
}

static void
peer_send (Fixture *fixture, const char *text)
{
  peer_send_bytes (fixture, text, strlen (text));
}

/* The next line that the client sent. */
static char *
peer_receive (Fixture *fixture)
{
  char *line, *end_of_line;

  while ((end_of_line = strchr (fixture->received->str, '\n')) == NULL)
    {
      char buffer[512];
      gssize n = recv (fixture->peer, buffer, sizeof buffer, MSG_DONTWAIT);

      if (n > 0)
        g_string_append_len (fixture->received, buffer, n);
      else
        g_main_context_iteration (NULL, TRUE);
    }
  line = g_strndup (fixture->received->str, end_of_line - fixture->received->str);
  g_string_erase (fixture->received, 0, strlen (line) + 1);
  return line;
}

static void
on_event (VmsanQmp *qmp, const char *name, JsonObject *data, gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->n_events++;
  g_free (fixture->last_event);
  fixture->last_event = g_strdup (name);
  fixture->last_event_value =
      data != NULL ? json_object_get_int_member_with_default (data, "value", -1) : -1;
}

static void
on_closed (VmsanQmp *qmp, const GError *error, gpointer user_data)
{
  Fixture *fixture = user_data;

  g_assert_nonnull (error);
  fixture->n_closed++;
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->qmp = vmsan_qmp_open_finish (result, &fixture->open_error);
  fixture->open_done = TRUE;
}

static void
begin (Fixture *fixture, guint deadline_ms, GCancellable *cancellable)
{
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  g_assert_true (g_unix_set_fd_nonblocking (pair[0], TRUE, NULL));
  fixture->peer = pair[1];
  fixture->received = g_string_new (NULL);
  vmsan_qmp_open_async (pair[0], deadline_ms, cancellable, on_opened, fixture);
}

static void
wait_open (Fixture *fixture)
{
  while (!fixture->open_done)
    g_main_context_iteration (NULL, TRUE);
}

static void
negotiate (Fixture *fixture)
{
  g_autofree char *line = NULL;

  begin (fixture, DEADLINE_MS, NULL);
  peer_send (fixture, GREETING);
  line = peer_receive (fixture);
  g_assert_cmpstr (line, ==, "{\"execute\":\"qmp_capabilities\",\"id\":1}");
  peer_send (fixture, "{\"return\": {}, \"id\": 1}\r\n");
  wait_open (fixture);
  g_assert_no_error (fixture->open_error);
  g_assert_true (vmsan_qmp_is_open (fixture->qmp));
  g_signal_connect (fixture->qmp, "event", G_CALLBACK (on_event), fixture);
  g_signal_connect (fixture->qmp, "closed", G_CALLBACK (on_closed), fixture);
}

static void
end (Fixture *fixture)
{
  if (fixture->qmp != NULL)
    {
      g_object_add_weak_pointer (G_OBJECT (fixture->qmp), (gpointer *) &fixture->qmp);
      g_object_unref (fixture->qmp);
      while (fixture->qmp != NULL)
        g_main_context_iteration (NULL, TRUE);
    }
  vmsan_fd_close (&fixture->peer);
  g_string_free (fixture->received, TRUE);
  g_clear_error (&fixture->open_error);
  g_free (fixture->last_event);
  memset (fixture, 0, sizeof *fixture);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Answer *answer = user_data;

  answer->answer = vmsan_qmp_execute_finish (VMSAN_QMP (source), result, &answer->error);
  answer->done = TRUE;
}

static void
answer_clear (Answer *answer)
{
  g_clear_error (&answer->error);
  g_clear_pointer (&answer->answer, json_node_unref);
}

static void
wait_answer (Answer *answer)
{
  while (!answer->done)
    g_main_context_iteration (NULL, TRUE);
}

static void
execute (Fixture *fixture, const char *command, Answer *answer)
{
  vmsan_qmp_execute_async (fixture->qmp, command, NULL, DEADLINE_MS, NULL, on_answer, answer);
}

static void
test_commands (void)
{
  Fixture fixture = { 0 };
  Answer first = { 0 }, second = { 0 };
  g_autofree char *line1 = NULL;
  g_autofree char *line2 = NULL;
  g_autoptr (JsonObject) arguments = json_object_new ();

  negotiate (&fixture);
  json_object_set_string_member (arguments, "key", "a\nb");
  vmsan_qmp_execute_async (fixture.qmp, "one", arguments, DEADLINE_MS, NULL, on_answer, &first);
  execute (&fixture, "two", &second);
  line1 = peer_receive (&fixture);
  line2 = peer_receive (&fixture);
  g_assert_cmpstr (line1, ==, "{\"execute\":\"one\",\"arguments\":{\"key\":\"a\\nb\"},\"id\":2}");
  g_assert_cmpstr (line2, ==, "{\"execute\":\"two\",\"id\":3}");
  peer_send (&fixture, "{\"return\": \"2\", \"id\": 3}\r\n{\"retu");
  wait_answer (&second);
  g_assert_false (first.done);
  peer_send (&fixture, "rn\": [1], \"id\": 2}\r\n");
  wait_answer (&first);
  g_assert_no_error (first.error);
  g_assert_true (JSON_NODE_HOLDS_ARRAY (first.answer));
  g_assert_cmpstr (json_node_get_string (second.answer), ==, "2");
  answer_clear (&first);
  answer_clear (&second);
  end (&fixture);
}

static void
test_refusals (void)
{
  Fixture fixture = { 0 };
  Answer refused = { 0 }, unknown = { 0 };

  negotiate (&fixture);
  execute (&fixture, "cont", &refused);
  execute (&fixture, "dance", &unknown);
  peer_send (&fixture,
             "{\"error\": {\"class\": \"GenericError\", \"desc\": \"bad\\u001b[1m\"}, \"id\": 2}\n"
             "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"none\"}, \"id\": 3}\n");
  wait_answer (&refused);
  wait_answer (&unknown);
  g_assert_error (refused.error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_assert_cmpstr (refused.error->message, ==, "QEMU refused the command cont: bad [1m");
  g_assert_error (unknown.error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
  g_assert_true (vmsan_qmp_is_open (fixture.qmp));
  answer_clear (&refused);
  answer_clear (&unknown);
  end (&fixture);
}

static void
test_events (void)
{
  Fixture fixture = { 0 };

  negotiate (&fixture);
  peer_send (&fixture, "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1}}\n"
                       "{\"event\": \"RESUME\", \"data\": {\"value\": 7}}\n");
  while (fixture.n_events < 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (fixture.last_event, ==, "RESUME");
  g_assert_cmpint (fixture.last_event_value, ==, 7);
  end (&fixture);
}

static void
test_deadline (void)
{
  Fixture fixture = { 0 };
  Answer late = { 0 }, next = { 0 };

  negotiate (&fixture);
  vmsan_qmp_execute_async (fixture.qmp, "slow", NULL, 20, NULL, on_answer, &late);
  wait_answer (&late);
  g_assert_error (late.error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  execute (&fixture, "next", &next);
  peer_send (&fixture, "{\"return\": 1, \"id\": 2}\n{\"return\": 2, \"id\": 3}\n");
  wait_answer (&next);
  g_assert_no_error (next.error);
  g_assert_cmpint (json_node_get_int (next.answer), ==, 2);
  answer_clear (&late);
  answer_clear (&next);
  end (&fixture);
}

static void
test_cancel (void)
{
  Fixture fixture = { 0 };
  Answer answer = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  negotiate (&fixture);
  vmsan_qmp_execute_async (fixture.qmp, "slow", NULL, DEADLINE_MS, cancellable, on_answer, &answer);
  g_cancellable_cancel (cancellable);
  wait_answer (&answer);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (vmsan_qmp_is_open (fixture.qmp));
  answer_clear (&answer);
  end (&fixture);
}

static void
test_open_fails (void)
{
  const char *const nonsense[] = { "hello\n", "{}\n", "{\"QMP\": 1}\n", "{\"event\": \"X\"}\n" };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Fixture fixture = { 0 };

  begin (&fixture, 20, NULL);
  wait_open (&fixture);
  g_assert_error (fixture.open_error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  end (&fixture);

  begin (&fixture, 20, NULL);
  peer_send (&fixture, GREETING); /* but never an answer */
  wait_open (&fixture);
  g_assert_error (fixture.open_error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  end (&fixture);

  begin (&fixture, DEADLINE_MS, cancellable);
  g_cancellable_cancel (cancellable);
  wait_open (&fixture);
  g_assert_error (fixture.open_error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  end (&fixture);

  begin (&fixture, DEADLINE_MS, NULL);
  vmsan_fd_close (&fixture.peer);
  wait_open (&fixture);
  g_assert_error (fixture.open_error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  end (&fixture);

  for (gsize i = 0; i < G_N_ELEMENTS (nonsense); i++)
    {
      begin (&fixture, DEADLINE_MS, NULL);
      peer_send (&fixture, nonsense[i]);
      wait_open (&fixture);
      g_assert_error (fixture.open_error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
      end (&fixture);
    }
}

/* What breaks the protocol ends the connection once, and what was under way with it. */
static void
expect_broken (Fixture *fixture, const char *what)
{
  Answer answer = { 0 }, after = { 0 };

  execute (fixture, "cont", &answer);
  wait_answer (&answer);
  g_test_message ("%s: %s", what, answer.error != NULL ? answer.error->message : "no error");
  g_assert_error (answer.error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_assert_false (vmsan_qmp_is_open (fixture->qmp));
  while (fixture->n_closed == 0)
    g_main_context_iteration (NULL, TRUE);
  execute (fixture, "cont", &after);
  wait_answer (&after);
  g_assert_error (after.error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_assert_cmpuint (fixture->n_closed, ==, 1);
  answer_clear (&answer);
  answer_clear (&after);
}

static void
test_hostile_messages (void)
{
  static const struct
  {
    const char *what;
    const char *bytes;
    gsize size; /* 0: text */
  } cases[] = {
    { "not JSON", "}{\n", 0 },
    { "cut off", "{\"return\": {}, \"id\"\n", 0 },
    { "an array", "[1, 2]\n", 0 },
    { "a number", "17\n", 0 },
    { "no id", "{\"return\": {}}\n", 0 },
    { "an id of nobody", "{\"return\": {}, \"id\": 99}\n", 0 },
    { "a negative id", "{\"return\": {}, \"id\": -2}\n", 0 },
    { "an id that was answered", "{\"return\": {}, \"id\": 1}\n", 0 },
    { "a text as id", "{\"return\": {}, \"id\": \"2\"}\n", 0 },
    { "a huge id", "{\"return\": {}, \"id\": 99999999999999999999999}\n", 0 },
    { "an object as id", "{\"return\": {}, \"id\": {}}\n", 0 },
    { "neither result nor error", "{\"id\": 2}\n", 0 },
    { "both result and error", "{\"id\": 2, \"return\": {}, \"error\": {}}\n", 0 },
    { "an error that is a text", "{\"id\": 2, \"error\": \"no\"}\n", 0 },
    { "an event without a name", "{\"event\": null}\n", 0 },
    { "an event with an object as name", "{\"event\": {}}\n", 0 },
    { "a second greeting", GREETING, 0 },
    { "NUL", "{\"return\": {}, \"id\": 2}\0\n", 25 },
    { "not UTF-8", "{\"return\": \"\xff\", \"id\": 2}\n", 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      Fixture fixture = { 0 };

      negotiate (&fixture);
      peer_send_bytes (&fixture, cases[i].bytes,
                       cases[i].size != 0 ? cases[i].size : strlen (cases[i].bytes));
      expect_broken (&fixture, cases[i].what);
      end (&fixture);
    }
}

/* An error may be of any shape inside and is still only an error. */
static void
test_hostile_errors (void)
{
  const char *const errors[] = {
    "{}",
    "{\"class\": 1, \"desc\": [2]}",
    "{\"class\": null, \"desc\": null}",
    "{\"class\": \"\\udc00\", \"desc\": \"half a pair: \\ud800\"}",
  };
  Fixture fixture = { 0 };

  negotiate (&fixture);
  for (gsize i = 0; i < G_N_ELEMENTS (errors); i++)
    {
      g_autofree char *line =
          g_strdup_printf ("{\"id\": %u, \"error\": %s}\n", (guint) i + 2, errors[i]);
      Answer answer = { 0 };

      execute (&fixture, "cont", &answer);
      peer_send (&fixture, line);
      wait_answer (&answer);
      g_assert_error (answer.error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
      g_assert_true (g_utf8_validate (answer.error->message, -1, NULL));
      answer_clear (&answer);
    }
  end (&fixture);
}

/* Lines with nothing in them are passed over, however many come at once, and what follows them
 * without its end is kept. */
static void
test_empty_lines (void)
{
  g_autofree char *empty = g_strnfill (16 * 1024, '\n');
  g_autofree char *begun = g_strconcat (empty, "{\"return\": {}, ", NULL);
  Fixture fixture = { 0 };
  Answer answer = { 0 };

  negotiate (&fixture);
  execute (&fixture, "cont", &answer);
  peer_send (&fixture, begun);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  peer_send (&fixture, "\"id\": 2}\n");
  wait_answer (&answer);
  g_assert_no_error (answer.error);
  answer_clear (&answer);
  end (&fixture);
}

/* Sends @unit for ever, as a thread, until the client hangs up. */
typedef struct
{
  int fd;
  const char *unit;
} Flood;

static gpointer
flood (gpointer user_data)
{
  Flood *self = user_data;

  while (send (self->fd, self->unit, strlen (self->unit), MSG_NOSIGNAL) > 0)
    ;
  return NULL;
}

static void
test_floods (void)
{
  g_autofree char *spaces = g_strnfill (4096, ' ');
  g_autofree char *brackets = g_strnfill (VMSAN_QMP_LINE_MAX / 2, '[');
  g_autofree char *nested = g_strconcat ("{\"return\": ", brackets, "\n", NULL);
  const char *const units[] = { spaces, nested, "{\"event\": \"X\"}\n" };

  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    {
      Fixture fixture = { 0 };
      Flood self;
      GThread *thread;

      negotiate (&fixture);
      self = (Flood){ fixture.peer, units[i] };
      thread = g_thread_new ("flood", flood, &self);
      expect_broken (&fixture, "a flood");
      g_thread_join (thread);
      end (&fixture);
    }
}

/* QEMU that reads nothing and answers nothing cannot make us queue for ever. */
static void
test_silent_peer (void)
{
  Fixture fixture = { 0 };
  Answer answers[100] = { 0 };
  guint n_refused = 0;

  negotiate (&fixture);
  for (gsize i = 0; i < G_N_ELEMENTS (answers); i++)
    execute (&fixture, "cont", &answers[i]);
  vmsan_qmp_close (fixture.qmp);
  for (gsize i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      wait_answer (&answers[i]);
      g_assert_nonnull (answers[i].error);
      n_refused += g_error_matches (answers[i].error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
      answer_clear (&answers[i]);
    }
  g_assert_cmpuint (n_refused, ==, 100 - 64);
  g_assert_cmpuint (fixture.n_closed, ==, 0);
  end (&fixture);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  alarm (60); /* kills a test that hangs */
  g_test_add_func ("/qmp/answers-find-their-commands", test_commands);
  g_test_add_func ("/qmp/refusals-are-errors-in-qemus-words", test_refusals);
  g_test_add_func ("/qmp/events-are-signals", test_events);
  g_test_add_func ("/qmp/a-late-answer-is-dropped", test_deadline);
  g_test_add_func ("/qmp/a-command-can-be-cancelled", test_cancel);
  g_test_add_func ("/qmp/open-fails-with-the-reason", test_open_fails);
  g_test_add_func ("/qmp/hostile-messages-close-the-connection", test_hostile_messages);
  g_test_add_func ("/qmp/hostile-errors-are-only-errors", test_hostile_errors);
  g_test_add_func ("/qmp/empty-lines-are-passed-over", test_empty_lines);
  g_test_add_func ("/qmp/floods-close-the-connection", test_floods);
  g_test_add_func ("/qmp/a-silent-peer-queues-nothing-for-ever", test_silent_peer);
  return g_test_run ();
}
