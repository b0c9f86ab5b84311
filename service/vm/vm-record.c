/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one table describes every member for writing and for checked reading. */

#include "vm/vm-record.h"

#include "sys/error.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define MAX_DEPTH 8 /* of brackets; a record needs 2 */

typedef enum
{
  MEMBER_TEXT,
  MEMBER_UINT,
  MEMBER_INT64,
  MEMBER_UINT64,
} MemberType;

typedef struct
{
  const char *name;
  MemberType type;
  gsize offset;
  gint64 min; /* number; for text: least and most bytes */
  gint64 max;
  gint64 since; /* format version; in older records it has its value of vmsan_vm_record_new() */
} Member;

#define AT(member) G_STRUCT_OFFSET (VmsanVmRecord, member)

/* uid_t and pid_t are read as guint and gint of the same size. */
G_STATIC_ASSERT (sizeof (uid_t) == sizeof (guint) && sizeof (pid_t) == sizeof (guint));

static const Member members[] = {
  { "id", MEMBER_TEXT, AT (id), VMSAN_VM_ID_LENGTH, VMSAN_VM_ID_LENGTH },
  { "name", MEMBER_TEXT, AT (name), 1, 63 },
  { "owner", MEMBER_UINT, AT (owner), 0, G_MAXUINT32 - 1 },
  { "driver", MEMBER_TEXT, AT (driver), 1, 32 },
  { "vcpus", MEMBER_UINT, AT (vcpus), 1, 32 },
  { "memory-mib", MEMBER_UINT, AT (memory_mib), 64, 1048576 },
  { "disk-mib", MEMBER_UINT, AT (disk_mib), 32, 4194304 },
  { "image", MEMBER_TEXT, AT (image_id), 64, 64 },
  { "kernel", MEMBER_TEXT, AT (kernel_id), 64, 64 },
  { "hostname", MEMBER_TEXT, AT (hostname), 1, 63 },
  { "init", MEMBER_TEXT, AT (init), 1, 255 },
  { "project", MEMBER_TEXT, AT (project), 0, 63 },
  { "created-us", MEMBER_INT64, AT (created_us), 0, G_MAXINT64 },
  { "uid", MEMBER_UINT, AT (uid), 65536, G_MAXUINT32 - 1 },
  { "reason", MEMBER_TEXT, AT (reason), 0, 4096 },
  { "timeout-ms", MEMBER_UINT64, AT (timeout_ms), 0, G_MAXINT64 },
  { "timeout-at-us", MEMBER_INT64, AT (timeout_at_us), 0, G_MAXINT64 },
  { "acceleration", MEMBER_TEXT, AT (acceleration), 0, 32 },
  { "boot-id", MEMBER_TEXT, AT (boot_id), 0, 64 },
  { "pid", MEMBER_UINT, AT (pid), 0, G_MAXINT32 },
  { "start-time", MEMBER_UINT64, AT (start_time), 0, G_MAXINT64 },
  { "boot-ms", MEMBER_UINT, AT (boot_ms), 0, G_MAXUINT32 },
  { "slot", MEMBER_UINT, AT (slot), 0, VMSAN_VM_NO_SLOT, 2 },
  { "weakened", MEMBER_UINT, AT (weakened), 0, VMSAN_WEAKENED_ALL, 3 },
};

VmsanVmRecord *
vmsan_vm_record_new (void)
{
  VmsanVmRecord *self = g_new0 (VmsanVmRecord, 1);

  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].type == MEMBER_TEXT)
      G_STRUCT_MEMBER (char *, self, members[i].offset) = g_strdup ("");
  self->labels = g_variant_ref_sink (g_variant_new ("a{ss}", NULL));
  self->steps = g_new0 (char *, 1);
  self->slot = VMSAN_VM_NO_SLOT;
  self->network = vmsan_net_policy_new_none ();
  return self;
}

