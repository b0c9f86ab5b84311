/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the guest's memory matters to the host, learned by listening to what the host says to the
 * agent: the token and the configuration, which a restored guest has already, and how it was last
 * asked to end. */

#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct Ear Ear;

/* One for each stream to the agent. */
Ear *memory_listen (void);
void memory_stop_listening (Ear *ear);

/* The next bytes from the host. */
void memory_hear (Ear *ear, const char *bytes, size_t n);

/* The guest was asked to switch the machine off, which Firecracker's has no way to. */
bool memory_wants_power_off (void);

/* Writes it to the beginning of a snapshot's memory file, and reads it. */
bool memory_save (int fd);
bool memory_load (int fd);

/* Brings a new guest to where the saved one was. */
bool memory_restore (int agent_fd);
