/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guest's side of the agent protocol, piece by piece: fields, hellos, frames, requests, users.
 */

#include "agent/environment.h"
#include "agent/frames.h"
#include "agent/handshake.h"
#include "agent/request.h"
#include "agent/user.h"

#include <fcntl.h>
#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Fields -------------------------------------------------------------------------------- */

static void
test_fields_come_back (void)
{
  const guint32 number = 4711;
  static const guint8 large[50] = { 0 };
  guint8 payload[64];
  gsize used = 0;
  VmsanFieldReader reader;
  VmsanField field;
  char text[8];
  guint32 value;
  guint64 value64;

  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, 1, "hello", 5));
  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, 2, &number, sizeof number));
  g_assert_true (vmsan_field_append (payload, sizeof payload, &used, 3, NULL, 0));
  g_assert_false (vmsan_field_append (payload, sizeof payload, &used, 4, large, sizeof large));
  vmsan_field_reader_init (&reader, payload, used);
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.tag, ==, 1);
  g_assert_true (vmsan_field_get_text (&field, text, sizeof text));
  g_assert_cmpstr (text, ==, "hello");
  g_assert_false (vmsan_field_get_text (&field, text, 5));
  g_assert_false (vmsan_field_get_u32 (&field, &value));
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_true (vmsan_field_get_u32 (&field, &value));
  g_assert_cmpuint (value, ==, number);
  g_assert_false (vmsan_field_get_u64 (&field, &value64));
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 1);
  g_assert_cmpuint (field.length, ==, 0);
  g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, 0);
}

static void
test_cut_fields_are_malformed (void)
{
  guint8 whole[32];
  gsize used = 0;

  vmsan_field_append (whole, sizeof whole, &used, 7, "abcdefgh", 8);
  for (gsize length = 1; length < used; length++)
    {
      /* A block of exactly that size, so that a sanitizer sees a read behind it. */
      g_autofree guint8 *cut = g_memdup2 (whole, length);
      VmsanFieldReader reader;
      VmsanField field;

      vmsan_field_reader_init (&reader, cut, length);
      g_assert_cmpint (vmsan_field_reader_next (&reader, &field), ==, -1);
    }
}

/* ---- Hellos -------------------------------------------------------------------------------- */

