/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files in /etc that the agent writes.
 *
 * The image may be hostile: neither /etc nor a file in it leads anywhere else. */

#pragma once

#include <stdbool.h>

/* A descriptor of /etc; -1 with errno, also where /etc is a link or something is mounted on it. */
int agent_etc_open (void);

/* Puts a new file with @content in the place of @name, link or not, so that nothing is written
 * through it. False with errno. */
bool agent_etc_replace (int etc_fd, const char *name, const char *content);
