/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Users and groups as the image's own /etc/passwd and /etc/group name them.
 *
 * A static program cannot use NSS, and the files are the guest's: they may be missing, damaged,
 * endless, or a FIFO. Reading is bounded and never blocks; a line that does not parse is no line.
 */

#pragma once

#include "agent/error.h"

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#define AGENT_GROUPS_MAX 256
#define AGENT_NAME_MAX   256

typedef struct
{
  uid_t uid;
  gid_t gid;
  gid_t groups[AGENT_GROUPS_MAX]; /* supplementary, with gid first */
  size_t n_groups;
  char name[AGENT_NAME_MAX]; /* the uid in digits when it has no name */
  char home[PATH_MAX];       /* "/" when there is none */
  char shell[PATH_MAX];      /* "/bin/sh" when there is none */
} AgentUser;

/* Finds "name", "uid", either with ":group" or ":gid"; "" is root. A number need not be in the
 * files. With a group given there are no supplementary groups. */
bool agent_user_find (AgentUser *user, const char *spec, AgentError *error);

/* The same, with the content of the files (NULL: missing). */
bool agent_user_find_in (
    AgentUser *user, const char *spec, const char *passwd, const char *group, AgentError *error);
