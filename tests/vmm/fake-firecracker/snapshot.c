/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a state that is not whole, or of another format, is refused. */

#include "snapshot.h"

#include "memory.h"
#include "orders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "fake-firecracker snapshot"

int
snapshot_format (int minor)
{
  static const int formats[] = { 4, 5, 6, 8, 8, 9, 10 }; /* from 1.10 */

  return minor - 10 < (int) (sizeof formats / sizeof formats[0]) ? formats[minor - 10] : 11;
}

static uint32_t
add_to_sum (uint32_t sum, const char *text)
{
  for (const char *p = text; *p != '\0'; p++)
    sum = (sum ^ (unsigned char) *p) * 16777619u; /* FNV-1a */
  return sum;
}

static void __attribute__ ((format (printf, 2, 3)))
put (SnapshotWriter *writer, const char *format, ...)
{
  char *line = NULL;
  va_list args;

  va_start (args, format);
  if (vasprintf (&line, format, args) >= 0)
    {
      writer->sum = add_to_sum (writer->sum, line);
      fputs (line, writer->state);
    }
  va_end (args);
  free (line);
}

static bool
write_memory (const SnapshotWriter *writer)
{
  int fd = open (writer->memory_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  bool good = fd >= 0 && ftruncate (fd, writer->memory_mib << 20) == 0 && memory_save (fd);

  if (fd >= 0)
    close (fd);
  return good;
}

bool
snapshot_begin (SnapshotWriter *writer)
{
  writer->sum = 2166136261u;
  writer->state = write_memory (writer) ? fopen (writer->state_path, "we") : NULL;
  if (writer->state != NULL)
    put (writer, "%s\nformat %d\nmemory %lld\n", MAGIC, writer->format, writer->memory_mib);
  return writer->state != NULL;
}

void
snapshot_add (SnapshotWriter *writer, const char *path, const char *text)
{
  put (writer, "%s %s\n", path, text);
}

bool
snapshot_end (SnapshotWriter *writer)
{
  char exit_code[8];
  bool half = orders_get ("half-snapshot", NULL, exit_code, sizeof exit_code);
  bool good;

  if (writer->state == NULL)
    return false;
  if (!half)
    fprintf (writer->state, "sum %08x\n", writer->sum);
  good = fclose (writer->state) == 0 && !half;
  if (half && *exit_code != '\0')
    exit (atoi (exit_code));
  if (half)
    errno = ENOSPC;
  return good;
}

static char *
read_file (const char *path)
{
  char *text = calloc (1, 1 << 20);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  bool good = fd >= 0 && read (fd, text, (1 << 20) - 1) >= 0;

  if (fd >= 0)
    close (fd);
  if (good)
    return text;
  free (text);
  return NULL;
}

static const char *
check_memory (const SnapshotReader *reader, long long memory_mib)
{
  int fd = open (reader->memory_path, O_RDONLY | O_CLOEXEC);
  struct stat st;

  if (fd < 0)
    return "Failed to load guest memory: Error opening memory file";
  /* Stays open: a clone maps it as long as it lives. */
  if (fstat (fd, &st) < 0 || st.st_size != memory_mib << 20 || !memory_load (fd))
    return "Failed to load guest memory: Cannot create mmap region";
  return NULL;
}

const char *
snapshot_open (SnapshotReader *reader)
{
  long long memory_mib;
  unsigned sum;
  int format, end = 0;
  char *last;

  reader->text = read_file (reader->state_path);
  if (reader->text == NULL)
    return "Failed to get snapshot state from file: Failed to open snapshot file";
  last = strstr (reader->text, "\nsum ");
  if (last == NULL || sscanf (last + 1, "sum %8x\n", &sum) != 1)
    return "Failed to get snapshot state from file: CRC64 validation failed";
  last[1] = '\0';
  if (add_to_sum (2166136261u, reader->text) != sum ||
      sscanf (reader->text, MAGIC "\nformat %d\nmemory %lld\n%n", &format, &memory_mib, &end) !=
          2 ||
      end == 0)
    return "Failed to get snapshot state from file: CRC64 validation failed";
  if (format != reader->format)
    return "Failed to get snapshot state from file: Snapshot file has an unsupported version";
  reader->next = reader->text + end;
  return check_memory (reader, memory_mib);
}

bool
snapshot_next (SnapshotReader *reader, char **path, char **text)
{
  char *space = strchr (reader->next, ' ');
  char *end = space != NULL ? strchr (space, '\n') : NULL;

  if (end == NULL)
    return false;
  *space = *end = '\0';
  *path = reader->next;
  *text = space + 1;
  reader->next = end + 1;
  return true;
}

void
snapshot_close (SnapshotReader *reader)
{
  free (reader->text);
}
