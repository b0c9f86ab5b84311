/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/handshake.h"

void
agent_handshake_init (AgentHandshake *handshake, bool after_magic)
{
  *handshake = (AgentHandshake){ 0 };
  if (after_magic)
    {
      memcpy (handshake->bytes, VMSAN_HELLO_MAGIC, VMSAN_MAGIC_SIZE);
      handshake->used = VMSAN_MAGIC_SIZE;
    }
}

/* Drops bytes until what is left begins like a hello; looks from @offset on. */
static void
align (AgentHandshake *handshake, size_t offset)
{
  for (; offset < handshake->used; offset++)
    {
      const size_t left = handshake->used - offset;
      const size_t length = left < VMSAN_MAGIC_SIZE ? left : VMSAN_MAGIC_SIZE;

      if (memcmp (handshake->bytes + offset, VMSAN_HELLO_MAGIC, length) == 0)
        break;
    }
  if (offset > 0)
    memmove (handshake->bytes, handshake->bytes + offset, handshake->used - offset);
  handshake->used -= offset;
  handshake->skipped += offset;
}

size_t
agent_handshake_wanted (const AgentHandshake *handshake)
{
  return sizeof handshake->bytes - handshake->used;
}

bool
agent_handshake_feed (AgentHandshake *handshake, const void *bytes, size_t length)
{
  if (length > agent_handshake_wanted (handshake))
    length = agent_handshake_wanted (handshake);
  memcpy (handshake->bytes + handshake->used, bytes, length);
  handshake->used += length;
  align (handshake, 0);
  return handshake->used == sizeof handshake->bytes;
}

void
agent_handshake_get_hello (const AgentHandshake *handshake, VmsanHello *hello)
{
  memcpy (hello, handshake->bytes, sizeof *hello);
}

bool
agent_handshake_skip (AgentHandshake *handshake)
{
  align (handshake, 1);
  return handshake->used > 0;
}
