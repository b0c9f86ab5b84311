/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what a caller's descriptor turns out to be, the entry is whole or nothing is left, and
 * nobody but the thread of this one add waits for it. */

#include "storage/content-copy.h"
#include "storage/content-meta.h"
#include "storage/content-source.h"
#include "storage/content-store-private.h"
#include "storage/content-store.h"
#include "storage/image-build.h"
#include "storage/image-probe.h"
#include "storage/initramfs.h"
#include "storage/kernel-unpack.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define ADDS_MAX 16 /* at once, each with a thread */

/* Left alone, so that an image that just fits does not starve the machines' disks. */
#define SPARE_BYTES (G_GUINT64_CONSTANT (64) << 20)

/* Begins what a kernel's id is the hash of, so that it is no hash of any file. */
#define KERNEL_ID_PREFIX "vmsan-kernel-1"

typedef struct
{
  VmsanContentStore *store;
  VmsanContentSource source;
  VmsanContentSource modules_source;
  GArray *modules; /* VmsanModule */
  char *name;
  char *version;
  uid_t added_by;
  guint64 max_bytes;

  GThread *thread;
  char *temporary;   /* relative to the root */
  gboolean is_known; /* there is an entry with this content */
  gboolean is_new;
} Add;

static gint n_adds;

/* ---- The request --------------------------------------------------------------------------- */

static void
add_free (Add *self)
{
  vmsan_fd_close (&self->source.fd);
  vmsan_fd_close (&self->modules_source.fd);
  g_array_unref (self->modules);
  g_free (self->name);
  g_free (self->version);
  g_free (self->temporary);
  g_object_unref (self->store);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Add, add_free)

static void
clear_module (gpointer data)
{
  g_free (((VmsanModule *) data)->name);
}

static Add *
add_new (VmsanContentStore *store, const char *name, uid_t added_by)
{
  Add *self = g_new0 (Add, 1);

  self->store = g_object_ref (store);
  self->source.fd = -1;
  self->modules_source.fd = -1;
  self->modules = g_array_new (FALSE, TRUE, sizeof (VmsanModule));
  g_array_set_clear_func (self->modules, clear_module);
  self->name = g_strdup (name != NULL ? name : "");
  self->added_by = added_by;
  return self;
}

/* ---- Storing, in the worker ---------------------------------------------------------------- */

static int
create_file (Add *self, const char *file, GError **error)
{
  g_autofree char *name = g_strconcat (self->temporary, "/", file, NULL);

  return vmsan_managed_root_open_at (vmsan_content_store_get_root (self->store), name,
                                     O_RDWR | O_CREAT | O_EXCL, 0400, error);
}

static gboolean
check_size (guint64 size, guint64 max_bytes, const char *what, GError **error)
{
  if (size <= max_bytes)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
               "The %s has %" G_GUINT64_FORMAT " MiB, and at most %" G_GUINT64_FORMAT
               " MiB are stored",
               what, (size + (1 << 20) - 1) >> 20, max_bytes >> 20);
  return FALSE;
}

static guint64
get_stored_size (const VmsanContentSource *source)
{
  return MIN ((guint64) source->st.st_blocks * 512, (guint64) source->st.st_size);
}

static gboolean
check_space (int fd, guint64 needed, GError **error)
{
  struct statvfs vfs;
  guint64 available;

  if (fstatvfs (fd, &vfs) < 0)
    return vmsan_error_set_errno (error, errno, "Asking about free space failed");
  available = (guint64) vfs.f_bavail * vfs.f_frsize;
  if (available >= SPARE_BYTES && needed <= available - SPARE_BYTES)
    return TRUE;
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NO_SPACE,
               "Storing needs %" G_GUINT64_FORMAT " MiB, and %" G_GUINT64_FORMAT
               " MiB are free where vmsan keeps its state; remove images or machines first",
               (needed + SPARE_BYTES) >> 20, available >> 20);
  return FALSE;
}

static gboolean
sync_file (int fd, guint64 *size, GError **error)
{
  struct stat st;

  if (fsync (fd) < 0 || fstat (fd, &st) < 0)
    return vmsan_error_set_errno (error, errno, "Syncing the stored content failed");
  *size += st.st_size;
  return TRUE;
}

static char *
hash_all (int fd, GCancellable *cancellable, GError **error)
{
  struct sha256_ctx hash;
  struct stat st;

  sha256_init (&hash);
  if (fstat (fd, &st) < 0)
    {
      vmsan_error_set_errno (error, errno, "Looking at the built image failed");
      return NULL;
    }
  if (!vmsan_content_hash (fd, st.st_size, &hash, cancellable, error))
    return NULL;
  return vmsan_content_hash_end (&hash);
}

