/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: no polkit, an unknown action, an error, silence: all are a denial. The subject is the
 * bus name, never a pid, which can be another process by the time polkit looks. */

#include "bus/bus-authority.h"

#include "sys/error.h"

#include <polkit/polkit.h>

struct _VmsanBusAuthority
{
  GObject parent;

  /* Held once it is there. polkit's library makes a new one each time that nobody holds any, and a
   * signal of polkitd that is on its way to one that is gone then crashes the service. */
  PolkitAuthority *authority;
};

G_DEFINE_FINAL_TYPE (VmsanBusAuthority, vmsan_bus_authority, G_TYPE_OBJECT)

static void
vmsan_bus_authority_finalize (GObject *object)
{
  g_clear_object (&VMSAN_BUS_AUTHORITY (object)->authority);
  G_OBJECT_CLASS (vmsan_bus_authority_parent_class)->finalize (object);
}

static void
vmsan_bus_authority_class_init (VmsanBusAuthorityClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = vmsan_bus_authority_finalize;
}

static void
vmsan_bus_authority_init (VmsanBusAuthority *self)
{
}

VmsanBusAuthority *
vmsan_bus_authority_new (void)
{
  return g_object_new (VMSAN_TYPE_BUS_AUTHORITY, NULL);
}

typedef struct
{
  char *unique_name;
  char *action;
  GVariant *details;
  gboolean interactive;
} Question;

static void
question_free (Question *self)
{
  g_free (self->unique_name);
  g_free (self->action);
  g_variant_unref (self->details);
  g_free (self);
}

static void
deny (GTask *task, VmsanError code, const char *format, const char *what)
{
  g_autofree char *message = g_strdup_printf ("%s: %s", format, what);

  g_task_return_new_error (task, VMSAN_ERROR, code, "%s", message);
}

static void
on_checked (GObject *source, GAsyncResult *async_result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Question *question = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (PolkitAuthorizationResult) result = NULL;

  result =
      polkit_authority_check_authorization_finish (POLKIT_AUTHORITY (source), async_result, &error);
  if (result == NULL)
    deny (task, VMSAN_ERROR_NOT_AUTHORIZED, "polkit could not decide", error->message);
  else if (polkit_authorization_result_get_is_authorized (result))
    g_task_return_boolean (task, TRUE);
  else if (polkit_authorization_result_get_dismissed (result))
    deny (task, VMSAN_ERROR_AUTHORIZATION_DISMISSED, "The password was not given",
          question->action);
  else if (polkit_authorization_result_get_is_challenge (result))
    deny (task, VMSAN_ERROR_AUTHORIZATION_REQUIRED,
          question->interactive
              ? "Authentication is required, and nobody could be asked for a password (is a polkit "
                "agent running?)"
              : "Authentication is required, and the call did not allow to ask for a password",
          question->action);
  else
    deny (task, VMSAN_ERROR_NOT_AUTHORIZED, "You are not authorized", question->action);
}

static void
on_authority (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  VmsanBusAuthority *self = g_task_get_source_object (task);
  Question *question = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (PolkitAuthority) authority = polkit_authority_get_finish (result, &error);
  g_autoptr (PolkitSubject) subject = NULL;
  g_autoptr (PolkitDetails) details = polkit_details_new ();
  GVariantIter iter;
  const char *key, *value;

  if (authority == NULL)
    {
      deny (task, VMSAN_ERROR_NOT_AUTHORIZED, "polkit could not be asked", error->message);
      return;
    }
  g_set_object (&self->authority, authority);
  subject = polkit_system_bus_name_new (question->unique_name);
  g_variant_iter_init (&iter, question->details);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    polkit_details_insert (details, key, value);
  polkit_authority_check_authorization (
      authority, subject, question->action, details,
      question->interactive ? POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION
                            : POLKIT_CHECK_AUTHORIZATION_FLAGS_NONE,
      g_task_get_cancellable (task), on_checked, g_object_ref (task));
}

void
vmsan_bus_authority_check_async (VmsanBusAuthority *self,
                                 const char *unique_name,
                                 uid_t uid,
                                 const char *action,
                                 GVariant *details,
                                 gboolean interactive,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Question *question = g_new0 (Question, 1);

  question->unique_name = g_strdup (unique_name);
  question->action = g_strdup (action);
  question->details = g_variant_ref_sink (details);
  question->interactive = interactive;
  g_task_set_task_data (task, question, (GDestroyNotify) question_free);

  /* polkit says yes to uid 0 before it reads a rule; so do we, also where polkit does not run. */
  if (uid == 0)
    g_task_return_boolean (task, TRUE);
  else
    polkit_authority_get_async (cancellable, on_authority, g_object_ref (task));
}

gboolean
vmsan_bus_authority_check_finish (VmsanBusAuthority *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
