/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The client of Firecracker's API against the stand-in, for each release, and against one that
 * misbehaves. */

#include "fc-world.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-handshake.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const releases[] = {
  "1.10.1", "1.11.0", "1.12.1", "1.13.1", "1.14.4", "1.15.1", "1.16.1", "1.17.0",
};

static const VmsanFcVersion newest = { 1, 16, 1 };

/* ---- Versions ------------------------------------------------------------------------------ */

static void
test_versions (void)
{
  static const char *const bad[] = {
    "",
    "1",
    "1.15",
    "1.15.",
    "1.15.1.",
    "v1.15.1",
    " 1.15.1",
    "1.15.1 ",
    "1.15.1\n",
    "1.015.1",
    "1.15.-1",
    "1.15.99999",
    "99999999999999999999.1.1",
    "1.15.1-",
    "1.15.1-a b",
    "1.15.1dev",
    "١.١٥.١",
  };
  static const char *const old[] = { "0.25.0", "1.9.9", "1.0.0" };
  VmsanFcVersion version = { 7, 7, 7 };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_false (vmsan_fc_version_parse (bad[i], &version, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (old); i++)
    {
      g_assert_false (vmsan_fc_version_parse (old[i], &version, &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
      g_clear_error (&error);
    }
  g_assert_cmpuint (version.major, ==, 7);
  g_assert_true (vmsan_fc_version_parse ("1.17.0-dev.3+abc", &version, &error));
  g_assert_cmpuint (version.minor, ==, 17);
  g_assert_true (vmsan_fc_version_parse ("2.0.0", &version, &error));
  g_assert_true (vmsan_fc_version_has (&version, VMSAN_FC_VSOCK_OVERRIDE));
  g_assert_cmpuint (vmsan_fc_version_get_snapshot_format (&version), ==, 0);
}

static void
test_snapshot_formats (void)
{
  static const guint formats[] = { 4, 5, 6, 8, 8, 9, 10, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (releases); i++)
    {
      VmsanFcVersion version;

      g_assert_true (vmsan_fc_version_parse (releases[i], &version, NULL));
      g_assert_cmpuint (vmsan_fc_version_get_snapshot_format (&version), ==, formats[i]);
      g_assert_cmpint (vmsan_fc_version_loses_vsock (&version), ==, i == 6);
    }
}

/* ---- Every request in every release -------------------------------------------------------- */

static VmsanFcRequest *
new_serial (FcWorld *world, guint64 limit, GError **error)
{
  g_autofree char *path = fc_world_path (world, "serial");
  const VmsanFcBucket bucket = { .size = limit, .refill_ms = 100 };

  return vmsan_fc_request_new_serial (&world->version, path, &bucket, error);
}

static VmsanFcRequest *
new_interface_with_mtu (FcWorld *world, GError **error)
{
  const VmsanFcInterface interface = {
    .id = "eth1",
    .tap = "tap1",
    .mtu = 1400,
    .to_guest = { .bytes = { 1000, 500, 10 }, .operations = { 10, 0, 10 } },
    .from_guest = { .operations = { 10, 0, 10 } },
  };

  return vmsan_fc_request_new_interface (&world->version, &interface, error);
}

static VmsanFcRequest *
new_balloon (FcWorld *world, gboolean reporting, GError **error)
{
  const VmsanFcBalloon balloon = { 16, TRUE, 5, reporting };

  return vmsan_fc_request_new_balloon (&world->version, &balloon, error);
}

/* Sends @request, or checks that there is none because the release lacks @feature. */
static void
send_if (FcWorld *world, VmsanFcFeature feature, VmsanFcRequest *request, GError *reason)
{
  g_autoptr (GError) error = reason;

  if (vmsan_fc_version_has (&world->version, feature))
    {
      g_assert_no_error (error);
      fc_world_send (world, request);
      return;
    }
  g_assert_null (request);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
}

static void
send_everything (FcWorld *world)
{
  g_autofree char *log = fc_world_path (world, "log");
  g_autofree char *metrics = fc_world_path (world, "metrics");
  const VmsanFcRateLimiter limit = { .bytes = { 4096, 0, 1000 } };
  VmsanFcRequest *request;
  GError *error = NULL;

  fc_world_send (world, vmsan_fc_request_new_logger (log, VMSAN_FC_LOG_WARNING, NULL));
  fc_world_send (world, vmsan_fc_request_new_metrics (metrics, NULL));
  request = new_serial (world, 0, &error);
  send_if (world, VMSAN_FC_SERIAL, request, g_steal_pointer (&error));
  request = new_serial (world, 9600, &error);
  send_if (world, VMSAN_FC_SERIAL_RATE_LIMIT, request, g_steal_pointer (&error));
  fc_world_configure (world);
  request = new_interface_with_mtu (world, &error);
  send_if (world, VMSAN_FC_MTU, request, g_steal_pointer (&error));
  fc_world_send (world, vmsan_fc_request_new_entropy (&limit, NULL));
  fc_world_send (world, new_balloon (world, FALSE, NULL));
  request = new_balloon (world, TRUE, &error);
  send_if (world, VMSAN_FC_BALLOON_REPORTING, request, g_steal_pointer (&error));
}

static void
assert_state (FcWorld *world, VmsanFcState expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer =
      fc_world_try (world, vmsan_fc_request_new_describe (), FC_DEADLINE_MS, &error);
  VmsanFcState state;

  g_assert_no_error (error);
  g_assert_true (vmsan_fc_answer_read_state (answer, &state, &error));
  g_assert_cmpint (state, ==, expected);
}

static VmsanFcRequest *
new_snapshot (FcWorld *world)
{
  g_autofree char *state = fc_world_path (world, "state");
  g_autofree char *memory = fc_world_path (world, "memory");

  return vmsan_fc_request_new_snapshot_create (state, memory, FALSE, NULL);
}

/* With everything that the release has. */
static VmsanFcRequest *
new_load (FcWorld *world)
{
  g_autofree char *state = fc_world_path (world, "state");
  g_autofree char *memory = fc_world_path (world, "memory");
  g_autofree char *vsock = fc_world_path (world, "vsock");
  const VmsanFcVersion *version = &world->version;
  const VmsanFcOverride overrides[] = { { "eth0", "tap1" } };
  const VmsanFcSnapshotLoad load = {
    .state_path = state,
    .memory_path = memory,
    .track_dirty_pages = TRUE,
    .clock_realtime = vmsan_fc_version_has (version, VMSAN_FC_CLOCK_REALTIME),
    .vsock_path = vmsan_fc_version_has (version, VMSAN_FC_VSOCK_OVERRIDE) ? vsock : NULL,
    .overrides = overrides,
    .n_overrides = vmsan_fc_version_has (version, VMSAN_FC_NETWORK_OVERRIDES) ? 1 : 0,
  };
  g_autoptr (GError) error = NULL;
  VmsanFcRequest *request = vmsan_fc_request_new_snapshot_load (version, &load, &error);

  g_assert_no_error (error);
  return request;
}

static void
test_release (gconstpointer user_data)
{
  const char *release = user_data;
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, release);
  send_everything (world);
  assert_state (world, VMSAN_FC_NOT_STARTED);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  assert_state (world, VMSAN_FC_RUNNING);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_FLUSH_METRICS));
  fc_world_send (world, vmsan_fc_request_new_balloon_size (8));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  assert_state (world, VMSAN_FC_PAUSED);
  fc_world_send (world, new_snapshot (world));
  fc_world_send (world, vmsan_fc_request_new_set_paused (FALSE));
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_CTRL_ALT_DEL));
  g_assert_cmpint (fc_world_wait (world), ==, 0);
  g_assert_cmpuint (fc_world_count (world, "connection"), ==, 1);
}

