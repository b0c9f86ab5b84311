/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a test says on standard input: lines of words, addresses and bytes in hexadecimal. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* "192.0.2.1", "2001:db8::1" or "fe80::1%eth0". */
bool input_parse_address (const char *text,
                          uint16_t port,
                          struct sockaddr_storage *address,
                          socklen_t *size);

/* Returns the number of bytes, or -1. */
int input_parse_hex (const char *text, uint8_t *bytes, size_t size);
