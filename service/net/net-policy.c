/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is accepted has one meaning, reads back as itself, and is safe to put into a
 * firewall; a contradiction is refused, never resolved towards more. */

#include "net/net-policy.h"

#include "net/net-domain.h"
#include "net/net-refusal.h"
#include "sys/error.h"

#include <string.h>

#define MAX_BANDWIDTH_MBIT 1000000

/* A prefix shorter than this is meant for the world at large, and the firewall leaves out of it
 * what is denied to every machine; a longer one that reaches into a pool aims at machines. */
#define WIDE_PREFIX 8

#define OPTION_NETWORK                                                                             \
  {                                                                                                \
    "network", "s"                                                                                 \
  }
#define OPTIONS_LIVE                                                                               \
  { "network-policy", "s" }, { "allowed-cidrs", "as" }, { "denied-cidrs", "as" },                  \
      { "allowed-domains", "as" }, { "allow-icmp", "b" }, { "bandwidth-mbit", "u" },               \
      { "published-ports", "as" },                                                                 \
  {                                                                                                \
    "skip-dnat", "b"                                                                               \
  }

const VmsanOption vmsan_net_policy_options[] = { OPTION_NETWORK, OPTIONS_LIVE, {} };
const VmsanOption vmsan_net_policy_live_options[] = { OPTIONS_LIVE, {} };

static const char *const kind_names[] = {
  [VMSAN_NET_ALLOW_ALL] = "allow-all",
  [VMSAN_NET_DENY_ALL] = "deny-all",
  [VMSAN_NET_CUSTOM] = "custom",
  NULL,
};

static void
clear_policy (gpointer data)
{
  VmsanNetPolicy *self = data;

  g_clear_pointer (&self->allowed_cidrs, g_array_unref);
  g_clear_pointer (&self->denied_cidrs, g_array_unref);
  g_clear_pointer (&self->allowed_domains, g_strfreev);
  g_clear_pointer (&self->ports, g_ptr_array_unref);
}

VmsanNetPolicy *
vmsan_net_policy_ref (const VmsanNetPolicy *self)
{
  return g_atomic_rc_box_acquire ((gpointer) self);
}

void
vmsan_net_policy_unref (VmsanNetPolicy *self)
{
  g_atomic_rc_box_release_full (self, clear_policy);
}

VmsanNetPolicy *
vmsan_net_policy_new_none (void)
{
  VmsanNetPolicy *self = g_atomic_rc_box_new0 (VmsanNetPolicy);

  self->kind = VMSAN_NET_DENY_ALL;
  self->allowed_cidrs = g_array_new (FALSE, TRUE, sizeof (VmsanNetPrefix));
  self->denied_cidrs = g_array_new (FALSE, TRUE, sizeof (VmsanNetPrefix));
  self->allowed_domains = g_new0 (char *, 1);
  self->ports = g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_net_port_free);
  return self;
}

/* What CreateVM begins with. */
static VmsanNetPolicy *
new_default (void)
{
  VmsanNetPolicy *self = vmsan_net_policy_new_none ();

  self->has_network = TRUE;
  self->kind = VMSAN_NET_ALLOW_ALL;
  self->allow_icmp = TRUE;
  return self;
}

/* Ports and lists are immutable too, so they are shared. */
static VmsanNetPolicy *
copy_policy (const VmsanNetPolicy *old)
{
  VmsanNetPolicy *self = g_atomic_rc_box_dup (sizeof *old, (gpointer) old);

  self->allowed_cidrs = g_array_ref (old->allowed_cidrs);
  self->denied_cidrs = g_array_ref (old->denied_cidrs);
  self->allowed_domains = g_strdupv (old->allowed_domains);
  self->ports = g_ptr_array_ref (old->ports);
  return self;
}

static void
clear_lists (VmsanNetPolicy *self)
{
  g_array_unref (self->allowed_cidrs);
  g_array_unref (self->denied_cidrs);
  g_strfreev (self->allowed_domains);
  self->allowed_cidrs = g_array_new (FALSE, TRUE, sizeof (VmsanNetPrefix));
  self->denied_cidrs = g_array_new (FALSE, TRUE, sizeof (VmsanNetPrefix));
  self->allowed_domains = g_new0 (char *, 1);
}

/* ---- Options ------------------------------------------------------------------------------- */

