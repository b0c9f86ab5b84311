/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the host asked for, parsed and bounded: the payloads of CONFIGURE and EXEC. */

#pragma once

#include "agent/error.h"
#include "agent/net-config.h"
#include "agent/protocol.h"

#include <limits.h>

#define AGENT_USER_SPEC_MAX 256
#define AGENT_HOSTNAME_MAX  64

/* Strings in one block of memory; the list ends with NULL. */
typedef struct
{
  char *items[VMSAN_ARGS_MAX + 1];
  size_t n_items;
} AgentStrings;

typedef struct
{
  char hostname[AGENT_HOSTNAME_MAX + 1]; /* "": leave it */
  char init[PATH_MAX];                   /* "auto", "none" or a path */
  char cwd[PATH_MAX];                    /* "": none */
  char user[AGENT_USER_SPEC_MAX];        /* "": root */
  uint64_t realtime_ns;                  /* 0: leave the clock */
  AgentNetConfig net;
  AgentStrings env;
  char text[VMSAN_FRAME_PAYLOAD_MAX + VMSAN_ARGS_MAX];
} AgentConfig;

typedef struct
{
  char cwd[PATH_MAX];             /* "": the default */
  char user[AGENT_USER_SPEC_MAX]; /* "": the default */
  uint64_t timeout_ms;            /* 0: none */
  bool terminal;
  uint16_t rows;
  uint16_t columns;
  AgentStrings args;
  AgentStrings env;
  char text[VMSAN_FRAME_PAYLOAD_MAX + 2 * VMSAN_ARGS_MAX];
} AgentRequest;

typedef enum
{
  AGENT_PARSE_OK,
  AGENT_PARSE_REFUSED,   /* well-formed, but it cannot be done: the error says why */
  AGENT_PARSE_MALFORMED, /* the fields do not fit the frame */
} AgentParseResult;

AgentParseResult
agent_config_parse (AgentConfig *config, const uint8_t *payload, size_t length, AgentError *error);
AgentParseResult agent_request_parse (AgentRequest *request,
                                      const uint8_t *payload,
                                      size_t length,
                                      AgentError *error);
