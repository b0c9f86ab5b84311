/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a machine may reach, as options say it: those of CreateVM and SetNetworkPolicy. Only their
 * form is looked at; what may be in them is the service's to say. */

#pragma once

#include <gio/gio.h>

typedef struct
{
  gboolean none; /* loopback only; of CreateVM */
  char *policy;
  char **allowed_domains; /* of these lists NULL: not given; one empty text: none in it */
  char **allowed_cidrs;
  char **denied_cidrs;
  char **ports;
  char *bandwidth;
  gboolean icmp;
  gboolean no_icmp;
} NetworkOptions;

/* Adds what was given to @dict. INVALID_ARGUMENT names the value and the rule. */
gboolean network_options_fill (const NetworkOptions *options, GVariantDict *dict, GError **error);

void network_options_clear (NetworkOptions *options);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (NetworkOptions, network_options_clear)
