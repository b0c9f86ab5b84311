/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the API of a release of Firecracker consists of: which requests there are, when they are
 * allowed, and which fields their bodies have. */

#pragma once

#include "json.h"

/* A release as one number: VERSION (1, 14, 4). */
#define VERSION(major, minor, patch) ((major) *1000000 + (minor) *1000 + (patch))

typedef enum
{
  FIELD_BOOL,
  FIELD_STRING,
  FIELD_INTEGER, /* from min to max */
  FIELD_ENUM,    /* one of values */
  FIELD_OBJECT,  /* as schema says */
  FIELD_ARRAY,   /* of objects as schema says */
} FieldType;

typedef struct Schema Schema;

typedef struct
{
  const char *name; /* NULL: the end of the table */
  FieldType type;
  bool required;
  int since;
  long long min;
  long long max;
  const char *const *values;
  const Schema *schema;
} Field;

struct Schema
{
  const char *name; /* the definition in Firecracker's description */
  const Field *fields;
};

typedef enum
{
  CALL_DESCRIBE,
  CALL_VERSION,
  CALL_MACHINE,
  CALL_GET_MACHINE,
  CALL_BOOT_SOURCE,
  CALL_DRIVE,
  CALL_INTERFACE,
  CALL_VSOCK,
  CALL_ENTROPY,
  CALL_LOGGER,
  CALL_METRICS,
  CALL_SERIAL,
  CALL_BALLOON,
  CALL_BALLOON_SIZE,
  CALL_ACTION,
  CALL_STATE,
  CALL_SNAPSHOT_CREATE,
  CALL_SNAPSHOT_LOAD,
} Call;

typedef enum
{
  WHEN_ALWAYS,
  WHEN_PREBOOT,
  WHEN_PREBOOT_BOOTS, /* and rules out loading a snapshot */
  WHEN_RUNNING,
} When;

typedef struct
{
  const char *method; /* NULL: the end of the table */
  const char *path;   /* may end with {NAME}, the field of the body that it repeats */
  Call call;
  When when;
  int since;
  const Schema *schema; /* NULL: no body */
} Endpoint;

extern const Endpoint endpoints[];

/* NULL when the release has no such request. @id: what stands for {NAME}, or NULL. */
const Endpoint *schema_find (const char *method, const char *path, int version, const char **id);

/* false with the words of serde in @fault. */
bool schema_check (const Schema *schema, int version, const Json *body, char *fault, size_t size);

/* Prints all tables for @version as JSON. */
void schema_print (int version);
