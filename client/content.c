/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: the same options, output and exit codes for images and for kernels. */

#include "config.h"

#include "content.h"

#include "output.h"

#include <glib/gi18n.h>
#include <stdio.h>

void
content_print (App *app, const ContentKind *kind, gpointer content)
{
  g_autoptr (JsonBuilder) builder = NULL;

  if (!app->json)
    {
      puts (kind->get_id (content));
      return;
    }
  builder = json_builder_new ();
  kind->add_json (builder, content);
  output_print (builder, TRUE);
}

static void
print_all (App *app, const ContentKind *kind, GPtrArray *contents)
{
  g_autoptr (JsonBuilder) builder = NULL;

  if (!app->json && !app->quiet)
    {
      kind->print_table (contents);
      return;
    }
  if (!app->json)
    {
      for (guint i = 0; i < contents->len; i++)
        puts (kind->get_id (contents->pdata[i]));
      return;
    }
  builder = json_builder_new ();
  json_builder_begin_array (builder);
  for (guint i = 0; i < contents->len; i++)
    kind->add_json (builder, contents->pdata[i]);
  json_builder_end_array (builder);
  output_print (builder, TRUE);
}

int
content_run_list (App *app, const ContentKind *kind, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) contents = NULL;
  int exit_code;

  if (!app_parse (app, NULL, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 1)
    return app_usage_error (app, _ ("Unexpected argument “%s”"), argv[1]);
  if (!app_connect (app, &exit_code))
    return exit_code;
  contents = kind->list (app->client, NULL, &error);
  if (contents == NULL)
    return app_report (error, _ (kind->could_not_list));
  print_all (app, kind, contents);
  return APP_OK;
}

static int
remove_one (App *app, const ContentKind *kind, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GObject) content = kind->get (app->client, name, NULL, &error);
  gboolean removed;

  if (content == NULL)
    return app_report (error, NULL);
  do
    removed = kind->remove (content, NULL, &error);
  while (!removed && app_may_ask (app, &error));
  if (removed)
    return APP_OK;
  app_print_error (_ ("Could not remove “%s”: %s"), name, error->message);
  return app_exit_code (error);
}

int
content_run_remove (App *app, const ContentKind *kind, int argc, char **argv)
{
  int exit_code = APP_OK;

  if (!app_parse (app, NULL, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc < 2)
    return app_usage_error (app, "%s", _ (kind->name_at_least_one));
  if (!app_connect (app, &exit_code))
    return exit_code;
  for (int i = 1; i < argc; i++)
    {
      int one = remove_one (app, kind, argv[i]);

      exit_code = exit_code == APP_OK ? one : exit_code;
    }
  return exit_code;
}
