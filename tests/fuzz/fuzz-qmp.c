/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Fuzzing of the QMP client: the parser of one message, and a whole connection to a QEMU that says
 * anything.
 *
 * LLVMFuzzerTestOneInput() is libFuzzer's entry. Built without libFuzzer, main() below makes a
 * bounded number of inputs from well-formed messages, the same for the same seed:
 * "fuzz-qmp SEED FIRST" goes on from there. */

#include "sanitizer-options.h"
#include "sys/fd.h"
#include "vmm/qemu/qmp-message.h"
#include "vmm/qemu/qmp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define N_INPUTS    20000
#define INPUT_MAX   (64u << 10)
#define N_COMMANDS  3
#define DEADLINE_MS 20000

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
require (gboolean condition, const char *what)
{
  if (condition)
    return;
  fprintf (stderr, "not so: %s\n", what);
  abort ();
}

/* ---- One message --------------------------------------------------------------------------- */

static void
check_message (const VmsanQmpMessage *message)
{
  switch (message->type)
    {
    case VMSAN_QMP_GREETING:
      break;
    case VMSAN_QMP_EVENT:
      require (message->name != NULL, "an event has a name");
      break;
    case VMSAN_QMP_RESULT:
      require (message->result != NULL, "a result is there");
      break;
    case VMSAN_QMP_REFUSAL:
      require (message->name != NULL && message->reason != NULL, "a refusal has a reason");
      require (strpbrk (message->reason, "\n\r\033\t") == NULL, "a reason can be shown");
      require (g_utf8_validate (message->reason, -1, NULL), "a reason is UTF-8");
      break;
    default:
      require (FALSE, "a message has a type");
    }
}

static void
fuzz_message (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanQmpMessage) message = vmsan_qmp_message_parse ((const char *) data, size, &error);

  require ((message == NULL) == (error != NULL), "there is a message or an error");
  if (message != NULL)
    check_message (message);
}

/* ---- A connection -------------------------------------------------------------------------- */

typedef struct
{
  VmsanQmp *qmp;
  gboolean open_done;
  guint n_answered;
} Connection;

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Connection *self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) node = vmsan_qmp_execute_finish (VMSAN_QMP (source), result, &error);

  require ((node == NULL) == (error != NULL), "there is an answer or an error");
  self->n_answered++;
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Connection *self = user_data;
  g_autoptr (GError) error = NULL;

  self->qmp = vmsan_qmp_open_finish (result, &error);
  require ((self->qmp == NULL) == (error != NULL), "it is open or there is an error");
  self->open_done = TRUE;
  for (int i = 0; self->qmp != NULL && i < N_COMMANDS; i++)
    vmsan_qmp_execute_async (self->qmp, "cont", NULL, DEADLINE_MS, NULL, on_answer, self);
}

/* QEMU's part: what it says first, after the first command, and after all commands. */
typedef struct
{
  const char *next;
  gsize left;
  guint n_said;
} Script;

/* Says what is before the next form feed, in the end all that is left, and then hangs up. */
static void
say_next (Script *script, int fd)
{
  const char *end = script->n_said < 2 ? memchr (script->next, '\f', script->left) : NULL;
  gsize length = end != NULL ? (gsize) (end - script->next) : script->left;

  send (fd, script->next, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  script->n_said++;
  script->next += length;
  script->left -= length;
  if (end == NULL)
    {
      shutdown (fd, SHUT_WR);
      return;
    }
  script->next++;
  script->left--;
}

static void
fuzz_connection (const uint8_t *data, size_t size)
{
  Script script = { (const char *) data, size, 0 };
  Connection self = { 0 };
  vmsan_autofd int peer = -1;
  int pair[2];

  require (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0,
           "sockets can be made");
  peer = pair[1];
  vmsan_qmp_open_async (pair[0], DEADLINE_MS, NULL, on_opened, &self);
  /* All is in this thread: when nothing is left to do, the client waits for QEMU. */
  while (!self.open_done || (self.qmp != NULL && self.n_answered < N_COMMANDS))
    if (!g_main_context_iteration (NULL, FALSE))
      say_next (&script, peer);
  if (self.qmp == NULL)
    return;
  vmsan_qmp_drain (self.qmp);
  g_object_unref (self.qmp);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size > INPUT_MAX)
    return 0;
  fuzz_message (data, size);
  fuzz_connection (data, size);
  return 0;
}

#ifndef VMSAN_LIBFUZZER
/* ---- Inputs without libFuzzer -------------------------------------------------------------- */

static void
append_part (GRand *random, GString *input)
{
  static const char *const parts[] = {
    "{\"return\": {}, \"id\": 2}\n",
    "{\"return\": [1, {\"a\": null}], \"id\": 3}\n",
    "{\"return\": true, \"id\": 4}\n",
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u0007\\n\"}, \"id\": 2}\n",
    "{\"error\": {\"class\": \"CommandNotFound\"}, \"id\": 3}\n",
    "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
    "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\n",
    "\f",
    "[[[[[[[[[[[[",
    "\\ud800\\udc00",
    "\"id\": 1e400,",
    "/* comment */",
    "\r\n",
  };

  g_string_append (input, parts[g_rand_int_range (random, 0, G_N_ELEMENTS (parts))]);
}

static void
mutate (GRand *random, GString *input)
{
  for (int n = g_rand_int_range (random, 0, 6); n > 0 && input->len > 0; n--)
    {
      gsize at = g_rand_int_range (random, 0, input->len);
      gsize wanted = g_rand_int_range (random, 1, 9);
      gsize length = MIN (wanted, input->len - at);

      switch (g_rand_int_range (random, 0, 4))
        {
        case 0:
          input->str[at] ^= 1 << g_rand_int_range (random, 0, 8);
          break;
        case 1:
          g_string_erase (input, at, length);
          break;
        case 2:
          g_string_insert_len (input, at, input->str + at, length);
          break;
        default:
          g_string_truncate (input, at);
        }
    }
}

/* Mostly a good beginning, so that what follows is reached. */
static void
make_input (GRand *random, GString *input)
{
  g_string_assign (input, "");
  if (g_rand_int_range (random, 0, 8) > 0)
    g_string_append (input, "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\n\f"
                            "{\"return\": {}, \"id\": 1}\n\f");
  for (int n = g_rand_int_range (random, 0, 8); n > 0; n--)
    append_part (random, input);
  if (g_rand_int_range (random, 0, 3) > 0)
    mutate (random, input);
}

int
main (int argc, char **argv)
{
  guint32 seed = argc > 1 ? strtoul (argv[1], NULL, 10) : 1;
  guint first = argc > 2 ? strtoul (argv[2], NULL, 10) : 0;
  g_autoptr (GString) input = g_string_new (NULL);

  for (guint i = first; i < N_INPUTS; i++)
    {
      g_autoptr (GRand) random = g_rand_new_with_seed (seed * N_INPUTS + i);

      make_input (random, input);
      if (i % 1000 == 0)
        printf ("seed %u, input %u\n", seed, i);
      fflush (stdout);
      LLVMFuzzerTestOneInput ((const uint8_t *) input->str, input->len);
    }
  return 0;
}
#endif
