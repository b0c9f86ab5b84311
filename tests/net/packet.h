/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One Ethernet frame with an IPv4 or IPv6 packet of ICMP, UDP or TCP, taken apart and put together.
 * The same words for both families: ICMP stands for ICMPv6, too. */

#pragma once

#include <glib.h>
#include <netinet/in.h>

#define PACKET_MAX_PAYLOAD 1500

typedef enum
{
  PACKET_ICMP_OTHER,
  PACKET_ICMP_ECHO_REQUEST,
  PACKET_ICMP_ECHO_REPLY,
  PACKET_ICMP_UNREACHABLE,
  PACKET_ICMP_TOO_BIG,
  PACKET_ICMP_TIME_EXCEEDED,
} PacketIcmp;

#define PACKET_FIN 0x01
#define PACKET_SYN 0x02
#define PACKET_RST 0x04
#define PACKET_PSH 0x08
#define PACKET_ACK 0x10

typedef struct
{
  int protocol; /* IPPROTO_ICMP, IPPROTO_UDP or IPPROTO_TCP */
  char from[INET6_ADDRSTRLEN];
  char to[INET6_ADDRSTRLEN];
  guint16 from_port; /* of an echo: its identifier, in both */
  guint16 to_port;

  guint8 tcp_flags;
  guint32 seq;
  guint32 ack;

  PacketIcmp icmp;
  /* What an ICMP error is about. */
  int about_protocol;
  char about_to[INET6_ADDRSTRLEN];
  guint16 about_from_port;
  guint16 about_to_port;

  guint8 payload[PACKET_MAX_PAYLOAD];
  gsize payload_size;
} Packet;

/* FALSE for anything else, and for what is cut off or has a wrong checksum. */
gboolean packet_parse (const guint8 *frame, gsize size, Packet *packet);

/* (transfer full) With right checksums. MACs as "02:…". ICMP only as an echo. */
GByteArray *packet_build (const Packet *packet, const char *from_mac, const char *to_mac);

/* (transfer full) An IP packet with any @transport, whose checksum is to be put at @checksum_at. */
GByteArray *packet_build_with (const char *from,
                               const char *to,
                               guint8 protocol,
                               GByteArray *transport,
                               gsize checksum_at,
                               const char *from_mac,
                               const char *to_mac);

void packet_parse_mac (const char *text, guint8 mac[6]);