static char *
build_image (Add *self, int content_fd, GCancellable *cancellable, GError **error)
{
  g_autofree char *scratch = g_strconcat (self->temporary, "/scratch", NULL);
  VmsanManagedRoot *root = vmsan_content_store_get_root (self->store);

  if (!vmsan_image_build (root, scratch, self->source.fd, content_fd, self->max_bytes, cancellable,
                          error) ||
      !vmsan_managed_root_delete (root, scratch, error))
    return NULL;
  return hash_all (content_fd, cancellable, error);
}

static char *
copy_image (Add *self, int content_fd, GCancellable *cancellable, GError **error)
{
  struct sha256_ctx hash;

  sha256_init (&hash);
  if (!check_size (self->source.st.st_size, self->max_bytes, "image", error) ||
      !vmsan_content_store_check_name (self->store, self->name, self->source.st.st_size, error) ||
      !check_space (content_fd, get_stored_size (&self->source), error) ||
      !vmsan_content_copy (self->source.fd, 0, self->source.st.st_size, content_fd, 0, &hash,
                           cancellable, error))
    return NULL;
  return vmsan_content_hash_end (&hash);
}

/* Returns what the entry will be; its files are in the hidden directory. */
static VmsanContent *
store_image (Add *self, GCancellable *cancellable, GError **error)
{
  VmsanImageFormat format = VMSAN_IMAGE_TAR;
  vmsan_autofd int fd = -1;
  g_autofree char *id = NULL;
  guint64 size = 0;

  /* Nobody but the builder reads from a pipe. */
  if (S_ISREG (self->source.st.st_mode) &&
      (!vmsan_content_source_check_not_fuse (&self->source, "image", error) ||
       !vmsan_image_probe (self->source.fd, self->source.st.st_size, &format, error)))
    return NULL;
  fd = create_file (self, "content", error);
  if (fd < 0)
    return NULL;
  id = format == VMSAN_IMAGE_TAR ? build_image (self, fd, cancellable, error)
                                 : copy_image (self, fd, cancellable, error);
  if (id == NULL || !vmsan_content_share (fd, error) || !sync_file (fd, &size, error))
    return NULL;

  /* The caller may have changed the file since it was looked at: what was stored counts. */
  if (!vmsan_image_probe (fd, size, &format, error))
    return NULL;
  if (format == VMSAN_IMAGE_TAR)
    {
      vmsan_error_refuse (error, "The image changed while it was being stored; try again");
      return NULL;
    }
  return vmsan_content_new (id, self->name, vmsan_image_format_to_string (format), NULL, NULL, NULL,
                            size, self->added_by);
}

static GStrv
get_module_names (Add *self)
{
  GStrv names = g_new0 (char *, self->modules->len + 1);

  for (guint i = 0; i < self->modules->len; i++)
    names[i] = g_strdup (g_array_index (self->modules, VmsanModule, i).name);
  return names;
}

/* The id of a kernel is the hash of a prefix, the kernel's size and content, and of each module the
 * name, size and content. */
static gboolean
copy_kernel (Add *self,
             int kernel_fd,
             int modules_fd,
             struct sha256_ctx *hash,
             GCancellable *cancellable,
             GError **error)
{
  guint64 size = GUINT64_TO_LE (self->source.st.st_size);

  sha256_init (hash);
  sha256_update (hash, sizeof KERNEL_ID_PREFIX, (const guint8 *) KERNEL_ID_PREFIX);
  sha256_update (hash, sizeof size, (const guint8 *) &size);
  return vmsan_content_copy (self->source.fd, 0, self->source.st.st_size, kernel_fd, 0, hash,
                             cancellable, error) &&
         vmsan_initramfs_pack_modules (modules_fd, self->modules_source.fd,
                                       (const VmsanModule *) (gpointer) self->modules->data,
                                       self->modules->len, hash, cancellable, error);
}

static gboolean
check_kernel_sources (Add *self, GError **error)
{
  const char *format;
  guint64 total = 0;

  if (!vmsan_content_source_check_not_fuse (&self->source, "kernel", error) ||
      !check_size (self->source.st.st_size, VMSAN_KERNEL_BYTES_MAX, "kernel", error) ||
      !vmsan_kernel_probe (self->source.fd, self->source.st.st_size, &format, error))
    return FALSE;
  if (self->modules->len == 0)
    return TRUE;
  for (guint i = 0; i < self->modules->len; i++)
    total += g_array_index (self->modules, VmsanModule, i).size_bytes;
  if (total != (guint64) self->modules_source.st.st_size)
    return vmsan_error_refuse (error,
                               "The list of modules has %" G_GUINT64_FORMAT
                               " bytes together, and the file of modules has %" G_GUINT64_FORMAT
                               "; both must be the same",
                               total, (guint64) self->modules_source.st.st_size);
  return vmsan_content_source_check_not_fuse (&self->modules_source, "file of modules", error);
}

