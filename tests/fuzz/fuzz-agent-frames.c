/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Fuzzing of the guest's side of the protocol: the parsers, and a whole session fed through a
 * socket by a host that sends anything.
 *
 * LLVMFuzzerTestOneInput() is libFuzzer's entry. Built without libFuzzer, main() below makes a
 * bounded number of inputs from well-formed ones, the same for the same seed, so that this runs
 * with the other tests: under gcc, with the sanitizers that the build has. It tells how far it is;
 * "fuzz-agent-frames SEED FIRST" goes on from there. */

#include "agent/frames.h"
#include "agent/handshake.h"
#include "agent/request.h"
#include "agent/session.h"
#include "agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_INPUTS      20000
#define SESSION_EVERY 50 /* sessions are processes, which are slow */
#define INPUT_MAX     (80u << 10)
#define SESSION_S     20 /* after which a session that does not end is a failure */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static AgentConfig config;
static AgentRequest request;
static const AgentConfig session_config;

static void
require (bool condition, const char *what)
{
  if (condition)
    return;
  fprintf (stderr, "not so: %s\n", what);
  abort ();
}

/* ---- The parsers --------------------------------------------------------------------------- */

static void
check_strings (const AgentStrings *strings)
{
  require (strings->n_items <= VMSAN_ARGS_MAX, "the number of strings is bounded");
  require (strings->items[strings->n_items] == NULL, "the strings end with NULL");
  for (size_t i = 0; i < strings->n_items; i++)
    require (strlen (strings->items[i]) <= VMSAN_FRAME_PAYLOAD_MAX, "a string is bounded");
}

static void
check_network (const AgentNetConfig *net)
{
  require (net->n_resolvers <= AGENT_RESOLVERS_MAX, "the number of resolvers is bounded");
  require (net->v4.prefix <= 32 && net->v6.prefix <= 128, "a prefix is bounded");
  require (net->v4.address.family == AF_INET || net->v4.gateway.family == AF_UNSPEC,
           "a gateway has an address beside it");
  require (net->v6.address.family == AF_INET6 || net->v6.gateway.family == AF_UNSPEC,
           "a gateway has an address beside it");
  require (net->n_resolvers == 0 || agent_net_config_is_wanted (net),
           "resolvers have an address beside them");
}

static void
fuzz_payload (const uint8_t *payload, size_t length)
{
  AgentError error = { "" };

  if (agent_request_parse (&request, payload, length, &error) == AGENT_PARSE_OK)
    {
      check_strings (&request.args);
      check_strings (&request.env);
      require (request.args.n_items > 0, "a request has a program");
    }
  if (agent_config_parse (&config, payload, length, &error) == AGENT_PARSE_OK)
    {
      check_strings (&config.env);
      check_network (&config.net);
    }
}

static void
fuzz_frames (const uint8_t *data, size_t size)
{
  static AgentFrameReader reader;
  AgentFrameStatus status;
  AgentFrame frame;
  int ends[2];

  require (pipe2 (ends, O_NONBLOCK) == 0, "a pipe can be made");
  agent_frame_reader_reset (&reader);
  do
    {
      /* As much as a pipe takes: the reader sees frames cut anywhere. */
      const ssize_t n = size > 0 ? write (ends[1], data, size < 4099 ? size : 4099) : 0;

      if (n > 0)
        {
          data += n;
          size -= (size_t) n;
        }
      while ((status = agent_frame_reader_read (&reader, ends[0], &frame)) == AGENT_FRAME_COMPLETE)
        {
          require (frame.length <= VMSAN_FRAME_PAYLOAD_MAX, "a frame is bounded");
          fuzz_payload (frame.payload, frame.length);
        }
    }
  while (status == AGENT_FRAME_NONE && size > 0);
  close (ends[0]);
  close (ends[1]);
}

static void
fuzz_handshake (const uint8_t *data, size_t size)
{
  AgentHandshake handshake;
  VmsanHello hello;

  agent_handshake_init (&handshake, false);
  while (size > 0)
    {
      const size_t wanted = agent_handshake_wanted (&handshake);
      const size_t n = size < wanted ? size : wanted;

      require (wanted > 0, "a handshake that goes on wants bytes");
      if (agent_handshake_feed (&handshake, data, n))
        {
          agent_handshake_get_hello (&handshake, &hello);
          require (memcmp (hello.magic, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE) == 0,
                   "a hello begins with its magic");
          agent_handshake_skip (&handshake);
        }
      data += n;
      size -= n;
    }
}

