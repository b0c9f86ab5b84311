/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The environment of a program: the machine's defaults, what the request adds or replaces, and
 * what every program expects to find. */

#pragma once

#include "agent/request.h"
#include "agent/user.h"

#define AGENT_ENVIRONMENT_DEFAULTS 6

typedef struct
{
  char *items[2 * VMSAN_ARGS_MAX + AGENT_ENVIRONMENT_DEFAULTS + 1]; /* ends with NULL */
  size_t n_items;
  char text[4 * PATH_MAX]; /* of the defaults */
} AgentEnvironment;

/* Borrows the strings of @config and @request. */
void agent_environment_make (AgentEnvironment *environment,
                             const AgentConfig *config,
                             const AgentRequest *request,
                             const AgentUser *user);

/* NULL when it is not set. */
const char *agent_environment_get (const AgentEnvironment *environment, const char *name);
