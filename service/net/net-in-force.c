/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is noted is what was put in force, or that nobody knows. */

#include "net/net-in-force.h"

#include "net/net-resolvers.h"
#include "sys/fd.h"

#include <string.h>

/* In the machine's runtime directory: a digest of the policy that is in force, with the name
 * servers that it was made for. When the service ended in the middle of a change, it is not that of
 * the record; when the host's name servers changed while it was away, not that of now. */
#define IN_FORCE_FILE "network-policy"
#define IN_FORCE_SIZE 128

static char *
make_digest (const VmsanNetPolicy *policy, const GArray *resolvers)
{
  g_autoptr (GVariant) values = g_variant_ref_sink (vmsan_net_policy_to_variant (policy));
  g_autoptr (GBytes) bytes = g_variant_get_data_as_bytes (values);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  g_checksum_update (checksum, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_checksum_update (checksum, (const guchar *) resolvers->data,
                     resolvers->len * sizeof (VmsanNetResolver));
  return g_strdup (g_checksum_get_string (checksum));
}

gboolean
vmsan_net_in_force_note (const VmsanNetMachine *machine,
                         const VmsanNetPolicy *policy,
                         const GArray *resolvers,
                         GError **error)
{
  g_autofree char *digest = policy != NULL ? make_digest (policy, resolvers) : g_strdup ("");

  return vmsan_fd_write_file_at (machine->runtime_dir_fd, IN_FORCE_FILE, digest, strlen (digest),
                                 0600, error);
}

gboolean
vmsan_net_in_force_is (const VmsanNetMachine *machine, const GArray *resolvers)
{
  g_autofree char *noted =
      vmsan_fd_read_file_at (machine->runtime_dir_fd, IN_FORCE_FILE, IN_FORCE_SIZE, NULL, NULL);
  g_autofree char *digest = make_digest (machine->policy, resolvers);

  return g_strcmp0 (noted, digest) == 0;
}
