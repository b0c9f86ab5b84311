/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Requests on the API socket, one after the other. */

#pragma once

#include <poll.h>
#include <stddef.h>

#define API_POLL_MAX 11

/* Binds the socket; 0 or errno. */
int api_listen (const char *path);

void api_configure (int version, size_t payload_max);

size_t api_prepare (struct pollfd *fds);
void api_handle (const struct pollfd *fds, size_t n);
