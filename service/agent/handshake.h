/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Finding a hello in a stream that may begin with anything.
 *
 * It asks for exactly the bytes that a hello could still need, so that what follows the hello
 * stays in the stream. */

#pragma once

#include "agent/protocol.h"

typedef struct
{
  uint8_t bytes[sizeof (VmsanHello)]; /* begins with the magic, as far as it goes */
  size_t used;
  uint64_t skipped; /* bytes that belonged to no hello */
} AgentHandshake;

/* @after_magic: the magic itself was read already. */
void agent_handshake_init (AgentHandshake *handshake, bool after_magic);

/* Takes the next @length bytes, at most agent_handshake_wanted(). True when a whole hello is in. */
size_t agent_handshake_wanted (const AgentHandshake *handshake);
bool agent_handshake_feed (AgentHandshake *handshake, const void *bytes, size_t length);

void agent_handshake_get_hello (const AgentHandshake *handshake, VmsanHello *hello);

/* The hello that is in was not one: true when another begins inside it (an aborted one and, right
 * behind it, a new one); feeding goes on with that. False: there is nothing, start over. */
bool agent_handshake_skip (AgentHandshake *handshake);
