/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what Firecracker would refuse on sight is refused here, with words for a person. */

#include "vmm/firecracker/fc-values.h"

#include "sys/error.h"

#include <net/if.h>
#include <string.h>
#include <sys/un.h>

#define PATH_BYTES_MAX 4095
#define ID_BYTES_MAX   64

gboolean
vmsan_fc_check_path (const char *what, const char *path, GError **error)
{
  if (path == NULL || *path != '/' || strlen (path) > PATH_BYTES_MAX ||
      !g_utf8_validate (path, -1, NULL))
    return vmsan_error_refuse (error, "The path of the %s is not an absolute path in UTF-8", what);
  return TRUE;
}

gboolean
vmsan_fc_check_socket_path (const char *path, GError **error)
{
  struct sockaddr_un address;

  if (!vmsan_fc_check_path ("vsock socket", path, error))
    return FALSE;
  if (strlen (path) < sizeof address.sun_path)
    return TRUE;
  return vmsan_error_refuse (error, "The path of the vsock socket is longer than %zu bytes",
                             sizeof address.sun_path - 1);
}

gboolean
vmsan_fc_check_id (const char *what, const char *id, GError **error)
{
  gboolean good = id != NULL && *id != '\0' && strlen (id) <= ID_BYTES_MAX;

  for (const char *p = id; good && *p != '\0'; p++)
    good = g_ascii_isalnum (*p) || *p == '_';
  if (!good)
    return vmsan_error_refuse (error, "The id of a %s is 1 to %d letters, digits and underscores",
                               what, ID_BYTES_MAX);
  return TRUE;
}

gboolean
vmsan_fc_check_tap (const char *name, GError **error)
{
  if (name != NULL && *name != '\0' && strlen (name) < IFNAMSIZ &&
      g_utf8_validate (name, -1, NULL) && strpbrk (name, "/ \t\n") == NULL)
    return TRUE;
  return vmsan_error_refuse (error, "The name of a tap device is 1 to %d bytes", IFNAMSIZ - 1);
}

gboolean
vmsan_fc_check_mac (const char *mac, GError **error)
{
  gboolean good = strlen (mac) == 17;

  for (guint i = 0; good && i < 17; i++)
    good = i % 3 == 2 ? mac[i] == ':' : g_ascii_isxdigit (mac[i]);
  if (!good)
    return vmsan_error_refuse (error, "A MAC address has six pairs of hexadecimal digits");
  return TRUE;
}

gboolean
vmsan_fc_check_bucket (const VmsanFcBucket *bucket, GError **error)
{
  if (bucket->size > 0 && bucket->refill_ms == 0)
    return vmsan_error_refuse (error, "A rate limit has a refill time of at least 1 ms");
  return TRUE;
}

gboolean
vmsan_fc_check_limiter (const VmsanFcRateLimiter *limiter, GError **error)
{
  return vmsan_fc_check_bucket (&limiter->bytes, error) &&
         vmsan_fc_check_bucket (&limiter->operations, error);
}
