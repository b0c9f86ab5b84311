/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A private directory for a storage test, gone at its end, with a managed root in it. */

#pragma once

#include "storage/managed-path.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

typedef struct
{
  char *directory; /* absolute */
  char *root_path; /* DIRECTORY/root */
  VmsanManagedRoot *root;
  guint n_descriptors; /* open at the start */
} StorageFixture;

static inline guint
storage_count_descriptors (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static inline int
storage_remove_one (const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
  return remove (path);
}

static inline void
storage_set_up (StorageFixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  /* GLib keeps a descriptor for its worker from the first task on. */
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));
  g_main_context_wakeup (NULL);
  self->n_descriptors = storage_count_descriptors ();
  self->directory = g_dir_make_tmp ("vmsan-storage-XXXXXX", &error);
  g_assert_no_error (error);
  self->root_path = g_build_filename (self->directory, "root", NULL);
  self->root = vmsan_managed_root_open (self->root_path, 0700, &error);
  g_assert_no_error (error);
}

/* Deletes without the code under test, and fails when descriptors leaked. */
static inline void
storage_tear_down (StorageFixture *self, gconstpointer data)
{
  g_clear_pointer (&self->root, vmsan_managed_root_unref);
  nftw (self->directory, storage_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  g_assert_false (g_file_test (self->directory, G_FILE_TEST_EXISTS));
  g_free (self->directory);
  g_free (self->root_path);
  g_assert_cmpuint (storage_count_descriptors (), ==, self->n_descriptors);
}

/* An absolute path in the root. */
static inline char *
storage_path (StorageFixture *self, const char *name)
{
  return g_build_filename (self->root_path, name, NULL);
}

static inline void
storage_write (StorageFixture *self, const char *name, const char *text)
{
  g_autofree char *path = storage_path (self, name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static inline gboolean
storage_exists (StorageFixture *self, const char *name)
{
  g_autofree char *path = storage_path (self, name);
  GStatBuf st;

  return g_lstat (path, &st) == 0;
}

/* From here on, mounts of this process are its own. */
static inline gboolean
storage_enter_mount_namespace (void)
{
  return unshare (CLONE_NEWNS) == 0 && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#define storage_test(path, function)                                                               \
  g_test_add (path, StorageFixture, NULL, storage_set_up, function, storage_tear_down)

static inline void
storage_put (int fd, guint64 offset, gconstpointer data, gsize size)
{
  g_assert_cmpint (pwrite (fd, data, size, offset), ==, size);
}

/* @value in little-endian order. */
static inline void
storage_put_number (int fd, guint64 offset, guint64 value, guint n_bytes)
{
  guint64 little = GUINT64_TO_LE (value);

  storage_put (fd, offset, &little, n_bytes);
}
