/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The socket on which the host connects to ports of the guest, and the connections through it. */

#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define VSOCK_POLL_MAX 2050

/* Binds @path. 0 or errno. */
int vsock_listen (const char *path);

/* After a resume, releases 1.16.0 and 1.16.1 answer no new connection. */
void vsock_stop_answering (void);

/* Fills @fds with what to wait for, and handles what happened to them. */
size_t vsock_prepare (struct pollfd *fds);
void vsock_handle (const struct pollfd *fds, size_t n);
