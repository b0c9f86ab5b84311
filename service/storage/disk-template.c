/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what has a template's name is whole; mke2fs ran as nobody on nothing but that file. */

#include "storage/disk-template.h"

#include "storage/confined-tool.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define DIRECTORY          "templates"
#define TEMPLATES_MAX      16
#define FILES_MAX          4096
#define MKE2FS_DEADLINE_MS (60 * 1000)

/* Changes with the options below: a template of other options is not found and ages out. */
#define GENERATION "1"

/* Explicit, whatever the host's mke2fs.conf says, and such that any guest kernel of the last ten
 * years mounts it. With metadata_csum the inode tables need not be written (lazy_itable_init);
 * sparse_super2 and the lack of resize_inode keep copies of descriptors, which grow with the
 * disk, away: a disk of 1 GiB is 136 KiB of written data, one of 1 TiB 2 MiB. */
#define FEATURES                                                                                   \
  "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super2,large_file,"    \
  "huge_file,dir_nlink,extra_isize,metadata_csum"

/* Bitmaps of this many groups lie together, so that few extents are written. */
#define FLEX_GROUPS "256"

/* One thread makes templates; whoever finds one that is there does not wait. */
static GMutex making;

static gboolean
run_mke2fs (int fd, guint size_mib, GCancellable *cancellable, GError **error)
{
  const char *mke2fs = vmsan_tool_find_mke2fs (error);
  g_autofree char *journal = g_strdup_printf ("size=%u", size_mib < 512    ? 4
                                                         : size_mib < 4096 ? 16
                                                                           : 64);
  const char *const argv[] = {
    mke2fs,  "-q",     "-F",
    "-t",    "ext4",   "-b",
    "4096",  "-I",     "256",
    "-i",    "16384",  "-m",
    "0",     "-G",     FLEX_GROUPS,
    "-O",    FEATURES, "-J",
    journal, "-E",     "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
    "/disk", NULL,
  };
  const VmsanRlimit rlimits[] = {
    { RLIMIT_FSIZE, (rlim_t) size_mib << 20 },
    { RLIMIT_AS, (rlim_t) 1 << 30 },
    { RLIMIT_CPU, MKE2FS_DEADLINE_MS / 1000 },
    { RLIMIT_CORE, 0 },
  };
  g_autoptr (GArray) binds = vmsan_tool_new_binds (1);
  VmsanSpawnSpec spec = {
    .argv = argv,
    .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS,
    .uid = vmsan_tool_get_id (),
    .gid = vmsan_tool_get_id (),
    .rlimits = rlimits,
    .n_rlimits = G_N_ELEMENTS (rlimits),
    .new_session = TRUE,
  };

  if (mke2fs == NULL)
    return FALSE;
  vmsan_tool_add_writable (binds, fd, "/disk");
  spec.root_binds = (const VmsanBind *) (gpointer) binds->data;
  spec.n_root_binds = binds->len;
  return vmsan_process_run (&spec, MKE2FS_DEADLINE_MS, cancellable, error);
}

static gboolean
make_file (VmsanManagedRoot *root,
           const char *name,
           guint size_mib,
           GCancellable *cancellable,
           GError **error)
{
  vmsan_autofd int fd =
      vmsan_managed_root_open_at (root, name, O_RDWR | O_CREAT | O_EXCL, 0600, error);
  uid_t id = vmsan_tool_get_id ();

  if (fd < 0)
    return FALSE;
  if (ftruncate (fd, (off_t) size_mib << 20) < 0)
    {
      g_set_error (error, VMSAN_ERROR,
                   errno == EFBIG ? VMSAN_ERROR_NOT_SUPPORTED : VMSAN_ERROR_FAILED,
                   "the file system at “%s” cannot hold a file of %u MiB: %s",
                   vmsan_managed_root_get_path (root), size_mib, g_strerror (errno));
      return FALSE;
    }
  if (fchown (fd, id, id) < 0)
    return vmsan_error_set_errno (error, errno, "Handing the file to mke2fs failed");
  if (!run_mke2fs (fd, size_mib, cancellable, error))
    return FALSE;
  if (fchown (fd, 0, 0) < 0 || fchmod (fd, 0400) < 0 || fsync (fd) < 0)
    return vmsan_error_set_errno (error, errno, "Taking the file back from mke2fs failed");
  return TRUE;
}