VmsanVmRecord *
vmsan_vm_record_copy (const VmsanVmRecord *self)
{
  VmsanVmRecord *copy = g_memdup2 (self, sizeof *self);

  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].type == MEMBER_TEXT)
      G_STRUCT_MEMBER (char *, copy, members[i].offset) =
          g_strdup (G_STRUCT_MEMBER (char *, self, members[i].offset));
  copy->labels = g_variant_ref (self->labels);
  copy->steps = g_strdupv (self->steps);
  copy->network = vmsan_net_policy_ref (self->network);
  return copy;
}

void
vmsan_vm_record_free (VmsanVmRecord *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].type == MEMBER_TEXT)
      g_free (G_STRUCT_MEMBER (char *, self, members[i].offset));
  g_variant_unref (self->labels);
  g_strfreev (self->steps);
  vmsan_net_policy_unref (self->network);
  g_free (self);
}

void
vmsan_vm_record_set_text (char **member, const char *text)
{
  char *old = *member;

  *member = g_strdup (text != NULL ? text : "");
  g_free (old);
}

/* Far below what a record is read back with, also when each byte becomes U+FFFD. */
#define REASON_BYTES 1024

void
vmsan_vm_record_set_reason (VmsanVmRecord *self, const char *reason)
{
  g_autofree char *bounded = g_utf8_make_valid (reason, MIN (strlen (reason), REASON_BYTES));

  vmsan_vm_record_set_text (&self->reason, bounded);
}

void
vmsan_vm_record_clear_run (VmsanVmRecord *self)
{
  vmsan_vm_record_set_text (&self->acceleration, "");
  vmsan_vm_record_set_text (&self->boot_id, "");
  self->timeout_at_us = 0;
  self->pid = 0;
  self->start_time = 0;
  self->boot_ms = 0;
  memset (self->token, 0, sizeof self->token);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void
add_members (JsonBuilder *builder, const VmsanVmRecord *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      gconstpointer member = G_STRUCT_MEMBER_P (self, members[i].offset);

      json_builder_set_member_name (builder, members[i].name);
      switch (members[i].type)
        {
        case MEMBER_TEXT:
          json_builder_add_string_value (builder, *(char *const *) member);
          break;
        case MEMBER_UINT:
          json_builder_add_int_value (builder, *(const guint *) member);
          break;
        case MEMBER_INT64:
        case MEMBER_UINT64:
          json_builder_add_int_value (builder, *(const gint64 *) member);
          break;
        }
    }
}

static void
add_labels (JsonBuilder *builder, GVariant *labels)
{
  GVariantIter iter;
  const char *key, *value;

  json_builder_set_member_name (builder, "labels");
  json_builder_begin_object (builder);
  g_variant_iter_init (&iter, labels);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    {
      json_builder_set_member_name (builder, key);
      json_builder_add_string_value (builder, value);
    }
  json_builder_end_object (builder);
}

static void
add_network (JsonBuilder *builder, const VmsanNetPolicy *network)
{
  g_autoptr (GVariant) options = g_variant_ref_sink (vmsan_net_policy_to_variant (network));

  json_builder_set_member_name (builder, "network");
  json_builder_add_value (builder, json_gvariant_serialize (options));
}

static char *
token_to_hex (const guint8 *token)
{
  GString *hex = g_string_sized_new (2 * VMSAN_VM_TOKEN_SIZE);

  for (guint i = 0; i < VMSAN_VM_TOKEN_SIZE; i++)
    g_string_append_printf (hex, "%02x", token[i]);
  return g_string_free (hex, FALSE);
}

