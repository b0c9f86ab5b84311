/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is opened as a snapshot is what was sealed: regular files of root's, of the sizes
 * that were written down. */

#include "vmm/snapshot-files.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vmm/monitor-json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define META_FILE     "snapshot.json"
#define META_VERSION  1
#define META_SIZE_MAX 4096

void
vmsan_snapshot_meta_clear (VmsanSnapshotMeta *self)
{
  g_clear_pointer (&self->driver, g_free);
  g_clear_pointer (&self->version, g_free);
  g_clear_pointer (&self->kernel_id, g_free);
}

/* ---- The description ----------------------------------------------------------------------- */

static char *
write_meta (const VmsanSnapshotMeta *meta, guint64 state_bytes, guint64 memory_bytes)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  const struct
  {
    const char *name;
    gint64 value;
  } numbers[] = {
    { "snapshot", META_VERSION },       { "format", meta->format },
    { "protocol", meta->protocol },     { "vcpus", meta->vcpus },
    { "memory-mib", meta->memory_mib }, { "state-bytes", state_bytes },
    { "memory-bytes", memory_bytes },
  };

  json_builder_begin_object (builder);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      json_builder_set_member_name (builder, numbers[i].name);
      json_builder_add_int_value (builder, numbers[i].value);
    }
  json_builder_set_member_name (builder, "driver");
  json_builder_add_string_value (builder, meta->driver);
  json_builder_set_member_name (builder, "version");
  json_builder_add_string_value (builder, meta->version);
  json_builder_set_member_name (builder, "kernel");
  json_builder_add_string_value (builder, meta->kernel_id);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, TRUE);
}

static gboolean
fail_damaged (const char *name, const char *why, GError **error)
{
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_DAMAGED, "Snapshot “%s” cannot be used: %s", name,
               why);
  return FALSE;
}

static gboolean
read_number (JsonObject *object, const char *member, gint64 maximum, gint64 *value)
{
  return vmsan_monitor_json_get_int (object, member, value) && *value >= 0 && *value <= maximum;
}

static gboolean
read_meta (const char *name,
           const char *text,
           gsize size,
           VmsanSnapshotMeta *meta,
           gint64 *state_bytes,
           gint64 *memory_bytes,
           GError **error)
{
  g_autoptr (JsonObject) object = NULL;
  const char *wrong = vmsan_monitor_json_parse (text, size, &object);
  gint64 version, format, protocol, vcpus, memory_mib;

  if (wrong != NULL || !read_number (object, "snapshot", G_MAXINT32, &version))
    return fail_damaged (name, "its description is none", error);
  if (version != META_VERSION)
    return fail_damaged (name, "another version of this service made it", error);
  if (!read_number (object, "format", G_MAXINT32, &format) ||
      !read_number (object, "protocol", G_MAXINT32, &protocol) ||
      !read_number (object, "vcpus", 64, &vcpus) ||
      !read_number (object, "memory-mib", G_MAXINT32, &memory_mib) ||
      !read_number (object, "state-bytes", G_MAXINT64, state_bytes) ||
      !read_number (object, "memory-bytes", G_MAXINT64, memory_bytes) ||
      vmsan_monitor_json_get_string (object, "driver") == NULL ||
      vmsan_monitor_json_get_string (object, "version") == NULL ||
      vmsan_monitor_json_get_string (object, "kernel") == NULL)
    return fail_damaged (name, "its description lacks a part", error);
  *meta = (VmsanSnapshotMeta){
    .driver = g_strdup (vmsan_monitor_json_get_string (object, "driver")),
    .version = g_strdup (vmsan_monitor_json_get_string (object, "version")),
    .format = format,
    .kernel_id = g_strdup (vmsan_monitor_json_get_string (object, "kernel")),
    .protocol = protocol,
    .vcpus = vcpus,
    .memory_mib = memory_mib,
  };
  return TRUE;
}

/* ---- Sealing ------------------------------------------------------------------------------- */

