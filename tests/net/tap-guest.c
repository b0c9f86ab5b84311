/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a stand-in that hears only what a network card with its address would, and forgets
 * nothing that a test asks for. */

#include "tap-guest.h"

#include "net/net-address.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

/* Ports from here on are the guest's own ends; on those below it serves. */
#define FIRST_PROBE_PORT 40000
#define MAX_PACKETS      8192
#define MAX_FRAME        65600
#define ASK_AGAIN_MS     20
#define WIRE_DEADLINE_MS 5000

typedef struct
{
  char address[INET6_ADDRSTRLEN];
  char mac[18];
} Neighbour;

struct _TapGuest
{
  int tap_fd;
  int stop_fd;
  GThread *thread;
  guint8 mac[6];
  guint16 next_port; /* only of the testing thread */
  gboolean for_all;

  GMutex mutex;
  GCond cond;
  GArray *packets;    /* Packet, in the order of arrival */
  GArray *neighbours; /* Neighbour: who said where it is */
};

struct _TapStream
{
  TapGuest *guest;
  char *to;
  guint16 port;
  guint16 from_port;
  guint32 seq;
  guint32 ack;
};

static gboolean
is_v4 (const char *address)
{
  return strchr (address, ':') == NULL;
}

static const char *
own_address (const char *peer)
{
  return is_v4 (peer) ? VMSAN_NET_GUEST4 : VMSAN_NET_GUEST6;
}

void
tap_guest_send_frame (TapGuest *self, const guint8 *frame, gsize size)
{
  struct virtio_net_hdr header = { 0 };
  struct iovec parts[2] = { { &header, sizeof header }, { (void *) frame, size } };

  g_assert_cmpint (writev (self->tap_fd, parts, 2), ==, sizeof header + size);
}

static void
send_packet (TapGuest *self, const Packet *packet)
{
  g_autoptr (GByteArray) frame = packet_build (packet, VMSAN_NET_GUEST_MAC, VMSAN_NET_GATEWAY_MAC);

  tap_guest_send_frame (self, frame->data, frame->len);
}

/* ---- Neighbours ---------------------------------------------------------------------------- */

static void
remember_neighbour (TapGuest *self, int family, const void *address, const guint8 *mac)
{
  Neighbour neighbour;

  inet_ntop (family, address, neighbour.address, sizeof neighbour.address);
  g_snprintf (neighbour.mac, sizeof neighbour.mac, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
              mac[2], mac[3], mac[4], mac[5]);
  g_mutex_lock (&self->mutex);
  g_array_append_val (self->neighbours, neighbour);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->mutex);
}

static void
fill_arp (struct ether_arp *arp, guint16 operation, const guint8 mac[6], const char *address)
{
  arp->arp_hrd = htons (ARPHRD_ETHER);
  arp->arp_pro = htons (ETHERTYPE_IP);
  arp->arp_hln = 6;
  arp->arp_pln = 4;
  arp->arp_op = htons (operation);
  memcpy (arp->arp_sha, mac, 6);
  inet_pton (AF_INET, address, arp->arp_spa);
}

static void
send_ethernet (
    TapGuest *self, const guint8 to[6], guint16 type, const void *payload, gsize payload_size)
{
  g_autoptr (GByteArray) frame = g_byte_array_new ();
  guint16 big = htons (type);

  g_byte_array_append (frame, to, 6);
  g_byte_array_append (frame, self->mac, 6);
  g_byte_array_append (frame, (guint8 *) &big, 2);
  g_byte_array_append (frame, payload, payload_size);
  tap_guest_send_frame (self, frame->data, frame->len);
}

static void
handle_arp (TapGuest *self, const guint8 *data, gsize size)
{
  struct ether_arp arp;
  struct ether_arp answer = { 0 };
  struct in_addr own;

  if (size < sizeof arp)
    return;
  memcpy (&arp, data, sizeof arp);
  inet_pton (AF_INET, VMSAN_NET_GUEST4, &own);
  if (ntohs (arp.arp_op) == ARPOP_REPLY)
    remember_neighbour (self, AF_INET, arp.arp_spa, arp.arp_sha);
  if (ntohs (arp.arp_op) != ARPOP_REQUEST || memcmp (arp.arp_tpa, &own, 4) != 0)
    return;
  fill_arp (&answer, ARPOP_REPLY, self->mac, VMSAN_NET_GUEST4);
  memcpy (answer.arp_tha, arp.arp_sha, 6);
  memcpy (answer.arp_tpa, arp.arp_spa, 4);
  send_ethernet (self, arp.arp_sha, ETHERTYPE_ARP, &answer, sizeof answer);
}

