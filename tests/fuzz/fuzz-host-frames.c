/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Fuzzing of the host's side of the agent's protocol: a guest that sends anything, in pieces of any
 * size, to the handshake, the control session and a run. Whatever it sends, each ends exactly once,
 * lets its descriptor go, and gives an exit code only for a whole EXITED.
 *
 * An input: which session, the size of the pieces, and what the guest sends. In a handshake's bytes
 * the nonce of "NONCE NONCE NONC" is replaced by the right one, which no fuzzer would guess. */

#include "fuzz-input.h"

#include "agent/protocol.h"
#include "sys/error.h"
#include "vm/agent-control.h"
#include "vm/agent-exec.h"
#include "vm/agent-handshake.h"

#include <sys/socket.h>
#include <unistd.h>

#define N_INPUTS  20000
#define NONCE     "NONCE NONCE NONC"
#define INPUT_MAX (80 << 10) /* more than a frame */

G_STATIC_ASSERT (sizeof NONCE - 1 == VMSAN_NONCE_SIZE);

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

typedef struct
{
  int host;
  int guest;
  GAsyncResult *result;
  gsize piece;
  gsize sent;
} Stream;

static void
keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Stream *stream = user_data;

  g_assert_null (stream->result);
  stream->result = g_object_ref (result);
}

static void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* Sends all in pieces, and then hangs up. */
static void
send_all (Stream *stream, const guint8 *data, gsize size)
{
  for (gsize at = 0; at < size; at += stream->piece)
    {
      gssize n = send (stream->guest, data + at, MIN (stream->piece, size - at), MSG_NOSIGNAL);

      /* Full, when nobody reads any more. */
      if (n < 0)
        break;
      stream->sent += n;
      run_loop ();
    }
  close (stream->guest);
  while (stream->result == NULL)
    g_main_context_iteration (NULL, TRUE);
  run_loop ();
}