/* Its writer may be hostile: nothing but a file of its own with one name is taken. */
static gboolean
seal_file (int dir_fd, const char *file, uid_t uid, guint64 *bytes, GError **error)
{
  vmsan_autofd int fd = openat (dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Opening the file “%s” of a snapshot failed", file);
  if (!S_ISREG (st.st_mode) || st.st_nlink != 1 || st.st_uid != uid || st.st_size == 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                   "The file “%s” of a snapshot is not one that its monitor made", file);
      return FALSE;
    }
  if (fchown (fd, 0, 0) < 0 || fchmod (fd, 0444) < 0)
    return vmsan_error_set_errno (error, errno, "Sealing the file “%s” of a snapshot failed", file);
  /* A lease is not given while anybody has the file open for writing, or mapped so; and nobody can
   * open it any more. */
  if (fcntl (fd, F_SETLEASE, F_RDLCK) < 0)
    {
      if (errno != EAGAIN)
        return vmsan_error_set_errno (error, errno, "Sealing the file “%s” of a snapshot failed",
                                      file);
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED,
                   "The monitor still writes to the file “%s” of a snapshot", file);
      return FALSE;
    }
  if (fcntl (fd, F_SETLEASE, F_UNLCK) < 0 || fsync (fd) < 0 || fstat (fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Sealing the file “%s” of a snapshot failed", file);
  *bytes = st.st_size;
  return TRUE;
}

gboolean
vmsan_snapshot_seal (int parent_fd,
                     const char *staging_name,
                     const char *name,
                     uid_t uid,
                     const VmsanSnapshotMeta *meta,
                     GError **error)
{
  vmsan_autofd int dir_fd =
      openat (parent_fd, staging_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autofree char *text = NULL;
  guint64 state_bytes, memory_bytes;

  /* Ours first, so that nothing in it changes while it is looked at. */
  if (dir_fd < 0 || fchown (dir_fd, 0, 0) < 0 || fchmod (dir_fd, 0700) < 0)
    return vmsan_error_set_errno (error, errno, "Taking the directory of a snapshot failed");
  if (!seal_file (dir_fd, VMSAN_SNAPSHOT_STATE, uid, &state_bytes, error) ||
      !seal_file (dir_fd, VMSAN_SNAPSHOT_MEMORY, uid, &memory_bytes, error))
    return FALSE;
  text = write_meta (meta, state_bytes, memory_bytes);
  if (!vmsan_fd_write_file_at (dir_fd, META_FILE, text, strlen (text), 0400, error))
    return FALSE;
  if (fsync (dir_fd) < 0)
    return vmsan_error_set_errno (error, errno, "Syncing a snapshot failed");
  if (syscall (SYS_renameat2, parent_fd, staging_name, parent_fd, name, RENAME_NOREPLACE) < 0)
    {
      if (errno == EEXIST)
        g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_EXISTS, "There is a snapshot “%s” already",
                     name);
      else
        vmsan_error_set_errno (error, errno, "Naming a snapshot “%s” failed", name);
      return FALSE;
    }
  return fsync (parent_fd) == 0 ||
         vmsan_error_set_errno (error, errno, "Syncing the name of snapshot “%s” failed", name);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static gboolean
open_file (int dir_fd, const char *name, const char *file, gint64 bytes, int *fd, GError **error)
{
  struct stat st;

  *fd = openat (dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (*fd < 0 || fstat (*fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Opening the file “%s” of snapshot “%s” failed",
                                  file, name);
  if (!S_ISREG (st.st_mode) || st.st_uid != 0 || st.st_size != bytes || (st.st_mode & 0222) != 0)
    return fail_damaged (name, "a file of it is not as it was made", error);
  return TRUE;
}

gboolean
vmsan_snapshot_open (int parent_fd,
                     const char *name,
                     int *state_fd,
                     int *memory_fd,
                     VmsanSnapshotMeta *meta,
                     GError **error)
{
  vmsan_autofd int dir_fd =
      openat (parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_autofree char *text = NULL;
  vmsan_autofd int state = -1;
  vmsan_autofd int memory = -1;
  gint64 state_bytes, memory_bytes;
  gsize size;

  if (dir_fd < 0 && errno == ENOENT)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND, "There is no snapshot “%s”", name);
      return FALSE;
    }
  if (dir_fd < 0)
    return vmsan_error_set_errno (error, errno, "Opening snapshot “%s” failed", name);
  text = vmsan_fd_read_file_at (dir_fd, META_FILE, META_SIZE_MAX, &size, error);
  if (text == NULL || !read_meta (name, text, size, meta, &state_bytes, &memory_bytes, error))
    return FALSE;
  if (!open_file (dir_fd, name, VMSAN_SNAPSHOT_STATE, state_bytes, &state, error) ||
      !open_file (dir_fd, name, VMSAN_SNAPSHOT_MEMORY, memory_bytes, &memory, error))
    {
      vmsan_snapshot_meta_clear (meta);
      return FALSE;
    }
  *state_fd = g_steal_fd (&state);
  *memory_fd = g_steal_fd (&memory);
  return TRUE;
}
