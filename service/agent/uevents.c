/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/uevents.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#define GROUP_KERNEL 1 /* the kernel's own events; udev's are group 2 */

int
agent_uevents_open (void)
{
  const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL };
  const int fd =
      socket (AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

  if (fd < 0 || bind (fd, (const struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  close (fd);
  return -1;
}

void
agent_uevents_drain (int fd)
{
  char event[4096];

  /* ENOBUFS: some were lost, which is no different from having read them. */
  while (recv (fd, event, sizeof event, 0) >= 0 || errno == EINTR || errno == ENOBUFS)
    ;
}
