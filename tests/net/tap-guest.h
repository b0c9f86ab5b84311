/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A stand-in for a guest: a thread at the other end of a tap.
 *
 * It answers ARP and neighbour solicitations for its addresses, echo requests, datagrams (with the
 * same payload) and TCP on every port (SYN with SYN-ACK, data with the same data, FIN with FIN).
 * It sends probes and waits for what comes back. What comes in is kept, so that a test can say what
 * did not: send what must not pass, then probe what must; when the answer to the second is there,
 * the first would have been. */

#pragma once

#include "packet.h"

typedef struct _TapGuest TapGuest;

/* Takes @tap_fd, a descriptor of /dev/net/tun with a vnet header, and waits until the gateway
 * answers (by ARP, which no firewall for IP concerns). */
TapGuest *tap_guest_new (int tap_fd);

/* One that stands for everybody: it answers what is for any address. The other end has @address. */
TapGuest *tap_guest_new_for_all (int tap_fd, const char *address);
void tap_guest_free (TapGuest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TapGuest, tap_guest_free)

/* Forgets who has said where it is, so that the next tap_guest_resolve() waits for an answer. */
void tap_guest_forget_neighbours (TapGuest *self);

typedef struct
{
  int protocol;        /* IPPROTO_ICMP, IPPROTO_UDP or IPPROTO_TCP (a SYN) */
  const char *to;      /* either family */
  guint16 port;        /* not for ICMP */
  const char *from;    /* NULL: the guest's own address */
  guint16 from_port;   /* 0: one that no other probe had; tells answers apart */
  const char *payload; /* of datagrams and echoes; may be NULL */
} TapProbe;

typedef enum
{
  TAP_SILENT,   /* nothing came */
  TAP_ANSWERED, /* echo reply, datagram or SYN-ACK */
  TAP_REFUSED,  /* RST, or ICMP says unreachable */
} TapAnswer;

/* Fills in what @probe leaves open, and sends it. */
void tap_guest_send (TapGuest *self, TapProbe *probe);

/* What came for a probe that was sent; waits up to @timeout_ms. */
TapAnswer tap_guest_wait (TapGuest *self, const TapProbe *probe, guint timeout_ms);

/* Both, for a probe that is used once. */
TapAnswer tap_guest_probe (TapGuest *self, TapProbe probe, guint timeout_ms);

/* Sends a datagram with any bytes, and waits for the answer: its size, or -1. */
gssize tap_guest_exchange (TapGuest *self,
                           const char *to,
                           guint16 port,
                           GBytes *question,
                           guint8 answer[PACKET_MAX_PAYLOAD],
                           guint timeout_ms);

/* How many packets have come in from @from (NULL: anybody) for @port (0: any) by @protocol. */
guint tap_guest_count (TapGuest *self, int protocol, const char *from, guint16 port);

/* The same, but waits until there is one. */
gboolean
tap_guest_wait_for (TapGuest *self, int protocol, const char *from, guint16 port, guint timeout_ms);

/* A TCP connection from the guest, which stays open: established or NULL. */
typedef struct _TapStream TapStream;

TapStream *tap_guest_connect (TapGuest *self, const char *to, guint16 port, guint timeout_ms);

/* Sends a byte; TRUE when it is acknowledged. */
gboolean tap_stream_exchange (TapStream *self, guint timeout_ms);
void tap_stream_free (TapStream *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TapStream, tap_stream_free)

/* Asks by ARP or neighbour solicitation who has @address; the MAC, or NULL. (transfer full) */
char *tap_guest_resolve (TapGuest *self, const char *address, guint timeout_ms);

/* Puts any frame on the wire. */
void tap_guest_send_frame (TapGuest *self, const guint8 *frame, gsize size);
