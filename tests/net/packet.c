/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is built is valid, and what is not valid is not parsed. */

#include "packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

static guint32
add_up (guint32 sum, const void *data, gsize size)
{
  const guint8 *bytes = data;

  for (gsize i = 0; i < size; i++)
    sum += (i % 2 == 0) ? (guint32) bytes[i] << 8 : bytes[i];
  return sum;
}

static guint16
fold (guint32 sum)
{
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static gsize
ip_header_size (const guint8 *ip)
{
  return ip[0] >> 4 == 4 ? (gsize) (ip[0] & 15) * 4 : sizeof (struct ip6_hdr);
}

/* Of the transport header at @data, with the addresses of @ip. */
static guint16
transport_checksum (const guint8 *ip, guint8 protocol, const guint8 *data, gsize size)
{
  guint32 sum = 0;

  if (protocol != IPPROTO_ICMP)
    {
      gboolean is4 = ip[0] >> 4 == 4;

      sum = add_up (sum, ip + (is4 ? 12 : 8), is4 ? 8 : 32);
      sum += size + protocol;
    }
  return fold (add_up (sum, data, size));
}

void
packet_parse_mac (const char *text, guint8 mac[6])
{
  g_auto (GStrv) parts = g_strsplit (text, ":", 6);

  g_assert_cmpuint (g_strv_length (parts), ==, 6);
  for (guint i = 0; i < 6; i++)
    mac[i] = g_ascii_strtoull (parts[i], NULL, 16);
}

/* ---- Parsing ------------------------------------------------------------------------------- */

static PacketIcmp
icmp_kind (gboolean is4, guint8 type, guint8 code)
{
  if (type == (is4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
    return PACKET_ICMP_ECHO_REQUEST;
  if (type == (is4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
    return PACKET_ICMP_ECHO_REPLY;
  if (is4 ? type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED : type == ICMP6_PACKET_TOO_BIG)
    return PACKET_ICMP_TOO_BIG;
  if (type == (is4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH))
    return PACKET_ICMP_UNREACHABLE;
  if (type == (is4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED))
    return PACKET_ICMP_TIME_EXCEEDED;
  return PACKET_ICMP_OTHER;
}

static int
common_protocol (guint8 protocol)
{
  return protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol;
}

static void
read_addresses (const guint8 *ip, char *from, char *to)
{
  gboolean is4 = ip[0] >> 4 == 4;

  if (from != NULL)
    inet_ntop (is4 ? AF_INET : AF_INET6, ip + (is4 ? 12 : 8), from, INET6_ADDRSTRLEN);
  inet_ntop (is4 ? AF_INET : AF_INET6, ip + (is4 ? 16 : 24), to, INET6_ADDRSTRLEN);
}

static guint16
read16 (const guint8 *data)
{
  return data[0] << 8 | data[1];
}

static guint32
read32 (const guint8 *data)
{
  return (guint32) read16 (data) << 16 | read16 (data + 2);
}

/* The ports of UDP and TCP, or an echo's identifier for both. */
static void
read_ports (int protocol, const guint8 *data, guint16 *from_port, guint16 *to_port)
{
  *from_port = read16 (data + (protocol == IPPROTO_ICMP ? 4 : 0));
  *to_port = read16 (data + (protocol == IPPROTO_ICMP ? 4 : 2));
}

static void
read_about (const guint8 *ip, gsize size, Packet *packet)
{
  gsize header;

  if (size < sizeof (struct ip))
    return;
  header = ip_header_size (ip);
  if (size < header + 8)
    return;
  packet->about_protocol = common_protocol (ip[0] >> 4 == 4 ? ip[9] : ip[6]);
  read_addresses (ip, NULL, packet->about_to);
  read_ports (packet->about_protocol, ip + header, &packet->about_from_port,
              &packet->about_to_port);
}

static gboolean
read_transport (const guint8 *ip, const guint8 *data, gsize size, Packet *packet)
{
  gsize header = 8;

  if (size < (packet->protocol == IPPROTO_TCP ? sizeof (struct tcphdr) : 8))
    return FALSE;
  read_ports (packet->protocol, data, &packet->from_port, &packet->to_port);
  if (packet->protocol == IPPROTO_TCP)
    {
      packet->seq = read32 (data + 4);
      packet->ack = read32 (data + 8);
      header = (gsize) (data[12] >> 4) * 4;
      packet->tcp_flags = data[13];
    }
  else if (packet->protocol == IPPROTO_ICMP)
    {
      packet->icmp = icmp_kind (ip[0] >> 4 == 4, data[0], data[1]);
      if (packet->icmp >= PACKET_ICMP_UNREACHABLE)
        read_about (data + 8, size - 8, packet);
    }
  if (header > size)
    return FALSE;
  packet->payload_size = MIN (size - header, sizeof packet->payload);
  memcpy (packet->payload, data + header, packet->payload_size);
  return TRUE;
}

gboolean
packet_parse (const guint8 *frame, gsize size, Packet *packet)
{
  const guint8 *ip = frame + ETH_HLEN;
  guint8 protocol;
  gsize header;
  gsize length;
  gboolean is4;

  memset (packet, 0, sizeof *packet);
  if (size < ETH_HLEN + sizeof (struct ip))
    return FALSE;
  is4 = read16 (frame + 12) == ETHERTYPE_IP;
  if (!is4 && (read16 (frame + 12) != ETHERTYPE_IPV6 || size < ETH_HLEN + sizeof (struct ip6_hdr)))
    return FALSE;

  header = ip_header_size (ip);
  length = is4 ? read16 (ip + 2) : read16 (ip + 4) + header;
  protocol = is4 ? ip[9] : ip[6];
  if (length < header || length > size - ETH_HLEN || (is4 && fold (add_up (0, ip, header)) != 0) ||
      transport_checksum (ip, protocol, ip + header, length - header) != 0)
    return FALSE;

  packet->protocol = common_protocol (protocol);
  read_addresses (ip, packet->from, packet->to);
  return read_transport (ip, ip + header, length - header, packet);
}

/* ---- Building ------------------------------------------------------------------------------ */

static void
append16 (GByteArray *bytes, guint16 value)
{
  guint16 big = htons (value);

  g_byte_array_append (bytes, (guint8 *) &big, 2);
}

static void
append32 (GByteArray *bytes, guint32 value)
{
  guint32 big = htonl (value);

  g_byte_array_append (bytes, (guint8 *) &big, 4);
}

static GByteArray *
build_transport (const Packet *packet, gboolean is4)
{
  GByteArray *bytes = g_byte_array_new ();

  if (packet->protocol == IPPROTO_ICMP)
    {
      gboolean reply = packet->icmp == PACKET_ICMP_ECHO_REPLY;
      guint8 type = is4 ? (reply ? ICMP_ECHOREPLY : ICMP_ECHO)
                        : (reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO_REQUEST);

      append16 (bytes, type << 8);
      append16 (bytes, 0); /* checksum */
      append16 (bytes, packet->from_port);
      append16 (bytes, 1);
    }
  else
    {
      append16 (bytes, packet->from_port);
      append16 (bytes, packet->to_port);
    }
  if (packet->protocol == IPPROTO_UDP)
    {
      append16 (bytes, sizeof (struct udphdr) + packet->payload_size);
      append16 (bytes, 0); /* checksum */
    }
  if (packet->protocol == IPPROTO_TCP)
    {
      append32 (bytes, packet->seq);
      append32 (bytes, packet->ack);
      append16 (bytes, 5 << 12 | packet->tcp_flags);
      append16 (bytes, 64240); /* window */
      append16 (bytes, 0);     /* checksum */
      append16 (bytes, 0);
    }
  g_byte_array_append (bytes, packet->payload, packet->payload_size);
  return bytes;
}

static void
append_ip (
    GByteArray *frame, const char *from, const char *to, guint8 protocol, gsize size, gboolean is4)
{
  guint8 address[16];
  guint start = frame->len;

  /* With the greatest number of hops: neighbour discovery wants it (RFC 4861, 6.1). */
  if (is4)
    {
      append16 (frame, 0x4500);
      append16 (frame, sizeof (struct ip) + size);
      append16 (frame, 0);
      append16 (frame, IP_DF);
      append16 (frame, 255 << 8 | protocol);
      append16 (frame, 0); /* checksum */
    }
  else
    {
      append32 (frame, 6u << 28);
      append16 (frame, size);
      append16 (frame, protocol << 8 | 255);
    }
  g_assert_cmpint (inet_pton (is4 ? AF_INET : AF_INET6, from, address), ==, 1);
  g_byte_array_append (frame, address, is4 ? 4 : 16);
  g_assert_cmpint (inet_pton (is4 ? AF_INET : AF_INET6, to, address), ==, 1);
  g_byte_array_append (frame, address, is4 ? 4 : 16);
  if (is4)
    {
      guint16 sum = htons (fold (add_up (0, frame->data + start, sizeof (struct ip))));

      memcpy (frame->data + start + 10, &sum, 2);
    }
}

GByteArray *
packet_build_with (const char *from,
                   const char *to,
                   guint8 protocol,
                   GByteArray *transport,
                   gsize checksum_at,
                   const char *from_mac,
                   const char *to_mac)
{
  gboolean is4 = strchr (to, ':') == NULL;
  GByteArray *frame = g_byte_array_new ();
  guint8 mac[6];
  guint16 sum;

  packet_parse_mac (to_mac, mac);
  g_byte_array_append (frame, mac, 6);
  packet_parse_mac (from_mac, mac);
  g_byte_array_append (frame, mac, 6);
  append16 (frame, is4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
  append_ip (frame, from, to, protocol, transport->len, is4);

  sum = transport_checksum (frame->data + ETH_HLEN, protocol, transport->data, transport->len);
  /* A UDP checksum of 0 would mean that there is none (RFC 768). */
  sum = htons (sum == 0 && protocol == IPPROTO_UDP ? 0xffff : sum);
  memcpy (transport->data + checksum_at, &sum, 2);
  g_byte_array_append (frame, transport->data, transport->len);
  return frame;
}

GByteArray *
packet_build (const Packet *packet, const char *from_mac, const char *to_mac)
{
  gboolean is4 = strchr (packet->to, ':') == NULL;
  g_autoptr (GByteArray) transport = build_transport (packet, is4);
  guint8 protocol = packet->protocol;
  gsize sum_at = protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;

  if (protocol == IPPROTO_ICMP && !is4)
    protocol = IPPROTO_ICMPV6;
  return packet_build_with (packet->from, packet->to, protocol, transport, sum_at, from_mac,
                            to_mac);
}