/* Unpacks the stored bzImage into @vmlinux_fd. What keeps that from being done and lies in the
 * kernel itself comes in @no_elf: other monitors may boot it. */
static gboolean
unpack_kernel (Add *self, int vmlinux_fd, char **no_elf, GCancellable *cancellable, GError **error)
{
  g_autofree char *name = g_strconcat (self->temporary, "/content", NULL);
  g_autoptr (GError) local_error = NULL;
  /* The unpacker must not have it for writing. */
  vmsan_autofd int kernel_fd =
      vmsan_managed_root_open_at (vmsan_content_store_get_root (self->store), name, O_RDONLY, 0,
                                  error);

  if (kernel_fd < 0)
    return FALSE;
  if (vmsan_kernel_unpack (kernel_fd, vmlinux_fd, cancellable, &local_error))
    return vmsan_content_share (vmlinux_fd, error) && check_space (vmlinux_fd, 0, error);
  if (g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT) ||
      g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED))
    {
      *no_elf = g_strdup (local_error->message);
      return TRUE;
    }
  g_propagate_prefixed_error (error, g_steal_pointer (&local_error),
                              "Unpacking the ELF file in it failed: ");
  return FALSE;
}

/* Makes "vmlinux" beside a bzImage, if that can be had, and adds to @size what it takes. */
static gboolean
store_vmlinux (Add *self, guint64 *size, char **no_elf, GCancellable *cancellable, GError **error)
{
  g_autofree char *name = g_strconcat (self->temporary, "/vmlinux", NULL);
  vmsan_autofd int fd = create_file (self, "vmlinux", error);

  if (fd < 0 || !unpack_kernel (self, fd, no_elf, cancellable, error))
    return FALSE;
  if (*no_elf != NULL)
    return vmsan_managed_root_delete (vmsan_content_store_get_root (self->store), name, error);
  return sync_file (fd, size, error);
}

static VmsanContent *
store_kernel (Add *self, GCancellable *cancellable, GError **error)
{
  vmsan_autofd int kernel_fd = -1;
  vmsan_autofd int modules_fd = -1;
  g_auto (GStrv) module_names = get_module_names (self);
  g_autoptr (VmsanContent) known = NULL;
  g_autofree char *no_elf = NULL;
  g_autofree char *id = NULL;
  struct sha256_ctx hash;
  const char *format;
  guint64 size = 0;

  if (!check_kernel_sources (self, error))
    return NULL;
  kernel_fd = create_file (self, "content", error);
  if (kernel_fd < 0 || !vmsan_content_share (kernel_fd, error) ||
      !check_space (kernel_fd, get_stored_size (&self->source), error))
    return NULL;
  modules_fd = create_file (self, "modules.cpio", error);
  if (modules_fd < 0 || !copy_kernel (self, kernel_fd, modules_fd, &hash, cancellable, error) ||
      !sync_file (kernel_fd, &size, error) ||
      !vmsan_kernel_probe (kernel_fd, size, &format, error) ||
      !sync_file (modules_fd, &size, error))
    return NULL;
  id = vmsan_content_hash_end (&hash);
  known = vmsan_content_store_find (self->store, id, NULL);
  self->is_known = known != NULL;
  if (self->is_known)
    return g_steal_pointer (&known);
  if (g_str_equal (format, "bzimage") && !store_vmlinux (self, &size, &no_elf, cancellable, error))
    return NULL;
  return vmsan_content_new (id, self->name, format, self->version,
                            (const char *const *) module_names, no_elf, size, self->added_by);
}

static VmsanContent *
store (Add *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (VmsanContent) content = NULL;

  self->temporary = vmsan_content_store_begin (self->store, error);
  if (self->temporary == NULL)
    return NULL;
  content = vmsan_content_store_get_kind (self->store) == VMSAN_CONTENT_IMAGE
                ? store_image (self, cancellable, error)
                : store_kernel (self, cancellable, error);
  if (content == NULL)
    return NULL;
  if (g_cancellable_is_cancelled (cancellable))
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_CANCELLED,
                           "Storing the content was cancelled, and undone");
      return NULL;
    }
  if (self->is_known)
    return g_steal_pointer (&content);
  return vmsan_content_store_commit (self->store, self->temporary, content, &self->is_new, error);
}

/* ---- The thread ---------------------------------------------------------------------------- */

static gpointer
run (gpointer data)
{
  g_autoptr (GTask) task = data;
  Add *self = g_task_get_task_data (task);
  VmsanManagedRoot *root = vmsan_content_store_get_root (self->store);
  g_autoptr (GError) delete_error = NULL;
  GError *error = NULL;
  VmsanContent *content = store (self, g_task_get_cancellable (task), &error);

  /* The hidden directory, unless it has become the entry. */
  if (self->temporary != NULL && !self->is_new &&
      !vmsan_managed_root_delete (root, self->temporary, &delete_error))
    g_warning ("A left-over stays until the next start of vmsan: %s", delete_error->message);
  g_atomic_int_add (&n_adds, -1);
  if (content != NULL)
    g_task_return_pointer (task, content, (GDestroyNotify) vmsan_content_unref);
  else
    {
      g_prefix_error (&error, "Adding the %s failed: ", vmsan_content_store_get_noun (self->store));
      g_task_return_error (task, error);
    }
  return NULL;
}