/* A solicitation or advertisement with the address of its sender's card. */
typedef struct __attribute__ ((packed))
{
  struct ip6_hdr ip;
  struct icmp6_hdr icmp;
  struct in6_addr target;
  guint8 option[2];
  guint8 mac[6];
} Discovery;

static void
send_discovery (TapGuest *self,
                guint8 type,
                const struct in6_addr *to,
                const struct in6_addr *target,
                const guint8 to_mac[6])
{
  Discovery d = {
    .option = { type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR, 1 }
  };
  guint32 sum = sizeof d - sizeof d.ip + IPPROTO_ICMPV6;
  const guint8 *bytes = (const guint8 *) &d;

  d.ip.ip6_flow = htonl (6u << 28);
  d.ip.ip6_plen = htons (sizeof d - sizeof d.ip);
  d.ip.ip6_nxt = IPPROTO_ICMPV6;
  d.ip.ip6_hlim = 255;
  inet_pton (AF_INET6, VMSAN_NET_GUEST6, &d.ip.ip6_src);
  d.ip.ip6_dst = *to;
  d.icmp.icmp6_type = type;
  if (type == ND_NEIGHBOR_ADVERT)
    d.icmp.icmp6_data32[0] = ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE;
  d.target = *target;
  memcpy (d.mac, self->mac, 6);
  for (gsize i = 8; i < sizeof d; i++)
    sum += i % 2 == 0 ? (guint32) bytes[i] << 8 : bytes[i];
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  d.icmp.icmp6_cksum = htons ((guint16) ~sum);
  send_ethernet (self, to_mac, ETHERTYPE_IPV6, &d, sizeof d);
}

/* TRUE if it was one. */
static gboolean
handle_discovery (TapGuest *self, const guint8 *sender_mac, const guint8 *data, gsize size)
{
  struct in6_addr own;
  Discovery d = { 0 };

  if (size < G_STRUCT_OFFSET (Discovery, option))
    return FALSE;
  memcpy (&d, data, MIN (size, sizeof d));
  if (d.ip.ip6_nxt != IPPROTO_ICMPV6 || d.icmp.icmp6_type < ND_ROUTER_SOLICIT ||
      d.icmp.icmp6_type > ND_REDIRECT)
    return FALSE;
  inet_pton (AF_INET6, VMSAN_NET_GUEST6, &own);
  if (d.icmp.icmp6_type == ND_NEIGHBOR_ADVERT && size >= sizeof d)
    {
      struct in6_addr target = d.target;

      remember_neighbour (self, AF_INET6, &target, d.mac);
    }
  if (d.icmp.icmp6_type == ND_NEIGHBOR_SOLICIT && memcmp (&d.target, &own, sizeof own) == 0)
    {
      struct in6_addr sender = d.ip.ip6_src;

      send_discovery (self, ND_NEIGHBOR_ADVERT, &sender, &own, sender_mac);
    }
  return TRUE;
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void
answer_tcp (const Packet *packet, Packet *answer, gboolean *wanted)
{
  guint32 next = packet->seq + packet->payload_size;

  *wanted = !(packet->tcp_flags & PACKET_RST) &&
            (packet->payload_size > 0 || packet->tcp_flags & (PACKET_SYN | PACKET_FIN));
  if (packet->tcp_flags & PACKET_SYN)
    {
      answer->tcp_flags = PACKET_SYN | PACKET_ACK;
      answer->seq = 1;
      answer->ack = packet->seq + 1;
      answer->payload_size = 0;
      return;
    }
  answer->tcp_flags = PACKET_ACK | PACKET_PSH | (packet->tcp_flags & PACKET_FIN);
  answer->seq = packet->ack;
  answer->ack = next + (packet->tcp_flags & PACKET_FIN ? 1 : 0);
}

static void
answer (TapGuest *self, const Packet *packet)
{
  g_autofree Packet *reply = g_memdup2 (packet, sizeof *packet);
  gboolean wanted = packet->to_port < FIRST_PROBE_PORT;

  if (!self->for_all && !g_str_equal (packet->to, own_address (packet->to)))
    return;
  g_strlcpy (reply->from, packet->to, sizeof reply->from);
  g_strlcpy (reply->to, packet->from, sizeof reply->to);
  reply->from_port = packet->to_port;
  reply->to_port = packet->from_port;
  if (packet->protocol == IPPROTO_ICMP)
    {
      wanted = packet->icmp == PACKET_ICMP_ECHO_REQUEST;
      reply->icmp = PACKET_ICMP_ECHO_REPLY;
    }
  else if (packet->protocol == IPPROTO_TCP && wanted)
    answer_tcp (packet, reply, &wanted);
  else if (packet->protocol != IPPROTO_UDP)
    wanted = FALSE;
  if (wanted)
    send_packet (self, reply);
}

static void
handle_frame (TapGuest *self, const guint8 *frame, gsize size)
{
  g_autofree Packet *packet = g_new (Packet, 1);
  guint16 type;

  if (size < ETH_HLEN || (memcmp (frame, self->mac, 6) != 0 && !(frame[0] & 1)))
    return;
  type = frame[12] << 8 | frame[13];
  if (type == ETHERTYPE_ARP)
    handle_arp (self, frame + ETH_HLEN, size - ETH_HLEN);
  if (type == ETHERTYPE_IPV6 &&
      handle_discovery (self, frame + 6, frame + ETH_HLEN, size - ETH_HLEN))
    return;
  if (!packet_parse (frame, size, packet))
    return;
  /* First kept, then answered: whoever sees the answer finds the packet here. */
  g_mutex_lock (&self->mutex);
  if (self->packets->len == MAX_PACKETS)
    g_array_remove_range (self->packets, 0, MAX_PACKETS / 2);
  g_array_append_vals (self->packets, packet, 1);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->mutex);
  answer (self, packet);
}