/* The list under @key, or NULL where there is none; FALSE when it is too long. */
static gboolean
get_list (GVariant *options, const char *key, guint max, const char ***list, GError **error)
{
  *list = NULL;
  if (!g_variant_lookup (options, key, "^a&s", list))
    return TRUE;
  if (g_strv_length ((char **) *list) > max)
    {
      g_autofree char *rule =
          g_strdup_printf ("lists more than the %u values that it may have", max);

      g_clear_pointer (list, g_free);
      return vmsan_net_refuse (error, key, rule);
    }
  return TRUE;
}

static gboolean
equal_prefixes (const VmsanNetPrefix *a, const VmsanNetPrefix *b)
{
  return a->prefix_length == b->prefix_length && vmsan_net_prefix_contains (a, b);
}

static gboolean
has_prefix (GArray *list, const VmsanNetPrefix *prefix)
{
  for (guint i = 0; i < list->len; i++)
    if (equal_prefixes (&g_array_index (list, VmsanNetPrefix, i), prefix))
      return TRUE;
  return FALSE;
}

/* Whether an entry is about addresses of @taken, which no list may be. */
static gboolean
is_about (const VmsanNetPrefix *prefix, const VmsanNetPrefix *taken, gboolean allowed)
{
  if (vmsan_net_prefix_contains (taken, prefix))
    return TRUE;
  /* What is denied may well be wider: all private addresses, for example. */
  return allowed && prefix->prefix_length >= WIDE_PREFIX &&
         vmsan_net_prefix_contains (prefix, taken);
}

/* Machines are reached through the ports that they publish, at the host's addresses; those of the
 * pool change owners. */
static gboolean
check_pools (const char *text,
             const VmsanNetPrefix *prefix,
             const VmsanNetPools *pools,
             gboolean allowed,
             GError **error)
{
  VmsanNetPrefix inside4, inside6;

  if (pools == NULL)
    return TRUE;
  if (is_about (prefix, &pools->pool4, allowed) ||
      (pools->has_pool6 && is_about (prefix, &pools->pool6, allowed)))
    return vmsan_net_refuse (error, text,
                             "overlaps the pool of machines' own addresses, which no "
                             "policy can open or needs to close; leave it out");
  if (!vmsan_net_prefix_parse (VMSAN_NET_INSIDE4, &inside4, error) ||
      !vmsan_net_prefix_parse (VMSAN_NET_INSIDE6, &inside6, error))
    return FALSE;
  if (is_about (prefix, &inside4, allowed) || is_about (prefix, &inside6, allowed))
    return vmsan_net_refuse (error, text, "overlaps the link inside each machine; leave it out");
  return TRUE;
}

static gboolean
parse_cidrs (VmsanNetPolicy *self,
             GVariant *options,
             const char *key,
             const VmsanNetPools *pools,
             GArray **cidrs,
             gboolean *given,
             GError **error)
{
  g_autofree const char **list = NULL;
  g_autoptr (GArray) parsed = g_array_new (FALSE, TRUE, sizeof (VmsanNetPrefix));

  if (!get_list (options, key, VMSAN_NET_MAX_CIDRS, &list, error))
    return FALSE;
  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    {
      VmsanNetPrefix prefix;

      if (!vmsan_net_prefix_parse (list[i], &prefix, error) ||
          !check_pools (list[i], &prefix, pools, cidrs == &self->allowed_cidrs, error))
        {
          g_prefix_error (error, "Option “%s”: ", key);
          return FALSE;
        }
      if (!has_prefix (parsed, &prefix))
        g_array_append_val (parsed, prefix);
    }
  if (list == NULL)
    return TRUE;
  *given = *given || parsed->len > 0;
  g_array_unref (*cidrs);
  *cidrs = g_steal_pointer (&parsed);
  return TRUE;
}

static gboolean
parse_domains (VmsanNetPolicy *self, GVariant *options, gboolean *given, GError **error)
{
  g_autofree const char **list = NULL;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (!get_list (options, "allowed-domains", VMSAN_NET_MAX_DOMAINS, &list, error))
    return FALSE;
  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    {
      char *domain = vmsan_net_domain_parse (list[i], error);

      if (domain == NULL)
        {
          g_prefix_error (error, "Option “allowed-domains”: ");
          return FALSE;
        }
      if (!g_hash_table_contains (seen, domain))
        g_strv_builder_add (builder, domain);
      g_hash_table_add (seen, domain);
    }
  if (list == NULL)
    return TRUE;
  g_strfreev (self->allowed_domains);
  self->allowed_domains = g_strv_builder_end (builder);
  *given = *given || self->allowed_domains[0] != NULL;
  return TRUE;
}

