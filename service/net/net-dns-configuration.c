/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is not said to be asked upstream is refused, and never asked.
 *
 * How dnsmasq (2.86 and later) reads it: "x" is x and all below, "*.x" is all below alone, and of
 * several that fit, the longest counts. The server "#" stands for the usual ones, of
 * which there are none here: REFUSED. So each listed name is written down twice, once for itself
 * and once for what is below it. */

#include "net/net-dns.h"

#include "net/net-domain.h"
#include "net/net-resolvers.h"
#include "net/net-rules.h"

#include <string.h>

#define WILDCARD "*."

/* A cache would answer for names that were only the middle of a chain of aliases, and would hide
 * from the firewall that an address is still in use. */
static const char fixed_options[] = "keep-in-foreground\n"
                                    "no-resolv\n"
                                    "no-hosts\n"
                                    "no-poll\n"
                                    "bind-interfaces\n"
                                    "port=53\n"
                                    "cache-size=0\n"
                                    "stop-dns-rebind\n"
                                    "no-ident\n"
                                    "edns-packet-max=1232\n"
                                    "dns-forward-max=150\n"
                                    "user=\n"
                                    "group=\n"
                                    "pid-file=\n"
                                    "log-facility=/dev/null\n";

static const char *
name_of (const char *domain)
{
  return g_str_has_prefix (domain, WILDCARD) ? domain + strlen (WILDCARD) : domain;
}

/* Whether all names below @name are listed. */
static gboolean
allows_below (const VmsanNetPolicy *policy, const char *name)
{
  for (guint i = 0; policy->allowed_domains[i] != NULL; i++)
    {
      const char *domain = policy->allowed_domains[i];

      if (g_str_has_prefix (domain, WILDCARD) &&
          (strcmp (name_of (domain), name) == 0 || vmsan_net_domain_matches (domain, name)))
        return TRUE;
    }
  return FALSE;
}

static void
add_servers (GString *text,
             const VmsanNetDnsSpec *spec,
             const char *prefix,
             const char *name,
             gboolean allowed)
{
  if (!allowed)
    g_string_append_printf (text, "server=/%s%s/#\n", prefix, name);
  for (guint i = 0; allowed && i < spec->resolvers->len; i++)
    {
      const VmsanNetResolver *resolver = &g_array_index (spec->resolvers, VmsanNetResolver, i);

      if (resolver->family == AF_INET6 && !spec->has_ipv6)
        continue;
      g_string_append_printf (text, "server=/%s%s/%s#%u\n", prefix, name, resolver->address,
                              resolver->port);
    }
}

char *
vmsan_net_dns_configuration (const VmsanNetDnsSpec *spec, const VmsanNetPolicy *policy)
{
  GString *text = g_string_new (fixed_options);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  g_string_append_printf (text,
                          "max-ttl=%d\n"
                          "listen-address=" VMSAN_NET_GATEWAY4 "\n",
                          VMSAN_NET_NAMES_MAX_TTL_S);
  if (spec->has_ipv6)
    g_string_append (text, "listen-address=" VMSAN_NET_GATEWAY6 "\n");
  for (guint i = 0; policy->allowed_domains[i] != NULL; i++)
    {
      const char *name = name_of (policy->allowed_domains[i]);

      if (!g_hash_table_add (seen, (gpointer) name))
        continue;
      add_servers (text, spec, "", name, vmsan_net_policy_allows_name (policy, name));
      add_servers (text, spec, WILDCARD, name, allows_below (policy, name));
      g_string_append_printf (
          text, "nftset=/%s/4#inet#vmsan#allowed_names4,6#inet#vmsan#allowed_names6\n", name);
    }
  return g_string_free (text, FALSE);
}
