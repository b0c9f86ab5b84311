/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doctor: what is wrong with the host, and what to do. */

#include "config.h"

#include "commands.h"
#include "output.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  const char *check;
  const char *severity;
  const char *subject;
  const char *message;
  const char *advice;
  gboolean repaired;
} Finding;

/* Its texts are valid as long as @dict. */
static Finding
read_finding (GVariant *dict)
{
  Finding finding = { .check = "", .severity = "", .subject = "", .message = "", .advice = "" };

  g_variant_lookup (dict, "check", "&s", &finding.check);
  g_variant_lookup (dict, "severity", "&s", &finding.severity);
  g_variant_lookup (dict, "subject", "&s", &finding.subject);
  g_variant_lookup (dict, "message", "&s", &finding.message);
  g_variant_lookup (dict, "advice", "&s", &finding.advice);
  g_variant_lookup (dict, "repaired", "b", &finding.repaired);
  return finding;
}

/* Severities that this program does not know are of a newer service, and bad. */
static gboolean
is_fine (const Finding *finding)
{
  return strcmp (finding->severity, "ok") == 0 || strcmp (finding->severity, "note") == 0;
}

static const char *
get_title (const Finding *finding)
{
  if (finding->repaired)
    return _ ("repaired");
  if (strcmp (finding->severity, "ok") == 0)
    return _ ("ok");
  if (strcmp (finding->severity, "note") == 0)
    return _ ("note");
  if (strcmp (finding->severity, "warning") == 0)
    return _ ("warning");
  return strcmp (finding->severity, "error") == 0 ? _ ("error") : finding->severity;
}

#define TITLE_WIDTH 9

/* The titles are ranged right, so that what is said begins in one column. */
static void
print_finding (const Finding *finding, gboolean colourful)
{
  g_autofree char *title = text_printable (get_title (finding));
  g_autofree char *check = text_printable (finding->check);
  g_autofree char *subject = text_printable (finding->subject);
  g_autofree char *message = text_printable (finding->message);
  g_autofree char *advice = text_printable (finding->advice);
  gsize width = text_width (title);

  printf ("%*s%s%s%s  %s%s%s%s%s: %s\n", width < TITLE_WIDTH ? (int) (TITLE_WIDTH - width) : 0, "",
          text_severity_colour (finding->repaired ? "ok" : finding->severity, colourful), title,
          text_plain (colourful), text_bold (colourful), check, text_plain (colourful),
          subject[0] != '\0' ? " " : "", subject, message);
  if (advice[0] != '\0')
    printf ("%*s→ %s\n", TITLE_WIDTH + 2, "", advice);
}

/* TRUE when nothing is worse than a note. */
static gboolean
print_report (App *app, GVariant *findings)
{
  gboolean colourful = text_is_colourful (STDOUT_FILENO);
  gboolean fine = TRUE;
  GVariantIter iter;
  GVariant *dict;

  g_variant_iter_init (&iter, findings);
  while (g_variant_iter_loop (&iter, "@a{sv}", &dict))
    {
      Finding finding = read_finding (dict);

      fine = fine && is_fine (&finding);
      if (!app->json && (!app->quiet || !is_fine (&finding)))
        print_finding (&finding, colourful);
    }
  return fine;
}

static void
print_json (GVariant *findings)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  GVariantIter iter;
  GVariant *dict;

  json_builder_begin_array (builder);
  g_variant_iter_init (&iter, findings);
  while (g_variant_iter_loop (&iter, "@a{sv}", &dict))
    json_builder_add_value (builder, json_gvariant_serialize (dict));
  json_builder_end_array (builder);
  output_print (builder, TRUE);
}

static int
run (App *app, int argc, char **argv)
{
  gboolean repair = FALSE;
  const GOptionEntry entries[] = {
    { "repair", 0, 0, G_OPTION_ARG_NONE, &repair,
      N_ ("Remove what is left of machines that are no more"), NULL },
    { NULL },
  };
  g_auto (GVariantDict) options = G_VARIANT_DICT_INIT (NULL);
  g_autoptr (GVariant) request = NULL;
  g_autoptr (GVariant) findings = NULL;
  g_autoptr (GError) error = NULL;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 1)
    return app_usage_error (app, _ ("Unexpected argument “%s”"), argv[1]);
  if (!app_connect (app, &exit_code))
    return exit_code;

  if (repair)
    g_variant_dict_insert (&options, "repair", "b", TRUE);
  request = g_variant_ref_sink (g_variant_dict_end (&options));
  do
    findings = vmsan_client_doctor_sync (app->client, request, NULL, &error);
  while (findings == NULL && app_may_ask (app, &error));
  if (findings == NULL)
    return app_report (error, _ ("Could not examine the host"));
  if (app->json)
    print_json (findings);
  return print_report (app, findings) ? APP_OK : APP_ERROR;
}

const Command command_doctor = {
  .name = "doctor",
  .arguments = "",
  .summary = N_ ("Examine whether machines can run here, and what is in their way"),
  .description = N_ ("Exits with 1 when something is worse than a note. With --quiet, only that is "
                     "printed."),
  .run = run,
};