static gboolean
add_port (GPtrArray *ports, const char *text, const VmsanNetPools *pools, GError **error)
{
  g_autoptr (VmsanNetPort) port = vmsan_net_port_parse (text, pools, error);

  if (port == NULL)
    return FALSE;
  for (guint i = 0; i < ports->len; i++)
    {
      if (vmsan_net_port_collides (g_ptr_array_index (ports, i), port))
        return vmsan_net_refuse (error, text, "has the same host port as another in the list");
    }
  g_ptr_array_add (ports, g_steal_pointer (&port));
  return TRUE;
}

static gboolean
parse_ports (VmsanNetPolicy *self, GVariant *options, const VmsanNetPools *pools, GError **error)
{
  g_autofree const char **list = NULL;
  g_autoptr (GPtrArray) ports =
      g_ptr_array_new_with_free_func ((GDestroyNotify) vmsan_net_port_free);

  if (!get_list (options, "published-ports", VMSAN_NET_MAX_PORTS, &list, error))
    return FALSE;
  for (guint i = 0; list != NULL && list[i] != NULL; i++)
    {
      if (!add_port (ports, list[i], pools, error))
        {
          g_prefix_error (error, "Option “published-ports”: ");
          return FALSE;
        }
    }
  if (list == NULL)
    return TRUE;
  g_ptr_array_unref (self->ports);
  self->ports = g_steal_pointer (&ports);
  return TRUE;
}

static gboolean
has_port (const VmsanNetPolicy *self, const VmsanNetPort *port)
{
  for (guint i = 0; self != NULL && i < self->ports->len; i++)
    if (vmsan_net_port_equal (g_ptr_array_index (self->ports, i), port))
      return TRUE;
  return FALSE;
}

gboolean
vmsan_net_policy_check_caller (const VmsanNetPolicy *self,
                               const VmsanNetPolicy *old,
                               uid_t caller,
                               GError **error)
{
  for (guint i = 0; caller != 0 && i < self->ports->len; i++)
    {
      const VmsanNetPort *port = g_ptr_array_index (self->ports, i);
      g_autofree char *text = NULL;

      if (port->host_port >= VMSAN_NET_FIRST_HOST_PORT || has_port (old, port))
        continue;
      text = vmsan_net_port_to_string (port);
      vmsan_net_refuse (error, text,
                        "has a host port below 1024, where only root may listen, and so only root "
                        "may publish one; choose another, and let a service of the host pass on "
                        "what arrives at that one");
      g_prefix_error (error, "Option “published-ports”: ");
      return FALSE;
    }
  return TRUE;
}

/* The index of the word under @key in @words; -1 where there is none. */
static gboolean
parse_word (
    GVariant *options, const char *key, const char *const *words, int *index, GError **error)
{
  const char *text = vmsan_options_get_text (options, key, NULL);
  g_autofree char *known = NULL;
  g_autofree char *rule = NULL;

  *index = -1;
  if (text == NULL)
    return TRUE;
  for (int i = 0; words[i] != NULL; i++)
    {
      if (strcmp (words[i], text) == 0)
        {
          *index = i;
          return TRUE;
        }
    }
  known = g_strjoinv (", ", (char **) words);
  rule = g_strdup_printf ("is not known; there are: %s", known);
  vmsan_net_refuse (error, text, rule);
  g_prefix_error (error, "Option “%s”: ", key);
  return FALSE;
}

static gboolean
parse_bandwidth (VmsanNetPolicy *self, GVariant *options, GError **error)
{
  self->bandwidth_mbit = vmsan_options_get_uint (options, "bandwidth-mbit", self->bandwidth_mbit);
  if (self->bandwidth_mbit > MAX_BANDWIDTH_MBIT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "Option “bandwidth-mbit”: %u is more than %u; 0 is no limit",
                   self->bandwidth_mbit, MAX_BANDWIDTH_MBIT);
      return FALSE;
    }
  return TRUE;
}