static void
make_hello (VmsanHello *hello, guint8 fill)
{
  memset (hello, fill, sizeof *hello);
  memcpy (hello->magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
  hello->version = VMSAN_PROTOCOL_VERSION;
  hello->kind = VMSAN_SESSION_CALLER;
  hello->zero = 0;
}

/* Feeds as a stream is read: never more than is wanted. Returns how much was taken when a hello
 * was in, or 0. */
static gsize
feed (AgentHandshake *handshake, const guint8 *bytes, gsize length, gsize step)
{
  gsize taken = 0;

  while (taken < length)
    {
      const gsize n = MIN (MIN (agent_handshake_wanted (handshake), step), length - taken);
      const bool whole = agent_handshake_feed (handshake, bytes + taken, n);

      taken += n;
      if (whole)
        return taken;
    }
  return 0;
}

static void
test_a_hello_is_found_behind_anything (void)
{
  for (gsize n_garbage = 0; n_garbage < 200; n_garbage++)
    for (gsize step = 1; step < 80; step += 13)
      {
        g_autoptr (GByteArray) stream = g_byte_array_new ();
        AgentHandshake handshake;
        VmsanHello hello, found;

        for (gsize i = 0; i < n_garbage; i++)
          {
            /* Beginnings of a magic are the hardest garbage. */
            const guint8 byte = (guint8) VMSAN_HELLO_MAGIC[i % (1 + n_garbage % 7)];

            g_byte_array_append (stream, &byte, 1);
          }
        make_hello (&hello, 0x55);
        g_byte_array_append (stream, (const guint8 *) &hello, sizeof hello);
        g_byte_array_append (stream, (const guint8 *) "next", 4);
        agent_handshake_init (&handshake, false);
        /* Not a byte of what follows is taken. */
        g_assert_cmpuint (feed (&handshake, stream->data, stream->len, step), ==, stream->len - 4);
        agent_handshake_get_hello (&handshake, &found);
        g_assert_cmpmem (&found, sizeof found, &hello, sizeof hello);
        g_assert_cmpuint (handshake.skipped, ==, n_garbage);
      }
}

static void
test_an_aborted_hello_hides_no_other (void)
{
  for (gsize cut = 1; cut < sizeof (VmsanHello); cut++)
    {
      g_autoptr (GByteArray) stream = g_byte_array_new ();
      AgentHandshake handshake;
      VmsanHello aborted, hello, found;
      gsize taken;

      make_hello (&aborted, 0x11);
      make_hello (&hello, 0x22);
      g_byte_array_append (stream, (const guint8 *) &aborted, cut);
      g_byte_array_append (stream, (const guint8 *) &hello, sizeof hello);
      agent_handshake_init (&handshake, false);
      taken = feed (&handshake, stream->data, stream->len, 64);
      g_assert_cmpuint (taken, >, 0);
      agent_handshake_get_hello (&handshake, &found);
      if (memcmp (&found, &hello, sizeof hello) != 0)
        {
          g_assert_true (agent_handshake_skip (&handshake));
          taken += feed (&handshake, stream->data + taken, stream->len - taken, 64);
          agent_handshake_get_hello (&handshake, &found);
        }
      g_assert_cmpmem (&found, sizeof found, &hello, sizeof hello);
      g_assert_cmpuint (taken, ==, stream->len);
      g_assert_false (agent_handshake_skip (&handshake));
    }
}

static void
test_a_hello_goes_on_after_its_magic (void)
{
  AgentHandshake handshake;
  VmsanHello hello, found;

  make_hello (&hello, 0x33);
  agent_handshake_init (&handshake, true);
  g_assert_cmpuint (agent_handshake_wanted (&handshake), ==, sizeof hello - VMSAN_MAGIC_SIZE);
  g_assert_true (agent_handshake_feed (&handshake, (const guint8 *) &hello + VMSAN_MAGIC_SIZE,
                                       sizeof hello - VMSAN_MAGIC_SIZE));
  agent_handshake_get_hello (&handshake, &found);
  g_assert_cmpmem (&found, sizeof found, &hello, sizeof hello);
}

/* ---- Frames -------------------------------------------------------------------------------- */

typedef struct
{
  int ours;
  int theirs;
  AgentFrameReader reader;
} Pair;

static Pair *
pair_new (void)
{
  Pair *pair = g_new0 (Pair, 1);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), ==,
                   0);
  pair->ours = ends[0];
  pair->theirs = ends[1];
  return pair;
}

static void
pair_free (Pair *pair)
{
  close (pair->ours);
  if (pair->theirs >= 0)
    close (pair->theirs);
  g_free (pair);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Pair, pair_free)

static void
test_frames_come_in_pieces (void)
{
  static const guint8 bytes[] = { 33, 0, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c', 34, 0, 0, 0, 0, 0, 0, 0 };
  g_autoptr (Pair) pair = pair_new ();
  AgentFrame frame;

  for (gsize i = 0; i < 10; i++)
    {
      g_assert_cmpint (write (pair->theirs, bytes + i, 1), ==, 1);
      g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                       AGENT_FRAME_NONE);
    }
  g_assert_cmpint (write (pair->theirs, bytes + 10, 9), ==, 9);
  g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                   AGENT_FRAME_COMPLETE);
  g_assert_cmpuint (frame.type, ==, VMSAN_FRAME_STDIN);
  g_assert_cmpmem (frame.payload, frame.length, "abc", 3);
  g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                   AGENT_FRAME_COMPLETE);
  g_assert_cmpuint (frame.type, ==, VMSAN_FRAME_STDIN_EOF);
  g_assert_cmpuint (frame.length, ==, 0);
  g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                   AGENT_FRAME_NONE);
  close (pair->theirs);
  pair->theirs = -1;
  g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                   AGENT_FRAME_HANGUP);
}

