/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no change is missed, also when there were more than the kernel could keep for us; and
 * however fast they come, nobody is told more often than once in a delay. */

#include "net/net-watch.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "sys/source.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

/* A flush of rules is many changes at once, and firewalld's reload many flushes; a link that comes
 * up gets its routes one after the other. */
#define DELAY_MS 100

struct _VmsanNetWatch
{
  VmsanNetWatchSpec spec;
  int fd;
  GSource *readable;
  GSource *soon;
};

static gboolean
on_soon (gpointer user_data)
{
  VmsanNetWatch *self = user_data;

  g_clear_pointer (&self->soon, g_source_unref);
  self->spec.changed (self->spec.data);
  return G_SOURCE_REMOVE;
}

static gboolean
any_matches (VmsanNetWatch *self, const struct nlmsghdr *message, gssize size)
{
  if (self->spec.matches == NULL)
    return TRUE;
  for (; NLMSG_OK (message, size); message = NLMSG_NEXT (message, size))
    if (self->spec.matches (message))
      return TRUE;
  return FALSE;
}

/* Reads all that is there. TRUE when some of it is of interest, or got lost. */
static gboolean
take_messages (VmsanNetWatch *self)
{
  _Alignas(struct nlmsghdr) char buffer[8192];
  gboolean found = FALSE;

  for (;;)
    {
      /* What does not fit is cut off, and its true size returned. */
      gssize n = recv (self->fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);

      if (n < 0 && errno != ENOBUFS)
        return found;
      found = n < 0 || n > (gssize) sizeof buffer ||
              any_matches (self, (const struct nlmsghdr *) buffer, n) || found;
    }
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer user_data)
{
  VmsanNetWatch *self = user_data;

  if (take_messages (self) && self->soon == NULL)
    {
      self->soon = g_timeout_source_new (DELAY_MS);
      g_source_set_callback (self->soon, on_soon, self, NULL);
      g_source_attach (self->soon, NULL);
    }
  return G_SOURCE_CONTINUE;
}

VmsanNetWatch *
vmsan_net_watch_new (const VmsanNetWatchSpec *spec, GError **error)
{
  const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = spec->groups };
  vmsan_autofd int fd =
      socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, spec->protocol);
  VmsanNetWatch *self;

  if (fd < 0 || bind (fd, (const struct sockaddr *) &address, sizeof address) < 0)
    {
      vmsan_error_set_errno (error, errno, "Following changes of the host's network failed");
      return NULL;
    }
  self = g_new0 (VmsanNetWatch, 1);
  self->spec = *spec;
  self->fd = g_steal_fd (&fd);
  self->readable = g_unix_fd_source_new (self->fd, G_IO_IN);
  g_source_set_callback (self->readable, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->readable, NULL);
  return self;
}

void
vmsan_net_watch_free (VmsanNetWatch *self)
{
  vmsan_source_clear (&self->readable);
  vmsan_source_clear (&self->soon);
  vmsan_fd_close (&self->fd);
  g_free (self);
}
