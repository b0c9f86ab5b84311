/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what the API of a release does not have is refused, with the words of the real one. */

#include "schema.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define REQUIRED                   .required = true
#define SINCE(major, minor, patch) .since = VERSION (major, minor, patch)

static const char *const cpu_templates[] = {
  "C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None", NULL
};
static const char *const page_sizes[] = { "None", "2M", NULL };
static const char *const cache_types[] = { "Unsafe", "Writeback", NULL };
static const char *const engines[] = { "Sync", "Async", NULL };
static const char *const levels[] = { "Error", "Warning", "Info", "Debug", "Trace", "Off", NULL };
static const char *const actions[] = { "FlushMetrics", "InstanceStart", "SendCtrlAltDel", NULL };
static const char *const states[] = { "Paused", "Resumed", NULL };
static const char *const snapshot_types[] = { "Full", "Diff", NULL };
static const char *const backends[] = { "File", "Uffd", NULL };

static const Field bucket_fields[] = {
  { "size", FIELD_INTEGER, REQUIRED, .max = LLONG_MAX },
  { "refill_time", FIELD_INTEGER, REQUIRED, .max = LLONG_MAX },
  { "one_time_burst", FIELD_INTEGER, .max = LLONG_MAX },
  { NULL },
};
static const Schema bucket = { "TokenBucket", bucket_fields };

static const Field limiter_fields[] = {
  { "bandwidth", FIELD_OBJECT, .schema = &bucket },
  { "ops", FIELD_OBJECT, .schema = &bucket },
  { NULL },
};
static const Schema limiter = { "RateLimiter", limiter_fields };

static const Field machine_fields[] = {
  { "vcpu_count", FIELD_INTEGER, REQUIRED, .min = 1, .max = 32 },
  { "mem_size_mib", FIELD_INTEGER, REQUIRED, .max = LLONG_MAX },
  { "smt", FIELD_BOOL },
  { "cpu_template", FIELD_ENUM, .values = cpu_templates },
  { "track_dirty_pages", FIELD_BOOL },
  { "huge_pages", FIELD_ENUM, .values = page_sizes },
  { NULL },
};
static const Schema machine = { "MachineConfiguration", machine_fields };

static const Field boot_source_fields[] = {
  { "kernel_image_path", FIELD_STRING, REQUIRED },
  { "initrd_path", FIELD_STRING },
  { "boot_args", FIELD_STRING },
  { NULL },
};
static const Schema boot_source = { "BootSource", boot_source_fields };

static const Field drive_fields[] = {
  { "drive_id", FIELD_STRING, REQUIRED },
  { "is_root_device", FIELD_BOOL, REQUIRED },
  { "partuuid", FIELD_STRING },
  { "cache_type", FIELD_ENUM, .values = cache_types },
  { "is_read_only", FIELD_BOOL },
  { "path_on_host", FIELD_STRING },
  { "rate_limiter", FIELD_OBJECT, .schema = &limiter },
  { "io_engine", FIELD_ENUM, .values = engines },
  { "socket", FIELD_STRING },
  { NULL },
};
static const Schema drive = { "Drive", drive_fields };

static const Field interface_fields[] = {
  { "iface_id", FIELD_STRING, REQUIRED },
  { "host_dev_name", FIELD_STRING, REQUIRED },
  { "guest_mac", FIELD_STRING },
  { "rx_rate_limiter", FIELD_OBJECT, .schema = &limiter },
  { "tx_rate_limiter", FIELD_OBJECT, .schema = &limiter },
  { "mtu", FIELD_INTEGER, .min = 68, .max = 65535, SINCE (1, 16, 0) },
  { NULL },
};
static const Schema interface = { "NetworkInterface", interface_fields };

static const Field vsock_fields[] = {
  { "guest_cid", FIELD_INTEGER, REQUIRED, .min = 3, .max = UINT_MAX },
  { "uds_path", FIELD_STRING, REQUIRED },
  { "vsock_id", FIELD_STRING },
  { NULL },
};
static const Schema vsock = { "Vsock", vsock_fields };

