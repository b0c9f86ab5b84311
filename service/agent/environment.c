/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/environment.h"

#include <stdio.h>

#define PATH_OF_ROOT  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_OF_USERS "/usr/local/bin:/usr/bin:/bin"

/* The place of NAME in the list, or the end of it. @name may be followed by "=VALUE". */
static size_t
find (const AgentEnvironment *environment, const char *name, size_t name_length)
{
  size_t i;

  for (i = 0; i < environment->n_items; i++)
    if (strncmp (environment->items[i], name, name_length) == 0 &&
        environment->items[i][name_length] == '=')
      break;
  return i;
}

static void
set (AgentEnvironment *environment, char *entry)
{
  const size_t i = find (environment, entry, strcspn (entry, "="));

  environment->items[i] = entry;
  if (i == environment->n_items)
    environment->n_items++;
}

const char *
agent_environment_get (const AgentEnvironment *environment, const char *name)
{
  const size_t length = strlen (name);
  const size_t i = find (environment, name, length);

  return i < environment->n_items ? environment->items[i] + length + 1 : NULL;
}

void
agent_environment_make (AgentEnvironment *environment,
                        const AgentConfig *config,
                        const AgentRequest *request,
                        const AgentUser *user)
{
  const struct
  {
    const char *name;
    const char *value;
  } defaults[AGENT_ENVIRONMENT_DEFAULTS] = {
    { "PATH", user->uid == 0 ? PATH_OF_ROOT : PATH_OF_USERS },
    { "HOME", user->home },
    { "USER", user->name },
    { "LOGNAME", user->name },
    { "SHELL", user->shell },
    { "TERM", request->terminal ? "xterm" : NULL },
  };
  char *next = environment->text;
  char *const end = environment->text + sizeof environment->text;

  environment->n_items = 0;
  for (size_t i = 0; i < config->env.n_items; i++)
    set (environment, config->env.items[i]);
  for (size_t i = 0; i < request->env.n_items; i++)
    set (environment, request->env.items[i]);
  for (size_t i = 0; i < AGENT_ENVIRONMENT_DEFAULTS; i++)
    {
      if (defaults[i].value == NULL || agent_environment_get (environment, defaults[i].name))
        continue;
      environment->items[environment->n_items++] = next;
      next +=
          1 + snprintf (next, (size_t) (end - next), "%s=%s", defaults[i].name, defaults[i].value);
    }
  environment->items[environment->n_items] = NULL;
}
