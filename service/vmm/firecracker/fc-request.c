/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a body has exactly the fields that its version knows, and no value that Firecracker
 * would refuse on sight. */

#include "vmm/firecracker/fc-request.h"

#include "sys/error.h"
#include "vmm/firecracker/fc-values.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define VCPUS_MAX 32
#define MTU_MIN   68
#define MTU_MAX   65535
#define CID_MIN   3
/* Firecracker's own bound; above it answers 413. */
#define BODY_BYTES_MAX 51200
/* x86_64: Firecracker's COMMAND_LINE_SIZE, with the NUL and what it adds for its devices. */
#define ARGUMENTS_MAX 1900

struct _VmsanFcRequest
{
  const char *method; /* static */
  char *path;
  char *body; /* nullable */
};

static void
request_clear (gpointer data)
{
  VmsanFcRequest *self = data;

  g_free (self->path);
  g_free (self->body);
}

VmsanFcRequest *
vmsan_fc_request_ref (VmsanFcRequest *self)
{
  return g_rc_box_acquire (self);
}

void
vmsan_fc_request_unref (VmsanFcRequest *self)
{
  g_rc_box_release_full (self, request_clear);
}

const char *
vmsan_fc_request_get_method (VmsanFcRequest *self)
{
  return self->method;
}

const char *
vmsan_fc_request_get_path (VmsanFcRequest *self)
{
  return self->path;
}

const char *
vmsan_fc_request_get_body (VmsanFcRequest *self)
{
  return self->body;
}

/* ---- Bodies -------------------------------------------------------------------------------- */

/* Consumes @path and @body. @body: NULL for none. */
static VmsanFcRequest *
create (const char *method, char *path, JsonObject *body)
{
  VmsanFcRequest *self = g_rc_box_new0 (VmsanFcRequest);
  g_autoptr (JsonNode) root = NULL;

  self->method = method;
  self->path = path;
  if (body == NULL)
    return self;
  root = json_node_new (JSON_NODE_OBJECT);
  json_node_take_object (root, body);
  self->body = json_to_string (root, FALSE);
  return self;
}

static VmsanFcRequest *
create_put (const char *path, JsonObject *body, GError **error)
{
  g_autoptr (VmsanFcRequest) self = create ("PUT", g_strdup (path), body);

  if (strlen (self->body) <= BODY_BYTES_MAX)
    return g_steal_pointer (&self);
  vmsan_error_refuse (error, "The request %s is longer than the %d bytes that Firecracker takes",
                      path, BODY_BYTES_MAX);
  return NULL;
}

/* json-glib's integers are signed. */
static void
set_number (JsonObject *object, const char *name, guint64 value)
{
  json_object_set_int_member (object, name, MIN (value, G_MAXINT64));
}

static void
set_bucket (JsonObject *object, const char *name, const VmsanFcBucket *bucket)
{
  JsonObject *member;

  if (bucket->size == 0)
    return;
  member = json_object_new ();
  set_number (member, "size", bucket->size);
  set_number (member, "refill_time", bucket->refill_ms);
  if (bucket->one_time_burst > 0)
    set_number (member, "one_time_burst", bucket->one_time_burst);
  json_object_set_object_member (object, name, member);
}

static void
set_limiter (JsonObject *object, const char *name, const VmsanFcRateLimiter *limiter)
{
  JsonObject *member;

  if (limiter->bytes.size == 0 && limiter->operations.size == 0)
    return;
  member = json_object_new ();
  set_bucket (member, "bandwidth", &limiter->bytes);
  set_bucket (member, "ops", &limiter->operations);
  json_object_set_object_member (object, name, member);
}

/* ---- Asking -------------------------------------------------------------------------------- */

VmsanFcRequest *
vmsan_fc_request_new_get_version (void)
{
  return create ("GET", g_strdup ("/version"), NULL);
}

VmsanFcRequest *
vmsan_fc_request_new_describe (void)
{
  return create ("GET", g_strdup ("/"), NULL);
}

/* ---- Before the machine runs --------------------------------------------------------------- */