static void
test_what_is_no_frame_is_told (void)
{
  static const struct
  {
    guint8 bytes[8];
    AgentFrameStatus status;
  } cases[] = {
    { { 33, 0, 0, 0, 0, 0, 1, 0 }, AGENT_FRAME_NONE }, /* 65536 */
    { { 33, 0, 0, 0, 1, 0, 1, 0 }, AGENT_FRAME_MALFORMED },
    { { 33, 0, 0, 0, 0xff, 0xff, 0xff, 0xff }, AGENT_FRAME_MALFORMED },
    { { 33, 1, 0, 0, 0, 0, 0, 0 }, AGENT_FRAME_MALFORMED },
    { { 33, 0, 0, 1, 0, 0, 0, 0 }, AGENT_FRAME_MALFORMED },
    { { 0177, 'v', 'm', 's', 'a', 'n', 'H', '1' }, AGENT_FRAME_HELLO },
    { { 0177, 'v', 'm', 's', 'a', 'n', 'H', '2' }, AGENT_FRAME_MALFORMED },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (Pair) pair = pair_new ();
      AgentFrame frame;

      g_assert_cmpint (write (pair->theirs, cases[i].bytes, 8), ==, 8);
      g_assert_cmpint (agent_frame_reader_read (&pair->reader, pair->ours, &frame), ==,
                       cases[i].status);
    }
}

static void
test_output_keeps_its_order_on_a_slow_stream (void)
{
  g_autoptr (Pair) pair = pair_new ();
  g_autofree AgentOutput *output = g_new0 (AgentOutput, 1);
  g_autofree guint8 *payload = g_malloc (VMSAN_FRAME_PAYLOAD_MAX);
  guint8 next_sent = 0, next_seen = 0;

  while (next_seen < 40)
    {
      AgentFrame frame;

      memset (payload, next_sent, VMSAN_FRAME_PAYLOAD_MAX);
      while (next_sent < 40 && agent_output_frame (output, VMSAN_FRAME_STDOUT, payload,
                                                   VMSAN_FRAME_PAYLOAD_MAX - next_sent))
        memset (payload, ++next_sent, VMSAN_FRAME_PAYLOAD_MAX);
      g_assert_cmpint (agent_output_flush (output, pair->theirs), >=, 0);
      while (agent_frame_reader_read (&pair->reader, pair->ours, &frame) == AGENT_FRAME_COMPLETE)
        {
          g_assert_cmpuint (frame.length, ==, VMSAN_FRAME_PAYLOAD_MAX - next_seen);
          g_assert_cmpuint (frame.payload[0], ==, next_seen);
          g_assert_cmpuint (frame.payload[frame.length - 1], ==, next_seen);
          next_seen++;
        }
    }
  g_assert_cmpint (agent_output_flush (output, pair->theirs), ==, 1);
  g_assert_false (agent_output_frame (output, 1, payload, VMSAN_FRAME_PAYLOAD_MAX + 1));
}

/* ---- Requests ------------------------------------------------------------------------------ */

typedef struct
{
  guint8 bytes[VMSAN_FRAME_PAYLOAD_MAX];
  gsize used;
} Payload;

static void
add (Payload *payload, guint16 tag, const void *data, gssize length)
{
  g_assert_true (vmsan_field_append (payload->bytes, sizeof payload->bytes, &payload->used, tag,
                                     data, length < 0 ? strlen (data) : (gsize) length));
}

static AgentParseResult
parse (const Payload *payload, AgentRequest *request)
{
  AgentError error = { "" };
  const AgentParseResult result =
      agent_request_parse (request, payload->bytes, payload->used, &error);

  if (result == AGENT_PARSE_REFUSED)
    g_assert_cmpstr (error.message, !=, "");
  return result;
}

static void
test_a_request_is_taken_apart (void)
{
  static const guint16 size[2] = { 24, 80 };
  static const guint64 timeout_ms = 1500;
  g_autofree AgentRequest *request = g_new (AgentRequest, 1);
  g_autofree Payload *payload = g_new0 (Payload, 1);

  add (payload, VMSAN_FIELD_ARG, "printf", -1);
  add (payload, VMSAN_FIELD_ENV, "A=b=c", -1);
  add (payload, VMSAN_FIELD_ARG, "", 0);
  add (payload, 4242, "from the future", -1);
  add (payload, VMSAN_FIELD_CWD, "/tmp", -1);
  add (payload, VMSAN_FIELD_USER, "ada:staff", -1);
  add (payload, VMSAN_FIELD_TIMEOUT_MS, &timeout_ms, sizeof timeout_ms);
  add (payload, VMSAN_FIELD_TTY, size, sizeof size);
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_OK);
  g_assert_cmpuint (request->args.n_items, ==, 2);
  g_assert_cmpstr (request->args.items[0], ==, "printf");
  g_assert_cmpstr (request->args.items[1], ==, "");
  g_assert_null (request->args.items[2]);
  g_assert_cmpstr (request->env.items[0], ==, "A=b=c");
  g_assert_cmpstr (request->cwd, ==, "/tmp");
  g_assert_cmpstr (request->user, ==, "ada:staff");
  g_assert_cmpuint (request->timeout_ms, ==, timeout_ms);
  g_assert_true (request->terminal);
  g_assert_cmpuint (request->rows, ==, 24);
  g_assert_cmpuint (request->columns, ==, 80);
}

