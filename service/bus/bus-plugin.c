/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: each question ends at its deadline at the latest, and whatever is answered either is a
 * refusal, or has changed nothing but what may be changed. Plugins that never answer use up no more
 * than some of the replies that the bus lets a connection wait for, which polkit's are among. */

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

/* Questions without an answer, together well below max_replies_per_connection of the bus, 128. */
#define MAX_UNANSWERED            64
#define MAX_UNANSWERED_PER_PLUGIN 8
#define MAX_IN_FLIGHT_PER_OWNER   16 /* within their deadlines, about machines of one user */

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

/* Is there until the bus is done with the call, which may be long after the outcome is known: what
 * is only forgotten here goes on to count against the replies that the bus lets us wait for. */
typedef struct
{
  VmsanBusPlugin *plugin;
  GPtrArray *unanswered; /* Question: all that are; this is in it while its call is under way */
  uid_t owner;           /* of the machine */
  gint64 due_us;

  /* NULL once the outcome is known. */
  GTask *task;
  VmsanReview *review;
  GSource *deadline;
  GSource *cancellation;
} Question;

static void
question_free (Question *self)
{
  g_assert (self->task == NULL);
  vmsan_bus_plugin_unref (self->plugin);
  g_ptr_array_unref (self->unanswered);
  g_free (self);
}

/* Each outcome takes the task from here, so that there is but one. (transfer full) */
static GTask *
settle (Question *self)
{
  vmsan_source_clear (&self->deadline);
  vmsan_source_clear (&self->cancellation);
  self->review = NULL;
  return g_steal_pointer (&self->task);
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

static void
return_agreement (Question *question)
{
  g_autoptr (GTask) task = settle (question);

  g_task_return_boolean (task, TRUE);
}

/* What the plugin says is for the caller, as it may be about what only the owner may know. */
static void
return_veto (Question *question, const char *reason)
{
  g_autofree char *clean = clean_text (reason);
  g_autoptr (GTask) task = NULL;

  g_message ("Machine %s: plugin “%s” of uid %u refuses %s: %s", question->review->draft->id,
             question->plugin->name, question->plugin->uid,
             vmsan_bus_hook_name (question->review->hook), clean);
  g_free (question->review->aside);
  question->review->aside = g_strdup_printf ("it says: %s", clean);
  task = settle (question);
  g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_VETOED, "The plugin “%s” refused it",
                           question->plugin->name);
}

/* It did not answer as it should: what then becomes of the matter was said when it registered. */
static void
return_failure (Question *question, const char *what)
{
  VmsanBusPlugin *plugin = question->plugin;
  g_autofree char *clean = clean_text (what);
  g_autoptr (GTask) task = NULL;

  plugin->n_failures++;
  g_warning ("Machine %s: plugin “%s” of uid %u failed at %s: %s; %s", question->review->draft->id,
             plugin->name, plugin->uid, vmsan_bus_hook_name (question->review->hook), clean,
             plugin->fail_open ? "going on without it" : "so this is refused");
  if (plugin->fail_open)
    {
      return_agreement (question);
      return;
    }
  g_free (question->review->aside);
  question->review->aside = g_steal_pointer (&clean);
  task = settle (question);
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
take_answer (Question *question, GVariant *answer)
{
  g_autofree char *by = g_strconcat ("plugin ", question->plugin->name, NULL);
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GError) error = NULL;
  const char *veto;

  if (!check_answer (answer, &error))
    {
      return_failure (question, error->message);
      return;
    }
  veto = vmsan_options_get_text (answer, "veto", NULL);
  if (veto != NULL)
    {
      return_veto (question, veto);
      return;
    }
  options = g_variant_lookup_value (answer, "options", G_VARIANT_TYPE_VARDICT);
  if (options == NULL || g_variant_n_children (options) == 0 ||
      vmsan_review_change (question->review, by, options, &error))
    return_agreement (question);
  else
    return_failure (question, error->message);
}

/* ---- Questions ----------------------------------------------------------------------------- */

/* Whether the outcome is still to be found; it is not what a plugin says that tells of a
 * cancellation, as it can send whichever error it likes. */
static gboolean
is_open (Question *self)
{
  if (self->task != NULL && g_cancellable_is_cancelled (g_task_get_cancellable (self->task)))
    {
      g_autoptr (GTask) task = settle (self);

      g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Cancelled");
    }
  return self->task != NULL;
}

/* The bus has nothing to wait for any more. Most often this is in time. */
static void
on_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Question *question = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  g_ptr_array_remove_fast (question->unanswered, question);
  if (is_open (question) && reply != NULL)
    {
      g_autoptr (GVariant) answer = g_variant_get_child_value (reply, 0);

      take_answer (question, answer);
    }
  else if (question->task != NULL)
    {
      g_dbus_error_strip_remote_error (error);
      return_failure (question, error->message);
    }
  question_free (question);
}

