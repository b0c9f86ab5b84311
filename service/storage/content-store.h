/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Images and kernels, stored once under the SHA-256 of their content, read-only.
 *
 * A store is a directory of the managed root: "images" or "kernels". An entry is a directory
 * ID/ with the file "content" (kernels also "modules.cpio", and "vmlinux" when a
 * bzImage could be unpacked) and "meta.json". It is built as a
 * hidden directory and renamed into place, so that a half-built entry is never seen; left-overs
 * are deleted when the store is opened. */

#pragma once

#include "storage/managed-path.h"

#include <gio/gio.h>

typedef enum
{
  VMSAN_CONTENT_IMAGE,
  VMSAN_CONTENT_KERNEL,
} VmsanContentKind;

/* One entry; immutable, reference-counted. */
typedef struct
{
  char *id;      /* SHA-256 in hexadecimal */
  char *name;    /* "" when it has none */
  char *format;  /* "ext4", "squashfs", "erofs"; "bzimage", "elf" */
  char *version; /* of a kernel, or "" */
  GStrv modules; /* of a kernel, in load order */
  char *no_elf;  /* of a kernel: why there is no ELF file of it; "" when there is one */
  guint64 size_bytes;
  gint64 added_us; /* since the epoch */
  uid_t added_by;
} VmsanContent;

#define VMSAN_TYPE_CONTENT (vmsan_content_get_type ())
GType vmsan_content_get_type (void); /* boxed, for the signals */
VmsanContent *vmsan_content_ref (VmsanContent *self);
void vmsan_content_unref (VmsanContent *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanContent, vmsan_content_unref)

/* Whether it is a kernel whose ELF file is kept beside it, as "vmlinux". */
gboolean vmsan_content_has_vmlinux (const VmsanContent *self);

/* NOT_SUPPORTED, saying why, for a kernel without an ELF file. */
gboolean vmsan_content_check_elf (VmsanContent *self, GError **error);

/* One module of a kernel, for vmsan_content_store_add_kernel_async(). */
typedef struct
{
  char *name; /* without .ko */
  guint64 size_bytes;
} VmsanModule;

#define VMSAN_TYPE_CONTENT_STORE (vmsan_content_store_get_type ())
G_DECLARE_FINAL_TYPE (VmsanContentStore, vmsan_content_store, VMSAN, CONTENT_STORE, GObject)

/**
 * VmsanContentStore::added, ::removed: (VmsanContent *content) an entry came or went. "added" is
 * emitted before the add completes.
 */

/* Opens the store and reads its entries; damaged ones are moved to "damaged/" and warned of. Holds
 * a reference to @root. (transfer full) */
VmsanContentStore *
vmsan_content_store_open (VmsanManagedRoot *root, VmsanContentKind kind, GError **error);

VmsanContentKind vmsan_content_store_get_kind (VmsanContentStore *self);

/* Adds an image from a descriptor: a regular file with a file system, or a tar stream (a regular
 * file or pipe; see image-builder.h). @max_bytes bounds what is stored. The descriptor's offset is
 * not used for files and may be changed by others meanwhile: what is hashed is the copy that is
 * stored. It is duplicated and can be closed at once. Content that is there already is returned as
 * it is, under the name it has. (transfer full) result. */
void vmsan_content_store_add_image_async (VmsanContentStore *self,
                                          int source_fd,
                                          const char *name,
                                          uid_t added_by,
                                          guint64 max_bytes,
                                          GCancellable *cancellable,
                                          GAsyncReadyCallback callback,
                                          gpointer user_data);

/* Adds a kernel: @kernel_fd a bzImage or ELF vmlinux for x86-64; @modules_fd one file with the
 * @n_modules modules behind each other and nothing else (-1 with 0 modules). Of a bzImage the ELF
 * file that is packed in it is kept as well; where that cannot be had, no_elf says why. */
void vmsan_content_store_add_kernel_async (VmsanContentStore *self,
                                           int kernel_fd,
                                           int modules_fd,
                                           const VmsanModule *modules,
                                           guint n_modules,
                                           const char *name,
                                           const char *version,
                                           uid_t added_by,
                                           GCancellable *cancellable,
                                           GAsyncReadyCallback callback,
                                           gpointer user_data);
VmsanContent *
vmsan_content_store_add_finish (VmsanContentStore *self, GAsyncResult *result, GError **error);

/* By id, unambiguous id prefix (4 characters at least) or name. NOT_FOUND, AMBIGUOUS. (transfer
 * full) */
VmsanContent *vmsan_content_store_find (VmsanContentStore *self, const char *name, GError **error);

/* For a machine of @user's whose creator did not say: the only image, the newest kernel, of those
 * that root or @user added. What somebody else added gets into a machine only when it is named.
 * NOT_FOUND, AMBIGUOUS. (transfer full) */
VmsanContent *
vmsan_content_store_find_default (VmsanContentStore *self, uid_t user, GError **error);

/* All, oldest first. (transfer container) (element-type VmsanContent) */
GPtrArray *vmsan_content_store_list (VmsanContentStore *self);

/* Opens the content read-only. Returns a descriptor or -1. The files of kernels may be read by
 * every uid, as monitors must open them by name; only root gets through the store's directory. */
int vmsan_content_store_open_content (VmsanContentStore *self, const char *id, GError **error);

/* Opens the ELF file of a kernel, as open_content() does what was added: that, or what is packed in
 * it. NOT_SUPPORTED when there is none. */
int vmsan_content_store_open_elf (VmsanContentStore *self, const char *id, GError **error);

/* Opens the initramfs for a kernel: its modules and the agent at @agent_path, packed once and kept
 * until the agent changes. Returns a descriptor or -1. Blocks when it has to be packed. Any
 * thread. */
int vmsan_content_store_open_initramfs (VmsanContentStore *self,
                                        const char *kernel_id,
                                        const char *agent_path,
                                        GError **error);

/* Removes an entry, and frees its space in the background; that nothing uses it is the caller's to
 * know. Who has it open keeps it. */
gboolean vmsan_content_store_remove (VmsanContentStore *self, const char *id, GError **error);
