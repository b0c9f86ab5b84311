/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A release of Firecracker, and what came with which.
 *
 * Firecracker refuses a whole request for one field that it does not know, so each request is made
 * for the version that will read it. Releases newer than all that are known are taken for the
 * newest of them; those before 1.10 are refused. */

#pragma once

#include <glib.h>

typedef struct
{
  guint major;
  guint minor;
  guint patch;
} VmsanFcVersion;

/**
 * VmsanFcFeature:
 * @VMSAN_FC_NETWORK_OVERRIDES: other taps for the machine of a snapshot
 * @VMSAN_FC_SERIAL: a file for the serial console's output
 * @VMSAN_FC_DIRTY_PAGES_ON_LOAD: the field of snapshot/load is called track_dirty_pages
 * @VMSAN_FC_BALLOON_REPORTING: the guest reports free pages, and they are given back
 * @VMSAN_FC_CLOCK_REALTIME: the guest's clock goes on from now, not from the snapshot's time
 * @VMSAN_FC_VSOCK_OVERRIDE: another socket for the machine of a snapshot
 * @VMSAN_FC_MTU: an MTU for a network interface
 * @VMSAN_FC_SERIAL_RATE_LIMIT: a bound for the serial console's output
 */
typedef enum
{
  VMSAN_FC_NETWORK_OVERRIDES,
  VMSAN_FC_SERIAL,
  VMSAN_FC_DIRTY_PAGES_ON_LOAD,
  VMSAN_FC_BALLOON_REPORTING,
  VMSAN_FC_CLOCK_REALTIME,
  VMSAN_FC_VSOCK_OVERRIDE,
  VMSAN_FC_MTU,
  VMSAN_FC_SERIAL_RATE_LIMIT,
  VMSAN_FC_N_FEATURES
} VmsanFcFeature;

/* "1.16.1", also with what a build from between two releases adds ("1.17.0-dev"). INVALID_ARGUMENT
 * for other text, NOT_SUPPORTED for a release before 1.10. */
gboolean vmsan_fc_version_parse (const char *text, VmsanFcVersion *version, GError **error);

gboolean vmsan_fc_version_has (const VmsanFcVersion *self, VmsanFcFeature feature);

/* The same as an error: NOT_SUPPORTED, with what is missing and since when it is there. */
gboolean
vmsan_fc_version_require (const VmsanFcVersion *self, VmsanFcFeature feature, GError **error);

/* Number of the format of a snapshot's state file, which other formats cannot be loaded with; 0
 * when the release is too new to know. */
guint vmsan_fc_version_get_snapshot_format (const VmsanFcVersion *self);

/* A machine that was paused and resumed accepts no vsock connection any more: 1.16.0, 1.16.1. */
gboolean vmsan_fc_version_loses_vsock (const VmsanFcVersion *self);