static const Field entropy_fields[] = {
  { "rate_limiter", FIELD_OBJECT, .schema = &limiter },
  { NULL },
};
static const Schema entropy = { "EntropyDevice", entropy_fields };

static const Field logger_fields[] = {
  { "log_path", FIELD_STRING }, { "level", FIELD_ENUM, .values = levels },
  { "show_level", FIELD_BOOL }, { "show_log_origin", FIELD_BOOL },
  { "module", FIELD_STRING },   { NULL },
};
static const Schema logger = { "Logger", logger_fields };

static const Field metrics_fields[] = {
  { "metrics_path", FIELD_STRING, REQUIRED },
  { NULL },
};
static const Schema metrics = { "Metrics", metrics_fields };

static const Field serial_fields[] = {
  { "serial_out_path", FIELD_STRING },
  { "rate_limiter", FIELD_OBJECT, .schema = &bucket, SINCE (1, 16, 0) },
  { NULL },
};
static const Schema serial = { "SerialDevice", serial_fields };

static const Field balloon_fields[] = {
  { "amount_mib", FIELD_INTEGER, REQUIRED, .max = UINT_MAX },
  { "deflate_on_oom", FIELD_BOOL, REQUIRED },
  { "stats_polling_interval_s", FIELD_INTEGER, .max = USHRT_MAX },
  { "free_page_hinting", FIELD_BOOL, SINCE (1, 14, 0) },
  { "free_page_reporting", FIELD_BOOL, SINCE (1, 14, 0) },
  { NULL },
};
static const Schema balloon = { "Balloon", balloon_fields };

static const Field balloon_size_fields[] = {
  { "amount_mib", FIELD_INTEGER, REQUIRED, .max = UINT_MAX },
  { NULL },
};
static const Schema balloon_size = { "BalloonUpdate", balloon_size_fields };

static const Field action_fields[] = {
  { "action_type", FIELD_ENUM, REQUIRED, .values = actions },
  { NULL },
};
static const Schema action = { "InstanceActionInfo", action_fields };

static const Field state_fields[] = {
  { "state", FIELD_ENUM, REQUIRED, .values = states },
  { NULL },
};
static const Schema state = { "Vm", state_fields };

static const Field snapshot_create_fields[] = {
  { "snapshot_path", FIELD_STRING, REQUIRED },
  { "mem_file_path", FIELD_STRING, REQUIRED },
  { "snapshot_type", FIELD_ENUM, .values = snapshot_types },
  { NULL },
};
static const Schema snapshot_create = { "SnapshotCreateParams", snapshot_create_fields };

static const Field backend_fields[] = {
  { "backend_type", FIELD_ENUM, REQUIRED, .values = backends },
  { "backend_path", FIELD_STRING, REQUIRED },
  { NULL },
};
static const Schema backend = { "MemoryBackend", backend_fields };

static const Field network_override_fields[] = {
  { "iface_id", FIELD_STRING, REQUIRED },
  { "host_dev_name", FIELD_STRING, REQUIRED },
  { NULL },
};
static const Schema network_override = { "NetworkOverride", network_override_fields };

static const Field vsock_override_fields[] = {
  { "uds_path", FIELD_STRING, REQUIRED },
  { NULL },
};
static const Schema vsock_override = { "VsockOverride", vsock_override_fields };

static const Field snapshot_load_fields[] = {
  { "snapshot_path", FIELD_STRING, REQUIRED },
  { "mem_file_path", FIELD_STRING },
  { "mem_backend", FIELD_OBJECT, .schema = &backend },
  { "enable_diff_snapshots", FIELD_BOOL },
  { "resume_vm", FIELD_BOOL },
  { "network_overrides", FIELD_ARRAY, .schema = &network_override, SINCE (1, 12, 0) },
  { "track_dirty_pages", FIELD_BOOL, SINCE (1, 14, 0) },
  { "clock_realtime", FIELD_BOOL, SINCE (1, 14, 4) },
  { "vsock_override", FIELD_OBJECT, .schema = &vsock_override, SINCE (1, 16, 0) },
  { NULL },
};
static const Schema snapshot_load = { "SnapshotLoadParams", snapshot_load_fields };

