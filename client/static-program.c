/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: no number of the file is believed before it is compared with the file. elf(5) */

#include "config.h"

#include "static-program.h"

#include "release.h"

#include <elf.h>
#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

/* Linkers make about a dozen. */
#define PROGRAM_HEADERS_MAX 128

static gboolean
refuse (const char *name, const char *why, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
               _ ("“%s” is not a program that can be used here: %s"), name, why);
  return FALSE;
}

static gboolean
read_at (int fd, guint64 offset, gpointer buffer, gsize size)
{
  gssize n;

  if (offset > G_MAXINT64)
    return FALSE;
  do
    n = pread (fd, buffer, size, (off_t) offset);
  while (n < 0 && errno == EINTR);
  return n == (gssize) size;
}

static gboolean
check_header (const Elf64_Ehdr *header, const char *name, GError **error)
{
  if (memcmp (header->e_ident, ELFMAG, SELFMAG) != 0)
    return refuse (name, _ ("it is no ELF file"), error);
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != RELEASE_ELF_MACHINE)
    return refuse (name, _ ("it is for another architecture"), error);
  /* A static program that can be loaded anywhere (static-pie) has the type of a library. */
  if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
    return refuse (name, _ ("it is no program"), error);
  if (header->e_phentsize != sizeof (Elf64_Phdr) || header->e_phnum == 0 ||
      header->e_phnum > PROGRAM_HEADERS_MAX)
    return refuse (name, _ ("its header makes no sense"), error);
  return TRUE;
}

gboolean
static_program_check (int fd, const char *name, GError **error)
{
  Elf64_Phdr headers[PROGRAM_HEADERS_MAX];
  Elf64_Ehdr header;
  gboolean loads = FALSE;

  if (!read_at (fd, 0, &header, sizeof header))
    return refuse (name, _ ("it is no ELF file"), error);
  if (!check_header (&header, name, error))
    return FALSE;
  if (!read_at (fd, header.e_phoff, headers, header.e_phnum * sizeof headers[0]))
    return refuse (name, _ ("it is cut off"), error);
  for (gsize i = 0; i < header.e_phnum; i++)
    {
      if (headers[i].p_type == PT_INTERP)
        return refuse (name, _ ("it needs a dynamic loader, which the jail does not have"), error);
      loads = loads || headers[i].p_type == PT_LOAD;
    }
  return loads || refuse (name, _ ("there is nothing in it to run"), error);
}