char *
vmsan_vm_record_to_json (const VmsanVmRecord *self, gsize *size)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *token = token_to_hex (self->token);

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "version");
  json_builder_add_int_value (builder, VMSAN_VM_RECORD_VERSION);
  add_members (builder, self);
  add_labels (builder, self->labels);
  add_network (builder, self->network);
  json_builder_set_member_name (builder, "state");
  json_builder_add_string_value (builder, vmsan_vm_state_to_string (self->state));
  json_builder_set_member_name (builder, "token");
  json_builder_add_string_value (builder, token);
  if (self->has_operation)
    {
      json_builder_set_member_name (builder, "operation");
      json_builder_add_string_value (builder, vmsan_verb_to_string (self->operation));
      json_builder_set_member_name (builder, "steps");
      json_builder_begin_array (builder);
      for (guint i = 0; self->steps[i] != NULL; i++)
        json_builder_add_string_value (builder, self->steps[i]);
      json_builder_end_array (builder);
    }
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  {
    g_autoptr (JsonGenerator) generator = json_generator_new ();

    json_generator_set_root (generator, root);
    json_generator_set_pretty (generator, TRUE);
    return json_generator_to_data (generator, size);
  }
}

/* ---- Reading ------------------------------------------------------------------------------- */

static gboolean
damaged (GError **error, const char *member, const char *problem)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "“%s” %s", member, problem);
  return FALSE;
}

static const char *
get_text (JsonObject *object, const char *name, gint64 min, gint64 max, GError **error)
{
  JsonNode *node = json_object_get_member (object, name);
  const char *text;

  if (node == NULL || json_node_get_value_type (node) != G_TYPE_STRING)
    {
      damaged (error, name, "is missing or not a text");
      return NULL;
    }
  text = json_node_get_string (node);
  if ((gint64) strlen (text) < min || (gint64) strlen (text) > max ||
      !g_utf8_validate (text, -1, NULL))
    {
      damaged (error, name, "has an impossible length or encoding");
      return NULL;
    }
  return text;
}

static gboolean
read_member (VmsanVmRecord *self, JsonObject *object, const Member *member, GError **error)
{
  gpointer target = G_STRUCT_MEMBER_P (self, member->offset);
  JsonNode *node;
  gint64 number;

  if (member->type == MEMBER_TEXT)
    {
      const char *text = get_text (object, member->name, member->min, member->max, error);

      if (text == NULL)
        return FALSE;
      vmsan_vm_record_set_text (target, text);
      return TRUE;
    }

  node = json_object_get_member (object, member->name);
  if (node == NULL || json_node_get_value_type (node) != G_TYPE_INT64)
    return damaged (error, member->name, "is missing or not a whole number");
  number = json_node_get_int (node);
  if (number < member->min || number > member->max)
    return damaged (error, member->name, "is out of range");
  if (member->type == MEMBER_UINT)
    *(guint *) target = number;
  else
    *(gint64 *) target = number;
  return TRUE;
}

static gboolean
read_labels (VmsanVmRecord *self, JsonObject *object, GError **error)
{
  JsonNode *node = json_object_get_member (object, "labels");
  g_auto (GVariantBuilder) labels = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{ss}"));
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node) ||
      json_object_get_size (json_node_get_object (node)) > 32)
    return damaged (error, "labels", "is missing, not an object, or has too many members");
  json_object_iter_init_ordered (&iter, json_node_get_object (node));
  while (json_object_iter_next_ordered (&iter, &key, &value))
    {
      const char *text =
          json_node_get_value_type (value) == G_TYPE_STRING ? json_node_get_string (value) : NULL;

      /* An escaped half of a surrogate pair gives what GVariant must not be given. */
      if (text == NULL || !g_utf8_validate (key, -1, NULL) || !g_utf8_validate (text, -1, NULL))
        return damaged (error, "labels", "has a value that is not a text");
      g_variant_builder_add (&labels, "{ss}", key, text);
    }
  g_variant_unref (self->labels);
  self->labels = g_variant_ref_sink (g_variant_builder_end (&labels));
  return TRUE;
}

/* The type that an option of this name has, or NULL. */
static const GVariantType *
network_option_type (const char *key)
{
  for (const VmsanOption *option = vmsan_net_policy_options; option->key != NULL; option++)
    if (g_str_equal (option->key, key))
      return G_VARIANT_TYPE (option->type);
  return NULL;
}

