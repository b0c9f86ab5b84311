/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a machine whose table was prepared never sends or gets a packet that neither its old nor
 * its new policy allows, whatever fails. */

#include "net/net-firewall.h"

#include "net/net-conntrack.h"
#include "net/net-nft.h"
#include "net/net-reach.h"
#include "net/net-rules.h"
#include "sys/error.h"

#include <string.h>

/* Elements may expire between being read and being moved. */
#define AGE_ATTEMPTS 5

gboolean
vmsan_net_firewall_prepare (const VmsanNetFirewall *self, GError **error)
{
  g_autofree char *base = vmsan_net_rules_base (self);

  return vmsan_net_nft_run (self->namespace_fd, base, "Making a machine's firewall", error);
}

/* ---- Policy -------------------------------------------------------------------------------- */

gboolean
vmsan_net_firewall_fill (const VmsanNetFirewall *self, const VmsanNetPolicy *policy, GError **error)
{
  g_autofree char *rules = vmsan_net_rules_first_policy (self, policy);

  return vmsan_net_nft_run (self->namespace_fd, rules, "Putting a network policy in force", error);
}

typedef struct
{
  VmsanNetReach *reach;
  VmsanNetPrefix guests[2];
  VmsanNetPrefix gateways[2];
  const GPtrArray *ports;
  gboolean keep_names;
} Cut;

static gboolean
is_one_of (const VmsanNetPrefix *address, const VmsanNetPrefix *two)
{
  return vmsan_net_prefix_contains (&two[0], address) ||
         vmsan_net_prefix_contains (&two[1], address);
}

static gboolean
is_published (const VmsanNetConnection *connection, const GPtrArray *ports)
{
  for (guint i = 0; i < ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (ports, i);

      if (port->guest_port == connection->port &&
          connection->protocol == (port->udp ? IPPROTO_UDP : IPPROTO_TCP) &&
          (strchr (port->host_address, ':') != NULL) ==
              (connection->destination.family == AF_INET6))
        return TRUE;
    }
  return FALSE;
}

/* What others have opened to published ports stays while these do. What the guest has asked its
 * resolver is forgotten always: the next question may have to go somewhere else. */
static gboolean
is_cut (const VmsanNetConnection *connection, gpointer data)
{
  Cut *cut = data;

  if (!is_one_of (&connection->source, cut->guests))
    return is_one_of (&connection->answerer, cut->guests) && !is_published (connection, cut->ports);
  if (is_one_of (&connection->destination, cut->gateways))
    return TRUE;
  switch (vmsan_net_reach_judge (cut->reach, &connection->destination, connection->protocol,
                                 connection->port))
    {
    case VMSAN_NET_ALLOWED:
      return FALSE;
    case VMSAN_NET_BY_NAME:
      return !cut->keep_names;
    case VMSAN_NET_FORBIDDEN:
    default:
      return TRUE;
    }
}

/* The rules let nothing of them pass already; what is left is that they would hold a place, and an
 * address translation that is no longer meant, until they time out. */
static void
forget_connections (const VmsanNetFirewall *self, const VmsanNetPolicy *policy, gboolean keep_names)
{
  g_autoptr (VmsanNetReach) reach = vmsan_net_reach_new (policy, self->pools);
  g_autoptr (GError) error = NULL;
  Cut cut = { .reach = reach, .ports = policy->ports, .keep_names = keep_names };

  if (!vmsan_net_prefix_parse (VMSAN_NET_GUEST4, &cut.guests[0], &error) ||
      !vmsan_net_prefix_parse (VMSAN_NET_GUEST6, &cut.guests[1], &error) ||
      !vmsan_net_prefix_parse (VMSAN_NET_GATEWAY4, &cut.gateways[0], &error) ||
      !vmsan_net_prefix_parse (VMSAN_NET_GATEWAY6, &cut.gateways[1], &error) ||
      vmsan_net_conntrack_forget (self->namespace_fd, is_cut, &cut, &error) < 0)
    g_warning ("Connections that a new policy forbids are blocked, but still tracked: %s",
               error->message);
}

gboolean
vmsan_net_firewall_apply (const VmsanNetFirewall *self,
                          const VmsanNetPolicy *policy,
                          const VmsanNetPolicy *old,
                          GError **error)
{
  gboolean keep_names = old != NULL && g_strv_equal ((const char *const *) policy->allowed_domains,
                                                     (const char *const *) old->allowed_domains);
  g_autofree char *rules = vmsan_net_rules_policy (self, policy, keep_names);

  if (!vmsan_net_nft_run (self->namespace_fd, rules, "Putting a network policy in force", error))
    return FALSE;
  if (old != NULL)
    forget_connections (self, policy, keep_names);
  return TRUE;
}

/* ---- Addresses of names -------------------------------------------------------------------- */

/* {"nftables": [{"metainfo": …}, {"set": {…, "elem": [{"elem": {"val": "192.0.2.1", …}}, …]}}]};
 * what is no address is left out: it goes into a command again. */
static char *
read_elements (JsonNode *answer)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (JsonNode) found = json_path_query ("$.nftables[*].set.elem[*].elem.val", answer, NULL);
  JsonArray *values =
      found != NULL && JSON_NODE_HOLDS_ARRAY (found) ? json_node_get_array (found) : NULL;

  for (guint i = 0; values != NULL && i < json_array_get_length (values); i++)
    {
      JsonNode *value = json_array_get_element (values, i);
      VmsanNetPrefix address;

      if (JSON_NODE_HOLDS_VALUE (value) && json_node_get_string (value) != NULL &&
          vmsan_net_prefix_parse (json_node_get_string (value), &address, NULL))
        g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "",
                                json_node_get_string (value));
    }
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}

/* Elements that come in meanwhile stay where they are: only those that were read are moved. */
static gboolean
age_set (const VmsanNetFirewall *self, const char *young, const char *old, GError **error)
{
  g_autofree char *list = g_strdup_printf ("list set " VMSAN_NET_TABLE " %s", young);
  g_autoptr (JsonNode) answer =
      vmsan_net_nft_list (self->namespace_fd, list, "Reading addresses of names", error);
  g_autofree char *elements = NULL;
  g_autofree char *commands = NULL;

  if (answer == NULL)
    return FALSE;
  elements = read_elements (answer);
  commands = elements == NULL ? g_strdup_printf ("flush set " VMSAN_NET_TABLE " %s", old)
                              : g_strdup_printf ("flush set " VMSAN_NET_TABLE " %s\n"
                                                 "add element " VMSAN_NET_TABLE " %s { %s }\n"
                                                 "delete element " VMSAN_NET_TABLE " %s { %s }",
                                                 old, old, elements, young, elements);
  return vmsan_net_nft_run (self->namespace_fd, commands, "Ageing addresses of names", error);
}

gboolean
vmsan_net_firewall_age_names (const VmsanNetFirewall *self, GError **error)
{
  static const char *const sets[][2] = { { "allowed_names4", "older_names4" },
                                         { "allowed_names6", "older_names6" } };

  for (guint i = 0; i < G_N_ELEMENTS (sets); i++)
    {
      g_autoptr (GError) local_error = NULL;

      for (guint attempt = 0; attempt < AGE_ATTEMPTS; attempt++)
        {
          g_clear_error (&local_error);
          if (age_set (self, sets[i][0], sets[i][1], &local_error))
            break;
        }
      if (local_error != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
    }
  return TRUE;
}
