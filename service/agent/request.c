/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/request.h"

#include <ctype.h>

/* Where the next string goes; the block is large enough for a whole payload with terminators. */
typedef struct
{
  char *next;
  char *end;
} Text;

static bool
add_string (AgentStrings *strings, Text *text, const VmsanField *field)
{
  if (strings->n_items >= VMSAN_ARGS_MAX ||
      !vmsan_field_get_text (field, text->next, (size_t) (text->end - text->next)))
    return false;
  strings->items[strings->n_items++] = text->next;
  strings->items[strings->n_items] = NULL;
  text->next += field->length + 1;
  return true;
}

static bool
add_variable (AgentStrings *strings, Text *text, const VmsanField *field, AgentError *error)
{
  const uint8_t *equals = memchr (field->data, '=', field->length);

  if (equals == NULL || equals == field->data)
    return agent_error_set (error, "an environment entry is not of the form NAME=VALUE");
  if (!add_string (strings, text, field))
    return agent_error_set (error, "an environment entry has a NUL byte, or there are more than %d",
                            VMSAN_ARGS_MAX);
  return true;
}

static bool
get_text (const VmsanField *field, char *buffer, size_t size, const char *what, AgentError *error)
{
  if (!vmsan_field_get_text (field, buffer, size))
    return agent_error_set (error, "the %s has a NUL byte or is longer than %zu bytes", what,
                            size - 1);
  return true;
}

/* A name as sethostname(2), /etc/hosts and every program can take it. */
static bool
is_hostname (const char *name)
{
  if (!isalnum ((unsigned char) name[0]))
    return false;
  for (const char *c = name; *c != '\0'; c++)
    if (!isalnum ((unsigned char) *c) && *c != '-' && *c != '.')
      return false;
  return true;
}

static bool
get_path (const VmsanField *field, char *buffer, size_t size, const char *what, AgentError *error)
{
  if (!get_text (field, buffer, size, what, error))
    return false;
  if (buffer[0] != '/')
    return agent_error_set (error, "the %s “%.200s” is not an absolute path", what, buffer);
  return true;
}

static bool
take_config_field (AgentConfig *config, Text *text, const VmsanField *field, AgentError *error)
{
  switch (field->tag)
    {
    case VMSAN_FIELD_HOSTNAME:
      if (!get_text (field, config->hostname, sizeof config->hostname, "host name", error))
        return false;
      if (!is_hostname (config->hostname))
        return agent_error_set (error, "the host name “%s” is not valid", config->hostname);
      return true;
    case VMSAN_FIELD_INIT:
      if (!get_text (field, config->init, sizeof config->init, "init program", error))
        return false;
      if (strcmp (config->init, "auto") != 0 && strcmp (config->init, "none") != 0 &&
          config->init[0] != '/')
        return agent_error_set (error, "the init program “%.200s” is not an absolute path",
                                config->init);
      return true;
    case VMSAN_FIELD_ENV:
      return add_variable (&config->env, text, field, error);
    case VMSAN_FIELD_CWD:
      return get_path (field, config->cwd, sizeof config->cwd, "working directory", error);
    case VMSAN_FIELD_USER:
      return get_text (field, config->user, sizeof config->user, "user", error);
    case VMSAN_FIELD_REALTIME_NS:
      if (!vmsan_field_get_u64 (field, &config->realtime_ns))
        return agent_error_set (error, "the time is not 8 bytes");
      return true;
    default:
      return !agent_net_config_has_tag (field->tag) ||
             agent_net_config_take (&config->net, field, error);
    }
}

AgentParseResult
agent_config_parse (AgentConfig *config, const uint8_t *payload, size_t length, AgentError *error)
{
  Text text = { config->text, config->text + sizeof config->text };
  VmsanFieldReader reader;
  VmsanField field;
  int more;

  config->hostname[0] = config->cwd[0] = config->user[0] = '\0';
  strcpy (config->init, "auto");
  config->realtime_ns = 0;
  config->net = (AgentNetConfig){ 0 };
  config->env.n_items = 0;
  config->env.items[0] = NULL;
  vmsan_field_reader_init (&reader, payload, length);
  while ((more = vmsan_field_reader_next (&reader, &field)) == 1)
    if (!take_config_field (config, &text, &field, error))
      return AGENT_PARSE_REFUSED;
  if (more < 0)
    return AGENT_PARSE_MALFORMED;
  return agent_net_config_check (&config->net, error) ? AGENT_PARSE_OK : AGENT_PARSE_REFUSED;
}

static bool
take_request_field (AgentRequest *request, Text *text, const VmsanField *field, AgentError *error)
{
  switch (field->tag)
    {
    case VMSAN_FIELD_ARG:
      if (!add_string (&request->args, text, field))
        return agent_error_set (error, "an argument has a NUL byte, or there are more than %d",
                                VMSAN_ARGS_MAX);
      return true;
    case VMSAN_FIELD_ENV:
      return add_variable (&request->env, text, field, error);
    case VMSAN_FIELD_CWD:
      return get_path (field, request->cwd, sizeof request->cwd, "working directory", error);
    case VMSAN_FIELD_USER:
      return get_text (field, request->user, sizeof request->user, "user", error);
    case VMSAN_FIELD_TIMEOUT_MS:
      if (!vmsan_field_get_u64 (field, &request->timeout_ms))
        return agent_error_set (error, "the timeout is not 8 bytes");
      return true;
    case VMSAN_FIELD_TTY:
      if (field->length != 4)
        return agent_error_set (error, "the terminal's size is not 4 bytes");
      request->terminal = true;
      memcpy (&request->rows, field->data, 2);
      memcpy (&request->columns, field->data + 2, 2);
      return true;
    default:
      return true;
    }
}

AgentParseResult
agent_request_parse (AgentRequest *request,
                     const uint8_t *payload,
                     size_t length,
                     AgentError *error)
{
  Text text = { request->text, request->text + sizeof request->text };
  VmsanFieldReader reader;
  VmsanField field;
  int more;

  request->cwd[0] = request->user[0] = '\0';
  request->timeout_ms = 0;
  request->terminal = false;
  request->args.n_items = request->env.n_items = 0;
  request->args.items[0] = request->env.items[0] = NULL;
  vmsan_field_reader_init (&reader, payload, length);
  while ((more = vmsan_field_reader_next (&reader, &field)) == 1)
    if (!take_request_field (request, &text, &field, error))
      return AGENT_PARSE_REFUSED;
  if (more < 0)
    return AGENT_PARSE_MALFORMED;
  if (request->args.n_items == 0 || request->args.items[0][0] == '\0')
    {
      agent_error_set (error, "no program is named");
      return AGENT_PARSE_REFUSED;
    }
  return AGENT_PARSE_OK;
}