VmsanFcRequest *
vmsan_fc_request_new_machine (const VmsanFcMachine *machine, GError **error)
{
  JsonObject *body;
  const char *fault = NULL;

  if (machine->vcpus < 1 || machine->vcpus > VCPUS_MAX)
    fault = "has 1 to 32 vCPUs";
  else if (machine->smt && machine->vcpus > 1 && machine->vcpus % 2 != 0)
    fault = "with SMT has an even number of vCPUs";
  else if (machine->memory_mib == 0)
    fault = "has at least 1 MiB of memory";
  else if (machine->huge_pages && machine->memory_mib % 2 != 0)
    fault = "with huge pages has an even number of MiB of memory";
  if (fault != NULL)
    {
      vmsan_error_refuse (error, "A Firecracker machine %s", fault);
      return NULL;
    }
  body = json_object_new ();
  set_number (body, "vcpu_count", machine->vcpus);
  set_number (body, "mem_size_mib", machine->memory_mib);
  json_object_set_boolean_member (body, "smt", machine->smt);
  json_object_set_boolean_member (body, "track_dirty_pages", machine->track_dirty_pages);
  json_object_set_string_member (body, "huge_pages", machine->huge_pages ? "2M" : "None");
  return create_put ("/machine-config", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_boot_source (const VmsanFcBootSource *source, GError **error)
{
  const char *arguments = source->arguments;
  JsonObject *body;

  if (!vmsan_fc_check_path ("kernel", source->kernel_path, error) ||
      (source->initrd_path != NULL && !vmsan_fc_check_path ("initrd", source->initrd_path, error)))
    return NULL;
  if (arguments != NULL && (strlen (arguments) > ARGUMENTS_MAX || !g_str_is_ascii (arguments)))
    {
      vmsan_error_refuse (error, "The kernel's arguments are not at most %d bytes of ASCII",
                          ARGUMENTS_MAX);
      return NULL;
    }
  body = json_object_new ();
  json_object_set_string_member (body, "kernel_image_path", source->kernel_path);
  if (source->initrd_path != NULL)
    json_object_set_string_member (body, "initrd_path", source->initrd_path);
  if (arguments != NULL)
    json_object_set_string_member (body, "boot_args", arguments);
  return create_put ("/boot-source", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_drive (const VmsanFcDrive *drive, GError **error)
{
  g_autofree char *path = NULL;
  JsonObject *body;

  if (!vmsan_fc_check_id ("drive", drive->id, error) ||
      !vmsan_fc_check_path ("drive", drive->path, error) ||
      !vmsan_fc_check_limiter (&drive->limit, error))
    return NULL;
  body = json_object_new ();
  json_object_set_string_member (body, "drive_id", drive->id);
  json_object_set_string_member (body, "path_on_host", drive->path);
  json_object_set_boolean_member (body, "is_read_only", drive->read_only);
  json_object_set_boolean_member (body, "is_root_device", drive->root_device);
  json_object_set_string_member (body, "cache_type", drive->writeback ? "Writeback" : "Unsafe");
  json_object_set_string_member (body, "io_engine", drive->io_uring ? "Async" : "Sync");
  set_limiter (body, "rate_limiter", &drive->limit);
  path = g_strconcat ("/drives/", drive->id, NULL);
  return create_put (path, body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_interface (const VmsanFcVersion *version,
                                const VmsanFcInterface *interface,
                                GError **error)
{
  g_autofree char *path = NULL;
  JsonObject *body;

  if (!vmsan_fc_check_id ("network interface", interface->id, error) ||
      !vmsan_fc_check_tap (interface->tap, error) ||
      (interface->mac != NULL && !vmsan_fc_check_mac (interface->mac, error)) ||
      !vmsan_fc_check_limiter (&interface->to_guest, error) ||
      !vmsan_fc_check_limiter (&interface->from_guest, error))
    return NULL;
  if (interface->mtu != 0 && !vmsan_fc_version_require (version, VMSAN_FC_MTU, error))
    return NULL;
  if (interface->mtu != 0 && (interface->mtu < MTU_MIN || interface->mtu > MTU_MAX))
    {
      vmsan_error_refuse (error, "The MTU of a network interface is %d to %d", MTU_MIN, MTU_MAX);
      return NULL;
    }
  body = json_object_new ();
  json_object_set_string_member (body, "iface_id", interface->id);
  json_object_set_string_member (body, "host_dev_name", interface->tap);
  if (interface->mac != NULL)
    json_object_set_string_member (body, "guest_mac", interface->mac);
  if (interface->mtu != 0)
    set_number (body, "mtu", interface->mtu);
  set_limiter (body, "rx_rate_limiter", &interface->to_guest);
  set_limiter (body, "tx_rate_limiter", &interface->from_guest);
  path = g_strconcat ("/network-interfaces/", interface->id, NULL);
  return create_put (path, body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_vsock (guint32 guest_cid, const char *path, GError **error)
{
  JsonObject *body;

  if (!vmsan_fc_check_socket_path (path, error))
    return NULL;
  if (guest_cid < CID_MIN || guest_cid == G_MAXUINT32)
    {
      vmsan_error_refuse (error, "The vsock address of a guest is %d or more", CID_MIN);
      return NULL;
    }
  body = json_object_new ();
  set_number (body, "guest_cid", guest_cid);
  json_object_set_string_member (body, "uds_path", path);
  return create_put ("/vsock", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_entropy (const VmsanFcRateLimiter *limit, GError **error)
{
  JsonObject *body;

  if (!vmsan_fc_check_limiter (limit, error))
    return NULL;
  body = json_object_new ();
  set_limiter (body, "rate_limiter", limit);
  return create_put ("/entropy", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_logger (const char *path, VmsanFcLogLevel level, GError **error)
{
  static const char *const levels[] = { "Error", "Warning", "Info", "Debug" };
  JsonObject *body;

  g_return_val_if_fail (level < G_N_ELEMENTS (levels), NULL);
  if (!vmsan_fc_check_path ("log", path, error))
    return NULL;
  body = json_object_new ();
  json_object_set_string_member (body, "log_path", path);
  json_object_set_string_member (body, "level", levels[level]);
  json_object_set_boolean_member (body, "show_level", TRUE);
  return create_put ("/logger", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_metrics (const char *path, GError **error)
{
  JsonObject *body;

  if (!vmsan_fc_check_path ("metrics", path, error))
    return NULL;
  body = json_object_new ();
  json_object_set_string_member (body, "metrics_path", path);
  return create_put ("/metrics", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_serial (const VmsanFcVersion *version,
                             const char *path,
                             const VmsanFcBucket *limit,
                             GError **error)
{
  JsonObject *body;

  if (!vmsan_fc_version_require (version, VMSAN_FC_SERIAL, error) ||
      (limit->size > 0 && !vmsan_fc_version_require (version, VMSAN_FC_SERIAL_RATE_LIMIT, error)) ||
      !vmsan_fc_check_path ("serial console's output", path, error) ||
      !vmsan_fc_check_bucket (limit, error))
    return NULL;
  body = json_object_new ();
  json_object_set_string_member (body, "serial_out_path", path);
  set_bucket (body, "rate_limiter", limit);
  return create_put ("/serial", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_balloon (const VmsanFcVersion *version,
                              const VmsanFcBalloon *balloon,
                              GError **error)
{
  JsonObject *body;

  if (balloon->reporting && !vmsan_fc_version_require (version, VMSAN_FC_BALLOON_REPORTING, error))
    return NULL;
  if (balloon->statistics_interval_s > G_MAXUINT16)
    {
      vmsan_error_refuse (error, "The interval of a balloon's statistics is at most %d s",
                          G_MAXUINT16);
      return NULL;
    }
  body = json_object_new ();
  set_number (body, "amount_mib", balloon->size_mib);
  json_object_set_boolean_member (body, "deflate_on_oom", balloon->deflate_on_oom);
  set_number (body, "stats_polling_interval_s", balloon->statistics_interval_s);
  if (balloon->reporting)
    json_object_set_boolean_member (body, "free_page_reporting", TRUE);
  return create_put ("/balloon", body, error);
}

/* Consumes nothing; adds what only some versions have. */
static gboolean
set_overrides (JsonObject *body, const VmsanFcSnapshotLoad *load, GError **error)
{
  JsonArray *overrides = json_array_new ();

  json_object_set_array_member (body, "network_overrides", overrides);
  for (guint i = 0; i < load->n_overrides; i++)
    {
      JsonObject *override = json_object_new ();

      json_array_add_object_element (overrides, override);
      if (!vmsan_fc_check_id ("network interface", load->overrides[i].id, error) ||
          !vmsan_fc_check_tap (load->overrides[i].tap, error))
        return FALSE;
      json_object_set_string_member (override, "iface_id", load->overrides[i].id);
      json_object_set_string_member (override, "host_dev_name", load->overrides[i].tap);
    }
  return TRUE;
}

static gboolean
check_load (const VmsanFcVersion *version, const VmsanFcSnapshotLoad *load, GError **error)
{
  return vmsan_fc_check_path ("snapshot's state", load->state_path, error) &&
         vmsan_fc_check_path ("snapshot's memory", load->memory_path, error) &&
         (load->n_overrides == 0 ||
          vmsan_fc_version_require (version, VMSAN_FC_NETWORK_OVERRIDES, error)) &&
         (!load->clock_realtime ||
          vmsan_fc_version_require (version, VMSAN_FC_CLOCK_REALTIME, error)) &&
         (load->vsock_path == NULL ||
          (vmsan_fc_version_require (version, VMSAN_FC_VSOCK_OVERRIDE, error) &&
           vmsan_fc_check_socket_path (load->vsock_path, error)));
}

VmsanFcRequest *
vmsan_fc_request_new_snapshot_load (const VmsanFcVersion *version,
                                    const VmsanFcSnapshotLoad *load,
                                    GError **error)
{
  const char *tracking = vmsan_fc_version_has (version, VMSAN_FC_DIRTY_PAGES_ON_LOAD)
                             ? "track_dirty_pages"
                             : "enable_diff_snapshots";
  g_autoptr (JsonObject) body = json_object_new ();
  JsonObject *memory = json_object_new ();

  json_object_set_object_member (body, "mem_backend", memory);
  if (!check_load (version, load, error))
    return NULL;
  json_object_set_string_member (body, "snapshot_path", load->state_path);
  json_object_set_string_member (memory, "backend_type", "File");
  json_object_set_string_member (memory, "backend_path", load->memory_path);
  json_object_set_boolean_member (body, tracking, load->track_dirty_pages);
  json_object_set_boolean_member (body, "resume_vm", load->resume);
  if (load->clock_realtime)
    json_object_set_boolean_member (body, "clock_realtime", TRUE);
  if (load->n_overrides > 0 && !set_overrides (body, load, error))
    return NULL;
  if (load->vsock_path != NULL)
    {
      JsonObject *vsock = json_object_new ();

      json_object_set_string_member (vsock, "uds_path", load->vsock_path);
      json_object_set_object_member (body, "vsock_override", vsock);
    }
  return create_put ("/snapshot/load", g_steal_pointer (&body), error);
}

/* ---- The machine's life -------------------------------------------------------------------- */

VmsanFcRequest *
vmsan_fc_request_new_action (VmsanFcAction action)
{
  static const char *const types[] = { "InstanceStart", "SendCtrlAltDel", "FlushMetrics" };
  JsonObject *body;

  g_return_val_if_fail (action < G_N_ELEMENTS (types), NULL);
  body = json_object_new ();
  json_object_set_string_member (body, "action_type", types[action]);
  return create ("PUT", g_strdup ("/actions"), body);
}

VmsanFcRequest *
vmsan_fc_request_new_set_paused (gboolean paused)
{
  JsonObject *body = json_object_new ();

  json_object_set_string_member (body, "state", paused ? "Paused" : "Resumed");
  return create ("PATCH", g_strdup ("/vm"), body);
}

VmsanFcRequest *
vmsan_fc_request_new_snapshot_create (const char *state_path,
                                      const char *memory_path,
                                      gboolean diff,
                                      GError **error)
{
  JsonObject *body;

  if (!vmsan_fc_check_path ("snapshot's state", state_path, error) ||
      !vmsan_fc_check_path ("snapshot's memory", memory_path, error))
    return NULL;
  body = json_object_new ();
  json_object_set_string_member (body, "snapshot_path", state_path);
  json_object_set_string_member (body, "mem_file_path", memory_path);
  json_object_set_string_member (body, "snapshot_type", diff ? "Diff" : "Full");
  return create_put ("/snapshot/create", body, error);
}

VmsanFcRequest *
vmsan_fc_request_new_balloon_size (guint size_mib)
{
  JsonObject *body = json_object_new ();

  set_number (body, "amount_mib", size_mib);
  return create ("PATCH", g_strdup ("/balloon"), body);
}
