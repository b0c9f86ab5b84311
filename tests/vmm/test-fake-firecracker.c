/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The stand-in for Firecracker is as strict as the real one: what passes it can be trusted. Asked
 * in raw HTTP, as the client would never send most of it. */

#include "fc-world.h"

#include "sys/error.h"
#include "sys/fd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- Raw requests -------------------------------------------------------------------------- */

static int
connect_api (FcWorld *world)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const struct timeval deadline = { FC_DEADLINE_MS / 1000, 0 };
  vmsan_autofd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autofree char *path = fc_world_path (world, "api.sock");

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline));
  return g_steal_fd (&fd);
}

/* Sends @text and reads what comes until it stops: the sender has nothing more to say. */
static char *
ask_raw (FcWorld *world, const char *text)
{
  vmsan_autofd int fd = connect_api (world);
  g_autoptr (GString) answer = g_string_new (NULL);
  char buffer[8192];
  gssize n;

  send (fd, text, strlen (text), MSG_NOSIGNAL);
  shutdown (fd, SHUT_WR);
  while ((n = recv (fd, buffer, sizeof buffer, 0)) > 0)
    g_string_append_len (answer, buffer, n);
  return g_string_free (g_steal_pointer (&answer), FALSE);
}

/* @body: NULL for none. */
static char *
ask (FcWorld *world, const char *call, const char *body)
{
  g_autofree char *text = NULL;

  if (body == NULL)
    text = g_strdup_printf ("%s HTTP/1.1\r\nHost: x\r\n\r\n", call);
  else
    text = g_strdup_printf ("%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", call,
                            strlen (body), body);
  return ask_raw (world, text);
}

static void
assert_answer (const char *call, const char *answer, int status, const char *words)
{
  g_autofree char *line = g_strdup_printf ("HTTP/1.1 %d \r\n", status);

  if (!g_str_has_prefix (answer, line) || strstr (answer, words) == NULL)
    g_error ("%s: not %d “%s” but “%s”", call, status, words, answer);
}

static void
expect (FcWorld *world, const char *call, const char *body, int status, const char *words)
{
  g_autofree char *answer = ask (world, call, body);

  assert_answer (call, answer, status, words);
}

typedef struct
{
  const char *call;
  const char *body;
  int status;
  const char *words;
} Case;

static void
expect_all (FcWorld *world, const Case *cases, gsize n)
{
  for (gsize i = 0; i < n; i++)
    expect (world, cases[i].call, cases[i].body, cases[i].status, cases[i].words);
}

#define EXPECT_ALL(world, cases) expect_all (world, cases, G_N_ELEMENTS (cases))

/* ---- HTTP ---------------------------------------------------------------------------------- */

