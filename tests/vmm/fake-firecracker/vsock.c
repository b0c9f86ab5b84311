/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: bytes go through unchanged, each way at the pace of its reader, until both are done. */

#include "vsock.h"

#include "agent/protocol.h"
#include "guest.h"
#include "memory.h"
#include "orders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINKS_MAX       1023
#define FIRST_HOST_PORT (1u << 30)
#define BUFFER_SIZE     16384

/* The agent's port, the only one of the guest that answers. */
#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF (number)
#define PORT_TEXT       TEXT (VMSAN_VSOCK_PORT)

typedef struct
{
  char bytes[BUFFER_SIZE];
  size_t used;
  bool eof; /* nothing more will come */
  bool end; /* and all of it was passed on */
} Flow;

typedef struct Link Link;

struct Link
{
  int host;
  int guest; /* -1: it has not said which port */
  bool broken;
  Ear *ear;
  Flow to_guest;
  Flow to_host;
  Link *next;
};

static int listener = -1;
static Link *links;
static unsigned n_links;
static unsigned next_host_port = FIRST_HOST_PORT;
static bool answers = true;

int
vsock_listen (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (path) >= sizeof address.sun_path)
    return ENAMETOOLONG;
  strcpy (address.sun_path, path);
  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener >= 0 && bind (listener, (struct sockaddr *) &address, sizeof address) == 0 &&
      listen (listener, 128) == 0)
    return 0;
  return errno;
}

void
vsock_stop_answering (void)
{
  answers = false;
}

static void
accept_link (void)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  Link *link = fd >= 0 && n_links < LINKS_MAX ? calloc (1, sizeof *link) : NULL;

  if (link == NULL)
    {
      if (fd >= 0)
        close (fd);
      return;
    }
  link->host = fd;
  link->guest = -1;
  link->next = links;
  links = link;
  n_links++;
}

/* The real one reads the command with one read: in pieces, it is none. */
static void
read_connect (Link *link)
{
  static const char command[] = "CONNECT " PORT_TEXT "\n";
  char line[64], answer[32], order[16];
  ssize_t n = recv (link->host, line, sizeof line, 0);

  if (n != sizeof command - 1 || memcmp (line, command, sizeof command - 1) != 0)
    {
      link->broken = true;
      return;
    }
  if (!answers)
    return;
  link->guest = orders_get ("deaf", NULL, order, sizeof order) ? -1 : guest_connect ();
  link->ear = memory_listen ();
  snprintf (answer, sizeof answer, "OK %u\n", next_host_port++);
  link->broken = link->guest < 0 || send (link->host, answer, strlen (answer), MSG_NOSIGNAL) < 0;
}

static void
fill (Link *link, Flow *flow, int from)
{
  size_t room = sizeof flow->bytes - flow->used;
  ssize_t n;

  if (flow->eof || room == 0)
    return;
  n = recv (from, flow->bytes + flow->used, room, 0);
  if (n > 0)
    flow->used += (size_t) n;
  else if (n == 0)
    flow->eof = true;
  else if (errno != EAGAIN)
    link->broken = true;
}

static void
drain (Link *link, Flow *flow, int to)
{
  ssize_t n = flow->used > 0 ? send (to, flow->bytes, flow->used, MSG_NOSIGNAL) : 0;

  if (n < 0 && errno != EAGAIN)
    link->broken = true;
  if (n > 0)
    {
      flow->used -= (size_t) n;
      memmove (flow->bytes, flow->bytes + n, flow->used);
    }
  if (flow->eof && flow->used == 0 && !flow->end)
    {
      shutdown (to, SHUT_WR);
      flow->end = true;
    }
}

static short
events_of (const Flow *in, const Flow *out)
{
  return (short) ((!in->eof && in->used < sizeof in->bytes ? POLLIN : 0) |
                  (out->used > 0 ? POLLOUT : 0));
}

static void
handle_link (Link *link, short host_events, short guest_events)
{
  const short readable = POLLIN | POLLHUP | POLLERR;

  if (link->guest < 0)
    {
      if (host_events != 0)
        read_connect (link);
      return;
    }
  if ((host_events & readable) != 0)
    {
      size_t before = link->to_guest.used;

      fill (link, &link->to_guest, link->host);
      memory_hear (link->ear, link->to_guest.bytes + before, link->to_guest.used - before);
    }
  if ((guest_events & readable) != 0)
    fill (link, &link->to_host, link->guest);
  drain (link, &link->to_guest, link->guest);
  drain (link, &link->to_host, link->host);
  if (link->to_guest.end && link->to_host.end)
    link->broken = true;
}

static void
remove_broken (void)
{
  Link **at = &links;

  while (*at != NULL)
    {
      Link *link = *at;

      if (!link->broken)
        {
          at = &link->next;
          continue;
        }
      *at = link->next;
      close (link->host);
      memory_stop_listening (link->ear);
      if (link->guest >= 0)
        close (link->guest);
      free (link);
      n_links--;
    }
}

size_t
vsock_prepare (struct pollfd *fds)
{
  size_t n = 0;

  fds[n++] = (struct pollfd){ listener, POLLIN, 0 };
  for (Link *link = links; link != NULL; link = link->next)
    {
      short host = link->guest < 0 ? POLLIN : events_of (&link->to_guest, &link->to_host);
      short guest = events_of (&link->to_host, &link->to_guest);

      /* One that has nothing to wait for must not wake us for its hang-up. */
      fds[n++] = (struct pollfd){ host != 0 ? link->host : -1, host, 0 };
      fds[n++] = (struct pollfd){ guest != 0 ? link->guest : -1, guest, 0 };
    }
  return n;
}

void
vsock_handle (const struct pollfd *fds, size_t n)
{
  size_t i = 1;

  for (Link *link = links; link != NULL && i + 1 < n; link = link->next, i += 2)
    handle_link (link, fds[i].revents, fds[i + 1].revents);
  remove_broken ();
  if (fds[0].revents != 0)
    accept_link ();
}