/* Back in the caller's context. */
static void
on_stored (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VmsanContentStore *store = VMSAN_CONTENT_STORE (source);
  g_autoptr (GTask) task = user_data;
  Add *self = g_task_get_task_data (G_TASK (result));
  GError *error = NULL;
  VmsanContent *content = g_task_propagate_pointer (G_TASK (result), &error);

  /* Its result came, so it ends now; then it holds nothing any more. */
  g_clear_pointer (&self->thread, g_thread_join);
  if (content == NULL)
    {
      g_task_return_error (task, error);
      return;
    }
  vmsan_content_store_announce (store, content);
  g_task_return_pointer (task, content, (GDestroyNotify) vmsan_content_unref);
}

/* A thread of its own: a caller can make an add last for as long as it likes, and must not keep
 * those of a shared pool from others. Takes @self. */
static void
start (GTask *task, Add *self)
{
  GTask *inner;
  GError *error = NULL;

  if (g_atomic_int_add (&n_adds, 1) >= ADDS_MAX)
    {
      g_atomic_int_add (&n_adds, -1);
      add_free (self);
      g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_BUSY,
                               "%d images and kernels are being added; try again when one of them "
                               "is done",
                               ADDS_MAX);
      return;
    }
  inner = g_task_new (self->store, g_task_get_cancellable (task), on_stored, g_object_ref (task));
  g_task_set_source_tag (inner, start);
  /* What was committed is reported, also to one who cancelled too late. */
  g_task_set_check_cancellable (inner, FALSE);
  g_task_set_task_data (inner, self, (GDestroyNotify) add_free);
  self->thread = g_thread_try_new ("vmsan-add", run, g_object_ref (inner), &error);
  if (self->thread == NULL)
    {
      g_atomic_int_add (&n_adds, -1);
      g_task_return_new_error (inner, VMSAN_ERROR, VMSAN_ERROR_FAILED,
                               "Starting a thread failed: %s", error->message);
      g_clear_error (&error);
      g_object_unref (inner);
    }
  g_object_unref (inner);
}

/* ---- Public -------------------------------------------------------------------------------- */

void
vmsan_content_store_add_image_async (VmsanContentStore *self,
                                     int source_fd,
                                     const char *name,
                                     uid_t added_by,
                                     guint64 max_bytes,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (Add) add = add_new (self, name, added_by);
  GError *error = NULL;

  g_task_set_source_tag (task, vmsan_content_store_add_finish);
  g_task_set_check_cancellable (task, FALSE);
  add->max_bytes = max_bytes;
  if (!vmsan_content_store_check_name (self, add->name, 0, &error) ||
      !vmsan_content_source_take (&add->source, source_fd, "image", TRUE, &error))
    {
      g_prefix_error (&error, "Adding the image failed: ");
      g_task_return_error (task, error);
      return;
    }
  start (task, g_steal_pointer (&add));
}

void
vmsan_content_store_add_kernel_async (VmsanContentStore *self,
                                      int kernel_fd,
                                      int modules_fd,
                                      const VmsanModule *modules,
                                      guint n_modules,
                                      const char *name,
                                      const char *version,
                                      uid_t added_by,
                                      GCancellable *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autoptr (Add) add = add_new (self, name, added_by);
  GError *error = NULL;

  g_task_set_source_tag (task, vmsan_content_store_add_finish);
  g_task_set_check_cancellable (task, FALSE);
  add->version = g_strdup (version);
  if (!vmsan_content_store_check_name (self, add->name, 0, &error) ||
      !vmsan_content_check_version (version, &error) ||
      !vmsan_initramfs_check_modules (modules, n_modules, &error) ||
      !vmsan_content_source_take (&add->source, kernel_fd, "kernel", FALSE, &error) ||
      (n_modules > 0 && !vmsan_content_source_take (&add->modules_source, modules_fd,
                                                    "file of modules", FALSE, &error)))
    {
      g_prefix_error (&error, "Adding the kernel failed: ");
      g_task_return_error (task, error);
      return;
    }
  for (guint i = 0; i < n_modules; i++)
    {
      VmsanModule module = { g_strdup (modules[i].name), modules[i].size_bytes };

      g_array_append_val (add->modules, module);
    }
  start (task, g_steal_pointer (&add));
}

VmsanContent *
vmsan_content_store_add_finish (VmsanContentStore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
