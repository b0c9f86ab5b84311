/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the output has the size that the payload says, or there is a report. */

#include "decompress.h"

#include "image-builder/report.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

/* Those of struct payload that libarchive has a library for; 0: none. */
static const int filters[] = {
  [COMPRESSION_UNKNOWN] = 0,
  [COMPRESSION_GZIP] = ARCHIVE_FILTER_GZIP,
  [COMPRESSION_BZIP2] = ARCHIVE_FILTER_BZIP2,
  [COMPRESSION_LZMA] = ARCHIVE_FILTER_LZMA,
  [COMPRESSION_XZ] = ARCHIVE_FILTER_XZ,
  [COMPRESSION_LZO] = 0,
  [COMPRESSION_LZ4] = ARCHIVE_FILTER_LZ4,
  [COMPRESSION_ZSTD] = ARCHIVE_FILTER_ZSTD,
};

static void
check_payload (const struct payload *payload, uint64_t max_bytes)
{
  if (payload->compression == COMPRESSION_UNKNOWN)
    report_and_exit (REPORT_INVALID, "Its compression is not known (it begins with %02x %02x)",
                     payload->data[0], payload->data[1]);
  if (filters[payload->compression] == 0)
    report_and_exit (REPORT_INVALID, "It is compressed with %s, which vmsan cannot unpack",
                     compression_to_string (payload->compression));
  if (payload->unpacked_size > max_bytes)
    report_and_exit (
        REPORT_LIMIT,
        "It says that it has %u MiB when it is unpacked, and at most %u MiB are stored",
        payload->unpacked_size >> 20, (unsigned) (max_bytes >> 20));
}

static void __attribute__ ((noreturn))
refuse_damaged (const struct payload *payload, struct archive *archive)
{
  const char *message = archive_error_string (archive);

  report_and_exit (REPORT_INVALID, "Its %s payload cannot be unpacked: %.100s",
                   compression_to_string (payload->compression),
                   message != NULL ? message : "no reason given");
}

static void __attribute__ ((noreturn)) refuse_size (const struct payload *payload)
{
  report_and_exit (REPORT_INVALID, "Its %s payload does not have the %u bytes that it says",
                   compression_to_string (payload->compression), payload->unpacked_size);
}

/* One filter and no other, which libarchive does not look for: what is packed twice is no kernel.
 * ARCHIVE_WARN would mean that it wants to start a program. */
static struct archive *
open_payload (const struct payload *payload)
{
  struct archive *archive = archive_read_new ();
  struct archive_entry *entry;

  if (archive == NULL)
    report_and_exit (REPORT_FAILED, "Out of memory");
  if (archive_read_append_filter (archive, filters[payload->compression]) != ARCHIVE_OK ||
      archive_read_set_format (archive, ARCHIVE_FORMAT_RAW) != ARCHIVE_OK)
    report_and_exit (REPORT_FAILED, "This libarchive cannot unpack %s",
                     compression_to_string (payload->compression));
  if (archive_read_open_memory (archive, payload->data, payload->size) != ARCHIVE_OK ||
      archive_read_next_header (archive, &entry) != ARCHIVE_OK)
    refuse_damaged (payload, archive);
  return archive;
}

static void
write_all (int fd, const char *data, size_t size)
{
  while (size > 0)
    {
      ssize_t n = write (fd, data, size);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        report_errno_and_exit (REPORT_FAILED, errno, "Writing the unpacked kernel failed");
      data += n;
      size -= n;
    }
}

void
decompress (const struct payload *payload, uint64_t max_bytes, int fd)
{
  struct archive *archive;
  uint64_t done = 0;
  const void *data;
  int64_t offset;
  size_t size;
  int result;

  check_payload (payload, max_bytes);
  archive = open_payload (payload);
  while ((result = archive_read_data_block (archive, &data, &size, &offset)) == ARCHIVE_OK)
    {
      if (size > payload->unpacked_size - done)
        refuse_size (payload);
      write_all (fd, data, size);
      done += size;
    }
  if (result != ARCHIVE_EOF)
    refuse_damaged (payload, archive);
  if (done != payload->unpacked_size)
    refuse_size (payload);
  archive_read_free (archive);
}