static void
test_bad_requests_are_refused (void)
{
  static const struct
  {
    guint16 tag;
    const char *data;
    gssize length;
  } cases[] = {
    { VMSAN_FIELD_ARG, "a\0b", 3 },      { VMSAN_FIELD_ENV, "NOEQUALS", -1 },
    { VMSAN_FIELD_ENV, "=value", -1 },   { VMSAN_FIELD_ENV, "A=\0", 3 },
    { VMSAN_FIELD_CWD, "relative", -1 }, { VMSAN_FIELD_CWD, "", 0 },
    { VMSAN_FIELD_USER, "a\0b", 3 },     { VMSAN_FIELD_TIMEOUT_MS, "1234", 4 },
    { VMSAN_FIELD_TTY, "123", 3 },
  };
  g_autofree AgentRequest *request = g_new (AgentRequest, 1);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree Payload *payload = g_new0 (Payload, 1);

      add (payload, VMSAN_FIELD_ARG, "true", -1);
      add (payload, cases[i].tag, cases[i].data, cases[i].length);
      g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_REFUSED);
    }
}

static void
test_requests_are_bounded (void)
{
  g_autofree AgentRequest *request = g_new (AgentRequest, 1);
  g_autofree Payload *payload = g_new0 (Payload, 1);
  g_autofree char *path = g_strnfill (PATH_MAX, '/');

  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_REFUSED);
  add (payload, VMSAN_FIELD_ARG, "", 0);
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_REFUSED);
  payload->used = 0;
  for (guint i = 0; i < VMSAN_ARGS_MAX; i++)
    add (payload, VMSAN_FIELD_ARG, "x", 1);
  for (guint i = 0; i < VMSAN_ARGS_MAX; i++)
    add (payload, VMSAN_FIELD_ENV, "x=", 2);
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_OK);
  add (payload, VMSAN_FIELD_ARG, "x", 1);
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_REFUSED);
  payload->used = 0;
  add (payload, VMSAN_FIELD_ARG, "x", 1);
  add (payload, VMSAN_FIELD_CWD, path, PATH_MAX);
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_REFUSED);
  /* The largest argument that a frame can carry. */
  payload->used = 0;
  memset (payload->bytes, 'x', sizeof payload->bytes);
  {
    g_autofree char *text = g_strnfill (VMSAN_FRAME_PAYLOAD_MAX - 8, 'x');

    add (payload, VMSAN_FIELD_ARG, text, -1);
  }
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_OK);
  g_assert_cmpuint (strlen (request->args.items[0]), ==, VMSAN_FRAME_PAYLOAD_MAX - 8);
  payload->used--;
  g_assert_cmpint (parse (payload, request), ==, AGENT_PARSE_MALFORMED);
}

static void
test_configurations_are_checked (void)
{
  static const struct
  {
    guint16 tag;
    const char *data;
    AgentParseResult result;
  } cases[] = {
    { VMSAN_FIELD_HOSTNAME, "vm-1.example", AGENT_PARSE_OK },
    { VMSAN_FIELD_HOSTNAME, "", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_HOSTNAME, "-x", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_HOSTNAME, "a b", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_HOSTNAME, "a\nb", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_HOSTNAME, "12345678901234567890123456789012345678901234567890123456789012345",
      AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_INIT, "auto", AGENT_PARSE_OK },
    { VMSAN_FIELD_INIT, "none", AGENT_PARSE_OK },
    { VMSAN_FIELD_INIT, "/sbin/init", AGENT_PARSE_OK },
    { VMSAN_FIELD_INIT, "sbin/init", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_CWD, "x", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_REALTIME_NS, "1234", AGENT_PARSE_REFUSED },
    { VMSAN_FIELD_REALTIME_NS, "12345678", AGENT_PARSE_OK },
  };
  g_autofree AgentConfig *config = g_new (AgentConfig, 1);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree Payload *payload = g_new0 (Payload, 1);
      AgentError error;

      add (payload, cases[i].tag, cases[i].data, -1);
      g_assert_cmpint (agent_config_parse (config, payload->bytes, payload->used, &error), ==,
                       cases[i].result);
    }
}

