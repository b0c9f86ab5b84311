/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A name server for tests: a thread that answers every question, over UDP and TCP, and keeps what
 * it was asked. What it answers depends on the first label of the name:
 *
 *   alias          CNAME cdn.other.test, and that one's address
 *   alias-private  the same, and a private address
 *   private, linklocal, loopback, mixed   10.1.2.3; 169.254.169.254; 127.0.0.1; public and private
 *   private6, linklocal6, mapped6         fd00::1; fe80::1; ::ffff:10.1.2.3
 *   long           a time to live of a day
 *   nowhere        no such name
 *   anything else  93.184.1.1 and 2600:93::1 */

#pragma once

#include <glib.h>

#define DNS_SERVER_A    "93.184.1.1"
#define DNS_SERVER_AAAA "2600:93::1"
#define DNS_SERVER_CDN  "93.184.1.9"

#define DNS_A     1
#define DNS_CNAME 5
#define DNS_TXT   16
#define DNS_AAAA  28

typedef struct _DnsServer DnsServer;

/* Listens at these addresses of the caller's namespace, from which it answers, too; @address6 may
 * be NULL. */
DnsServer *dns_server_new (const char *address4, const char *address6, guint16 port);
void dns_server_free (DnsServer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DnsServer, dns_server_free)

/* The names it was asked for since the last call, in lower case. (transfer full) */
GStrv dns_server_take_questions (DnsServer *self);

/* A question in wire format. A "\\." in @name is a dot within a label. (transfer full) */
GBytes *dns_question (const char *name, guint16 type);

typedef struct
{
  int rcode;
  guint n_answers;
  guint32 ttl; /* the greatest of all */
  gboolean has_address;
} DnsAnswer;

/* FALSE for what is no answer to a question. */
gboolean dns_answer_parse (const guint8 *data, gsize size, DnsAnswer *answer);