/* "Everything but this": said by a list of what is denied alone. */
static void
allow_all_addresses (VmsanNetPolicy *self)
{
  const VmsanNetPrefix all[] = { { .family = AF_INET }, { .family = AF_INET6 } };

  g_array_append_vals (self->allowed_cidrs, all, G_N_ELEMENTS (all));
}

/* @named: the policy that the options name, or -1; @given: they have a list that is not empty. */
static gboolean
resolve_kind (VmsanNetPolicy *self, int named, gboolean given, GError **error)
{
  if (!given)
    return TRUE;
  if (named == VMSAN_NET_DENY_ALL)
    return vmsan_net_refuse (error, kind_names[named],
                             "goes with no list, as nothing is allowed; use “custom”, which denies "
                             "what is not listed");
  if (self->kind == VMSAN_NET_ALLOW_ALL && self->allowed_cidrs->len == 0 &&
      self->allowed_domains[0] == NULL)
    allow_all_addresses (self);
  self->kind = VMSAN_NET_CUSTOM;
  return TRUE;
}

/* An option that nothing would come of is a mistake. */
static gboolean
check_none (const VmsanNetPolicy *self, gboolean given, GError **error)
{
  const char *option = NULL;

  if (self->has_network)
    return TRUE;
  if (given)
    option = "allowed-cidrs”, “denied-cidrs” or “allowed-domains";
  else if (self->kind != VMSAN_NET_DENY_ALL)
    option = "network-policy";
  else if (self->allow_icmp)
    option = "allow-icmp";
  else if (self->ports->len > 0)
    option = "published-ports";
  else if (self->bandwidth_mbit > 0)
    option = "bandwidth-mbit";
  else if (self->skip_dnat)
    option = "skip-dnat";
  if (option == NULL)
    return TRUE;
  return vmsan_net_refuse (error, option,
                           "needs a network, but “network” of this machine is “none”");
}

static gboolean
parse_lists (VmsanNetPolicy *self,
             GVariant *options,
             const VmsanNetPools *pools,
             gboolean *given,
             GError **error)
{
  return parse_cidrs (self, options, "allowed-cidrs", pools, &self->allowed_cidrs, given, error) &&
         parse_cidrs (self, options, "denied-cidrs", pools, &self->denied_cidrs, given, error) &&
         parse_domains (self, options, given, error);
}

static VmsanNetPolicy *
new_base (GVariant *options, const VmsanNetPolicy *old, GError **error)
{
  static const char *const networks[] = { "nat", "none", NULL };
  int network;

  if (old != NULL)
    return copy_policy (old);
  if (!parse_word (options, "network", networks, &network, error))
    return NULL;
  return network == 1 ? vmsan_net_policy_new_none () : new_default ();
}