/* By the rules of CreateVM, as what it says decides about a firewall. */
static gboolean
read_network (VmsanVmRecord *self, JsonObject *object, GError **error)
{
  JsonNode *node = json_object_get_member (object, "network");
  g_autoptr (GVariant) options = NULL;
  g_auto (GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  VmsanNetPolicy *network;
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return damaged (error, "network", "is missing or not an object");
  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &key, &value))
    {
      const GVariantType *type = network_option_type (key);
      g_autoptr (GVariant) typed = NULL;

      if (type != NULL)
        typed = json_gvariant_deserialize (value, g_variant_type_peek_string (type), NULL);
      if (typed == NULL)
        return damaged (error, "network", "has a member that is not known or of another type");
      g_variant_ref_sink (typed);
      g_variant_builder_add (&builder, "{sv}", key, typed);
    }
  options = g_variant_ref_sink (g_variant_builder_end (&builder));
  network = vmsan_net_policy_parse (options, NULL, NULL, NULL);
  if (network == NULL)
    return damaged (error, "network", "is not acceptable");
  vmsan_net_policy_unref (self->network);
  self->network = network;
  if (network->has_network != (self->slot != VMSAN_VM_NO_SLOT))
    return damaged (error, "slot", "does not fit the network");
  return TRUE;
}

static gboolean
read_token (VmsanVmRecord *self, JsonObject *object, GError **error)
{
  const char *hex =
      get_text (object, "token", 2 * VMSAN_VM_TOKEN_SIZE, 2 * VMSAN_VM_TOKEN_SIZE, error);

  if (hex == NULL)
    return FALSE;
  for (guint i = 0; i < VMSAN_VM_TOKEN_SIZE; i++)
    {
      int high = g_ascii_xdigit_value (hex[2 * i]);
      int low = g_ascii_xdigit_value (hex[2 * i + 1]);

      if (high < 0 || low < 0)
        return damaged (error, "token", "is not hexadecimal");
      self->token[i] = high << 4 | low;
    }
  return TRUE;
}

static gboolean
read_operation (VmsanVmRecord *self, JsonObject *object, GError **error)
{
  g_autoptr (GStrvBuilder) steps = g_strv_builder_new ();
  const char *verb;
  JsonNode *node;
  JsonArray *array;

  if (!json_object_has_member (object, "operation"))
    return TRUE;
  verb = get_text (object, "operation", 1, 32, error);
  if (verb == NULL)
    return FALSE;
  if (!vmsan_verb_from_string (verb, &self->operation))
    return damaged (error, "operation", "is not known");
  node = json_object_get_member (object, "steps");
  if (node == NULL || !JSON_NODE_HOLDS_ARRAY (node))
    return damaged (error, "steps", "is missing or not an array");
  array = json_node_get_array (node);
  if (json_array_get_length (array) > VMSAN_VM_MAX_STEPS)
    return damaged (error, "steps", "has too many members");
  for (guint i = 0; i < json_array_get_length (array); i++)
    {
      JsonNode *step = json_array_get_element (array, i);

      if (json_node_get_value_type (step) != G_TYPE_STRING)
        return damaged (error, "steps", "has a member that is not a text");
      g_strv_builder_add (steps, json_node_get_string (step));
    }
  /* One that leads out of a state must be one that can be recovered from there. */
  if (!vmsan_vm_state_allows (self->state, VMSAN_VERB_RECOVER, self->id, NULL))
    return damaged (error, "operation", "does not fit the state");
  g_strfreev (self->steps);
  self->steps = g_strv_builder_end (steps);
  self->has_operation = TRUE;
  return TRUE;
}

