/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a socket is made by the service or not at all, and connecting never waits. */

#include "vmm/monitor-socket.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* QEMU sets its own when it takes over; for others it is room for all streams at once. */
#define BACKLOG 32

static gboolean
fill_address (struct sockaddr_un *address,
              const char *runtime_dir,
              const char *name,
              GError **error)
{
  g_autofree char *path = g_build_filename (runtime_dir, name, NULL);

  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (g_strlcpy (address->sun_path, path, sizeof address->sun_path) < sizeof address->sun_path)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
               "The socket %s has a name of more than %zu bytes; use a runtime directory with a "
               "shorter path",
               path, sizeof address->sun_path - 1);
  return FALSE;
}

int
vmsan_monitor_socket_listen (const char *runtime_dir, const char *name, GError **error)
{
  vmsan_autofd int fd = -1;
  struct sockaddr_un address;

  if (!fill_address (&address, runtime_dir, name, error))
    return -1;
  /* The mode of a socket that is not bound yet is the one that its name will have. */
  if ((fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 && fchmod (fd, 0600) == 0 &&
      (unlink (address.sun_path) == 0 || errno == ENOENT) &&
      bind (fd, (struct sockaddr *) &address, sizeof address) == 0 && listen (fd, BACKLOG) == 0)
    return g_steal_fd (&fd);
  vmsan_error_set_errno (error, errno, "Cannot make the socket %s", address.sun_path);
  return -1;
}

int
vmsan_monitor_socket_connect (const char *runtime_dir, const char *name, GError **error)
{
  vmsan_autofd int fd = -1;
  struct sockaddr_un address;

  if (!fill_address (&address, runtime_dir, name, error))
    return -1;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return g_steal_fd (&fd);
  if (errno == EAGAIN)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                 "Cannot connect to %s: it is in use and others are waiting for it",
                 address.sun_path);
  else if (errno == ECONNREFUSED || errno == ENOENT)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                 "Cannot connect to %s: the monitor has ended", address.sun_path);
  else
    vmsan_error_set_errno (error, errno, "Cannot connect to %s", address.sun_path);
  return -1;
}

char *
vmsan_monitor_socket_name_stream (guint stream)
{
  return g_strdup_printf ("stream-%u.sock", stream);
}
