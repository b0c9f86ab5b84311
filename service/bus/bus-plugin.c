/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: each question ends at its deadline at the latest, and whatever is answered either is a
 * refusal, or has changed nothing but what may be changed. */

#include "bus/bus-plugin.h"

#include "bus/bus-hooks.h"
#include "sys/error.h"
#include "sys/options.h"
#include "sys/source.h"
#include "vm/vm-rules.h"

#define DEFAULT_DEADLINE_MS 5000
#define MIN_DEADLINE_MS     100
#define MAX_DEADLINE_MS     60000
#define MAX_TEXT            400 /* characters of a plugin's words */

static const VmsanOption register_options[] = {
  { "name", "s" },        { "hooks", "as" },    { "priority", "i" },
  { "deadline-ms", "u" }, { "fail-open", "b" }, { NULL, NULL },
};

static const VmsanOption answer_options[] = {
  { "veto", "s" },
  { "options", "a{sv}" },
  { NULL, NULL },
};

static const VmsanHook reviewed[] = {
  VMSAN_HOOK_BEFORE_CREATE,
  VMSAN_HOOK_BEFORE_START,
  VMSAN_HOOK_BEFORE_STOP,
  VMSAN_HOOK_BEFORE_REMOVE,
  VMSAN_HOOK_BEFORE_NETWORK_POLICY_CHANGE,
};

G_STATIC_ASSERT (VMSAN_HOOK_LAST < 32);

/* ---- Registration -------------------------------------------------------------------------- */

static gboolean
add_hook (VmsanBusPlugin *self, const char *name, GError **error)
{
  g_autofree char *shown = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (reviewed); i++)
    if (g_str_equal (vmsan_bus_hook_name (reviewed[i]), name))
      {
        self->hooks |= 1u << reviewed[i];
        return TRUE;
      }
  shown = g_strescape (name, NULL);
  return vmsan_error_refuse (
      error,
      "Option “hooks”: plugins are not asked at “%.40s” but at BeforeCreate, "
      "BeforeStart, BeforeStop, BeforeRemove and BeforeNetworkPolicyChange; "
      "what has happened is told by signals",
      shown);
}

static gboolean
parse_hooks (VmsanBusPlugin *self, GVariant *options, GError **error)
{
  g_autofree const char **names = NULL;

  g_variant_lookup (options, "hooks", "^a&s", &names);
  if (names == NULL || names[0] == NULL)
    return vmsan_error_refuse (error, "Option “hooks” must name what the plugin is asked about");
  for (guint i = 0; names[i] != NULL; i++)
    if (!add_hook (self, names[i], error))
      return FALSE;
  return TRUE;
}

static gboolean
parse (VmsanBusPlugin *self, GVariant *options, GError **error)
{
  if (!vmsan_options_check (options, register_options, error))
    return FALSE;
  self->name = g_strdup (vmsan_options_get_text (options, "name", ""));
  g_variant_lookup (options, "priority", "i", &self->priority);
  self->deadline_ms = vmsan_options_get_uint (options, "deadline-ms", DEFAULT_DEADLINE_MS);
  self->fail_open = vmsan_options_get_boolean (options, "fail-open", FALSE);
  if (self->deadline_ms < MIN_DEADLINE_MS || self->deadline_ms > MAX_DEADLINE_MS)
    return vmsan_error_refuse (error, "Option “deadline-ms” is %u but must be %d to %d",
                               self->deadline_ms, MIN_DEADLINE_MS, MAX_DEADLINE_MS);
  return vmsan_name_check (self->name, "Option “name” of a plugin", error) &&
         parse_hooks (self, options, error);
}

VmsanBusPlugin *
vmsan_bus_plugin_new (
    const char *bus_name, const char *path, uid_t uid, GVariant *options, GError **error)
{
  g_autoptr (VmsanBusPlugin) self = g_rc_box_new0 (VmsanBusPlugin);

  self->bus_name = g_strdup (bus_name);
  self->path = g_strdup (path);
  self->uid = uid;
  return parse (self, options, error) ? g_steal_pointer (&self) : NULL;
}

VmsanBusPlugin *
vmsan_bus_plugin_ref (VmsanBusPlugin *self)
{
  return g_rc_box_acquire (self);
}

static void
clear_plugin (gpointer data)
{
  VmsanBusPlugin *self = data;

  vmsan_source_clear (&self->departure);
  g_free (self->bus_name);
  g_free (self->path);
  g_free (self->name);
}

void
vmsan_bus_plugin_unref (VmsanBusPlugin *self)
{
  g_rc_box_release_full (self, clear_plugin);
}

gboolean
vmsan_bus_plugin_is_asked_at (const VmsanBusPlugin *self, VmsanHook hook)
{
  return (self->hooks & 1u << hook) != 0;
}