const Endpoint endpoints[] = {
  { "GET", "/", CALL_DESCRIBE },
  { "GET", "/version", CALL_VERSION },
  { "GET", "/machine-config", CALL_GET_MACHINE },
  { "PUT", "/machine-config", CALL_MACHINE, WHEN_PREBOOT_BOOTS, .schema = &machine },
  { "PUT", "/boot-source", CALL_BOOT_SOURCE, WHEN_PREBOOT_BOOTS, .schema = &boot_source },
  { "PUT", "/drives/{drive_id}", CALL_DRIVE, WHEN_PREBOOT_BOOTS, .schema = &drive },
  { "PUT", "/network-interfaces/{iface_id}", CALL_INTERFACE, WHEN_PREBOOT_BOOTS,
    .schema = &interface },
  { "PUT", "/vsock", CALL_VSOCK, WHEN_PREBOOT_BOOTS, .schema = &vsock },
  { "PUT", "/entropy", CALL_ENTROPY, WHEN_PREBOOT_BOOTS, .schema = &entropy },
  { "PUT", "/balloon", CALL_BALLOON, WHEN_PREBOOT_BOOTS, .schema = &balloon },
  { "PUT", "/logger", CALL_LOGGER, WHEN_PREBOOT, .schema = &logger },
  { "PUT", "/metrics", CALL_METRICS, WHEN_PREBOOT, .schema = &metrics },
  { "PUT", "/serial", CALL_SERIAL, WHEN_PREBOOT, SINCE (1, 14, 0), .schema = &serial },
  { "PUT", "/snapshot/load", CALL_SNAPSHOT_LOAD, WHEN_PREBOOT, .schema = &snapshot_load },
  { "PUT", "/actions", CALL_ACTION, .schema = &action },
  { "PATCH", "/vm", CALL_STATE, WHEN_RUNNING, .schema = &state },
  { "PATCH", "/balloon", CALL_BALLOON_SIZE, WHEN_RUNNING, .schema = &balloon_size },
  { "PUT", "/snapshot/create", CALL_SNAPSHOT_CREATE, WHEN_RUNNING, .schema = &snapshot_create },
  { NULL },
};

/* ---- Requests ------------------------------------------------------------------------------ */

const Endpoint *
schema_find (const char *method, const char *path, int version, const char **id)
{
  for (const Endpoint *endpoint = endpoints; endpoint->method != NULL; endpoint++)
    {
      const char *brace = strchr (endpoint->path, '{');
      size_t fixed = brace != NULL ? (size_t) (brace - endpoint->path) : strlen (path) + 1;

      *id = NULL;
      if (strcmp (endpoint->method, method) != 0 || endpoint->since > version)
        continue;
      if (brace == NULL && strcmp (endpoint->path, path) == 0)
        return endpoint;
      if (brace == NULL || strncmp (endpoint->path, path, fixed) != 0)
        continue;
      *id = path + fixed;
      return endpoint;
    }
  return NULL;
}

/* ---- Bodies -------------------------------------------------------------------------------- */

static const char *
describe_type (JsonType type)
{
  static const char *const names[] = {
    "null", "boolean", "integer", "floating point", "string", "sequence", "map",
  };

  return names[type];
}

static bool
fail_type (const Json *value, const char *expected, char *fault, size_t size)
{
  snprintf (fault, size, "invalid type: %s, expected %s", describe_type (value->type), expected);
  return false;
}

static bool
check_enum (const Field *field, const Json *value, char *fault, size_t size)
{
  if (value->type != JSON_STRING)
    return fail_type (value, "a variant", fault, size);
  for (const char *const *name = field->values; *name != NULL; name++)
    if (strcmp (*name, value->string) == 0)
      return true;
  snprintf (fault, size, "unknown variant `%s`", value->string);
  return false;
}

