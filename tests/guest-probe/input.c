/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is not understood is said to be, and never half taken. */

#include "input.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

bool
input_parse_address (const char *text,
                     uint16_t port,
                     struct sockaddr_storage *address,
                     socklen_t *size)
{
  struct sockaddr_in *v4 = (struct sockaddr_in *) address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) address;
  const char *scope = strchr (text, '%');
  char host[INET6_ADDRSTRLEN];
  const size_t length = scope != NULL ? (size_t) (scope - text) : strlen (text);

  memset (address, 0, sizeof *address);
  if (length >= sizeof host)
    return false;
  memcpy (host, text, length);
  host[length] = '\0';
  if (scope == NULL && inet_pton (AF_INET, host, &v4->sin_addr) == 1)
    {
      v4->sin_family = AF_INET;
      v4->sin_port = htons (port);
      *size = sizeof *v4;
      return true;
    }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons (port);
  v6->sin6_scope_id = scope != NULL ? if_nametoindex (scope + 1) : 0;
  *size = sizeof *v6;
  return inet_pton (AF_INET6, host, &v6->sin6_addr) == 1 &&
         (scope == NULL || v6->sin6_scope_id != 0);
}

static int
digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
input_parse_hex (const char *text, uint8_t *bytes, size_t size)
{
  const size_t length = strlen (text) / 2;

  if (strlen (text) % 2 != 0 || length > size)
    return -1;
  for (size_t i = 0; i < length; i++)
    {
      const int high = digit (text[2 * i]);
      const int low = digit (text[2 * i + 1]);

      if (high < 0 || low < 0)
        return -1;
      bytes[i] = (uint8_t) (high << 4 | low);
    }
  return (int) length;
}
