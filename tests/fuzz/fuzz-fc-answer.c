/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What Firecracker answers: the body, and all of a connection, HTTP included. */

#include "fuzz-input.h"
#include "sanitizer-options.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/firecracker/fc-api.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

#define INPUT_MAX   65536
#define N_INPUTS    4000
#define N_REQUESTS  2
#define DEADLINE_MS 30000

static void
require (gboolean condition, const char *what)
{
  if (!condition)
    g_error ("Not true: %s", what);
}

static void
require_shown (const GError *error)
{
  require (g_utf8_validate (error->message, -1, NULL), "a message is UTF-8");
  require (strpbrk (error->message, "\n\r\033\t") == NULL, "a message can be shown");
  require (strlen (error->message) < 4096, "a message is short");
}

/* ---- Bodies -------------------------------------------------------------------------------- */

static void
fuzz_version (const guint8 *data, gsize size)
{
  g_autofree char *text = size > 0 ? g_strndup ((const char *) data, size) : g_strdup ("");
  g_autoptr (GError) error = NULL;
  VmsanFcVersion version = { 0 };

  if (vmsan_fc_version_parse (text, &version, &error))
    require (version.major > 1 || version.minor >= 10, "old versions are refused");
  else
    require_shown (error);
}

static void
fuzz_answer (const guint8 *data, gsize size)
{
  static const guint statuses[] = { 200, 204, 400, 500, 100, 0, 999 };
  guint status = size > 0 ? statuses[data[0] % G_N_ELEMENTS (statuses)] : 200;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) reason = NULL;
  g_autoptr (JsonObject) answer =
      vmsan_fc_answer_parse ("PUT /vsock", status, (const char *) data, size, &error);
  VmsanFcVersion version;
  VmsanFcState state = VMSAN_FC_NOT_STARTED;

  require ((answer == NULL) == (error != NULL), "there is an answer or an error");
  if (answer == NULL)
    {
      require_shown (error);
      return;
    }
  if (!vmsan_fc_answer_read_version (answer, &version, &reason))
    require_shown (reason);
  g_clear_error (&reason);
  if (!vmsan_fc_answer_read_state (answer, &state, &reason))
    require_shown (reason);
  require (state <= VMSAN_FC_PAUSED, "a state is one of them");
}

/* ---- A connection -------------------------------------------------------------------------- */

/* Firecracker's part: what it says to each request, and in the end all that is left. */
typedef struct
{
  int listener;
  int fd; /* -1: no connection */
  const char *next;
  gsize left;
} Script;

/* Of the one socket for all inputs. */
static char *dir;

static void
remove_dir (void)
{
  g_autofree char *path = g_build_filename (dir, "api.sock", NULL);

  g_unlink (path);
  g_rmdir (dir);
  g_free (dir);
}

static int
open_listener (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/api.sock", dir);
  require (bind (fd, (struct sockaddr *) &address, sizeof address) == 0 && listen (fd, 8) == 0,
           "a socket can be made");
  return fd;
}

/* Nothing else is left to do: the client waits. Accepts it, or says what is before the next form
 * feed, or hangs up. */
static void
say_next (Script *script)
{
  const char *end;
  gsize length;

  if (script->fd < 0)
    {
      script->fd = accept4 (script->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
      return;
    }
  if (script->left == 0)
    {
      vmsan_fd_close (&script->fd);
      return;
    }
  end = memchr (script->next, '\f', script->left);
  length = end != NULL ? (gsize) (end - script->next) : script->left;
  send (script->fd, script->next, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  length += end != NULL;
  script->next += length;
  script->left -= length;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  guint *n_answered = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = vmsan_fc_api_send_finish (VMSAN_FC_API (source), result, &error);

  require ((answer == NULL) == (error != NULL), "there is an answer or an error");
  if (error != NULL)
    require_shown (error);
  (*n_answered)++;
}

static void
fuzz_connection (const guint8 *data, gsize size)
{
  static int dir_fd, listener;
  Script script = { .fd = -1, .next = (const char *) data, .left = size };
  g_autoptr (VmsanFcRequest) request = vmsan_fc_request_new_set_paused (TRUE);
  g_autoptr (VmsanFcApi) api = NULL;
  guint n_answered = 0;

  if (dir == NULL)
    {
      dir = g_dir_make_tmp ("vmsan-fuzz-XXXXXX", NULL);
      dir_fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      listener = open_listener ();
      atexit (remove_dir);
    }
  script.listener = listener;
  api = vmsan_fc_api_open (dir_fd, "api.sock", NULL);
  require (api != NULL, "the socket can be opened");
  for (guint i = 0; i < N_REQUESTS; i++)
    vmsan_fc_api_send_async (api, request, DEADLINE_MS, NULL, on_answer, &n_answered);
  while (n_answered < N_REQUESTS)
    if (!g_main_context_iteration (NULL, FALSE))
      say_next (&script);
  vmsan_fd_close (&script.fd);
  /* One that was never accepted must not be the next one's. */
  g_clear_object (&api);
  while ((script.fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
    vmsan_fd_close (&script.fd);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size > INPUT_MAX)
    return 0;
  fuzz_version (data, size);
  fuzz_answer (data, size);
  fuzz_connection (data, size);
  return 0;
}

#ifndef VMSAN_LIBFUZZER
/* ---- Inputs without libFuzzer -------------------------------------------------------------- */

static void
make_input (FuzzInput *input)
{
  static const char *const parts[] = {
    "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.1 200 \r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n"
    "{\"firecracker_version\":\"1.15.1\"}",
    "HTTP/1.1 400 \r\nContent-Length: 21\r\n\r\n{\"fault_message\":\"no\"}",
    "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "HTTP/1.1 100 \r\n\r\n",
    "HTTP/1.1 301 \r\nLocation: http://localhost/x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 \r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n{\"state\":\"Running\"}",
    "{\"state\":\"Not started\",\"id\":\"x\"}",
    "{\"fault_message\":\"\\u001b[1m\\ud800\"}",
    "Content-Encoding: gzip\r\n",
    "1.16.1",
    "1.17.0-dev",
    "\f",
    "\r\n\r\n",
    "[[[[[[[[[[[[[[[[",
  };
  static const char pieces[] = "\r\n:{}[]\"0\f \\";

  for (guint n = fuzz_below (input, 6); n > 0; n--)
    {
      const char *part = parts[fuzz_below (input, G_N_ELEMENTS (parts))];

      fuzz_append (input, part, strlen (part));
      if (fuzz_below (input, 3) == 0)
        fuzz_append (input, "\f", 1);
    }
  if (fuzz_below (input, 3) > 0)
    fuzz_damage (input, pieces, sizeof pieces - 1);
}

int
main (int argc, char **argv)
{
  return fuzz_main (argc, argv, N_INPUTS, make_input, LLVMFuzzerTestOneInput);
}
#endif
