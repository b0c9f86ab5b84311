/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what names somebody's machine reaches administrators only, and all that leaves is text.
 */

#include "doctor/finding.h"

static const char *const severities[] = {
  [VMSAN_SEVERITY_OK] = "ok",
  [VMSAN_SEVERITY_NOTE] = "note",
  [VMSAN_SEVERITY_WARNING] = "warning",
  [VMSAN_SEVERITY_ERROR] = "error",
};

static void
finding_free (gpointer data)
{
  VmsanFinding *self = data;

  g_free (self->subject);
  g_free (self->message);
  g_free (self->advice);
  g_free (self);
}

GPtrArray *
vmsan_findings_new (void)
{
  return g_ptr_array_new_with_free_func (finding_free);
}

/* Names from a disk need not be text, and all that is on the bus must be. */
VmsanFinding *
vmsan_findings_add (GPtrArray *findings,
                    const char *check,
                    VmsanSeverity severity,
                    const char *subject,
                    const char *advice,
                    const char *format,
                    ...)
{
  VmsanFinding *self = g_new0 (VmsanFinding, 1);
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  self->check = check;
  self->severity = severity;
  self->subject = g_utf8_make_valid (subject != NULL ? subject : "", -1);
  self->message = g_utf8_make_valid (message, -1);
  self->advice = g_utf8_make_valid (advice != NULL ? advice : "", -1);
  g_ptr_array_add (findings, self);
  return self;
}

/* ---- For the bus --------------------------------------------------------------------------- */

static void
append (GVariantBuilder *list, const VmsanFinding *self)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "check", "s", self->check);
  g_variant_dict_insert (&dict, "severity", "s", severities[self->severity]);
  g_variant_dict_insert (&dict, "subject", "s", self->subject);
  g_variant_dict_insert (&dict, "message", "s", self->message);
  g_variant_dict_insert (&dict, "advice", "s", self->advice);
  if (self->is_leak)
    g_variant_dict_insert (&dict, "repaired", "b", self->repaired);
  g_variant_builder_add_value (list, g_variant_dict_end (&dict));
}

/* Their number alone, as what they name is or was somebody's. */
static void
append_summary (GVariantBuilder *list, guint n, VmsanSeverity worst)
{
  g_autofree char *message = g_strdup_printf (
      n == 1 ? "There is %u finding about machines that is named to administrators only"
             : "There are %u findings about machines that are named to administrators only",
      n);
  VmsanFinding summary = {
    .check = "hidden",
    .severity = worst,
    .subject = (char *) "",
    .message = message,
    .advice =
        (char *) "As root, “vmsan-client doctor” shows them, and with “--repair” removes what "
                 "is nobody's",
  };

  append (list, &summary);
}

GVariant *
vmsan_findings_to_variant (GPtrArray *findings, gboolean all)
{
  GVariantBuilder list;
  VmsanSeverity worst = VMSAN_SEVERITY_OK;
  guint n_hidden = 0;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < findings->len; i++)
    {
      const VmsanFinding *self = g_ptr_array_index (findings, i);

      if (all || !self->is_confidential)
        {
          append (&list, self);
          continue;
        }
      n_hidden++;
      worst = MAX (worst, self->severity);
    }
  if (n_hidden > 0)
    append_summary (&list, n_hidden, worst);
  return g_variant_builder_end (&list);
}
