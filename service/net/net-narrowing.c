/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is called narrower is so for every packet and every question for a name; where the
 * comparison cannot tell, the answer is no. */

#include "net/net-narrowing.h"

#include "net/net-domain.h"
#include "net/net-reach.h"
#include "sys/error.h"

typedef GArray Ranges;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Ranges, g_array_unref)

/* What is compared, made once for both. */
typedef struct
{
  const VmsanNetPolicy *narrow;
  const VmsanNetPolicy *wide;
  VmsanNetReach *narrow_reach;
  VmsanNetReach *wide_reach;
  VmsanNetReach *narrow_listed; /* without the list of what is denied */
  VmsanNetReach *wide_listed;
} Comparison;

static gboolean
covers_domain (const VmsanNetPolicy *wide, const char *domain)
{
  /* A "*" is a label that no name has, so "*.x" as a name is below what all names below x are. */
  for (guint i = 0; wide->allowed_domains[i] != NULL; i++)
    if (vmsan_net_domain_matches (wide->allowed_domains[i], domain))
      return TRUE;
  return FALSE;
}

static gboolean
covers_domains (const Comparison *self)
{
  for (guint i = 0; self->narrow->allowed_domains[i] != NULL; i++)
    if (!covers_domain (self->wide, self->narrow->allowed_domains[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_within (const GArray *a, const GArray *b, int family)
{
  g_autoptr (Ranges) rest = vmsan_net_ranges_subtract (a, b, family);

  return rest->len == 0;
}

/* ---- One function for each thing that a policy lets through --------------------------------- */

static gboolean
covers_network (const Comparison *self)
{
  return self->wide->has_network || !self->narrow->has_network;
}

static gboolean
reaches_within (const VmsanNetReach *narrow, const VmsanNetReach *wide)
{
  return is_within (vmsan_net_reach_get_allowed (narrow, AF_INET),
                    vmsan_net_reach_get_allowed (wide, AF_INET), AF_INET) &&
         is_within (vmsan_net_reach_get_allowed (narrow, AF_INET6),
                    vmsan_net_reach_get_allowed (wide, AF_INET6), AF_INET6);
}

static gboolean
covers_addresses (const Comparison *self)
{
  return reaches_within (self->narrow_reach, self->wide_reach);
}

static gboolean
denies_within (const Comparison *self, int family)
{
  g_autoptr (Ranges) narrow = vmsan_net_ranges_new (self->narrow->denied_cidrs, family);
  g_autoptr (Ranges) wide = vmsan_net_ranges_new (self->wide->denied_cidrs, family);

  return is_within (wide, narrow, family);
}

/* Also what nothing allows now. Deny-all has no lists, and what follows it begins without. */
static gboolean
keeps_denied (const Comparison *self)
{
  return self->narrow->kind == VMSAN_NET_DENY_ALL ||
         (denies_within (self, AF_INET) && denies_within (self, AF_INET6));
}

/* Where a name may lead that the wide policy does not allow anyway, it must be allowed to lead
 * there too, and by every one of the names. */
static gboolean
names_lead_within (const Comparison *self,
                   const VmsanNetReach *narrow,
                   const VmsanNetReach *wide,
                   int family)
{
  g_autoptr (Ranges) rest =
      vmsan_net_ranges_subtract (vmsan_net_reach_get_nameable (narrow, family),
                                 vmsan_net_reach_get_allowed (wide, family), family);

  return rest->len == 0 || (covers_domains (self) &&
                            is_within (rest, vmsan_net_reach_get_nameable (wide, family), family));
}

static gboolean
covers_what_names_lead_to (const Comparison *self)
{
  return names_lead_within (self, self->narrow_reach, self->wide_reach, AF_INET) &&
         names_lead_within (self, self->narrow_reach, self->wide_reach, AF_INET6);
}

/* What is denied at the same time would come to life with another list of denied ones. */
static gboolean
covers_listed (const Comparison *self)
{
  return reaches_within (self->narrow_listed, self->wide_listed) &&
         names_lead_within (self, self->narrow_listed, self->wide_listed, AF_INET) &&
         names_lead_within (self, self->narrow_listed, self->wide_listed, AF_INET6);
}

/* Questions are traffic: they carry what is in them to whoever answers. */
static gboolean
covers_questions (const Comparison *self)
{
  switch (vmsan_net_policy_get_names (self->narrow))
    {
    case VMSAN_NET_NAMES_NONE:
      return TRUE;
    case VMSAN_NET_NAMES_LISTED:
      return vmsan_net_policy_get_names (self->wide) == VMSAN_NET_NAMES_ALL ||
             (vmsan_net_policy_get_names (self->wide) == VMSAN_NET_NAMES_LISTED &&
              covers_domains (self));
    case VMSAN_NET_NAMES_ALL:
    default:
      return vmsan_net_policy_get_names (self->wide) == VMSAN_NET_NAMES_ALL;
    }
}

/* Custom policies drop what goes to other resolvers than the machine's own. */
static gboolean
covers_resolvers (const Comparison *self)
{
  return self->narrow->kind != VMSAN_NET_ALLOW_ALL || self->wide->kind == VMSAN_NET_ALLOW_ALL;
}

static gboolean
covers_icmp (const Comparison *self)
{
  return self->wide->allow_icmp || !self->narrow->allow_icmp;
}

static gboolean
has_port (const GPtrArray *ports, const VmsanNetPort *port)
{
  for (guint i = 0; i < ports->len; i++)
    if (vmsan_net_port_equal (g_ptr_array_index (ports, i), port))
      return TRUE;
  return FALSE;
}

static gboolean
covers_ports (const Comparison *self)
{
  if (self->wide->skip_dnat && !self->narrow->skip_dnat)
    return FALSE;
  for (guint i = 0; i < self->narrow->ports->len; i++)
    if (!has_port (self->wide->ports, g_ptr_array_index (self->narrow->ports, i)))
      return FALSE;
  return TRUE;
}

static gboolean
covers_bandwidth (const Comparison *self)
{
  return self->wide->bandwidth_mbit == 0 ||
         (self->narrow->bandwidth_mbit > 0 &&
          self->narrow->bandwidth_mbit <= self->wide->bandwidth_mbit);
}

static const struct
{
  const char *what;
  gboolean (*covers) (const Comparison *self);
} aspects[] = {
  { "allow a network", covers_network },
  { "allow more addresses", covers_addresses },
  { "allow more addresses by names", covers_what_names_lead_to },
  { "allow questions for more names", covers_questions },
  { "allow other name servers", covers_resolvers },
  { "allow pings", covers_icmp },
  { "publish more ports", covers_ports },
  { "allow more bandwidth", covers_bandwidth },
  { "list more as allowed, which is denied now", covers_listed },
  { "deny fewer addresses", keeps_denied },
};

/* What an owner has who empties that list and changes nothing else. */
static VmsanNetReach *
list_reach (const VmsanNetPolicy *policy, const VmsanNetPools *pools, GError **error)
{
  GVariantDict options;
  g_autoptr (GVariant) no_denied = NULL;
  g_autoptr (VmsanNetPolicy) listed = NULL;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert_value (&options, "denied-cidrs", g_variant_new_strv (NULL, 0));
  no_denied = g_variant_ref_sink (g_variant_dict_end (&options));
  listed = vmsan_net_policy_parse (no_denied, policy, pools, error);
  return listed != NULL ? vmsan_net_reach_new (listed, pools) : NULL;
}

gboolean
vmsan_net_policy_check_narrowing (const VmsanNetPolicy *narrow,
                                  const VmsanNetPolicy *wide,
                                  const VmsanNetPools *pools,
                                  GError **error)
{
  g_autoptr (VmsanNetReach) narrow_reach = vmsan_net_reach_new (narrow, pools);
  g_autoptr (VmsanNetReach) wide_reach = vmsan_net_reach_new (wide, pools);
  g_autoptr (VmsanNetReach) narrow_listed = list_reach (narrow, pools, error);
  g_autoptr (VmsanNetReach) wide_listed =
      narrow_listed != NULL ? list_reach (wide, pools, error) : NULL;
  const Comparison comparison = {
    narrow, wide, narrow_reach, wide_reach, narrow_listed, wide_listed
  };

  if (wide_listed == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (aspects); i++)
    if (!aspects[i].covers (&comparison))
      {
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                     "The policy may only be made narrower, but would %s", aspects[i].what);
        return FALSE;
      }
  return TRUE;
}
