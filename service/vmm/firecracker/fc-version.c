/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a version is read as a whole or refused, and one table knows what came with it. */

#include "vmm/firecracker/fc-version.h"

#include "sys/error.h"

#include <string.h>

#define PART_MAX   9999
#define SUFFIX_MAX 40

static const VmsanFcVersion oldest = { 1, 10, 0 };

typedef struct
{
  VmsanFcVersion since;
  const char *what;
} Feature;

/* From the API descriptions of the releases. */
static const Feature features[VMSAN_FC_N_FEATURES] = {
  [VMSAN_FC_NETWORK_OVERRIDES] = { { 1, 12, 0 }, "give a snapshot's machine another tap" },
  [VMSAN_FC_SERIAL] = { { 1, 14, 0 }, "write the serial console to a file" },
  [VMSAN_FC_DIRTY_PAGES_ON_LOAD] = { { 1, 14, 0 }, "track dirty pages by that name" },
  [VMSAN_FC_BALLOON_REPORTING] = { { 1, 14, 0 }, "give free pages of the guest back" },
  [VMSAN_FC_CLOCK_REALTIME] = { { 1, 14, 4 }, "set the clock of a snapshot's machine" },
  [VMSAN_FC_VSOCK_OVERRIDE] = { { 1, 16, 0 }, "give a snapshot's machine another vsock socket" },
  [VMSAN_FC_MTU] = { { 1, 16, 0 }, "set the MTU of a network interface" },
  [VMSAN_FC_SERIAL_RATE_LIMIT] = { { 1, 16, 0 }, "bound the output of the serial console" },
};

/* By minor number, from 1.10. */
static const guint snapshot_formats[] = { 4, 5, 6, 8, 8, 9, 10 };

static int
compare (const VmsanFcVersion *a, const VmsanFcVersion *b)
{
  if (a->major != b->major)
    return a->major < b->major ? -1 : 1;
  if (a->minor != b->minor)
    return a->minor < b->minor ? -1 : 1;
  return a->patch < b->patch ? -1 : a->patch > b->patch;
}

/* Digits without a leading zero; NULL when there are none, or too many. */
static const char *
read_part (const char *text, guint *part)
{
  const char *p = text;

  *part = 0;
  while (g_ascii_isdigit (*p) && *part <= PART_MAX)
    *part = *part * 10 + (*p++ - '0');
  if (p == text || *part > PART_MAX || (*text == '0' && p > text + 1))
    return NULL;
  return p;
}

static const char *
read_dotted_part (const char *text, guint *part)
{
  return text != NULL && *text == '.' ? read_part (text + 1, part) : NULL;
}

static gboolean
is_suffix (const char *text)
{
  gsize length = strlen (text);

  if (length == 0)
    return TRUE;
  if ((*text != '-' && *text != '+') || length == 1 || length > SUFFIX_MAX)
    return FALSE;
  for (const char *p = text + 1; *p != '\0'; p++)
    if (!g_ascii_isalnum (*p) && strchr ("-+.", *p) == NULL)
      return FALSE;
  return TRUE;
}

gboolean
vmsan_fc_version_parse (const char *text, VmsanFcVersion *version, GError **error)
{
  VmsanFcVersion parsed;
  const char *end = read_part (text, &parsed.major);

  end = read_dotted_part (end, &parsed.minor);
  end = read_dotted_part (end, &parsed.patch);
  if (end == NULL || !is_suffix (end))
    return vmsan_error_refuse (error, "This is not a version of Firecracker");
  if (compare (&parsed, &oldest) < 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
                   "Firecracker %u.%u.%u is too old; install %u.%u or later", parsed.major,
                   parsed.minor, parsed.patch, oldest.major, oldest.minor);
      return FALSE;
    }
  *version = parsed;
  return TRUE;
}

gboolean
vmsan_fc_version_has (const VmsanFcVersion *self, VmsanFcFeature feature)
{
  g_return_val_if_fail (feature < VMSAN_FC_N_FEATURES, FALSE);
  return compare (self, &features[feature].since) >= 0;
}

gboolean
vmsan_fc_version_require (const VmsanFcVersion *self, VmsanFcFeature feature, GError **error)
{
  const VmsanFcVersion *since = &features[feature].since;

  if (vmsan_fc_version_has (self, feature))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED,
               "Firecracker %u.%u.%u cannot %s; install %u.%u.%u or later", self->major,
               self->minor, self->patch, features[feature].what, since->major, since->minor,
               since->patch);
  return FALSE;
}

guint
vmsan_fc_version_get_snapshot_format (const VmsanFcVersion *self)
{
  guint since_oldest = self->minor - oldest.minor;

  g_return_val_if_fail (compare (self, &oldest) >= 0, 0);
  if (self->major != oldest.major || since_oldest >= G_N_ELEMENTS (snapshot_formats))
    return 0;
  return snapshot_formats[since_oldest];
}

gboolean
vmsan_fc_version_loses_vsock (const VmsanFcVersion *self)
{
  return self->major == 1 && self->minor == 16 && self->patch <= 1;
}