static void
fuzz_users (const uint8_t *data, size_t size)
{
  /* The input is both the files and who is looked for. */
  char *text = malloc (size + 1);
  char spec[AGENT_USER_SPEC_MAX];
  AgentError error;
  AgentUser user;

  require (text != NULL, "there is memory");
  memcpy (text, data, size);
  text[size] = '\0';
  snprintf (spec, sizeof spec, "%s", text);
  spec[strcspn (spec, "\n")] = '\0';
  if (agent_user_find_in (&user, spec, text, text, &error))
    require (user.n_groups >= 1 && user.n_groups <= AGENT_GROUPS_MAX && user.uid != UINT32_MAX,
             "a user is bounded");
  free (text);
}

/* ---- A session ----------------------------------------------------------------------------- */

static void
run_session (int stream)
{
  alarm (SESSION_S);
  _exit (agent_session_run (stream, true, &session_config));
}

/* Sends all and hangs up, while what comes is thrown away. */
static void
play_host (int fd, const uint8_t *data, size_t size)
{
  uint8_t answer[4096];

  while (size > 0)
    {
      const ssize_t n = send (fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

      if (n < 0 && errno != EAGAIN)
        break;
      if (n > 0)
        {
          data += n;
          size -= (size_t) n;
        }
      while (recv (fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        ;
    }
  close (fd);
}

static void
fuzz_session (const uint8_t *data, size_t size)
{
  int ends[2], wait_status;
  pid_t pid;

  require (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "sockets can be made");
  require (fcntl (ends[1], F_SETFL, O_NONBLOCK) == 0, "a socket can be set up");
  pid = fork ();
  if (pid == 0)
    {
      close (ends[0]);
      run_session (ends[1]);
    }
  require (pid > 0, "a process can be made");
  close (ends[1]);
  play_host (ends[0], data, size);
  require (waitpid (pid, &wait_status, 0) == pid, "a session ends");
  require (WIFEXITED (wait_status) && WEXITSTATUS (wait_status) <= AGENT_SESSION_HELLO,
           "a session ends well");
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size > INPUT_MAX)
    return 0;
  fuzz_payload (data, size);
  fuzz_frames (data, size);
  fuzz_handshake (data, size);
  fuzz_users (data, size);
  return 0;
}

#ifndef VMSAN_LIBFUZZER
/* ---- Inputs without libFuzzer -------------------------------------------------------------- */

typedef struct
{
  uint8_t bytes[INPUT_MAX];
  size_t used;
} Input;

static uint64_t random_state;

/* splitmix64: the same everywhere. */
static uint64_t
next_random (void)
{
  uint64_t z = random_state += 0x9e3779b97f4a7c15;

  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static size_t
below (size_t limit)
{
  return limit > 0 ? next_random () % limit : 0;
}

static void
append (Input *input, const void *data, size_t length)
{
  if (length > sizeof input->bytes - input->used)
    length = sizeof input->bytes - input->used;
  memcpy (input->bytes + input->used, data, length);
  input->used += length;
}

/* A payload of fields that are mostly right: programs that end at once and do no harm. */
static size_t
make_fields (uint8_t *payload, size_t capacity)
{
  static const struct
  {
    uint16_t tag;
    uint32_t length;
    const char *data;
  } choices[] = {
    { VMSAN_FIELD_ARG, 4, "true" },
    { VMSAN_FIELD_ARG, 9, "/bin/true" },
    { VMSAN_FIELD_ENV, 3, "A=b" },
    { VMSAN_FIELD_ENV, 5, "PATH=" },
    { VMSAN_FIELD_ENV, 2, "xx" },
    { VMSAN_FIELD_CWD, 1, "/" },
    { VMSAN_FIELD_CWD, 5, "/none" },
    { VMSAN_FIELD_USER, 4, "root" },
    { VMSAN_FIELD_USER, 5, "1:2:3" },
    { VMSAN_FIELD_TIMEOUT_MS, 8, "\377\0\0\0\0\0\0\0" },
    { VMSAN_FIELD_TIMEOUT_MS, 8, "\377\377\377\377\377\377\377\377" },
    { VMSAN_FIELD_TTY, 4, "\30\0\120\0" },
    { VMSAN_FIELD_HOSTNAME, 2, "vm" },
    { VMSAN_FIELD_INIT, 4, "auto" },
    { VMSAN_FIELD_REALTIME_NS, 8, "\0\0\0\0\0\0\0\1" },
    { VMSAN_FIELD_ADDRESS, 11, "10.1.2.3/24" },
    { VMSAN_FIELD_ADDRESS, 10, "fd00::2/64" },
    { VMSAN_FIELD_GATEWAY, 8, "10.1.2.1" },
    { VMSAN_FIELD_GATEWAY, 7, "fe80::1" },
    { VMSAN_FIELD_RESOLVER, 7, "1.1.1.1" },
    { 999, 0, "" },
  };
  size_t used = 0;

  vmsan_field_append (payload, capacity, &used, VMSAN_FIELD_ARG, "true", 4);
  for (size_t n = below (6); n > 0; n--)
    {
      const size_t i = below (sizeof choices / sizeof *choices);

      vmsan_field_append (payload, capacity, &used, choices[i].tag, choices[i].data,
                          choices[i].length);
    }
  return used;
}

static void
append_frame (Input *input, uint8_t type, const void *payload, size_t length)
{
  const VmsanFrameHeader header = { .type = type, .length = (uint32_t) length };

  append (input, &header, sizeof header);
  append (input, payload, length);
}

static void
make_conversation (Input *input)
{
  static const uint8_t types[] = { VMSAN_FRAME_EXEC,        VMSAN_FRAME_STDIN,
                                   VMSAN_FRAME_STDIN_EOF,   VMSAN_FRAME_SIGNAL,
                                   VMSAN_FRAME_WINDOW_SIZE, VMSAN_FRAME_CONFIGURE,
                                   VMSAN_FRAME_STDOUT,      0 };
  static uint8_t payload[VMSAN_FRAME_PAYLOAD_MAX];

  input->used = 0;
  append_frame (input, VMSAN_FRAME_EXEC, payload, make_fields (payload, sizeof payload));
  for (size_t n = below (8); n > 0; n--)
    {
      const uint8_t type = types[below (sizeof types)];
      const size_t length = type == VMSAN_FRAME_STDIN       ? below (sizeof payload)
                            : type == VMSAN_FRAME_STDIN_EOF ? 0
                            : type == VMSAN_FRAME_EXEC      ? make_fields (payload, sizeof payload)
                                                            : 4;

      if (type == VMSAN_FRAME_SIGNAL)
        payload[0] = (uint8_t) below (70);
      append_frame (input, type, payload, length);
    }
  if (below (8) == 0)
    append (input, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
}

static void
mutate (Input *input)
{
  for (size_t n = below (6); n > 0 && input->used > 0; n--)
    {
      /* The headers and fields at the beginning are worth more than input bytes. */
      const size_t at =
          below (below (2) == 0 ? input->used : (input->used < 64 ? input->used : 64));

      switch (below (4))
        {
        case 0:
          input->bytes[at] = (uint8_t) next_random ();
          break;
        case 1:
          input->bytes[at] ^= (uint8_t) (1u << below (8));
          break;
        case 2:
          input->used = at;
          break;
        default:
          memmove (input->bytes + at, input->bytes + at + 1, input->used - at - 1);
          input->used--;
          break;
        }
    }
}

int
main (int argc, char **argv)
{
  static Input input;
  const uint64_t seed = argc > 1 ? strtoull (argv[1], NULL, 0) : 1;
  const size_t first = argc > 2 ? strtoul (argv[2], NULL, 0) : 0;

  for (size_t i = first; i < N_INPUTS; i++)
    {
      random_state = seed * N_INPUTS + i;
      make_conversation (&input);
      mutate (&input);
      if (i % 1000 == 0)
        fprintf (stderr, "seed %lu, input %zu\n", (unsigned long) seed, i);
      LLVMFuzzerTestOneInput (input.bytes, input.used);
      if (i % SESSION_EVERY == 0)
        fuzz_session (input.bytes, input.used);
    }
  return 0;
}
#endif
