/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Prints every request that the client makes for a release, one in a line: method, path, body. For
 * comparison with Firecracker's own description of its API. */

#include "vmm/firecracker/fc-request.h"

#include <stdio.h>

/* Consumes @request; NULL where the release does not have it. */
static void
print (VmsanFcRequest *request)
{
  g_autoptr (VmsanFcRequest) owned = request;

  if (request == NULL)
    return;
  printf ("%s %s %s\n", vmsan_fc_request_get_method (request), vmsan_fc_request_get_path (request),
          vmsan_fc_request_get_body (request) != NULL ? vmsan_fc_request_get_body (request) : "");
}

static const VmsanFcRateLimiter limit = { { 4096, 8192, 100 }, { 10, 20, 100 } };
static const VmsanFcRateLimiter no_limit;

static void
print_devices (const VmsanFcVersion *version)
{
  const VmsanFcDrive drives[] = {
    { "base", "/base", .read_only = TRUE, .root_device = TRUE },
    { "upper_1", "/upper", .writeback = TRUE, .io_uring = TRUE, .limit = limit },
  };
  const VmsanFcInterface interfaces[] = {
    { "eth0", "tap0", "02:00:00:00:00:01" },
    { "eth1", "tap1", NULL, 0, limit, limit },
    { "eth2", "tap2", NULL, 1400 },
  };
  const VmsanFcBalloon balloons[] = { { 16 }, { 16, TRUE, 5 }, { 16, TRUE, 5, TRUE } };

  for (guint i = 0; i < G_N_ELEMENTS (drives); i++)
    print (vmsan_fc_request_new_drive (&drives[i], NULL));
  for (guint i = 0; i < G_N_ELEMENTS (interfaces); i++)
    print (vmsan_fc_request_new_interface (version, &interfaces[i], NULL));
  for (guint i = 0; i < G_N_ELEMENTS (balloons); i++)
    print (vmsan_fc_request_new_balloon (version, &balloons[i], NULL));
  print (vmsan_fc_request_new_balloon_size (8));
  print (vmsan_fc_request_new_vsock (3, "/vsock", NULL));
  print (vmsan_fc_request_new_entropy (&no_limit, NULL));
  print (vmsan_fc_request_new_entropy (&limit, NULL));
}

static void
print_configuration (const VmsanFcVersion *version)
{
  const VmsanFcMachine machines[] = { { 1, 128 }, { 32, 4096, TRUE, TRUE, TRUE } };
  const VmsanFcBootSource sources[] = { { "/kernel" }, { "/kernel", "/initrd", "reboot=k" } };
  const VmsanFcBucket none = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (machines); i++)
    print (vmsan_fc_request_new_machine (&machines[i], NULL));
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    print (vmsan_fc_request_new_boot_source (&sources[i], NULL));
  for (VmsanFcLogLevel level = VMSAN_FC_LOG_ERROR; level <= VMSAN_FC_LOG_DEBUG; level++)
    print (vmsan_fc_request_new_logger ("/log", level, NULL));
  print (vmsan_fc_request_new_metrics ("/metrics", NULL));
  print (vmsan_fc_request_new_serial (version, "/serial", &none, NULL));
  print (vmsan_fc_request_new_serial (version, "/serial", &limit.bytes, NULL));
}

static void
print_life (const VmsanFcVersion *version)
{
  const VmsanFcOverride overrides[] = { { "eth0", "tap0" }, { "eth1", "tap1" } };
  const VmsanFcSnapshotLoad loads[] = {
    { "/state", "/memory" },
    { "/state", "/memory", TRUE, TRUE },
    { "/state", "/memory", .clock_realtime = TRUE },
    { "/state", "/memory", .vsock_path = "/vsock" },
    { "/state", "/memory", .overrides = overrides, .n_overrides = G_N_ELEMENTS (overrides) },
  };

  print (vmsan_fc_request_new_get_version ());
  print (vmsan_fc_request_new_describe ());
  for (VmsanFcAction action = VMSAN_FC_START; action <= VMSAN_FC_FLUSH_METRICS; action++)
    print (vmsan_fc_request_new_action (action));
  print (vmsan_fc_request_new_set_paused (TRUE));
  print (vmsan_fc_request_new_set_paused (FALSE));
  print (vmsan_fc_request_new_snapshot_create ("/state", "/memory", FALSE, NULL));
  print (vmsan_fc_request_new_snapshot_create ("/state", "/memory", TRUE, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (loads); i++)
    print (vmsan_fc_request_new_snapshot_load (version, &loads[i], NULL));
}

int
main (int argc, char **argv)
{
  VmsanFcVersion version;
  g_autoptr (GError) error = NULL;

  if (argc != 2 || !vmsan_fc_version_parse (argv[1], &version, &error))
    {
      g_printerr ("Usage: print-requests RELEASE%s%s\n", error != NULL ? "\n" : "",
                  error != NULL ? error->message : "");
      return 2;
    }
  print_configuration (&version);
  print_devices (&version);
  print_life (&version);
  return 0;
}