static bool
check_field (const Field *field, int version, const Json *value, char *fault, size_t size)
{
  switch (field->type)
    {
    case FIELD_BOOL:
      return value->type == JSON_BOOL || fail_type (value, "a boolean", fault, size);
    case FIELD_STRING:
      return value->type == JSON_STRING || fail_type (value, "a string", fault, size);
    case FIELD_INTEGER:
      if (value->type != JSON_INTEGER)
        return fail_type (value, "an integer", fault, size);
      snprintf (fault, size, "invalid value: integer `%lld`", value->integer);
      return value->integer >= field->min && value->integer <= field->max;
    case FIELD_ENUM:
      return check_enum (field, value, fault, size);
    case FIELD_OBJECT:
      return schema_check (field->schema, version, value, fault, size);
    case FIELD_ARRAY:
      if (value->type != JSON_ARRAY)
        return fail_type (value, "a sequence", fault, size);
      for (const Json *element = value->first; element != NULL; element = element->next)
        if (!schema_check (field->schema, version, element, fault, size))
          return false;
      return true;
    }
  return false;
}

static const Field *
find_field (const Schema *schema, int version, const char *name)
{
  for (const Field *field = schema->fields; field->name != NULL; field++)
    if (field->since <= version && strcmp (field->name, name) == 0)
      return field;
  return NULL;
}

bool
schema_check (const Schema *schema, int version, const Json *body, char *fault, size_t size)
{
  if (body->type != JSON_OBJECT)
    return fail_type (body, schema->name, fault, size);
  for (const Json *member = body->first; member != NULL; member = member->next)
    {
      const Field *field = find_field (schema, version, member->name);

      if (field == NULL || json_member (body, member->name) != member)
        {
          snprintf (fault, size, "%s field `%s`", field == NULL ? "unknown" : "duplicate",
                    member->name);
          return false;
        }
      if (!check_field (field, version, member, fault, size))
        return false;
    }
  for (const Field *field = schema->fields; field->name != NULL; field++)
    if (field->required && json_member (body, field->name) == NULL)
      {
        snprintf (fault, size, "missing field `%s`", field->name);
        return false;
      }
  return true;
}

/* ---- For comparison with Firecracker's own description ------------------------------------- */

static void
print_field (const Field *field)
{
  static const char *const types[] = {
    "boolean", "string", "integer", "string", "object", "array"
  };

  printf ("\"%s\":{\"type\":\"%s\",\"required\":%s", field->name, types[field->type],
          field->required ? "true" : "false");
  if (field->type == FIELD_INTEGER)
    printf (",\"min\":%lld,\"max\":%lld", field->min, field->max);
  if (field->schema != NULL)
    printf (",\"schema\":\"%s\"", field->schema->name);
  if (field->values != NULL)
    {
      printf (",\"values\":[\"%s\"", field->values[0]);
      for (const char *const *value = field->values + 1; *value != NULL; value++)
        printf (",\"%s\"", *value);
      printf ("]");
    }
  printf ("}");
}

static void
print_schema (const Schema *schema, int version)
{
  const char *comma = "";

  printf ("\"%s\":{", schema->name);
  for (const Field *field = schema->fields; field->name != NULL; field++)
    if (field->since <= version)
      {
        printf ("%s", comma);
        print_field (field);
        comma = ",";
      }
  printf ("}");
}

void
schema_print (int version)
{
  static const Schema *const inner[] = { &bucket, &limiter, &backend, &network_override,
                                         &vsock_override };
  const char *comma = "";

  printf ("{\"requests\":[");
  for (const Endpoint *endpoint = endpoints; endpoint->method != NULL; endpoint++)
    if (endpoint->since <= version)
      {
        printf ("%s{\"method\":\"%s\",\"path\":\"%s\",\"schema\":\"%s\"}", comma, endpoint->method,
                endpoint->path, endpoint->schema != NULL ? endpoint->schema->name : "");
        comma = ",";
      }
  printf ("],\"schemas\":{");
  for (const Endpoint *endpoint = endpoints; endpoint->method != NULL; endpoint++)
    if (endpoint->schema != NULL && endpoint->since <= version)
      {
        print_schema (endpoint->schema, version);
        printf (",");
      }
  for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
    {
      printf (i > 0 ? "," : "");
      print_schema (inner[i], version);
    }
  printf ("}}\n");
}