static void
fuzz_handshake (Stream *stream, const guint8 *data, gsize size)
{
  static const guint8 token[VMSAN_TOKEN_SIZE];
  g_autofree guint8 *bytes = g_memdup2 (data, size);
  VmsanHello hello;

  vmsan_agent_handshake_async (stream->host, VMSAN_SESSION_CALLER, token, 60000, NULL, keep_result,
                               stream);
  g_assert_cmpint (recv (stream->guest, &hello, sizeof hello, 0), ==, sizeof hello);
  for (gsize i = 0; i + VMSAN_NONCE_SIZE <= size; i++)
    if (memcmp (bytes + i, NONCE, VMSAN_NONCE_SIZE) == 0)
      memcpy (bytes + i, hello.nonce, VMSAN_NONCE_SIZE);
  send_all (stream, bytes, size);
  if (vmsan_agent_handshake_finish (stream->result, NULL))
    {
      VmsanWelcome welcome = { .version = VMSAN_PROTOCOL_VERSION };
      gsize used = offsetof (VmsanWelcome, zero);
      guint8 rest[INPUT_MAX];
      gssize unread = recv (stream->host, rest, sizeof rest, 0);
      gsize end = stream->sent - MAX (unread, 0);

      /* What it accepted stood there, directly before what it left. */
      memcpy (welcome.magic, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
      memcpy (welcome.nonce, hello.nonce, VMSAN_NONCE_SIZE);
      g_assert_cmpuint (end, >=, sizeof welcome);
      g_assert_cmpmem (bytes + end - sizeof welcome, used, &welcome, used);
    }
  close (stream->host);
}

static void
count_closed (VmsanAgentControl *control, const char *message, guint *n_closed)
{
  g_assert_true (g_utf8_validate (message, -1, NULL));
  (*n_closed)++;
}

static void
fuzz_control (Stream *stream, const guint8 *data, gsize size)
{
  VmsanAgentControl *control = vmsan_agent_control_new (stream->host);
  VmsanGuestConfiguration configuration = { "host", "auto" };
  g_autoptr (GError) error = NULL;
  guint n_closed = 0, boot_ms = 0;

  g_signal_connect (control, "closed", G_CALLBACK (count_closed), &n_closed);
  vmsan_agent_control_configure_async (control, &configuration, 60000, NULL, keep_result, stream);
  send_all (stream, data, size);
  if (!vmsan_agent_control_configure_finish (control, stream->result, &boot_ms, &error))
    g_assert_true (error->domain == VMSAN_ERROR && g_utf8_validate (error->message, -1, NULL));
  g_clear_object (&stream->result);
  g_assert_cmpuint (n_closed, ==, 1);
  g_assert_cmpuint (G_OBJECT (control)->ref_count, ==, 1);
  g_object_unref (control);
}

static void
fuzz_run (Stream *stream, const guint8 *data, gsize size)
{
  const char *const argv[] = { "program", NULL };
  g_autoptr (GBytes) input = g_bytes_new_static ("input", 5);
  g_autoptr (VmsanExecRequest) request =
      vmsan_exec_request_new (argv, NULL, NULL, NULL, 60000, input, NULL);
  g_autoptr (VmsanRunResult) run = NULL;
  g_autoptr (GError) error = NULL;

  vmsan_agent_run_async (stream->host, request, NULL, keep_result, stream);
  send_all (stream, data, size);
  run = vmsan_agent_run_finish (stream->result, &error);
  if (run == NULL)
    {
      g_assert_true (error->domain == VMSAN_ERROR && g_utf8_validate (error->message, -1, NULL));
      return;
    }
  g_assert_cmpint (run->exit_code, >=, 0);
  g_assert_cmpint (run->exit_code, <=, 255);
  g_assert_cmpint (run->signal_number, >=, 0);
  g_assert_cmpint (run->signal_number, <=, 64);
  g_assert_cmpuint (run->output->len + run->errors->len, <=, size);
  /* A start and an exit are the least. */
  g_assert_cmpuint (size, >=, 12 + 20);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static void (*const sessions[]) (Stream *, const guint8 *, gsize) = { fuzz_handshake,
                                                                        fuzz_control, fuzz_run };
  Stream stream = { 0 };
  int fds[2];

  if (size < 2 || size > INPUT_MAX)
    return 0;
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
    g_error ("socketpair: %s", g_strerror (errno));
  stream.host = fds[0];
  stream.guest = fds[1];
  stream.piece = 1 + data[1];
  sessions[data[0] % G_N_ELEMENTS (sessions)](&stream, data + 2, size - 2);
  g_clear_object (&stream.result);
  return 0;
}

#ifndef VMSAN_LIBFUZZER
static void
append_frame (FuzzInput *input, guint8 type, gconstpointer payload, gsize length)
{
  VmsanFrameHeader header = { .type = type, .length = length };

  fuzz_append (input, &header, sizeof header);
  fuzz_append (input, payload, length);
}

static void
append_field_frame (FuzzInput *input, guint8 type, guint16 tag)
{
  guint8 payload[64];
  gsize used = 0;
  guint32 value = fuzz_below (input, 4);

  for (guint n = fuzz_below (input, 3); n > 0; n--)
    vmsan_field_append (payload, sizeof payload, &used, tag, &value, sizeof value);
  append_frame (input, type, payload, used);
}

static void
make_handshake (FuzzInput *input)
{
  VmsanWelcome welcome = { .version = VMSAN_PROTOCOL_VERSION, .status = fuzz_below (input, 3) / 2 };

  memcpy (welcome.magic, VMSAN_WELCOME_MAGIC, VMSAN_MAGIC_SIZE);
  memcpy (welcome.nonce, NONCE, VMSAN_NONCE_SIZE);
  for (guint n = fuzz_below (input, 4); n > 0; n--)
    fuzz_append (input, &welcome, fuzz_below (input, sizeof welcome));
  fuzz_append (input, &welcome, sizeof welcome);
  fuzz_append (input, "behind it", fuzz_below (input, 10));
}

static void
make_control (FuzzInput *input)
{
  static const struct
  {
    guint8 type;
    guint16 tag;
  } frames[] = {
    { VMSAN_FRAME_READY, VMSAN_FIELD_BOOT_MS }, { VMSAN_FRAME_FAILED, VMSAN_FIELD_MESSAGE },
    { VMSAN_FRAME_SESSIONS, VMSAN_FIELD_PORT }, { VMSAN_FRAME_SESSION_ENDED, VMSAN_FIELD_PORT },
    { VMSAN_FRAME_PONG, VMSAN_FIELD_MESSAGE },
  };

  for (guint n = fuzz_below (input, 6); n > 0; n--)
    {
      guint which = fuzz_below (input, G_N_ELEMENTS (frames));

      append_field_frame (input, frames[which].type, frames[which].tag);
    }
}

static void
make_run (FuzzInput *input)
{
  guint32 pid = 1;
  VmsanExited exited = { fuzz_below (input, 3), 0, fuzz_below (input, 8) / 7 };

  if (fuzz_below (input, 4) == 0)
    append_field_frame (input, VMSAN_FRAME_EXEC_FAILED, VMSAN_FIELD_CODE + fuzz_below (input, 2));
  append_frame (input, VMSAN_FRAME_STARTED, &pid, sizeof pid);
  if (fuzz_below (input, 200) == 0)
    {
      gsize length = VMSAN_FRAME_PAYLOAD_MAX - 16 + fuzz_below (input, 4096);
      g_autofree guint8 *payload = g_malloc0 (length);

      append_frame (input, VMSAN_FRAME_STDOUT, payload, length);
    }
  for (guint n = fuzz_below (input, 4); n > 0; n--)
    append_frame (input, VMSAN_FRAME_STDOUT + fuzz_below (input, 4), "output",
                  fuzz_below (input, 7));
  append_frame (input, VMSAN_FRAME_EXITED, &exited, sizeof exited);
}

static void
make_session (FuzzInput *input)
{
  static void (*const makers[]) (FuzzInput *) = { make_handshake, make_control, make_run };
  static const char pieces[] =
      "\0\1\2\4\x08\x0c\x10\x11\x14\x15\x16\x17\x30\x31\x33\x37\x7f\x80\xff";
  guint8 head[2] = { fuzz_below (input, G_N_ELEMENTS (makers)), fuzz_below (input, 60) };
  FuzzInput body = { input->random, g_byte_array_new () };

  makers[head[0]](&body);
  if (fuzz_below (input, 8) > 0)
    fuzz_damage (&body, pieces, sizeof pieces - 1);
  fuzz_append (input, head, sizeof head);
  fuzz_append (input, body.bytes->data, body.bytes->len);
  g_byte_array_unref (body.bytes);
}

int
main (int argc, char **argv)
{
  return fuzz_main (argc, argv, N_INPUTS, make_session, LLVMFuzzerTestOneInput);
}
#endif
