/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: every frame was handed to the device, or the program fails. */

#include "input.h"
#include "modes.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
run_frames (const char *device)
{
  const struct sockaddr_ll link = { .sll_family = AF_PACKET,
                                    .sll_ifindex = (int) if_nametoindex (device) };
  const int fd = socket (AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  char line[2 * ETH_FRAME_LEN + 2];
  uint8_t frame[ETH_FRAME_LEN];

  if (fd < 0 || link.sll_ifindex == 0 ||
      bind (fd, (const struct sockaddr *) &link, sizeof link) < 0)
    {
      perror (device);
      return EXIT_FAILURE;
    }
  while (fgets (line, sizeof line, stdin) != NULL)
    {
      int size;

      line[strcspn (line, "\n")] = '\0';
      size = input_parse_hex (line, frame, sizeof frame);
      if (size < 0 || send (fd, frame, (size_t) size, 0) != size)
        {
          perror (line);
          return EXIT_FAILURE;
        }
    }
  return EXIT_SUCCESS;
}