typedef struct
{
  char *name;
  gint64 used_us;
} Aged;

static void
aged_free (gpointer data)
{
  Aged *self = data;

  g_free (self->name);
  g_free (self);
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const Aged *first = *(const Aged *const *) a;
  const Aged *second = *(const Aged *const *) b;

  return first->used_us < second->used_us ? -1 : first->used_us > second->used_us;
}

/* Keeps the newest, with room for one more; hidden ones are left-overs. A template that cannot be
 * deleted costs its space only. */
static void
delete_outdated (VmsanManagedRoot *root)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = vmsan_managed_root_list (root, DIRECTORY, FILES_MAX, &error);
  g_autoptr (GPtrArray) aged = g_ptr_array_new_with_free_func (aged_free);

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      Aged *one = g_new0 (Aged, 1);
      struct stat st;
      vmsan_autofd int fd = -1;

      g_ptr_array_add (aged, one);
      one->name = g_strconcat (DIRECTORY "/", names[i], NULL);
      fd = vmsan_managed_root_open_at (root, one->name, O_RDONLY, 0, NULL);
      if (names[i][0] != '.' && fd >= 0 && fstat (fd, &st) == 0)
        one->used_us = (gint64) st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
    }
  g_ptr_array_sort (aged, compare_age);
  for (guint i = 0; i < aged->len && error == NULL; i++)
    {
      const Aged *one = g_ptr_array_index (aged, i);

      if (one->used_us == 0 || aged->len - i >= TEMPLATES_MAX)
        vmsan_managed_root_delete (root, one->name, &error);
    }
  if (error != NULL)
    g_warning ("Deleting outdated disk templates failed: %s", error->message);
}

static gboolean
make (VmsanManagedRoot *root,
      const char *name,
      guint size_mib,
      GCancellable *cancellable,
      GError **error)
{
  const char *temporary = DIRECTORY "/.new";

  delete_outdated (root);
  if (make_file (root, temporary, size_mib, cancellable, error) &&
      vmsan_managed_root_rename (root, temporary, name, error))
    return TRUE;
  vmsan_managed_root_delete (root, temporary, NULL);
  g_prefix_error (error, "Making the template for disks of %u MiB failed: ", size_mib);
  return FALSE;
}

/* -1 without @error when there is none. */
static int
open_existing (VmsanManagedRoot *root, const char *name, GError **error)
{
  g_autoptr (GError) local_error = NULL;
  int fd = vmsan_managed_root_open_at (root, name, O_RDONLY, 0, &local_error);

  if (fd >= 0)
    /* Its last use, for delete_outdated(). */
    futimens (fd, NULL);
  else if (!g_error_matches (local_error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&local_error));
  return fd;
}

int
vmsan_disk_template_open (VmsanManagedRoot *root,
                          guint size_mib,
                          GCancellable *cancellable,
                          GError **error)
{
  g_autofree char *name = g_strdup_printf (DIRECTORY "/ext4-" GENERATION "-%u", size_mib);
  g_autoptr (GError) local_error = NULL;
  g_autoptr (GMutexLocker) locker = NULL;
  int fd = open_existing (root, name, &local_error);

  if (fd < 0 && local_error == NULL)
    {
      locker = g_mutex_locker_new (&making);
      fd = open_existing (root, name, &local_error);
      if (fd < 0 && local_error == NULL &&
          vmsan_managed_root_make_dir (root, DIRECTORY, 0700, &local_error) &&
          make (root, name, size_mib, cancellable, &local_error))
        fd = vmsan_managed_root_open_at (root, name, O_RDONLY, 0, &local_error);
    }
  if (fd < 0)
    g_propagate_error (error, g_steal_pointer (&local_error));
  return fd;
}
