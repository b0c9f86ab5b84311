/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Turns a bzImage into the ELF file that is packed in it, in a confined and unprivileged process
 * (kernel-unpacker/), which alone reads what is compressed. */

#pragma once

#include <gio/gio.h>

/* As large as the largest kernel that is stored. */
#define VMSAN_KERNEL_BYTES_MAX (G_GUINT64_CONSTANT (512) << 20)

/**
 * VmsanKernelUnpackConfig:
 * @program: absolute path of vmsan-kernel-unpacker; NULL: where it is installed
 * @deadline_ms: after which unpacking is ended; 0: two minutes
 */
typedef struct
{
  const char *program;
  guint deadline_ms;
} VmsanKernelUnpackConfig;

/* Sets what all unpacking uses. Call it before there are threads; the string must stay. */
void vmsan_kernel_unpack_configure (const VmsanKernelUnpackConfig *config);

/* Unpacks @kernel_fd, a stored bzImage that is open for reading only, into the empty file
 * @output_fd. INVALID_ARGUMENT and LIMIT_EXCEEDED say something about the kernel, with which
 * nothing else is wrong; all other errors are about the host. The message is a part of a sentence.
 * Blocks: worker thread. */
gboolean
vmsan_kernel_unpack (int kernel_fd, int output_fd, GCancellable *cancellable, GError **error);