/* ---- Users and the environment ------------------------------------------------------------- */

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "# a comment\n"
                             "broken\n"
                             "half:x:12\n"
                             "notanumber:x:1x:1:::\n"
                             "huge:x:4294967295:1::/:/bin/sh\n"
                             "1001:x:7:7::/digits:/bin/sh\n"
                             "short:x:9:9\n"
                             "relative:x:10:10::home:sh\n"
                             "ada:x:1000:100:Ada,,,:/home/ada:/bin/zsh\n"
                             "last:x:1001:1001::/home/last:";
static const char group[] = "root:x:0:\n"
                            "users:x:100:ada\n"
                            "staff:x:50:bob,ada\n"
                            "adam:x:51:adam,xada,adax\n"
                            "empty:x:52:,\n"
                            "wheel:x:10:ada,bob";

static void
test_users_are_found (void)
{
  static const struct
  {
    const char *spec;
    guint uid;
    guint gid;
    guint n_groups;
    const char *name;
    const char *home;
    const char *shell;
  } cases[] = {
    { "", 0, 0, 1, "root", "/root", "/bin/bash" },
    { "root", 0, 0, 1, "root", "/root", "/bin/bash" },
    { "0", 0, 0, 1, "root", "/root", "/bin/bash" },
    { "ada", 1000, 100, 3, "ada", "/home/ada", "/bin/zsh" },
    { "1000", 1000, 100, 3, "ada", "/home/ada", "/bin/zsh" },
    { "ada:wheel", 1000, 10, 1, "ada", "/home/ada", "/bin/zsh" },
    { "ada:4711", 1000, 4711, 1, "ada", "/home/ada", "/bin/zsh" },
    { "ada:", 1000, 100, 3, "ada", "/home/ada", "/bin/zsh" },
    { ":staff", 0, 50, 1, "root", "/root", "/bin/bash" },
    { "4711", 4711, 0, 1, "4711", "/", "/bin/sh" },
    { "4711:4712", 4711, 4712, 1, "4711", "/", "/bin/sh" },
    { "1001", 7, 7, 1, "1001", "/digits", "/bin/sh" }, /* a name comes before a number */
    { "last", 1001, 1001, 1, "last", "/home/last", "/bin/sh" },
    { "short", 9, 9, 1, "short", "/", "/bin/sh" },
    { "relative", 10, 10, 1, "relative", "/", "/bin/sh" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      AgentUser user;
      AgentError error = { "" };

      g_assert_true (agent_user_find_in (&user, cases[i].spec, passwd, group, &error));
      g_assert_cmpuint (user.uid, ==, cases[i].uid);
      g_assert_cmpuint (user.gid, ==, cases[i].gid);
      g_assert_cmpuint (user.n_groups, ==, cases[i].n_groups);
      g_assert_cmpuint (user.groups[0], ==, cases[i].gid);
      g_assert_cmpstr (user.name, ==, cases[i].name);
      g_assert_cmpstr (user.home, ==, cases[i].home);
      g_assert_cmpstr (user.shell, ==, cases[i].shell);
    }
}

static void
test_users_that_are_not_there_are_refused (void)
{
  static const char *const specs[] = { "bob",         "half",   "notanumber",  "huge",
                                       "4294967295",  "-1",     "ada:nogroup", "ada:-1",
                                       "99999999999", "broken", "# a comment" };
  g_autofree char *endless = g_strnfill (300, 'x');
  AgentUser user;
  AgentError error;

  for (gsize i = 0; i < G_N_ELEMENTS (specs); i++)
    g_assert_false (agent_user_find_in (&user, specs[i], passwd, group, &error));
  g_assert_false (agent_user_find_in (&user, endless, passwd, group, &error));
  /* Without the files there is root, and there are numbers. */
  g_assert_true (agent_user_find_in (&user, "", NULL, NULL, &error));
  g_assert_true (agent_user_find_in (&user, "root", NULL, NULL, &error));
  g_assert_true (agent_user_find_in (&user, "12:13", NULL, NULL, &error));
  g_assert_false (agent_user_find_in (&user, "ada", NULL, NULL, &error));
}

static void
test_supplementary_groups_are_bounded (void)
{
  g_autoptr (GString) many = g_string_new ("");
  AgentUser user;
  AgentError error;

  for (guint i = 0; i < 2 * AGENT_GROUPS_MAX; i++)
    g_string_append_printf (many, "g%u:x:%u:ada\n", i, 2000 + i);
  g_assert_true (agent_user_find_in (&user, "ada", passwd, many->str, &error));
  g_assert_cmpuint (user.n_groups, ==, AGENT_GROUPS_MAX);
}

static void
test_the_request_decides_the_environment (void)
{
  g_autofree AgentEnvironment *environment = g_new0 (AgentEnvironment, 1);
  g_autofree AgentConfig *config = g_new0 (AgentConfig, 1);
  g_autofree AgentRequest *request = g_new0 (AgentRequest, 1);
  AgentUser user;
  AgentError error;

  config->env = (AgentStrings){ .items = { "A=config", "B=config", "PATH=/config" }, .n_items = 3 };
  request->env =
      (AgentStrings){ .items = { "B=request", "HOME=/request", "B=last" }, .n_items = 3 };
  g_assert_true (agent_user_find_in (&user, "ada", passwd, group, &error));
  agent_environment_make (environment, config, request, &user);
  g_assert_cmpstr (agent_environment_get (environment, "A"), ==, "config");
  g_assert_cmpstr (agent_environment_get (environment, "B"), ==, "last");
  g_assert_cmpstr (agent_environment_get (environment, "PATH"), ==, "/config");
  g_assert_cmpstr (agent_environment_get (environment, "HOME"), ==, "/request");
  g_assert_cmpstr (agent_environment_get (environment, "USER"), ==, "ada");
  g_assert_cmpstr (agent_environment_get (environment, "LOGNAME"), ==, "ada");
  g_assert_cmpstr (agent_environment_get (environment, "SHELL"), ==, "/bin/zsh");
  g_assert_null (agent_environment_get (environment, "TERM"));
  g_assert_cmpuint (environment->n_items, ==, 7);
  g_assert_null (environment->items[7]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/protocol/fields-come-back", test_fields_come_back);
  g_test_add_func ("/protocol/cut-fields-are-malformed", test_cut_fields_are_malformed);
  g_test_add_func ("/protocol/a-hello-is-found-behind-anything",
                   test_a_hello_is_found_behind_anything);
  g_test_add_func ("/protocol/an-aborted-hello-hides-no-other",
                   test_an_aborted_hello_hides_no_other);
  g_test_add_func ("/protocol/a-hello-goes-on-after-its-magic",
                   test_a_hello_goes_on_after_its_magic);
  g_test_add_func ("/protocol/frames-come-in-pieces", test_frames_come_in_pieces);
  g_test_add_func ("/protocol/what-is-no-frame-is-told", test_what_is_no_frame_is_told);
  g_test_add_func ("/protocol/output-keeps-its-order-on-a-slow-stream",
                   test_output_keeps_its_order_on_a_slow_stream);
  g_test_add_func ("/protocol/a-request-is-taken-apart", test_a_request_is_taken_apart);
  g_test_add_func ("/protocol/bad-requests-are-refused", test_bad_requests_are_refused);
  g_test_add_func ("/protocol/requests-are-bounded", test_requests_are_bounded);
  g_test_add_func ("/protocol/configurations-are-checked", test_configurations_are_checked);
  g_test_add_func ("/protocol/users-are-found", test_users_are_found);
  g_test_add_func ("/protocol/users-that-are-not-there-are-refused",
                   test_users_that_are_not_there_are_refused);
  g_test_add_func ("/protocol/supplementary-groups-are-bounded",
                   test_supplementary_groups_are_bounded);
  g_test_add_func ("/protocol/the-request-decides-the-environment",
                   test_the_request_decides_the_environment);
  return g_test_run ();
}