static void
test_snapshot_of_release (gconstpointer user_data)
{
  const char *release = user_data;
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, release);
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_send (world, new_snapshot (world));
  /* Twice: a clone leaves the files as they were. */
  for (guint i = 0; i < 2; i++)
    {
      fc_world_start (world, release);
      fc_world_send (world, new_load (world));
      assert_state (world, VMSAN_FC_PAUSED);
      fc_world_send (world, vmsan_fc_request_new_set_paused (FALSE));
      assert_state (world, VMSAN_FC_RUNNING);
    }
}

static void
test_gated_load (void)
{
  static const VmsanFcVersion old = { 1, 10, 1 };
  const VmsanFcOverride override = { "eth0", "tap0" };
  const VmsanFcSnapshotLoad loads[] = {
    { "/state", "/memory", .clock_realtime = TRUE },
    { "/state", "/memory", .vsock_path = "/vsock" },
    { "/state", "/memory", .overrides = &override, .n_overrides = 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (loads); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (VmsanFcRequest) request = NULL;

      g_assert_null (vmsan_fc_request_new_snapshot_load (&old, &loads[i], &error));
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_SUPPORTED);
      request = vmsan_fc_request_new_snapshot_load (&newest, &loads[i], NULL);
      g_assert_nonnull (request);
    }
}

