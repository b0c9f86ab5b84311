/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A release of Firecracker, and the names that its makers give to what is in it. */

#pragma once

#include <gio/gio.h>

/* This machine's, as it stands in names, and in programs (elf(5), e_machine). */
#if defined(__x86_64__)
#  define RELEASE_ARCHITECTURE "x86_64"
#  define RELEASE_ELF_MACHINE  EM_X86_64
#elif defined(__aarch64__)
#  define RELEASE_ARCHITECTURE "aarch64"
#  define RELEASE_ELF_MACHINE  EM_AARCH64
#else
#  error "There is no Firecracker for this architecture"
#endif

typedef struct
{
  guint major;
  guint minor;
  guint patch;
  char name[24]; /* "v1.15.1" */
} Release;

/* Of "v1.15.1", written in no other way. */
gboolean release_parse (const char *text, Release *release);

/* Of "firecracker-v1.15.1-x86_64.tgz"; an archive for another architecture is refused. */
gboolean release_parse_archive (const char *name, Release *release, GError **error);

/* Below 0: @a is older. */
int release_compare (const Release *a, const Release *b);

/* Refuses what the service cannot drive. Sets *@tested to whether it was tried with vmsan. */
gboolean release_check (const Release *release, gboolean *tested, GError **error);