static gboolean
on_deadline (gpointer user_data)
{
  if (is_open (user_data))
    return_failure (user_data, "It did not answer in time");
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled (GCancellable *cancellable, gpointer user_data)
{
  is_open (user_data);
  return G_SOURCE_REMOVE;
}

/* One that registers again is still the same. */
static gboolean
is_same (const VmsanBusPlugin *one, const VmsanBusPlugin *other)
{
  return g_str_equal (one->bus_name, other->bus_name) && g_str_equal (one->path, other->path);
}

static void
return_flooded (Question *question, guint n_in_flight)
{
  g_autoptr (GTask) task = settle (question);

  g_task_return_new_error (task, VMSAN_ERROR, VMSAN_ERROR_LIMIT_EXCEEDED,
                           "The plugin “%s” cannot be asked now, as %u questions about machines of "
                           "uid %u are being answered; try again when they are",
                           question->plugin->name, n_in_flight, question->owner);
}

/* Whether it may be asked; otherwise the outcome is known. Nobody must get past a plugin by keeping
 * it busy, so what is due to the owner's own questions is no failure of the plugin. */
static gboolean
check_room (Question *self)
{
  const VmsanBusPlugin *plugin = self->plugin;
  gint64 now_us = g_get_monotonic_time ();
  guint n_plugin = 0;
  guint n_owner = 0;
  guint n_both = 0;

  for (guint i = 0; i < self->unanswered->len; i++)
    {
      const Question *other = g_ptr_array_index (self->unanswered, i);
      gboolean of_plugin = is_same (other->plugin, plugin);
      gboolean of_owner = other->owner == self->owner && other->due_us > now_us;

      n_plugin += of_plugin;
      n_owner += of_owner;
      n_both += of_plugin && of_owner;
    }
  if (n_owner >= MAX_IN_FLIGHT_PER_OWNER)
    return_flooded (self, n_owner);
  else if (n_plugin >= MAX_UNANSWERED_PER_PLUGIN && n_both > 0 && plugin->fail_open)
    return_flooded (self, n_both);
  else if (n_plugin >= MAX_UNANSWERED_PER_PLUGIN)
    {
      g_autofree char *what = g_strdup_printf ("The plugin “%s” has not answered %u questions yet",
                                               plugin->name, n_plugin);

      return_failure (self, what);
    }
  else if (self->unanswered->len >= MAX_UNANSWERED)
    {
      g_autofree char *what =
          g_strdup_printf ("It cannot be asked, as plugins have not answered %u questions yet",
                           self->unanswered->len);

      return_failure (self, what);
    }
  else
    return TRUE;
  return FALSE;
}

/* No timeout and no cancellable for the call: they would end the wait here, but not on the bus. */
static void
ask (Question *self, GDBusConnection *connection)
{
  VmsanBusPlugin *plugin = self->plugin;
  GCancellable *cancellable = g_task_get_cancellable (self->task);

  plugin->n_questions++;
  self->due_us = g_get_monotonic_time () + (gint64) plugin->deadline_ms * 1000;
  self->deadline = g_timeout_source_new (plugin->deadline_ms);
  g_source_set_callback (self->deadline, on_deadline, self, NULL);
  g_source_attach (self->deadline, NULL);
  if (cancellable != NULL)
    {
      self->cancellation = g_cancellable_source_new (cancellable);
      g_source_set_callback (self->cancellation, G_SOURCE_FUNC (on_cancelled), self, NULL);
      g_source_attach (self->cancellation, NULL);
    }
  g_ptr_array_add (self->unanswered, self);
  g_dbus_connection_call (connection, plugin->bus_name, plugin->path, "org.vmsan.Plugin",
                          "HandleHook",
                          g_variant_new ("(s@a{sv})", vmsan_bus_hook_name (self->review->hook),
                                         vmsan_review_describe (self->review)),
                          G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NO_AUTO_START, G_MAXINT,
                          NULL, on_answered, self);
}

void
vmsan_bus_plugin_ask_async (VmsanBusPlugin *self,
                            GDBusConnection *connection,
                            GPtrArray *unanswered,
                            VmsanReview *review,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  Question *question;

  if (g_task_return_error_if_cancelled (task))
    return;
  question = g_new0 (Question, 1);
  question->plugin = vmsan_bus_plugin_ref (self);
  question->unanswered = g_ptr_array_ref (unanswered);
  question->owner = review->draft->owner;
  question->task = g_steal_pointer (&task);
  question->review = review;
  if (self->left_bus)
    return_failure (question, "It left the bus without an answer");
  else if (check_room (question))
    {
      ask (question, connection);
      return;
    }
  question_free (question);
}

gboolean
vmsan_bus_plugin_ask_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