GVariant *
vmsan_bus_plugin_describe (const VmsanBusPlugin *self)
{
  GVariantBuilder hooks;
  GVariantDict plugin;

  g_variant_builder_init (&hooks, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < G_N_ELEMENTS (reviewed); i++)
    if (vmsan_bus_plugin_is_asked_at (self, reviewed[i]))
      g_variant_builder_add (&hooks, "s", vmsan_bus_hook_name (reviewed[i]));
  g_variant_dict_init (&plugin, NULL);
  g_variant_dict_insert (&plugin, "name", "s", self->name);
  g_variant_dict_insert (&plugin, "owner", "u", (guint32) self->uid);
  g_variant_dict_insert_value (&plugin, "hooks", g_variant_builder_end (&hooks));
  g_variant_dict_insert (&plugin, "priority", "i", self->priority);
  g_variant_dict_insert (&plugin, "deadline-ms", "u", self->deadline_ms);
  g_variant_dict_insert (&plugin, "fail-open", "b", self->fail_open);
  g_variant_dict_insert (&plugin, "questions", "t", self->n_questions);
  g_variant_dict_insert (&plugin, "failures", "t", self->n_failures);
  return g_variant_dict_end (&plugin);
}

/* ---- Answers ------------------------------------------------------------------------------- */

typedef struct
{
  VmsanBusPlugin *plugin;
  VmsanReview *review;
} Question;

static void
question_free (Question *self)
{
  vmsan_bus_plugin_unref (self->plugin);
  g_free (self);
}

/* A plugin's words go into logs and onto terminals. */
static char *
clean_text (const char *text)
{
  GString *clean = g_string_new (NULL);
  guint n = 0;

  for (; *text != '\0' && n < MAX_TEXT; text = g_utf8_next_char (text), n++)
    {
      gunichar character = g_utf8_get_char (text);

      g_string_append_unichar (clean, g_unichar_iscntrl (character) ? ' ' : character);
    }
  if (*text != '\0')
    g_string_append (clean, "…");
  return g_string_free (clean, FALSE);
}

/* What the plugin says is for the caller, as it may be about what only the owner may know. */
static void
return_veto (GTask *task, const char *reason)
{
  Question *question = g_task_get_task_data (task);
  g_autofree char *clean = clean_text (reason);

  g_message ("Machine %s: plugin “%s” of uid %u refuses %s: %s", question->review->draft->id,
             question->plugin->name, question->plugin->uid,
             vmsan_bus_hook_name (question->review->hook), clean);
  g_free (question->review->aside);
  question->review->aside = g_strdup_printf ("it says: %s", clean);
  g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VETOED, "The plugin “%s” refused it",
                           question->plugin->name);
}

/* It did not answer as it should: what then becomes of the matter was said when it registered. */
static void
return_failure (GTask *task, const char *what)
{
  Question *question = g_task_get_task_data (task);
  VmsanBusPlugin *plugin = question->plugin;
  g_autofree char *clean = clean_text (what);

  plugin->n_failures++;
  g_warning ("Machine %s: plugin “%s” of uid %u failed at %s: %s; %s", question->review->draft->id,
             plugin->name, plugin->uid, vmsan_bus_hook_name (question->review->hook), clean,
             plugin->fail_open ? "going on without it" : "so this is refused");
  if (plugin->fail_open)
    {
      g_task_return_boolean (task, TRUE);
      return;
    }
  g_free (question->review->aside);
  question->review->aside = g_steal_pointer (&clean);
  g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VETOED,
                           "The plugin “%s” must agree, but did not answer as it should",
                           plugin->name);
}

/* Sizes are looked at before contents, so that a giant answer costs no more than its transport. */
static gboolean
check_answer (GVariant *answer, GError **error)
{
  if (g_variant_n_children (answer) > G_N_ELEMENTS (answer_options))
    return vmsan_error_refuse (error, "Its answer has %" G_GSIZE_FORMAT " entries",
                               g_variant_n_children (answer));
  return vmsan_options_check (answer, answer_options, error);
}

static void
take_answer (GTask *task, GVariant *answer)
{
  Question *question = g_task_get_task_data (task);
  g_autofree char *by = g_strconcat ("plugin ", question->plugin->name, NULL);
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GError) error = NULL;
  const char *veto;

  if (!check_answer (answer, &error))
    {
      return_failure (task, error->message);
      return;
    }
  veto = vmsan_options_get_text (answer, "veto", NULL);
  if (veto != NULL)
    {
      return_veto (task, veto);
      return;
    }
  options = g_variant_lookup_value (answer, "options", G_VARIANT_TYPE_VARDICT);
  if (options == NULL || g_variant_n_children (options) == 0 ||
      vmsan_review_change (question->review, by, options, &error))
    g_task_return_boolean (task, TRUE);
  else
    return_failure (task, error->message);
}

static void
on_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) answer = NULL;

  /* Not by the error: the plugin can send whichever it likes. */
  if (g_task_return_error_if_cancelled (task))
    return;
  if (reply == NULL)
    {
      g_dbus_error_strip_remote_error (error);
      return_failure (task, error->message);
      return;
    }
  answer = g_variant_get_child_value (reply, 0);
  take_answer (task, answer);
}

void
vmsan_bus_plugin_ask_async (VmsanBusPlugin *self,
                            GDBusConnection *connection,
                            VmsanReview *review,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Question *question = g_new0 (Question, 1);

  question->plugin = vmsan_bus_plugin_ref (self);
  question->review = review;
  g_task_set_task_data (task, question, (GDestroyNotify) question_free);
  self->n_questions++;
  g_dbus_connection_call (connection, self->bus_name, self->path, "org.vmsan.Plugin", "HandleHook",
                          g_variant_new ("(s@a{sv})", vmsan_bus_hook_name (review->hook),
                                         vmsan_review_describe (review)),
                          G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          (int) self->deadline_ms, cancellable, on_answered, task);
}

gboolean
vmsan_bus_plugin_ask_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
