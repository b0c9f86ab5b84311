/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what keeps machines from the world is told with what to do; no packet is sent for it. */

#include "doctor/checks.h"

#include "net/net-netlink.h"
#include "net/net-resolvers.h"

#include <sys/socket.h>

/* ---- Others' rules ------------------------------------------------------------------------- */

/* Who makes a chain knows best how to have a rule in it that stays. */
static char *
advise_about_chain (const char *chain)
{
  const char *owner = "";

  if (g_str_has_prefix (chain, "ip filter ") || g_str_has_prefix (chain, "ip6 filter "))
    owner = " For ones that last, use the chain DOCKER-USER where it is Docker's, and "
            "/etc/ufw/before.rules where it is ufw's.";
  else if (g_str_has_prefix (chain, "inet firewalld "))
    owner = " For ones that last, let a policy of firewalld accept them.";
  return g_strdup_printf ("Accept what comes in and goes out by machines' links: "
                          "nft insert rule %s iifname \"vmsan*\" accept; "
                          "nft insert rule %s oifname \"vmsan*\" accept.%s",
                          chain, chain, owner);
}

static void
check_conflicts (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) chains = vmsan_net_manager_find_conflicts (scope->networks, &error);

  if (chains == NULL)
    vmsan_findings_add (findings, "network-conflict", VMSAN_SEVERITY_WARNING, NULL,
                        "See what is said about nftables", "%s", error->message);
  else if (chains[0] == NULL)
    vmsan_findings_add (findings, "network-conflict", VMSAN_SEVERITY_OK, NULL, NULL,
                        "No rules of others drop machines' packets");
  for (guint i = 0; chains != NULL && chains[i] != NULL; i++)
    {
      g_autofree char *advice = advise_about_chain (chains[i]);

      vmsan_findings_add (findings, "network-conflict", VMSAN_SEVERITY_WARNING, chains[i], advice,
                          "The chain drops packets that this host forwards, and so all those of "
                          "machines");
    }
}

/* ---- The way to the world ------------------------------------------------------------------ */

static void
check_uplink (GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (&error);
  g_autoptr (GArray) links = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *list = NULL;
  const char *advice = "Give the host a default route: machines reach no more than it does";

  if (host != NULL)
    links = vmsan_netlink_list_default_links (host, AF_INET, &error);
  if (links == NULL)
    {
      vmsan_findings_add (findings, "uplink", VMSAN_SEVERITY_WARNING, NULL, advice, "%s",
                          error->message);
      return;
    }
  for (guint i = 0; i < links->len; i++)
    {
      VmsanNetLink link;

      if (vmsan_netlink_get_link (host, NULL, g_array_index (links, int, i), &link, NULL))
        g_ptr_array_add (names, g_strdup (link.name));
    }
  g_ptr_array_add (names, NULL);
  list = g_strjoinv (", ", (char **) names->pdata);
  if (links->len > 0)
    vmsan_findings_add (findings, "uplink", VMSAN_SEVERITY_OK, list, NULL,
                        "The host has a default route");
  else
    vmsan_findings_add (findings, "uplink", VMSAN_SEVERITY_WARNING, NULL, advice,
                        "The host has no default route");
}

static void
check_resolver (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  g_autofree char *why = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) resolvers = vmsan_net_resolvers_find (scope->resolver, &why, &error);

  if (resolvers != NULL && resolvers->len > 0)
    vmsan_findings_add (findings, "resolver", VMSAN_SEVERITY_OK,
                        g_array_index (resolvers, VmsanNetResolver, 0).address, NULL,
                        "Machines' questions for names have a server to go to");
  else
    vmsan_findings_add (findings, "resolver", VMSAN_SEVERITY_WARNING, NULL,
                        "Set Resolver in the group [Network] of vmsand.conf to a name server that "
                        "is not on this host's loopback",
                        "Machines cannot resolve names: %s",
                        resolvers == NULL ? error->message : why);
}

void
vmsan_doctor_check_network (const VmsanDoctorScope *scope, GPtrArray *findings)
{
  check_conflicts (scope, findings);
  check_uplink (findings);
  check_resolver (scope, findings);
}
