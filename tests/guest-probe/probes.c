/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: an answer counts only when it comes from where the probe went; everything is tried in
 * the order of the lines, so that what was tried last has nothing of the others behind it. */

#include "input.h"
#include "modes.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROBES  512
#define MAX_PAYLOAD 512

typedef enum
{
  SILENT,
  ANSWERED,
  REFUSED,
  FAILED,
} Outcome;

typedef struct
{
  bool expected;
  int protocol; /* IPPROTO_ICMP for both families */
  struct sockaddr_storage to;
  socklen_t to_size;
  uint8_t payload[MAX_PAYLOAD]; /* what is sent, then what came */
  int payload_size;

  int fd;
  Outcome outcome;
  int code;
} Probe;

static Probe probes[MAX_PROBES];
static struct pollfd fds[MAX_PROBES];

static bool
parse (const char *line, Probe *probe)
{
  char sign, protocol[8], host[64], hex[2 * MAX_PAYLOAD + 1] = "";
  unsigned port;

  if (sscanf (line, "%c %7s %63s %u %1024s", &sign, protocol, host, &port, hex) < 4)
    return false;
  probe->expected = sign == '+';
  probe->protocol = strcmp (protocol, "tcp") == 0   ? IPPROTO_TCP
                    : strcmp (protocol, "udp") == 0 ? IPPROTO_UDP
                                                    : IPPROTO_ICMP;
  probe->payload_size = input_parse_hex (hex, probe->payload, sizeof probe->payload);
  probe->fd = -1;
  return probe->payload_size >= 0 &&
         input_parse_address (host, (uint16_t) port, &probe->to, &probe->to_size);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static void
finish (Probe *probe, Outcome outcome, int code)
{
  probe->outcome = outcome;
  probe->code = code;
  if (probe->fd >= 0)
    close (probe->fd);
  probe->fd = -1;
}

static void
fail (Probe *probe, int code)
{
  finish (probe, code == ECONNREFUSED ? REFUSED : FAILED, code);
}

/* The same layout in both families; of IPv6 the kernel adds the checksum. */
static ssize_t
send_echo (const Probe *probe)
{
  const bool v4 = probe->to.ss_family == AF_INET;
  struct icmphdr echo = { .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST };
  const uint8_t *bytes = (const uint8_t *) &echo;
  uint32_t sum = 0;

  echo.un.echo.id = htons ((uint16_t) (probe - probes + 1));
  for (size_t i = 0; i < sizeof echo; i += 2)
    sum += (uint32_t) bytes[i] << 8 | bytes[i + 1];
  if (v4)
    echo.checksum = htons ((uint16_t) ~((sum & 0xffff) + (sum >> 16)));
  return send (probe->fd, &echo, sizeof echo, 0);
}

static int
open_socket (const Probe *probe)
{
  const int yes = 1;
  const bool v4 = probe->to.ss_family == AF_INET;
  int fd;

  if (probe->protocol == IPPROTO_ICMP)
    fd = socket (probe->to.ss_family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                 v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  else
    fd = socket (probe->to.ss_family,
                 (probe->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK |
                     SOCK_CLOEXEC,
                 0);
  if (fd >= 0)
    setsockopt (fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes);
  return fd;
}

/* Connected, so that the kernel leaves out what comes from elsewhere. */
static void
begin (Probe *probe)
{
  ssize_t sent = 0;

  probe->fd = open_socket (probe);
  if (probe->fd < 0 ||
      (connect (probe->fd, (const struct sockaddr *) &probe->to, probe->to_size) < 0 &&
       errno != EINPROGRESS))
    {
      fail (probe, errno);
      return;
    }
  if (probe->protocol == IPPROTO_ICMP)
    sent = send_echo (probe);
  else if (probe->protocol == IPPROTO_UDP)
    sent = send (probe->fd, probe->payload, (size_t) probe->payload_size, 0);
  if (sent < 0)
    fail (probe, errno);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* Raw sockets hear all that comes from an address; IPv4 with the header before it. */
static bool
is_our_echo (const Probe *probe, const uint8_t *data, size_t size)
{
  const bool v4 = probe->to.ss_family == AF_INET;
  struct icmphdr echo;

  if (v4 && size >= sizeof (struct ip))
    {
      const size_t header = (size_t) (data[0] & 15) * 4;

      data += header;
      size = size > header ? size - header : 0;
    }
  if (size < sizeof echo)
    return false;
  memcpy (&echo, data, sizeof echo);
  return echo.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
         ntohs (echo.un.echo.id) == probe - probes + 1;
}

/* A server of TCP speaks first, or ends the connection without a word. */
static void
take (Probe *probe)
{
  uint8_t data[MAX_PAYLOAD];
  const ssize_t size = recv (probe->fd, data, sizeof data, 0);

  if (size < 0 && errno != EAGAIN)
    fail (probe, errno);
  if (size < 0 || (probe->protocol == IPPROTO_ICMP && !is_our_echo (probe, data, (size_t) size)))
    return;
  memcpy (probe->payload, data, (size_t) size);
  probe->payload_size = (int) size;
  finish (probe, ANSWERED, 0);
}

static int64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C (1000) + now.tv_nsec / 1000000;
}

static bool
all_have_come (unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    if (probes[i].expected && probes[i].outcome == SILENT)
      return false;
  return true;
}

static void
wait_for_answers (unsigned n, int deadline_ms, int silence_ms)
{
  int64_t end = now_ms () + deadline_ms;
  bool came = false;
  int64_t left;

  while ((left = end - now_ms ()) > 0)
    {
      if (!came && all_have_come (n))
        {
          came = true;
          end = now_ms () + silence_ms;
          continue;
        }
      for (unsigned i = 0; i < n; i++)
        fds[i] = (struct pollfd){ probes[i].fd, POLLIN, 0 };
      if (poll (fds, n, (int) left) <= 0)
        continue;
      for (unsigned i = 0; i < n; i++)
        if (fds[i].revents != 0)
          take (&probes[i]);
    }
}

static void
print (const Probe *probe)
{
  static const char *const names[] = { "silent", "answered", "refused", "error" };

  printf ("%s", names[probe->outcome]);
  if (probe->outcome == FAILED)
    printf (" %d", probe->code);
  if (probe->outcome == ANSWERED)
    printf (" ");
  for (int i = 0; probe->outcome == ANSWERED && i < probe->payload_size; i++)
    printf ("%02x", probe->payload[i]);
  printf ("\n");
}

int
run_probes (int deadline_ms, int silence_ms)
{
  char line[2 * MAX_PAYLOAD + 128];
  unsigned n = 0;

  while (fgets (line, sizeof line, stdin) != NULL)
    {
      if (n == MAX_PROBES || !parse (line, &probes[n]))
        {
          fprintf (stderr, "not understood: %s", line);
          return EXIT_FAILURE;
        }
      n++;
    }
  for (unsigned i = 0; i < n; i++)
    begin (&probes[i]);
  wait_for_answers (n, deadline_ms, silence_ms);
  for (unsigned i = 0; i < n; i++)
    print (&probes[i]);
  return EXIT_SUCCESS;
}
