/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The host's side of an agent's stream (service/agent/protocol.h), with blocking calls and nothing
 * between. Every failure ends the program. */

#pragma once

#include "agent/protocol.h"

#include <stddef.h>
#include <stdint.h>

/* Connects to the socket of an agent that serves on this host, as soon as it listens. */
int agent_connect (const char *path);

/* Hello and welcome. */
void agent_shake_hands (int fd, enum VmsanSessionKind kind, const uint8_t *token);

void agent_send (int fd, enum VmsanFrameType type, const void *payload, size_t length);

/* The next frame; @payload has room for VMSAN_FRAME_PAYLOAD_MAX. */
enum VmsanFrameType agent_receive (int fd, uint8_t *payload, size_t *length);

/* Reads the session to its end and returns the bytes of standard output; other ends than exit code
 * 0 end the program. */
uint64_t agent_drain (int fd);

/* CONFIGURE, and READY. */
void agent_configure (int fd, const char *hostname);
