/* SPDX-License-Identifier: GPL-2.0-or-later */

/* bus-timer ROUNDS CALL [CALL]
 * bus-timer --save FILE CALL
 *
 * Times two calls, turn by turn, so that whatever else the machine does meets both alike; or one.
 * CALL is a GVariant of type (ssssv) in text: destination, path, interface, method, arguments (a
 * tuple). Prints a line for each: median and least microseconds, and the bytes of the reply.
 *
 * With --save, the reply goes to a file, for ready-service to give. */

#include "raw-bus.h"
#include "times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 2
#define WARM_UP   3

static GByteArray *
parse_call (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) call =
      g_variant_parse (G_VARIANT_TYPE ("(ssssv)"), text, NULL, NULL, &error);
  const char *destination, *path, *interface, *method;
  g_autoptr (GVariant) arguments = NULL;

  if (call == NULL)
    die ("“%s” is not a call: %s", text, error->message);
  g_variant_get (call, "(&s&s&s&sv)", &destination, &path, &interface, &method, &arguments);
  return raw_bus_new_call (destination, path, interface, method, arguments);
}

static void
save (const char *path, const char *text)
{
  g_autoptr (GByteArray) call = parse_call (text);
  g_autoptr (GError) error = NULL;
  RawBus bus;

  raw_bus_open (&bus);
  raw_bus_call (&bus, call);
  if (!g_file_set_contents (path, (char *) bus.message->data, bus.message->len, &error))
    die ("%s", error->message);
}

int
main (int argc, char **argv)
{
  int rounds = argc > 1 ? atoi (argv[1]) : 0;
  GByteArray *calls[CALLS_MAX];
  GArray *times[CALLS_MAX];
  guint bytes[CALLS_MAX];
  int n_calls = argc - 2;
  RawBus bus;

  if (argc == 4 && strcmp (argv[1], "--save") == 0)
    {
      save (argv[2], argv[3]);
      return 0;
    }
  if (rounds < 1 || n_calls < 1 || n_calls > CALLS_MAX)
    die ("Usage: bus-timer ROUNDS CALL [CALL], or bus-timer --save FILE CALL");
  raw_bus_open (&bus);
  for (int i = 0; i < n_calls; i++)
    {
      calls[i] = parse_call (argv[2 + i]);
      times[i] = g_array_new (FALSE, FALSE, sizeof (gint64));
    }
  for (int round = 0; round < WARM_UP + rounds; round++)
    for (int i = 0; i < n_calls; i++)
      {
        gint64 start = now_ns ();
        gint64 taken;

        raw_bus_call (&bus, calls[i]);
        taken = now_ns () - start;
        bytes[i] = bus.message->len;
        if (round >= WARM_UP)
          g_array_append_val (times[i], taken);
      }
  for (int i = 0; i < n_calls; i++)
    {
      g_array_sort (times[i], compare_times);
      printf ("%.1f %.1f %u\n", g_array_index (times[i], gint64, times[i]->len / 2) / 1e3,
              g_array_index (times[i], gint64, 0) / 1e3, bytes[i]);
    }
  return 0;
}