static void
test_http (void)
{
  static const struct
  {
    const char *text;
    int status;
  } raw[] = {
    { "hello\r\n\r\n", 400 },
    { "GET / HTTP/1.0\r\n\r\n", 400 },
    { "GET http://localhost/ HTTP/1.1\r\n\r\n", 400 },
    { "PUT /vm HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { "PUT /vm HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400 },
    { "PUT /vm HTTP/1.1\r\nContent-Length: 51201\r\n\r\n", 413 },
  };
  static const Case cases[] = {
    { "GET /", "{}", 400, "GET request cannot have a body." },
    { "PUT /machine-config", NULL, 400, "Empty PUT request." },
    { "PATCH /vm", NULL, 400, "Empty PATCH request." },
    { "GET /nothing", NULL, 400, "Invalid request method and/or path: GET /nothing." },
    { "DELETE /vm", NULL, 400, "Invalid request method and/or path" },
    { "PUT /version", "{}", 400, "Invalid request method and/or path" },
    { "PUT /drives", "{}", 400, "Invalid request method and/or path" },
    { "GET /", NULL, 200, "\"state\":\"Not started\"" },
    { "GET /version", NULL, 200, "{\"firecracker_version\":\"1.15.1\"}" },
    { "GET /machine-config", NULL, 200, "\"mem_size_mib\":128" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start_alone (world, "1.15.1");
  EXPECT_ALL (world, cases);
  for (guint i = 0; i < G_N_ELEMENTS (raw); i++)
    {
      g_autofree char *answer = ask_raw (world, raw[i].text);

      assert_answer (raw[i].text, answer, raw[i].status, "\r\n\r\n{\"");
    }
}

/* ---- Bodies -------------------------------------------------------------------------------- */

static void
test_bodies (void)
{
  static const Case cases[] = {
    { "PUT /vsock", "", 400, "Empty PUT request" },
    { "PUT /vsock", "{", 400, "deserializing the json body" },
    { "PUT /vsock", "[]", 400, "invalid type: sequence" },
    { "PUT /vsock", "{\"guest_cid\": 3,}", 400, "deserializing" },
    { "PUT /vsock", "{\"guest_cid\": 3} x", 400, "deserializing" },
    { "PUT /vsock", "{'guest_cid': 3}", 400, "deserializing" },
    { "PUT /vsock", "{\"guest_cid\": 03, \"uds_path\": \"v\"}", 400, "deserializing" },
    { "PUT /vsock", "{\"guest_cid\": 3}", 400, "missing field `uds_path`" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": \"v\", \"x\": 1}", 400, "unknown field `x`" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"guest_cid\": 4, \"uds_path\": \"v\"}", 400, "duplicate" },
    { "PUT /vsock", "{\"guest_cid\": \"3\", \"uds_path\": \"v\"}", 400, "invalid type: string" },
    { "PUT /vsock", "{\"guest_cid\": 3.0, \"uds_path\": \"v\"}", 400, "floating point" },
    { "PUT /vsock", "{\"guest_cid\": null, \"uds_path\": \"v\"}", 400, "invalid type: null" },
    { "PUT /vsock", "{\"guest_cid\": 2, \"uds_path\": \"v\"}", 400, "invalid value: integer `2`" },
    { "PUT /vsock", "{\"guest_cid\": 4294967296, \"uds_path\": \"v\"}", 400, "invalid value" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": 1}", 400, "expected a string" },
    { "PATCH /vm", "{\"state\": \"Off\"}", 400, "unknown variant `Off`" },
    { "PATCH /vm", "{\"state\": true}", 400, "invalid type: boolean" },
    { "PUT /entropy", "{\"rate_limiter\": {\"bandwidth\": {\"size\": 1}}}", 400, "`refill_time`" },
    { "PUT /entropy", "{\"rate_limiter\": {\"x\": {}}}", 400, "unknown field `x`" },
    { "PUT /machine-config", "{\"vcpu_count\": 0, \"mem_size_mib\": 1}", 400, "integer `0`" },
    { "PUT /machine-config", "{\"vcpu_count\": 33, \"mem_size_mib\": 1}", 400, "integer `33`" },
    { "PUT /machine-config", "{\"vcpu_count\": 3, \"mem_size_mib\": 1, \"smt\": true}", 400,
      "even number if SMT" },
    { "PUT /machine-config", "{\"vcpu_count\": 1, \"mem_size_mib\": 0}", 400, "memory size (MiB)" },
    { "PUT /machine-config", "{\"vcpu_count\": 1, \"mem_size_mib\": 3, \"huge_pages\": \"2M\"}",
      400, "multiple of the configured page size" },
    { "PUT /drives/a", "{\"drive_id\": \"b\", \"is_root_device\": false}", 400, "does not match" },
    { "PUT /drives/a-b", "{\"drive_id\": \"a-b\", \"is_root_device\": false}", 400,
      "alphanumeric characters and underscores" },
    { "PUT /drives/", "{\"drive_id\": \"\", \"is_root_device\": false}", 400, "cannot be empty" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start_alone (world, "1.15.1");
  EXPECT_ALL (world, cases);
}

/* What the release before the one that brought it does not know. */
static void
test_releases (void)
{
#define LOAD "{\"snapshot_path\": \"s\", \"mem_file_path\": \"m\", "
  static const struct
  {
    const char *before;
    const char *since;
    const char *call;
    const char *body;
    const char *words;
  } cases[] = {
    { "1.15.1", "1.16.0", "PUT /network-interfaces/a",
      "{\"iface_id\": \"a\", \"host_dev_name\": \"tap0\", \"mtu\": 1400}", "unknown field `mtu`" },
    { "1.13.1", "1.14.0", "PUT /serial", "{\"serial_out_path\": \"serial\"}", "Invalid request" },
    { "1.15.1", "1.16.0", "PUT /serial",
      "{\"serial_out_path\": \"serial\", \"rate_limiter\": {\"size\": 1, \"refill_time\": 1}}",
      "unknown field `rate_limiter`" },
    { "1.13.1", "1.14.0", "PUT /balloon",
      "{\"amount_mib\": 1, \"deflate_on_oom\": true, \"free_page_reporting\": true}",
      "unknown field `free_page_reporting`" },
    { "1.11.0", "1.12.0", "PUT /snapshot/load", LOAD "\"network_overrides\": []}",
      "unknown field `network_overrides`" },
    { "1.13.1", "1.14.0", "PUT /snapshot/load", LOAD "\"track_dirty_pages\": true}",
      "unknown field `track_dirty_pages`" },
    { "1.14.3", "1.14.4", "PUT /snapshot/load", LOAD "\"clock_realtime\": true}",
      "unknown field `clock_realtime`" },
    { "1.15.1", "1.16.0", "PUT /snapshot/load", LOAD "\"vsock_override\": {\"uds_path\": \"v\"}}",
      "unknown field `vsock_override`" },
  };
#undef LOAD
  g_autoptr (FcWorld) world = fc_world_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      gboolean loads = g_str_equal (cases[i].call, "PUT /snapshot/load");

      fc_world_start_alone (world, cases[i].before);
      expect (world, cases[i].call, cases[i].body, 400, cases[i].words);
      fc_world_start_alone (world, cases[i].since);
      /* There is no such snapshot, which is found out only when the fields are known. */
      expect (world, cases[i].call, cases[i].body, loads ? 400 : 204,
              loads ? "Failed to open snapshot file" : "");
    }
}

/* ---- What has to be there ------------------------------------------------------------------ */

#define DRIVE(id, more)    "{\"drive_id\": \"" id "\", " more "}"
#define TAP(id, tap, more) "{\"iface_id\": \"" id "\", \"host_dev_name\": \"" tap "\"" more "}"

static void
test_devices (void)
{
  static const Case cases[] = {
    { "PUT /boot-source", "{\"kernel_image_path\": \"none\"}", 400,
      "kernel file cannot be opened" },
    { "PUT /boot-source", "{\"kernel_image_path\": \"kernel\", \"initrd_path\": \"none\"}", 400,
      "initrd file cannot be opened" },
    { "PUT /drives/a", DRIVE ("a", "\"is_root_device\": false"), 400,
      "not valid for a virtio-block" },
    { "PUT /drives/a",
      DRIVE ("a", "\"is_root_device\": false, \"path_on_host\": \"disk\", \"socket\": \"s\""), 400,
      "not valid for a virtio-block" },
    { "PUT /drives/a", DRIVE ("a", "\"is_root_device\": false, \"path_on_host\": \"none\""), 400,
      "No such file or directory" },
    { "PUT /drives/a", DRIVE ("a", "\"is_root_device\": true, \"path_on_host\": \"disk\""), 204,
      "" },
    { "PUT /drives/a", DRIVE ("a", "\"is_root_device\": true, \"path_on_host\": \"disk\""), 204,
      "" },
    { "PUT /drives/b", DRIVE ("b", "\"is_root_device\": true, \"path_on_host\": \"disk\""), 400,
      "A root block device already exists!" },
    { "PUT /network-interfaces/a", TAP ("a", "tap9", ""), 400, "Open tap device failed" },
    { "PUT /network-interfaces/a", TAP ("a", "tap0", ", \"guest_mac\": \"02:00\""), 400, "MAC" },
    { "PUT /network-interfaces/a", TAP ("a", "tap0", ", \"guest_mac\": \"02:00:00:00:00:01\""), 204,
      "" },
    { "PUT /network-interfaces/b", TAP ("b", "tap1", ", \"guest_mac\": \"02:00:00:00:00:01\""), 400,
      "The MAC address is already in use" },
    { "PUT /network-interfaces/b", TAP ("b", "tap0", ""), 400, "Device or resource busy" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": \"kernel\"}", 400, "Address already in use" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": \"/nowhere/v\"}", 400, "Error binding" },
    { "PUT /logger", "{\"log_path\": \"none\"}", 400, "Logger error" },
    { "PUT /logger", "{\"log_path\": \"log\"}", 204, "" },
    { "PUT /logger", "{\"level\": \"Debug\"}", 204, "" },
    { "PUT /metrics", "{\"metrics_path\": \"none\"}", 400, "Metrics error" },
    { "PUT /metrics", "{\"metrics_path\": \"metrics\"}", 204, "" },
    { "PUT /metrics", "{\"metrics_path\": \"metrics\"}", 400, "already initialized" },
    { "PUT /balloon", "{\"amount_mib\": 129, \"deflate_on_oom\": false}", 400, "too large" },
    { "PUT /serial", "{\"serial_out_path\": \"none\"}", 204, "" },
    { "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 204, "" },
    { "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 400, "serial_out" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start_alone (world, "1.15.1");
  EXPECT_ALL (world, cases);
}

static void
test_no_kvm (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *orders = fc_world_path (world, "orders");

  g_assert_true (g_file_set_contents (orders, "kvm /nowhere/kvm\n", -1, NULL));
  fc_world_start_alone (world, "1.15.1");
  expect (world, "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 204, "");
  expect (world, "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 400,
          "Error creating KVM object");
}

/* ---- Before and after the start ------------------------------------------------------------ */

#define SNAPSHOT "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\"}"

static void
test_order (void)
{
  static const Case before[] = {
    { "PATCH /vm", "{\"state\": \"Paused\"}", 400, "not supported before starting" },
    { "PUT /snapshot/create", SNAPSHOT, 400, "not supported before starting" },
    { "PATCH /balloon", "{\"amount_mib\": 1}", 400, "not supported before starting" },
    { "PUT /actions", "{\"action_type\": \"SendCtrlAltDel\"}", 400, "not supported before" },
    { "PUT /actions", "{\"action_type\": \"FlushMetrics\"}", 400, "not supported before" },
    { "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 400, "without kernel configuration" },
    { "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 204, "" },
    { "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 204, "" },
  };
  static const Case after[] = {
    { "PUT /machine-config", "{\"vcpu_count\": 1, \"mem_size_mib\": 1}", 400,
      "not supported after" },
    { "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 400, "not supported after" },
    { "PUT /drives/a", DRIVE ("a", "\"is_root_device\": false, \"path_on_host\": \"disk\""), 400,
      "not supported after" },
    { "PUT /network-interfaces/a", TAP ("a", "tap0", ""), 400, "not supported after" },
    { "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": \"v\"}", 400, "not supported after" },
    { "PUT /entropy", "{}", 400, "not supported after" },
    { "PUT /balloon", "{\"amount_mib\": 1, \"deflate_on_oom\": true}", 400, "not supported after" },
    { "PUT /logger", "{\"level\": \"Info\"}", 400, "not supported after" },
    { "PUT /metrics", "{\"metrics_path\": \"metrics\"}", 400, "not supported after" },
    { "PUT /serial", "{}", 400, "not supported after" },
    { "PUT /snapshot/load", SNAPSHOT, 400, "not supported after" },
    { "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 400, "not supported after" },
    { "PUT /snapshot/create", SNAPSHOT, 400, "the microVM is not paused" },
    { "PATCH /balloon", "{\"amount_mib\": 1}", 400, "Device not found" },
    { "PATCH /vm", "{\"state\": \"Paused\"}", 204, "" },
    { "PATCH /vm", "{\"state\": \"Paused\"}", 204, "" },
    { "PUT /snapshot/create",
      "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\", \"snapshot_type\": \"Diff\"}",
      400, "dirty page tracking disabled" },
    { "PUT /snapshot/create", SNAPSHOT, 204, "" },
    { "PATCH /vm", "{\"state\": \"Resumed\"}", 204, "" },
    { "PATCH /vm", "{\"state\": \"Resumed\"}", 204, "" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start_alone (world, "1.15.1");
  EXPECT_ALL (world, before);
  EXPECT_ALL (world, after);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static void
make_snapshot (FcWorld *world)
{
  static const Case cases[] = {
    { "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 204, "" },
    { "PUT /network-interfaces/a", TAP ("a", "tap0", ""), 204, "" },
    { "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 204, "" },
    { "PATCH /vm", "{\"state\": \"Paused\"}", 204, "" },
    { "PUT /snapshot/create", SNAPSHOT, 204, "" },
  };

  fc_world_start_alone (world, "1.16.1");
  EXPECT_ALL (world, cases);
}

/* A load that was tried and failed is the end; one that was not tried is not. */
static void
test_load (void)
{
  static const struct
  {
    const char *body;
    const char *words;
    gboolean ends;
  } cases[] = {
    { "{\"snapshot_path\": \"state\"}", "missing fields", FALSE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\", \"mem_backend\": "
      "{\"backend_type\": \"File\", \"backend_path\": \"memory\"}}",
      "too many fields", FALSE },
    { "{\"snapshot_path\": \"none\", \"mem_file_path\": \"memory\"}", "open snapshot file", TRUE },
    { "{\"snapshot_path\": \"kernel\", \"mem_file_path\": \"memory\"}", "CRC64", TRUE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"none\"}", "memory file", TRUE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"kernel\"}", "mmap", TRUE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\", \"network_overrides\": "
      "[{\"iface_id\": \"b\", \"host_dev_name\": \"tap1\"}]}",
      "Unknown Network Device", TRUE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\", \"network_overrides\": "
      "[{\"iface_id\": \"a\", \"host_dev_name\": \"tap9\"}]}",
      "Open tap device failed", TRUE },
    { "{\"snapshot_path\": \"state\", \"mem_file_path\": \"memory\", \"vsock_override\": "
      "{\"uds_path\": \"v\"}}",
      "Unknown Vsock Device", TRUE },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  make_snapshot (world);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      fc_world_start_alone (world, "1.16.1");
      expect (world, "PUT /snapshot/load", cases[i].body, 400, cases[i].words);
      if (cases[i].ends)
        g_assert_cmpint (fc_world_wait (world), ==, 1);
      else
        expect (world, "GET /", NULL, 200, "Not started");
    }
}

/* ---- The end ------------------------------------------------------------------------------- */

static void
start_guest (FcWorld *world, const char *orders, const char *arguments)
{
  g_autofree char *body =
      g_strdup_printf ("{\"kernel_image_path\": \"kernel\", \"boot_args\": \"%s\"}", arguments);

  fc_world_order (world, orders);
  fc_world_start_alone (world, "1.15.1");
  expect (world, "PUT /boot-source", body, 204, "");
  expect (world, "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 204, "");
  expect (world, "PUT /actions", "{\"action_type\": \"SendCtrlAltDel\"}", 204, "");
}

static void
test_ends (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  start_guest (world, "", "reboot=k");
  g_assert_cmpint (fc_world_wait (world), ==, 0);
  start_guest (world, "guest-exit-code 149\n", "reboot=k");
  g_assert_cmpint (fc_world_wait (world), ==, 149);
  start_guest (world, "ignore-ctrl-alt-del\n", "reboot=k");
  expect (world, "GET /", NULL, 200, "Running");
  /* A guest that does not reboot by the keyboard does not end Firecracker. */
  start_guest (world, "", "panic=-1");
  expect (world, "GET /", NULL, 200, "Running");
  fc_world_order (world, "die-after GET / 148\n");
  expect (world, "GET /", NULL, 200, "Running");
  g_assert_cmpint (fc_world_wait (world), ==, 148);
}

/* In pieces the command is none, as the real one reads it at once. */
static void
test_vsock_command (void)
{
  static const char *const bad[] = { "CONN", "CONNECT 7001\n", "connect 7000\n", "CONNECT 7000" };
  g_autoptr (FcWorld) world = fc_world_new ();
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *path = fc_world_path (world, "vsock");

  fc_world_start_alone (world, "1.15.1");
  expect (world, "PUT /vsock", "{\"guest_cid\": 3, \"uds_path\": \"vsock\"}", 204, "");
  expect (world, "PUT /boot-source", "{\"kernel_image_path\": \"kernel\"}", 204, "");
  expect (world, "PUT /actions", "{\"action_type\": \"InstanceStart\"}", 204, "");
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      vmsan_autofd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      char byte;

      g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
      g_assert_cmpint (write (fd, bad[i], strlen (bad[i])), ==, strlen (bad[i]));
      g_assert_cmpint (read (fd, &byte, 1), ==, 0);
    }
}

static void
test_versions (void)
{
  static const char *const expected[][3] = {
    { "--version", "1.13.1", "Firecracker v1.13.1\n\n" },
    { "--snapshot-version", "1.13.1", "v8.0.0\n" },
    { "--snapshot-version", "1.16.0", "v10.0.0\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_autofree char *release = g_strconcat ("FAKE_FIRECRACKER_VERSION=", expected[i][1], NULL);
      const char *argv[] = { FAKE_FIRECRACKER, expected[i][0], NULL };
      const char *environment[] = { release, NULL };
      g_autofree char *output = NULL;
      g_autoptr (GError) error = NULL;

      g_spawn_sync (NULL, (char **) argv, (char **) environment, G_SPAWN_DEFAULT, NULL, NULL,
                    &output, NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (output, ==, expected[i][2]);
    }
}

static void
test_command_line (void)
{
  static const struct
  {
    const char *arguments[4];
    int exit_code;
    const char *words;
  } cases[] = {
    { { "--id" }, 153, "no value for --id" },
    { { "--id", "a_b" }, 128 + SIGABRT, "Invalid instance ID" },
    { { "--start-time-us", "now" }, 128 + SIGABRT, "not a number" },
    { { "--no-api" }, 153, "unexpected argument" },
    { { "--seccomp-filter", "/nowhere/filter" }, 1, "Seccomp error" },
    { { "--log-path", "/nowhere/log" }, 1, "Could not initialize logger" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *argv[] = { FAKE_FIRECRACKER, cases[i].arguments[0], cases[i].arguments[1], NULL };

      fc_world_spawn (world, argv, (const char *const[]){ NULL });
      g_assert_cmpint (fc_world_wait (world), ==, cases[i].exit_code);
      g_assert_nonnull (strstr (world->log->str, cases[i].words));
    }
}

int
main (int argc, char **argv)
{
  fc_world_init ();
  g_test_init (&argc, &argv, NULL);
  alarm (110); /* kills a test that hangs */
#define ADD(name, function) g_test_add_func ("/fake-firecracker/" name, function)
  ADD ("speaks-no-more-http-than-the-real-one", test_http);
  ADD ("refuses-bodies-that-are-not-right", test_bodies);
  ADD ("knows-only-what-its-release-knows", test_releases);
  ADD ("needs-what-it-is-told-to-use", test_devices);
  ADD ("needs-kvm", test_no_kvm);
  ADD ("refuses-what-comes-too-early-or-late", test_order);
  ADD ("refuses-snapshots-and-ends", test_load);
  ADD ("ends-with-its-guest-if-that-reboots", test_ends);
  ADD ("reads-the-vsock-command-at-once", test_vsock_command);
  ADD ("prints-its-versions", test_versions);
  ADD ("refuses-its-command-line", test_command_line);
  return g_test_run ();
}
