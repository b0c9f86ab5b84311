/* SPDX-License-Identifier: GPL-2.0-or-later */

/* exec-timer bare SOCKET ROUNDS BYTES
 * exec-timer agent SOCKET TOKEN USER ROUNDS PROGRAM [ARGUMENT…]
 * exec-timer vm OBJECT USER ROUNDS PROGRAM [ARGUMENT…]
 *
 * Times round trips: of BYTES (or, for 0, of 8 bytes and their echo) with "guest-load serve" at the
 * other end of the channel; of a session with an agent, from the handshake to the exit status; of
 * Exec of a machine, from the D-Bus call to the exit status. Prints median and least microseconds,
 * and the bytes that came. */

#include "agent-stream.h"
#include "raw-bus.h"
#include "times.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The bare channel ---------------------------------------------------------------------- */

static guint64
trip_bare (int fd, guint64 bytes)
{
  static guint8 buffer[256 << 10];
  guint64 wanted = bytes > 0 ? bytes : sizeof bytes;
  guint64 left = wanted;

  if (send (fd, &bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
    die ("Writing to the channel: %s", g_strerror (errno));
  while (left > 0)
    {
      gssize n = read (fd, buffer, MIN (left, sizeof buffer));

      if (n <= 0)
        die ("Reading from the channel: %s", n == 0 ? "it hung up" : g_strerror (errno));
      left -= n;
    }
  return wanted;
}

/* ---- An agent ------------------------------------------------------------------------------ */

typedef struct
{
  const char *socket;
  guint8 token[VMSAN_TOKEN_SIZE];
  const char *user;
  char **argv;
  GDBusConnection *bus;
  const char *object;
} Target;

static void
read_token (Target *target, const char *hex)
{
  if (strlen (hex) != 2 * VMSAN_TOKEN_SIZE)
    die ("A token has %d digits", 2 * VMSAN_TOKEN_SIZE);
  for (guint i = 0; i < VMSAN_TOKEN_SIZE; i++)
    target->token[i] =
        g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]);
}

static guint64
trip_agent (const Target *target)
{
  uint8_t payload[4096];
  size_t used = 0;
  int fd = agent_connect (target->socket);
  guint64 bytes;

  agent_shake_hands (fd, VMSAN_SESSION_CALLER, target->token);
  for (guint i = 0; target->argv[i] != NULL; i++)
    vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_ARG, target->argv[i],
                        strlen (target->argv[i]));
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_USER, target->user,
                      strlen (target->user));
  agent_send (fd, VMSAN_FRAME_EXEC, payload, used);
  bytes = agent_drain (fd);
  close (fd);
  return bytes;
}

/* ---- A machine ----------------------------------------------------------------------------- */

static guint64
trip_vm (const Target *target)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;
  GVariantDict options;
  guint64 bytes;
  int fd;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "user", "s", target->user);
  reply = g_dbus_connection_call_with_unix_fd_list_sync (
      target->bus, "org.vmsan", target->object, "org.vmsan.VM", "Exec",
      g_variant_new ("(^as@a{sv})", target->argv, g_variant_dict_end (&options)), NULL,
      G_DBUS_CALL_FLAGS_NO_AUTO_START, 60000, NULL, &fds, NULL, &error);
  fd = reply != NULL ? g_unix_fd_list_get (fds, 0, &error) : -1;
  if (fd < 0)
    die ("Exec: %s", error->message);
  /* The service's descriptor does not block; here nothing else is to be done. */
  g_unix_set_fd_nonblocking (fd, FALSE, NULL);
  bytes = agent_drain (fd);
  close (fd);
  return bytes;
}

int
main (int argc, char **argv)
{
  const char *mode = argc > 4 ? argv[1] : "";
  gboolean bare = g_str_equal (mode, "bare");
  gboolean agent = g_str_equal (mode, "agent") && argc > 6;
  gboolean vm = g_str_equal (mode, "vm") && argc > 5;
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GError) error = NULL;
  Target target = { .socket = argv[2], .object = argv[2] };
  int rounds, fd = -1;
  guint64 bytes = 0;

  if (!bare && !agent && !vm)
    die ("Usage: see the head of exec-timer.c");
  rounds = atoi (argv[bare ? 3 : agent ? 5 : 4]);
  if (bare)
    fd = agent_connect (argv[2]);
  else
    {
      target.argv = argv + (agent ? 6 : 5);
      target.user = argv[agent ? 4 : 3];
      if (agent)
        read_token (&target, argv[3]);
      else if ((target.bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &error)) == NULL)
        die ("%s", error->message);
    }
  for (int round = 0; round < rounds; round++)
    {
      gint64 start = now_ns ();
      gint64 taken;

      if (bare)
        bytes = trip_bare (fd, g_ascii_strtoull (argv[4], NULL, 10));
      else
        bytes = agent ? trip_agent (&target) : trip_vm (&target);
      taken = now_ns () - start;
      g_array_append_val (times, taken);
    }
  g_array_sort (times, compare_times);
  printf ("%.1f %.1f %" G_GUINT64_FORMAT "\n", g_array_index (times, gint64, rounds / 2) / 1e3,
          g_array_index (times, gint64, 0) / 1e3, bytes);
  return 0;
}
