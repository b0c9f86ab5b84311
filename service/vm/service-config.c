/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: one table has every key with its range and default, and nothing outside it is read. */

#include "vm/service-config.h"

#include "config.h"
#include "sys/error.h"

typedef enum
{
  KEY_TEXT,
  KEY_OPTIONAL, /* text that may be empty */
  KEY_PATH,     /* absolute */
  KEY_UINT,
  KEY_UINT64,
} KeyType;

typedef struct
{
  const char *group;
  const char *key;
  KeyType type;
  gsize offset;
  const char *text_default;
  guint64 min;
  guint64 max;
  guint64 number_default;
} Key;

/* chown(2) takes it for "leave it". */
#define NO_UID G_MAXUINT32

#define MEMBER(name) G_STRUCT_OFFSET (VmsanConfig, name)

/* 16384 machines of about 800 bytes each keep GetManagedObjects far from the 32 MiB at which the
 * bus drops a sender. uids: systemd leaves 1879048192 and up to nobody (its UIDS-GIDS.md). */
static const Key keys[] = {
  { "Service", "StateDirectory", KEY_PATH, MEMBER (state_directory), STATEDIR, 0, 0, 0 },
  { "Service", "RuntimeDirectory", KEY_PATH, MEMBER (runtime_directory), "/run/vmsan", 0, 0, 0 },
  { "Limits", "MaxVMs", KEY_UINT, MEMBER (max_vms), NULL, 1, 16384, 4096 },
  { "Limits", "MaxVMsPerUser", KEY_UINT, MEMBER (max_vms_per_user), NULL, 0, 16384, 64 },
  { "Limits", "MaxVCPUsPerUser", KEY_UINT, MEMBER (max_vcpus_per_user), NULL, 0, 1 << 20, 128 },
  { "Limits", "MaxMemoryMiBPerUser", KEY_UINT64, MEMBER (max_memory_mib_per_user), NULL, 0,
    1ull << 40, 65536 },
  { "Limits", "MaxDiskMiBPerUser", KEY_UINT64, MEMBER (max_disk_mib_per_user), NULL, 0, 1ull << 40,
    1048576 },
  { "Limits", "MaxImageMiB", KEY_UINT64, MEMBER (max_image_mib), NULL, 1, 1ull << 30, 65536 },
  { "Defaults", "VCPUs", KEY_UINT, MEMBER (default_vcpus), NULL, 1, 32, 1 },
  { "Defaults", "MemoryMiB", KEY_UINT, MEMBER (default_memory_mib), NULL, 64, 1048576, 256 },
  { "Defaults", "DiskMiB", KEY_UINT, MEMBER (default_disk_mib), NULL, 32, 4194304, 1024 },
  { "Defaults", "Driver", KEY_TEXT, MEMBER (default_driver), "auto", 0, 0, 0 },
  { "Defaults", "StopDeadlineMs", KEY_UINT, MEMBER (stop_deadline_ms), NULL, 0, 600000, 10000 },
  { "Defaults", "StartDeadlineMs", KEY_UINT, MEMBER (start_deadline_ms), NULL, 1000, 600000,
    60000 },
  { "Ids", "FirstUid", KEY_UINT, MEMBER (first_uid), NULL, 65536, 4294000000, 1879048192 },
  { "Ids", "Count", KEY_UINT, MEMBER (uid_count), NULL, 1, 1 << 20, 65536 },
  { "Ids", "BuilderFirstUid", KEY_UINT, MEMBER (builder_first_uid), NULL, 65536, 4294000000,
    1879113728 },
  { "Cgroup", "Parent", KEY_PATH, MEMBER (cgroup_parent), "/vmsan", 0, 0, 0 },
  { "Network", "IPv4Pool", KEY_TEXT, MEMBER (ipv4_pool), "198.18.0.0/16", 0, 0, 0 },
  { "Network", "IPv6Pool", KEY_OPTIONAL, MEMBER (ipv6_pool), "", 0, 0, 0 },
  { "Network", "Prepared", KEY_UINT, MEMBER (prepared_networks), NULL, 0, 64, 4 },
  { "Network", "Resolver", KEY_OPTIONAL, MEMBER (resolver), "", 0, 0, 0 },
  { "Network", "Dnsmasq", KEY_OPTIONAL, MEMBER (dnsmasq_binary), "", 0, 0, 0 },
  { "Firecracker", "Directories", KEY_TEXT, MEMBER (firecracker_directories),
    "/usr/local/lib/vmsan/firecracker/current:/usr/lib/vmsan/firecracker:/usr/local/bin:/usr/bin",
    0, 0, 0 },
  { "Firecracker", "KVMDevice", KEY_OPTIONAL, MEMBER (kvm_device), "/dev/kvm", 0, 0, 0 },
  { "QEMU", "Binary", KEY_TEXT, MEMBER (qemu_binary), "qemu-system-x86_64", 0, 0, 0 },
  { "QEMU", "ConsoleMaxKiB", KEY_UINT, MEMBER (console_max_kib), NULL, 16, 1048576, 1024 },
};