static gpointer
guest_thread (gpointer data)
{
  TapGuest *self = data;
  g_autofree guint8 *buffer = g_malloc (MAX_FRAME);
  struct pollfd fds[2] = { { self->tap_fd, POLLIN, 0 }, { self->stop_fd, POLLIN, 0 } };

  while (TRUE)
    {
      gssize n;

      if (poll (fds, 2, -1) < 0)
        continue;
      if (fds[1].revents != 0)
        return NULL;
      n = read (self->tap_fd, buffer, MAX_FRAME);
      /* The namespace may be deleted under a test. */
      if (n < 0 && errno != EINTR && errno != EAGAIN)
        fds[0].fd = -1;
      if (n > (gssize) sizeof (struct virtio_net_hdr))
        handle_frame (self, buffer + sizeof (struct virtio_net_hdr),
                      n - sizeof (struct virtio_net_hdr));
    }
}

void
tap_guest_forget_neighbours (TapGuest *self)
{
  g_mutex_lock (&self->mutex);
  g_array_set_size (self->neighbours, 0);
  g_mutex_unlock (&self->mutex);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

/* Called with the mutex held; TRUE ends the wait. */
typedef gboolean (*Condition) (TapGuest *self, gpointer data);

static gboolean
wait_until (TapGuest *self, guint timeout_ms, Condition condition, gpointer data)
{
  gint64 deadline = g_get_monotonic_time () + timeout_ms * G_GINT64_CONSTANT (1000);
  gboolean met;

  g_mutex_lock (&self->mutex);
  while (!(met = condition (self, data)))
    {
      if (!g_cond_wait_until (&self->cond, &self->mutex, deadline))
        {
          met = condition (self, data);
          break;
        }
    }
  g_mutex_unlock (&self->mutex);
  return met;
}

/* ---- Probes -------------------------------------------------------------------------------- */

static guint16
take_port (TapGuest *self)
{
  guint16 port = self->next_port;

  self->next_port = port == G_MAXUINT16 ? FIRST_PROBE_PORT : port + 1;
  return port;
}

void
tap_guest_send (TapGuest *self, TapProbe *probe)
{
  g_autofree Packet *packet = g_new0 (Packet, 1);

  if (probe->from == NULL)
    probe->from = own_address (probe->to);
  if (probe->from_port == 0)
    probe->from_port = take_port (self);
  packet->protocol = probe->protocol;
  g_strlcpy (packet->from, probe->from, sizeof packet->from);
  g_strlcpy (packet->to, probe->to, sizeof packet->to);
  packet->from_port = probe->from_port;
  packet->to_port = probe->port;
  packet->icmp = PACKET_ICMP_ECHO_REQUEST;
  packet->tcp_flags = PACKET_SYN;
  packet->seq = 1000;
  if (probe->payload != NULL && probe->protocol != IPPROTO_TCP)
    {
      packet->payload_size = strlen (probe->payload);
      g_assert_cmpuint (packet->payload_size, <=, sizeof packet->payload);
      memcpy (packet->payload, probe->payload, packet->payload_size);
    }
  send_packet (self, packet);
}

static TapAnswer
packet_answers (const Packet *packet, const TapProbe *probe)
{
  if (packet->protocol == IPPROTO_ICMP && packet->icmp == PACKET_ICMP_UNREACHABLE &&
      packet->about_protocol == probe->protocol && g_str_equal (packet->about_to, probe->to) &&
      packet->about_from_port == probe->from_port &&
      (probe->protocol == IPPROTO_ICMP || packet->about_to_port == probe->port))
    return TAP_REFUSED;
  if (packet->protocol != probe->protocol || !g_str_equal (packet->from, probe->to) ||
      packet->to_port != probe->from_port)
    return TAP_SILENT;
  if (packet->protocol == IPPROTO_ICMP)
    return packet->icmp == PACKET_ICMP_ECHO_REPLY ? TAP_ANSWERED : TAP_SILENT;
  if (packet->from_port != probe->port)
    return TAP_SILENT;
  if (packet->protocol == IPPROTO_TCP && packet->tcp_flags & PACKET_RST)
    return TAP_REFUSED;
  return TAP_ANSWERED;
}

typedef struct
{
  const TapProbe *probe;
  TapAnswer answer;
} WantedAnswer;

static gboolean
has_answer (TapGuest *self, gpointer data)
{
  WantedAnswer *wanted = data;

  for (guint i = 0; i < self->packets->len && wanted->answer == TAP_SILENT; i++)
    wanted->answer = packet_answers (&g_array_index (self->packets, Packet, i), wanted->probe);
  return wanted->answer != TAP_SILENT;
}

TapAnswer
tap_guest_wait (TapGuest *self, const TapProbe *probe, guint timeout_ms)
{
  WantedAnswer wanted = { probe, TAP_SILENT };

  wait_until (self, timeout_ms, has_answer, &wanted);
  return wanted.answer;
}

TapAnswer
tap_guest_probe (TapGuest *self, TapProbe probe, guint timeout_ms)
{
  tap_guest_send (self, &probe);
  return tap_guest_wait (self, &probe, timeout_ms);
}

typedef struct
{
  const char *from;
  guint16 from_port;
  guint16 to_port;
  guint8 *answer;
  gssize size;
} WantedDatagram;

static gboolean
has_datagram (TapGuest *self, gpointer data)
{
  WantedDatagram *wanted = data;

  for (guint i = 0; i < self->packets->len; i++)
    {
      const Packet *packet = &g_array_index (self->packets, Packet, i);

      if (packet->protocol != IPPROTO_UDP || packet->from_port != wanted->from_port ||
          packet->to_port != wanted->to_port || !g_str_equal (packet->from, wanted->from))
        continue;
      wanted->size = packet->payload_size;
      memcpy (wanted->answer, packet->payload, packet->payload_size);
      return TRUE;
    }
  return FALSE;
}

gssize
tap_guest_exchange (TapGuest *self,
                    const char *to,
                    guint16 port,
                    GBytes *question,
                    guint8 answer[PACKET_MAX_PAYLOAD],
                    guint timeout_ms)
{
  g_autofree Packet *packet = g_new0 (Packet, 1);
  WantedDatagram wanted = { to, port, take_port (self), answer, -1 };

  packet->protocol = IPPROTO_UDP;
  g_strlcpy (packet->from, own_address (to), sizeof packet->from);
  g_strlcpy (packet->to, to, sizeof packet->to);
  packet->from_port = wanted.to_port;
  packet->to_port = port;
  packet->payload_size = g_bytes_get_size (question);
  g_assert_cmpuint (packet->payload_size, <=, PACKET_MAX_PAYLOAD);
  memcpy (packet->payload, g_bytes_get_data (question, NULL), packet->payload_size);
  send_packet (self, packet);
  wait_until (self, timeout_ms, has_datagram, &wanted);
  return wanted.size;
}

/* ---- What came in -------------------------------------------------------------------------- */

typedef struct
{
  int protocol;
  const char *from;
  guint16 port;
  guint n;
} Count;

static gboolean
count_packets (TapGuest *self, gpointer data)
{
  Count *count = data;

  count->n = 0;
  for (guint i = 0; i < self->packets->len; i++)
    {
      const Packet *packet = &g_array_index (self->packets, Packet, i);

      if (packet->protocol == count->protocol &&
          (count->from == NULL || g_str_equal (packet->from, count->from)) &&
          (count->port == 0 || packet->to_port == count->port))
        count->n++;
    }
  return count->n > 0;
}

guint
tap_guest_count (TapGuest *self, int protocol, const char *from, guint16 port)
{
  Count count = { protocol, from, port, 0 };

  wait_until (self, 0, count_packets, &count);
  return count.n;
}

gboolean
tap_guest_wait_for (TapGuest *self, int protocol, const char *from, guint16 port, guint timeout_ms)
{
  Count count = { protocol, from, port, 0 };

  return wait_until (self, timeout_ms, count_packets, &count);
}

/* ---- Streams ------------------------------------------------------------------------------- */

static void
send_segment (TapStream *self, guint8 flags, gboolean with_data)
{
  g_autofree Packet *packet = g_new0 (Packet, 1);

  packet->protocol = IPPROTO_TCP;
  g_strlcpy (packet->from, own_address (self->to), sizeof packet->from);
  g_strlcpy (packet->to, self->to, sizeof packet->to);
  packet->from_port = self->from_port;
  packet->to_port = self->port;
  packet->tcp_flags = flags;
  packet->seq = self->seq;
  packet->ack = self->ack;
  packet->payload[0] = '.';
  packet->payload_size = with_data ? 1 : 0;
  send_packet (self->guest, packet);
}

/* Takes what the peer has sent into account; TRUE when everything of ours is acknowledged. */
static gboolean
is_acknowledged (TapGuest *guest, gpointer data)
{
  TapStream *self = data;
  gboolean acknowledged = FALSE;

  for (guint i = 0; i < guest->packets->len; i++)
    {
      const Packet *packet = &g_array_index (guest->packets, Packet, i);
      guint32 next = packet->seq + packet->payload_size + (packet->tcp_flags & PACKET_SYN ? 1 : 0);

      if (packet->protocol != IPPROTO_TCP || !(packet->tcp_flags & PACKET_ACK) ||
          packet->tcp_flags & PACKET_RST || packet->to_port != self->from_port ||
          packet->from_port != self->port || !g_str_equal (packet->from, self->to))
        continue;
      if (self->ack == 0 || (gint32) (next - self->ack) > 0)
        self->ack = next;
      acknowledged |= packet->ack == self->seq;
    }
  return acknowledged;
}

TapStream *
tap_guest_connect (TapGuest *self, const char *to, guint16 port, guint timeout_ms)
{
  g_autoptr (TapStream) stream = g_new0 (TapStream, 1);

  stream->guest = self;
  stream->to = g_strdup (to);
  stream->port = port;
  stream->from_port = take_port (self);
  stream->seq = 1000;
  send_segment (stream, PACKET_SYN, FALSE);
  stream->seq++;
  if (!wait_until (self, timeout_ms, is_acknowledged, stream))
    return NULL;
  send_segment (stream, PACKET_ACK, FALSE);
  return g_steal_pointer (&stream);
}

gboolean
tap_stream_exchange (TapStream *self, guint timeout_ms)
{
  send_segment (self, PACKET_ACK | PACKET_PSH, TRUE);
  self->seq++;
  if (wait_until (self->guest, timeout_ms, is_acknowledged, self))
    return TRUE;
  /* So that the next try is a retransmission, not a hole. */
  self->seq--;
  return FALSE;
}

void
tap_stream_free (TapStream *self)
{
  g_free (self->to);
  g_free (self);
}

/* ---- Resolving ----------------------------------------------------------------------------- */

typedef struct
{
  const char *address;
  char *mac;
} Resolution;

static gboolean
has_neighbour (TapGuest *self, gpointer data)
{
  Resolution *resolution = data;

  for (guint i = 0; i < self->neighbours->len && resolution->mac == NULL; i++)
    {
      const Neighbour *neighbour = &g_array_index (self->neighbours, Neighbour, i);

      if (g_str_equal (neighbour->address, resolution->address))
        resolution->mac = g_strdup (neighbour->mac);
    }
  return resolution->mac != NULL;
}

static void
ask (TapGuest *self, const char *address)
{
  if (is_v4 (address))
    {
      static const guint8 everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
      struct ether_arp arp = { 0 };

      fill_arp (&arp, ARPOP_REQUEST, self->mac, VMSAN_NET_GUEST4);
      inet_pton (AF_INET, address, arp.arp_tpa);
      send_ethernet (self, everybody, ETHERTYPE_ARP, &arp, sizeof arp);
    }
  else
    {
      struct in6_addr target;
      struct in6_addr group;
      guint8 mac[6] = { 0x33, 0x33, 0xff };

      /* The solicited-node group of the address (RFC 4291, 2.7.1). */
      inet_pton (AF_INET6, address, &target);
      inet_pton (AF_INET6, "ff02::1:ff00:0", &group);
      memcpy (group.s6_addr + 13, target.s6_addr + 13, 3);
      memcpy (mac + 3, target.s6_addr + 13, 3);
      send_discovery (self, ND_NEIGHBOR_SOLICIT, &group, &target, mac);
    }
}

char *
tap_guest_resolve (TapGuest *self, const char *address, guint timeout_ms)
{
  gint64 deadline = g_get_monotonic_time () + timeout_ms * G_GINT64_CONSTANT (1000);
  Resolution resolution = { address, NULL };

  do
    ask (self, address);
  while (!wait_until (self, ASK_AGAIN_MS, has_neighbour, &resolution) &&
         g_get_monotonic_time () < deadline);
  return resolution.mac;
}

/* ---- Life --------------------------------------------------------------------------------- */

static TapGuest *
start_guest (int tap_fd, gboolean for_all, const char *other_end)
{
  TapGuest *self = g_new0 (TapGuest, 1);
  g_autofree char *mac = NULL;

  g_assert_cmpint (tap_fd, >=, 0);
  self->tap_fd = tap_fd;
  self->stop_fd = eventfd (0, EFD_CLOEXEC);
  g_assert_cmpint (self->stop_fd, >=, 0);
  self->for_all = for_all;
  self->next_port = FIRST_PROBE_PORT;
  self->packets = g_array_new (FALSE, FALSE, sizeof (Packet));
  self->neighbours = g_array_new (FALSE, FALSE, sizeof (Neighbour));
  packet_parse_mac (VMSAN_NET_GUEST_MAC, self->mac);
  g_mutex_init (&self->mutex);
  g_cond_init (&self->cond);
  self->thread = g_thread_new ("tap-guest", guest_thread, self);

  /* The kernel sends nothing by a tap until it has noticed, some time after, that somebody is
   * there. */
  mac = tap_guest_resolve (self, other_end, WIRE_DEADLINE_MS);
  g_assert_cmpstr (mac, ==, VMSAN_NET_GATEWAY_MAC);
  return self;
}

TapGuest *
tap_guest_new (int tap_fd)
{
  return start_guest (tap_fd, FALSE, VMSAN_NET_GATEWAY4);
}

TapGuest *
tap_guest_new_for_all (int tap_fd, const char *address)
{
  return start_guest (tap_fd, TRUE, address);
}

void
tap_guest_free (TapGuest *self)
{
  guint64 one = 1;

  g_assert_cmpint (write (self->stop_fd, &one, sizeof one), ==, sizeof one);
  g_thread_join (self->thread);
  close (self->stop_fd);
  close (self->tap_fd);
  g_array_unref (self->packets);
  g_array_unref (self->neighbours);
  g_mutex_clear (&self->mutex);
  g_cond_clear (&self->cond);
  g_free (self);
}