/* The rules of CreateVM, once more: a record decides what root does. */
static gboolean
check_rules (const VmsanVmRecord *self, const char *id, GError **error)
{
  if (!g_str_equal (self->id, id) || !vmsan_vm_id_is_valid (self->id))
    return damaged (error, "id", "is not the one in the file's name");
  if (!vmsan_name_check (self->name, "Name", NULL))
    return damaged (error, "name", "is not acceptable");
  if (strspn (self->image_id, "0123456789abcdef") != 64)
    return damaged (error, "image", "is not a SHA-256");
  if (strspn (self->kernel_id, "0123456789abcdef") != 64)
    return damaged (error, "kernel", "is not a SHA-256");
  if (!vmsan_name_check (self->driver, "Driver", NULL))
    return damaged (error, "driver", "is not acceptable");
  if (!vmsan_hostname_check (self->hostname, NULL))
    return damaged (error, "hostname", "is not acceptable");
  if (!vmsan_init_check (self->init, NULL))
    return damaged (error, "init", "is not acceptable");
  if (self->project[0] != '\0' && !vmsan_name_check (self->project, "Project", NULL))
    return damaged (error, "project", "is not acceptable");
  if (!vmsan_labels_check (self->labels, NULL))
    return damaged (error, "labels", "are not acceptable");
  return TRUE;
}

/* json-glib recurses for each nesting level, and takes comments and NUL bytes. A record nests two
 * levels deep and has neither; its texts may have anything. */
static gboolean
structure_is_sane (const char *data, gsize size)
{
  static const char allowed[] = "{}[]:,+-. \t\r\n";
  gboolean in_text = FALSE;
  int depth = 0;

  for (gsize i = 0; i < size; i++)
    {
      if (data[i] == '\0')
        return FALSE;
      if (data[i] == '"')
        in_text = !in_text;
      else if (in_text)
        i += data[i] == '\\' ? 1 : 0;
      else if (!g_ascii_isalnum (data[i]) && strchr (allowed, data[i]) == NULL)
        return FALSE;
      else if (data[i] == '{' || data[i] == '[')
        depth++;
      else if (data[i] == '}' || data[i] == ']')
        depth--;
      if (depth > MAX_DEPTH || depth < 0)
        return FALSE;
    }
  return TRUE;
}

static gboolean
read_version (JsonObject *object, gint64 *version, GError **error)
{
  JsonNode *node = json_object_get_member (object, "version");

  if (node == NULL || json_node_get_value_type (node) != G_TYPE_INT64 ||
      json_node_get_int (node) < 1)
    return damaged (error, "version", "is missing or not a version");
  if (json_node_get_int (node) > VMSAN_VM_RECORD_VERSION)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED,
                   "it was written by a newer vmsan (format %" G_GINT64_FORMAT ", this one reads "
                   "up to %d)",
                   json_node_get_int (node), VMSAN_VM_RECORD_VERSION);
      return FALSE;
    }
  *version = json_node_get_int (node);
  return TRUE;
}

VmsanVmRecord *
vmsan_vm_record_parse (const char *data, gsize size, const char *id, GError **error)
{
  g_autoptr (VmsanVmRecord) self = vmsan_vm_record_new ();
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) local_error = NULL;
  JsonObject *object;
  const char *state;
  gint64 version;

  if (size == 0 || size > VMSAN_VM_RECORD_MAX_BYTES || !structure_is_sane (data, size) ||
      !json_parser_load_from_data (parser, data, size, &local_error) ||
      json_parser_get_root (parser) == NULL ||
      !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "it is not a JSON object%s%s",
                   local_error != NULL ? ": " : "",
                   local_error != NULL ? local_error->message : "");
      return NULL;
    }
  object = json_node_get_object (json_parser_get_root (parser));

  if (!read_version (object, &version, error))
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    if (version >= members[i].since && !read_member (self, object, &members[i], error))
      return NULL;
  state = get_text (object, "state", 1, 32, error);
  if (state == NULL)
    return NULL;
  if (!vmsan_vm_state_from_string (state, &self->state))
    {
      damaged (error, "state", "is not known");
      return NULL;
    }
  if (version >= 2 && !read_network (self, object, error))
    return NULL;
  if (!read_labels (self, object, error) || !read_token (self, object, error) ||
      !read_operation (self, object, error) || !check_rules (self, id, error))
    return NULL;
  return g_steal_pointer (&self);
}