static gboolean
is_text (const Key *key)
{
  return key->type == KEY_TEXT || key->type == KEY_OPTIONAL || key->type == KEY_PATH;
}

/* FALSE for a value that is there and cannot be read: it must not become the default unseen. */
static gboolean
read_text (GKeyFile *file, const Key *key, char **text, GError **error)
{
  g_autoptr (GError) local_error = NULL;

  *text = g_key_file_get_string (file, key->group, key->key, &local_error);
  /* With a bad escape sequence it gives both a text and an error. */
  if (local_error == NULL ||
      g_error_matches (local_error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND) ||
      g_error_matches (local_error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND))
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "[%s] %s: %s", key->group,
               key->key, local_error->message);
  return FALSE;
}

static gboolean
read_key (VmsanConfig *self, GKeyFile *file, const Key *key, GError **error)
{
  gpointer member = G_STRUCT_MEMBER_P (self, key->offset);
  g_autofree char *text = NULL;
  guint64 number = key->number_default;

  if (!read_text (file, key, &text, error))
    return FALSE;
  if (is_text (key))
    {
      if (text != NULL && key->type != KEY_OPTIONAL &&
          (*text == '\0' || (key->type == KEY_PATH && *text != '/')))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "[%s] %s: “%s” is not %s",
                       key->group, key->key, text,
                       key->type == KEY_PATH ? "an absolute path" : "a name");
          return FALSE;
        }
      *(char **) member = text != NULL ? g_steal_pointer (&text) : g_strdup (key->text_default);
      return TRUE;
    }

  if (text != NULL)
    {
      g_autoptr (GError) local_error = NULL;

      if (!g_ascii_string_to_unsigned (g_strstrip (text), 10, key->min, key->max, &number,
                                       &local_error))
        {
          g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT, "[%s] %s: %s", key->group,
                       key->key, local_error->message);
          return FALSE;
        }
    }
  if (key->type == KEY_UINT64)
    *(guint64 *) member = number;
  else
    *(guint *) member = number;
  return TRUE;
}

/* Past the end of what a uid can be, numbers begin again at root. */
static gboolean
check_uids (const VmsanConfig *self, GError **error)
{
  const guint64 first = self->first_uid, last = first + self->uid_count - 1;
  const guint64 builder_first = self->builder_first_uid;
  const guint64 builder_last = builder_first + VMSAN_BUILDER_UIDS - 1;

  if (last >= NO_UID || builder_last >= NO_UID)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "[Ids] %s: the range ends behind the last uid there is, 4294967294",
                 last >= NO_UID ? "Count" : "BuilderFirstUid");
  else if (first <= builder_last && builder_first <= last)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                 "[Ids] BuilderFirstUid: its 65536 uids overlap those from FirstUid on");
  else
    return TRUE;
  return FALSE;
}

static gboolean
is_known (const char *group, const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_str_equal (keys[i].group, group) && (name == NULL || g_str_equal (keys[i].key, name)))
      return TRUE;
  return FALSE;
}

static void
warn_of_unknown_keys (GKeyFile *file, const char *path)
{
  g_auto (GStrv) groups = g_key_file_get_groups (file, NULL);

  for (guint g = 0; groups[g] != NULL; g++)
    {
      g_auto (GStrv) names = g_key_file_get_keys (file, groups[g], NULL, NULL);

      if (!is_known (groups[g], NULL))
        g_warning ("%s: unknown group [%s] is ignored", path, groups[g]);
      else
        for (guint k = 0; names != NULL && names[k] != NULL; k++)
          if (!is_known (groups[g], names[k]))
            g_warning ("%s: unknown key %s in [%s] is ignored", path, names[k], groups[g]);
    }
}

static gboolean
read_keys (VmsanConfig *self, GKeyFile *file, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (!read_key (self, file, &keys[i], error))
      return FALSE;
  return check_uids (self, error);
}

VmsanConfig *
vmsan_config_load (const char *path, GError **error)
{
  g_autoptr (VmsanConfig) self = g_new0 (VmsanConfig, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();

  if (path != NULL)
    {
      if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error))
        {
          g_prefix_error (error, "Configuration %s: ", path);
          return NULL;
        }
      warn_of_unknown_keys (file, path);
    }

  if (!read_keys (self, file, error))
    {
      g_prefix_error (error, "Configuration %s: ", path);
      return NULL;
    }
  self->libexec_directory = g_strdup (PKGLIBEXECDIR);
  return g_steal_pointer (&self);
}

GStrv
vmsan_config_list_keys (void)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autofree char *name = g_strconcat (keys[i].group, "/", keys[i].key, NULL);

      g_strv_builder_add (names, name);
    }
  return g_strv_builder_end (names);
}

void
vmsan_config_free (VmsanConfig *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (is_text (&keys[i]))
      g_free (G_STRUCT_MEMBER (char *, self, keys[i].offset));
  g_free (self->libexec_directory);
  g_free (self);
}
