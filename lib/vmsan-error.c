/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: every error of the service arrives with its own code and a message without D-Bus
 * decoration. */

#include "config.h"

#include "vmsan-error.h"
#include "vmsan-error-private.h"

#include <glib/gi18n-lib.h>

/**
 * vmsan_process_error_quark:
 *
 * Returns: the domain of #VmsanProcessError
 */
GQuark
vmsan_process_error_quark (void)
{
  return g_quark_from_static_string ("vmsan-process-error-quark");
}

/* Nobody answers under the service's name: the bus says so in one of these ways. */
static gboolean
is_absence (const GError *error)
{
  return g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_SPAWN_FAILED);
}

/* A call that was under way when the service went: GDBus makes both out of the same event. */
static gboolean
is_departure (const GError *error)
{
  return g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_DISCONNECTED) ||
         g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

/* An object that was removed, or a service that is older than this library: on the bus both look
 * alike. */
static gboolean
is_unknown (const GError *error)
{
  return g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_INTERFACE) ||
         g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD);
}

/* Takes @text. */
static void
replace (GError *error, VmsanError code, char *text)
{
  error->domain = VMSAN_ERROR;
  error->code = (int) code;
  g_free (error->message);
  error->message = text;
}

void
vmsan_error_clean (GError *error)
{
  g_dbus_error_strip_remote_error (error);
  if (is_absence (error))
    replace (
        error, VMSAN_ERROR_UNAVAILABLE,
        g_strdup_printf (_ ("The service vmsand is not running and could not be started: %s; see "
                            "“systemctl status vmsand”"),
                         error->message));
  else if (is_departure (error))
    replace (error, VMSAN_ERROR_UNAVAILABLE,
             g_strdup_printf (_ ("The connection to the service vmsand ended before it answered: "
                                 "%s; whether the request was carried out is not known"),
                              error->message));
  else if (is_unknown (error))
    replace (
        error, VMSAN_ERROR_NOT_FOUND,
        g_strdup_printf (_ ("It was removed meanwhile, or the service is too old for this: %s"),
                         error->message));
}