VmsanNetPolicy *
vmsan_net_policy_parse (GVariant *options,
                        const VmsanNetPolicy *old,
                        const VmsanNetPools *pools,
                        GError **error)
{
  g_autoptr (VmsanNetPolicy) self = new_base (options, old, error);
  gboolean given = FALSE;
  int named;

  if (self == NULL || !parse_word (options, "network-policy", kind_names, &named, error))
    return NULL;
  if (named >= 0)
    self->kind = named;
  if (self->kind != VMSAN_NET_CUSTOM)
    clear_lists (self);
  self->allow_icmp = vmsan_options_get_boolean (options, "allow-icmp", self->allow_icmp);
  self->skip_dnat = vmsan_options_get_boolean (options, "skip-dnat", self->skip_dnat);
  if (!parse_lists (self, options, pools, &given, error) ||
      !parse_bandwidth (self, options, error) || !parse_ports (self, options, pools, error) ||
      !check_none (self, given, error) || !resolve_kind (self, named, given, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void
add_cidrs (GVariantBuilder *builder, const char *key, GArray *cidrs)
{
  g_auto (GVariantBuilder) list = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_STRING_ARRAY);

  for (guint i = 0; i < cidrs->len; i++)
    g_variant_builder_add_value (&list, g_variant_new_take_string (vmsan_net_prefix_to_string (
                                            &g_array_index (cidrs, VmsanNetPrefix, i))));
  g_variant_builder_add (builder, "{sv}", key, g_variant_builder_end (&list));
}

static void
add_ports (GVariantBuilder *builder, GPtrArray *ports)
{
  g_auto (GVariantBuilder) list = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_STRING_ARRAY);

  for (guint i = 0; i < ports->len; i++)
    g_variant_builder_add_value (&list, g_variant_new_take_string (vmsan_net_port_to_string (
                                            g_ptr_array_index (ports, i))));
  g_variant_builder_add (builder, "{sv}", "published-ports", g_variant_builder_end (&list));
}

GVariant *
vmsan_net_policy_to_variant (const VmsanNetPolicy *self)
{
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  g_variant_builder_add (&builder, "{sv}", "network",
                         g_variant_new_string (self->has_network ? "nat" : "none"));
  g_variant_builder_add (&builder, "{sv}", "network-policy",
                         g_variant_new_string (kind_names[self->kind]));
  add_cidrs (&builder, "allowed-cidrs", self->allowed_cidrs);
  add_cidrs (&builder, "denied-cidrs", self->denied_cidrs);
  g_variant_builder_add (&builder, "{sv}", "allowed-domains",
                         g_variant_new_strv ((const char *const *) self->allowed_domains, -1));
  g_variant_builder_add (&builder, "{sv}", "allow-icmp", g_variant_new_boolean (self->allow_icmp));
  add_ports (&builder, self->ports);
  g_variant_builder_add (&builder, "{sv}", "bandwidth-mbit",
                         g_variant_new_uint32 (self->bandwidth_mbit));
  g_variant_builder_add (&builder, "{sv}", "skip-dnat", g_variant_new_boolean (self->skip_dnat));
  return g_variant_builder_end (&builder);
}

const char *
vmsan_net_policy_kind_to_string (VmsanNetPolicyKind kind)
{
  g_return_val_if_fail (kind < G_N_ELEMENTS (kind_names) - 1, NULL);
  return kind_names[kind];
}

static gboolean
equal_lists (GArray *a, GArray *b)
{
  if (a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++)
    if (!equal_prefixes (&g_array_index (a, VmsanNetPrefix, i),
                         &g_array_index (b, VmsanNetPrefix, i)))
      return FALSE;
  return TRUE;
}

static gboolean
equal_ports (GPtrArray *a, GPtrArray *b)
{
  if (a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++)
    if (!vmsan_net_port_equal (g_ptr_array_index (a, i), g_ptr_array_index (b, i)))
      return FALSE;
  return TRUE;
}

gboolean
vmsan_net_policy_equal (const VmsanNetPolicy *a, const VmsanNetPolicy *b)
{
  return a->has_network == b->has_network && a->kind == b->kind && a->allow_icmp == b->allow_icmp &&
         a->bandwidth_mbit == b->bandwidth_mbit && a->skip_dnat == b->skip_dnat &&
         equal_lists (a->allowed_cidrs, b->allowed_cidrs) &&
         equal_lists (a->denied_cidrs, b->denied_cidrs) &&
         g_strv_equal ((const char *const *) a->allowed_domains,
                       (const char *const *) b->allowed_domains) &&
         equal_ports (a->ports, b->ports);
}

/* ---- Names --------------------------------------------------------------------------------- */

VmsanNetNames
vmsan_net_policy_get_names (const VmsanNetPolicy *self)
{
  if (self->kind == VMSAN_NET_ALLOW_ALL)
    return VMSAN_NET_NAMES_ALL;
  if (self->kind == VMSAN_NET_DENY_ALL)
    return VMSAN_NET_NAMES_NONE;
  if (self->allowed_domains[0] != NULL)
    return VMSAN_NET_NAMES_LISTED;
  for (guint i = 0; i < self->allowed_cidrs->len; i++)
    if (g_array_index (self->allowed_cidrs, VmsanNetPrefix, i).prefix_length == 0)
      return VMSAN_NET_NAMES_ALL;
  return VMSAN_NET_NAMES_NONE;
}

gboolean
vmsan_net_policy_allows_name (const VmsanNetPolicy *self, const char *name)
{
  VmsanNetNames names = vmsan_net_policy_get_names (self);

  if (names != VMSAN_NET_NAMES_LISTED)
    return names == VMSAN_NET_NAMES_ALL;
  for (guint i = 0; self->allowed_domains[i] != NULL; i++)
    if (vmsan_net_domain_matches (self->allowed_domains[i], name))
      return TRUE;
  return FALSE;
}