/* ---- What makers refuse -------------------------------------------------------------------- */

static void
assert_none (VmsanFcRequest *request, GError *reason)
{
  g_autoptr (GError) error = reason;

  g_assert_null (request);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT);
}

#define REFUSES(call)                                                                              \
  G_STMT_START                                                                                     \
  {                                                                                                \
    GError *error = NULL;                                                                          \
    VmsanFcRequest *request = call;                                                                \
                                                                                                   \
    assert_none (request, error);                                                                  \
  }                                                                                                \
  G_STMT_END

static void
test_machine_limits (void)
{
  static const VmsanFcMachine machines[] = {
    { 0, 128 }, { 33, 128 }, { 1, 0 }, { 3, 128, .smt = TRUE }, { 1, 129, .huge_pages = TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (machines); i++)
    REFUSES (vmsan_fc_request_new_machine (&machines[i], &error));
}

static void
test_bad_values (void)
{
  g_autofree char *long_text = g_strnfill (5000, 'x');
  g_autofree char *long_path = g_strconcat ("/", long_text, NULL);
  g_autofree char *long_socket = g_strndup (long_path, 108);
  const VmsanFcBootSource sources[] = {
    { "kernel" },        { NULL },      { "/k\xff" },
    { long_path },       { "/k", "i" }, { "/k", NULL, long_text },
    { "/k", NULL, "é" },
  };
  const VmsanFcDrive drives[] = {
    { "", "/d" },
    { "a-b", "/d" },
    { "../x", "/d" },
    { long_text, "/d" },
    { "a", "d" },
    { NULL, "/d" },
    { "a", "/d", .limit = { .bytes = { 1, 0, 0 } } },
  };
  const VmsanFcInterface interfaces[] = {
    { "eth0", "" },
    { "eth0", "sixteen-bytes-ab" },
    { "eth0", "a/b" },
    { "eth0", "t", "02:00" },
    { "eth0", "t", "02:00:00:00:00:0g" },
    { "eth0", "t", NULL, 67 },
    { "eth0", "t", NULL, 65536 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    REFUSES (vmsan_fc_request_new_boot_source (&sources[i], &error));
  for (guint i = 0; i < G_N_ELEMENTS (drives); i++)
    REFUSES (vmsan_fc_request_new_drive (&drives[i], &error));
  for (guint i = 0; i < G_N_ELEMENTS (interfaces); i++)
    REFUSES (vmsan_fc_request_new_interface (&newest, &interfaces[i], &error));
  REFUSES (vmsan_fc_request_new_vsock (2, "/vsock", &error));
  REFUSES (vmsan_fc_request_new_vsock (G_MAXUINT32, "/vsock", &error));
  REFUSES (vmsan_fc_request_new_vsock (3, long_socket, &error));
  REFUSES (vmsan_fc_request_new_vsock (3, "vsock", &error));
  REFUSES (vmsan_fc_request_new_logger ("log", VMSAN_FC_LOG_INFO, &error));
  REFUSES (vmsan_fc_request_new_metrics (NULL, &error));
  REFUSES (vmsan_fc_request_new_snapshot_create ("/s", "m", FALSE, &error));
}

static void
test_long_body (void)
{
  g_autofree VmsanFcOverride *overrides = g_new0 (VmsanFcOverride, 2000);
  const VmsanFcSnapshotLoad load = {
    "/s",
    "/m",
    .overrides = overrides,
    .n_overrides = 2000,
  };

  for (guint i = 0; i < load.n_overrides; i++)
    overrides[i] = (VmsanFcOverride){ "eth0", "tap0" };
  REFUSES (vmsan_fc_request_new_snapshot_load (&newest, &load, &error));
}

/* ---- The socket ---------------------------------------------------------------------------- */

static void
test_open (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autoptr (GError) error = NULL;

  g_assert_null (vmsan_fc_api_open (world->dir_fd, "api.sock", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (vmsan_fc_api_open (world->dir_fd, "kernel", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  g_clear_error (&error);
  fc_world_start (world, "1.15.1");
  g_assert_no_errno (symlinkat ("api.sock", world->dir_fd, "link"));
  g_assert_null (vmsan_fc_api_open (world->dir_fd, "link", &error));
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_null (vmsan_fc_api_open (world->dir_fd, "../x/api.sock", &error));
  g_assert_nonnull (error);
}

/* Another socket under the same name, later, is not the one that was opened. */
static void
test_replaced_socket (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autoptr (FcWorld) other = fc_world_new ();

  fc_world_start (world, "1.15.1");
  fc_world_start (other, "1.16.1");
  g_assert_no_errno (renameat (other->dir_fd, "api.sock", world->dir_fd, "api.sock"));
  fc_world_send (world, fc_world_machine ());
  g_assert_cmpuint (fc_world_count (world, "PUT /machine-config"), ==, 1);
  g_assert_cmpuint (fc_world_count (other, "PUT /machine-config"), ==, 0);
}

static void
test_ended (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  g_assert_no_errno (kill (world->pid, SIGKILL));
  fc_world_wait (world);
  fc_world_refused (world, fc_world_machine (), "PUT /machine-config");
  fc_world_refused (world, fc_world_machine (), "Firecracker has ended");
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void
test_refusals (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *text = fc_world_path (world, "text");
  const VmsanFcBootSource missing = { "/nowhere/kernel" };
  const VmsanFcBootSource not_elf = { text };
  const VmsanFcDrive no_disk = { .id = "base", .path = "/nowhere/disk" };

  fc_world_start (world, "1.15.1");
  fc_world_refused (world, vmsan_fc_request_new_set_paused (TRUE),
                    "Firecracker refused PATCH /vm (400): The requested operation is not supported "
                    "before starting the microVM.");
  fc_world_refused (world, vmsan_fc_request_new_action (VMSAN_FC_START),
                    "PUT /actions (400): Start microvm error: Cannot start microvm without kernel");
  fc_world_refused (world, vmsan_fc_request_new_boot_source (&missing, NULL),
                    "PUT /boot-source (400): Boot source error: The kernel file cannot be opened");
  fc_world_refused (world, vmsan_fc_request_new_drive (&no_disk, NULL),
                    "PUT /drives/base (400): Drive config error");
  fc_world_send (world, vmsan_fc_request_new_boot_source (&not_elf, NULL));
  fc_world_refused (world, vmsan_fc_request_new_action (VMSAN_FC_START), "invalid kernel image");
  /* None of it was the end. */
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_refused (world, fc_world_machine (), "not supported after starting the microVM");
}

static void
test_refusal_without_words (void)
{
  static const struct
  {
    const char *order;
    const char *words;
  } cases[] = {
    { "answer PUT /machine-config 500\n", "(500): it gave no reason" },
    { "answer PUT /machine-config 400 []\n", "(400): it gave no reason" },
    { "answer PUT /machine-config 400 {\"fault_message\": 1}\n", "(400): it gave no reason" },
    { "answer PUT /machine-config 400 {\"error\": \"too long\"}\n", "(400): too long" },
    { "answer PUT /machine-config 400 {\"fault_message\": \"a\\u001b[1m\\nb\"}\n", "a [1m b" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      fc_world_order (world, cases[i].order);
      fc_world_refused (world, fc_world_machine (), cases[i].words);
    }
}

/* ---- Faults -------------------------------------------------------------------------------- */

static void
test_broken_answers (void)
{
  static const struct
  {
    const char *order;
    const char *words;
  } cases[] = {
    { "answer PUT /machine-config 200 [1]\n", "breaks its API: it is not a JSON object" },
    { "answer PUT /machine-config 200 {\"a\": \n", "breaks its API: it is not a JSON object" },
    { "answer PUT /machine-config 204 {}\n", "" },
    { "answer PUT /machine-config 301 {}\n", "breaks its API: status 301" },
    { "answer PUT /machine-config 401 {}\n", "(401): it gave no reason" },
    { "raw PUT /machine-config hello\n", "gave no proper answer to PUT /machine-config" },
    { "raw PUT /machine-config HTTP/1.1 abc\n", "gave no proper answer to PUT /machine-config" },
    { "hang-up PUT /machine-config\n", "did not answer PUT /machine-config" },
    { "endless PUT /machine-config\n", "is longer than" },
    { "endless-header PUT /machine-config\n", "gave no proper answer to PUT /machine-config" },
    { "endless-line PUT /machine-config\n", "gave no proper answer to PUT /machine-config" },
    { "endless-chunk-size PUT /machine-config\n", "PUT /machine-config" },
    { "endless-interim PUT /machine-config\n", "breaks its API: status 100" },
    { "endless-trailer PUT /machine-config\n", "" },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (JsonObject) answer = NULL;

      g_test_message ("%s", cases[i].order);
      fc_world_order (world, "");
      fc_world_start (world, "1.15.1");
      fc_world_order (world, cases[i].order);
      answer = fc_world_try (world, fc_world_machine (), FC_DEADLINE_MS, &error);
      /* Nothing belongs to a 204 or comes after the last chunk, whatever is sent. */
      if (*cases[i].words == '\0')
        continue;
      g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
      if (strstr (error->message, cases[i].words) == NULL)
        g_error ("“%s” is not in “%s”", cases[i].words, error->message);
      /* The next one is served as ever. */
      fc_world_order (world, "");
      fc_world_send (world, fc_world_machine ());
      g_assert_cmpuint (fc_world_count (world, "PUT /machine-config"), ==, 2);
    }
}

static void
test_deaths (void)
{
  static const char *const orders[] = {
    "die PUT /machine-config 148\n",
    "half-answer PUT /machine-config\n",
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  for (guint i = 0; i < G_N_ELEMENTS (orders); i++)
    {
      fc_world_order (world, orders[i]);
      fc_world_start (world, "1.15.1");
      fc_world_refused (world, fc_world_machine (), "PUT /machine-config");
      g_assert_cmpint (fc_world_wait (world), ==, i == 0 ? 148 : 1);
      g_assert_cmpuint (fc_world_count (world, "PUT /machine-config"), ==, 1);
    }
}

static void
test_bad_versions (void)
{
  static const struct
  {
    const char *order;
    int code;
  } cases[] = {
    { "answer GET /version 200 {\"firecracker_version\": \"1.9.0\"}", VMSAN_ERROR_NOT_SUPPORTED },
    { "answer GET /version 200 {\"firecracker_version\": \"one\"}", VMSAN_ERROR_VMM_FAILED },
    { "answer GET /version 200 {\"firecracker_version\": 1}", VMSAN_ERROR_VMM_FAILED },
    { "answer GET /version 200 {}", VMSAN_ERROR_VMM_FAILED },
    { "answer GET /version 204", VMSAN_ERROR_VMM_FAILED },
  };
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GAsyncResult) result = NULL;
      g_autoptr (GError) error = NULL;

      fc_world_order (world, cases[i].order);
      vmsan_fc_api_ask_version_async (world->api, FC_DEADLINE_MS, NULL, fc_on_result, &result);
      g_assert_false (
          vmsan_fc_api_ask_version_finish (world->api, fc_wait (&result), &world->version, &error));
      g_assert_error (error, VMSAN_ERROR, cases[i].code);
    }
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void
test_deadline (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = NULL;

  fc_world_start (world, "1.15.1");
  fc_world_order (world, "slow PUT /machine-config 1000\n");
  answer = fc_world_try (world, fc_world_machine (), 50, &error);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_TIMED_OUT);
  g_assert_cmpstr (error->message, ==,
                   "Firecracker did not answer PUT /machine-config within 50 ms");
  /* Not taken for the late answer to the first. */
  assert_state (world, VMSAN_FC_NOT_STARTED);
}

/* The deadline of a request that waits behind a slow one has not begun. */
static void
test_order (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autoptr (VmsanFcRequest) slow = fc_world_machine ();
  g_autoptr (VmsanFcRequest) next = vmsan_fc_request_new_describe ();
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (JsonObject) answer = NULL;

  fc_world_start (world, "1.15.1");
  fc_world_order (world, "slow PUT /machine-config 1500\n");
  vmsan_fc_api_send_async (world->api, slow, FC_DEADLINE_MS, NULL, fc_on_result, &first);
  vmsan_fc_api_send_async (world->api, next, 1000, NULL, fc_on_result, &second);
  fc_wait (&second);
  g_assert_nonnull (first);
  answer = vmsan_fc_api_send_finish (world->api, second, NULL);
  g_assert_nonnull (answer);
}

static void
test_cancelled (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autoptr (VmsanFcRequest) request = fc_world_machine ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  GAsyncResult *results[3] = { NULL };

  fc_world_start (world, "1.15.1");
  fc_world_order (world, "slow PUT /machine-config 500\n");
  for (guint i = 0; i < 2; i++)
    vmsan_fc_api_send_async (world->api, request, FC_DEADLINE_MS, cancellable, fc_on_result,
                             &results[i]);
  g_cancellable_cancel (cancellable);
  vmsan_fc_api_send_async (world->api, request, FC_DEADLINE_MS, cancellable, fc_on_result,
                           &results[2]);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (vmsan_fc_api_send_finish (world->api, fc_wait (&results[i]), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_object (&results[i]);
    }
  assert_state (world, VMSAN_FC_NOT_STARTED);
}

/* ---- The guest ----------------------------------------------------------------------------- */

static void
test_guest (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *path = fc_world_path (world, "vsock");
  vmsan_autofd int control = -1;

  fc_world_start (world, "1.15.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  control = fc_open_session (path, VMSAN_SESSION_CONTROL);
  g_assert_cmpint (control, >=, 0);
}

static void
test_paused_guest (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *path = fc_world_path (world, "vsock");
  vmsan_autofd int fd = -1;
  g_autofree char *none = NULL;
  g_autofree char *line = NULL;

  fc_world_start (world, "1.15.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fd = fc_connect_guest (path);
  none = fc_read_line (fd, 50);
  g_assert_null (none);
  fc_world_send (world, vmsan_fc_request_new_set_paused (FALSE));
  line = fc_read_line (fd, FC_DEADLINE_MS);
  g_assert_nonnull (line);
}

/* As 1.16.0 and 1.16.1 do, and the client knows it. */
static void
test_lost_vsock (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *path = fc_world_path (world, "vsock");
  vmsan_autofd int fd = -1;
  g_autofree char *none = NULL;

  fc_world_start (world, "1.16.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_send (world, vmsan_fc_request_new_set_paused (FALSE));
  fd = fc_connect_guest (path);
  none = fc_read_line (fd, 50);
  g_assert_null (none);
  g_assert_true (vmsan_fc_version_loses_vsock (&world->version));
}

/* ---- Snapshots that fail ------------------------------------------------------------------- */

static void
make_snapshot (FcWorld *world, const char *release)
{
  fc_world_start (world, release);
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_send (world, new_snapshot (world));
}

static void
test_running_snapshot (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_refused (world, new_snapshot (world), "PUT /snapshot/create (400)");
  assert_state (world, VMSAN_FC_RUNNING);
}

static void
test_half_snapshot (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_order (world, "half-snapshot\n");
  fc_world_refused (world, new_snapshot (world), "No space left on device");
  fc_world_send (world, vmsan_fc_request_new_set_paused (FALSE));
  assert_state (world, VMSAN_FC_RUNNING);
  fc_world_start (world, "1.15.1");
  fc_world_refused (world, new_load (world), "CRC64 validation failed");
  g_assert_cmpint (fc_world_wait (world), ==, 1);
}

static void
test_death_in_snapshot (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  fc_world_start (world, "1.15.1");
  fc_world_configure (world);
  fc_world_send (world, vmsan_fc_request_new_action (VMSAN_FC_START));
  fc_world_send (world, vmsan_fc_request_new_set_paused (TRUE));
  fc_world_order (world, "half-snapshot 151\n");
  fc_world_refused (world, new_snapshot (world), "PUT /snapshot/create");
  g_assert_cmpint (fc_world_wait (world), ==, 151);
  g_assert_cmpuint (fc_world_count (world, "PUT /snapshot/create"), ==, 1);
}

static void
test_other_format (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  make_snapshot (world, "1.14.4");
  fc_world_start (world, "1.15.1");
  fc_world_refused (world, new_load (world), "unsupported version");
  g_assert_cmpint (fc_world_wait (world), ==, 1);
}

static void
test_load_after_configuration (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();
  g_autofree char *log = fc_world_path (world, "log");

  make_snapshot (world, "1.15.1");
  fc_world_start (world, "1.15.1");
  fc_world_send (world, vmsan_fc_request_new_logger (log, VMSAN_FC_LOG_INFO, NULL));
  fc_world_send (world, new_serial (world, 0, NULL));
  fc_world_send (world, fc_world_machine ());
  fc_world_refused (world, new_load (world), "not allowed after configuring boot-specific");
  assert_state (world, VMSAN_FC_NOT_STARTED);
}

/* A clone needs the disk at the same path. */
static void
test_load_without_disk (void)
{
  g_autoptr (FcWorld) world = fc_world_new ();

  make_snapshot (world, "1.15.1");
  fc_world_start (world, "1.15.1");
  g_assert_no_errno (unlinkat (world->dir_fd, "disk", 0));
  fc_world_refused (world, new_load (world), "PUT /snapshot/load (400): Drive config error");
  g_assert_cmpint (fc_world_wait (world), ==, 1);
}

static void
add_tests_of_releases (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (releases); i++)
    {
      g_autofree char *every = g_strdup_printf ("/fc-api/%s/takes-every-request", releases[i]);
      g_autofree char *clone = g_strdup_printf ("/fc-api/%s/restores-a-snapshot", releases[i]);

      g_test_add_data_func (every, releases[i], test_release);
      g_test_add_data_func (clone, releases[i], test_snapshot_of_release);
    }
}

int
main (int argc, char **argv)
{
  fc_world_init ();
  g_test_init (&argc, &argv, NULL);
  alarm (170); /* kills a test that hangs */
#define ADD(name, function) g_test_add_func ("/fc-api/" name, function)
  ADD ("versions-are-read-strictly", test_versions);
  ADD ("formats-of-snapshots-are-known", test_snapshot_formats);
  add_tests_of_releases ();
  ADD ("old-releases-lack-fields-of-a-load", test_gated_load);
  ADD ("machines-have-limits", test_machine_limits);
  ADD ("bad-values-are-refused", test_bad_values);
  ADD ("a-long-body-is-refused", test_long_body);
  ADD ("only-the-socket-itself-is-opened", test_open);
  ADD ("a-socket-put-in-its-place-is-not-used", test_replaced_socket);
  ADD ("an-ended-firecracker-is-said-to-have-ended", test_ended);
  ADD ("refusals-name-the-request-and-the-reason", test_refusals);
  ADD ("refusals-without-words-are-refusals", test_refusal_without_words);
  ADD ("broken-answers-are-errors", test_broken_answers);
  ADD ("deaths-are-errors-and-nothing-is-sent-twice", test_deaths);
  ADD ("bad-versions-are-refused", test_bad_versions);
  ADD ("a-deadline-is-kept", test_deadline);
  ADD ("requests-wait-for-each-other-without-losing-time", test_order);
  ADD ("requests-are-cancelled-sent-or-not", test_cancelled);
  ADD ("the-agent-answers-through-vsock", test_guest);
  ADD ("a-paused-guest-does-not-answer", test_paused_guest);
  ADD ("1.16-loses-vsock-after-a-pause", test_lost_vsock);
  ADD ("a-running-machine-has-no-snapshot", test_running_snapshot);
  ADD ("half-a-snapshot-is-none", test_half_snapshot);
  ADD ("a-death-in-a-snapshot-is-an-error", test_death_in_snapshot);
  ADD ("a-snapshot-of-another-format-is-refused", test_other_format);
  ADD ("no-snapshot-is-loaded-after-configuration", test_load_after_configuration);
  ADD ("no-snapshot-is-loaded-without-its-disk", test_load_without_disk);
  return g_test_run ();
}
