/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* network: shows what a machine may reach, and changes it. */

#include "config.h"

#include "commands.h"
#include "network-options.h"
#include "network-text.h"
#include "output.h"
#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <unistd.h>

static void
print_json (VmsanVM *vm, GVariant *network)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  GVariantIter iter;
  const char *key;
  GVariant *value;

  json_builder_begin_object (builder);
  output_add_string (builder, "id", vmsan_vm_get_id (vm));
  g_variant_iter_init (&iter, network);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    output_add_variant (builder, key, value);
  json_builder_end_object (builder);
  output_print (builder, TRUE);
}

static int
show (App *app, VmsanVM *vm, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) details = NULL;
  g_autoptr (GVariant) network = NULL;
  g_autoptr (GString) text = g_string_new (NULL);

  do
    details = vmsan_vm_get_details_sync (vm, NULL, &error);
  while (details == NULL && app_may_ask (app, &error));
  if (details == NULL)
    {
      app_print_error (_ ("Could not ask for the network of “%s”: %s"), name, error->message);
      return app_exit_code (error);
    }
  network = g_variant_lookup_value (details, "network", G_VARIANT_TYPE_VARDICT);
  if (network == NULL)
    {
      app_print_error (_ ("The service says nothing about the network of “%s”; it is older than "
                          "this program"),
                       name);
      return APP_ERROR;
    }
  if (app->json)
    {
      print_json (vm, network);
      return APP_OK;
    }
  network_text_append (text, network, text_is_colourful (STDOUT_FILENO));
  fputs (text->str, stdout);
  return APP_OK;
}

static int
change (App *app, VmsanVM *vm, const char *name, GVariant *options)
{
  g_autoptr (GError) error = NULL;
  gboolean changed;

  do
    changed = vmsan_vm_set_network_policy_sync (vm, options, NULL, &error);
  while (!changed && app_may_ask (app, &error));
  if (changed)
    return APP_OK;
  app_print_error (_ ("Could not change the network of “%s”: %s"), name, error->message);
  return app_exit_code (error);
}

static int
run (App *app, int argc, char **argv)
{
  g_auto (NetworkOptions) options = { 0 };
  const GOptionEntry entries[] = {
    { "policy", 0, 0, G_OPTION_ARG_STRING, &options.policy, N_ ("allow-all, deny-all or custom"),
      N_ ("POLICY") },
    { "allow-domain", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.allowed_domains,
      N_ ("A name that may be reached, *.NAME for those below; several times for a list, which "
          "replaces the old one"),
      N_ ("NAME") },
    { "allow-cidr", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.allowed_cidrs,
      N_ ("Addresses that may be reached; a list, as above"), N_ ("CIDR") },
    { "deny-cidr", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.denied_cidrs,
      N_ ("Addresses that may not, whatever else is allowed; a list, as above"), N_ ("CIDR") },
    { "publish-port", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.ports,
      N_ ("A port of the host that leads to the guest; a list, as above"),
      N_ ("[ADDRESS:]PORT:GUEST-PORT[/udp]") },
    { "bandwidth", 0, 0, G_OPTION_ARG_STRING, &options.bandwidth,
      N_ ("Limit in each direction in Mbit/s; 0: none"), N_ ("MBIT") },
    { "icmp", 0, 0, G_OPTION_ARG_NONE, &options.icmp, N_ ("Pings follow the policy"), NULL },
    { "no-icmp", 0, 0, G_OPTION_ARG_NONE, &options.no_icmp, N_ ("Drop pings"), NULL },
    { NULL },
  };
  g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);
  g_autoptr (GVariant) request = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanVM) vm = NULL;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc != 2)
    return app_usage_error (app, "%s", _ ("Name one machine"));
  if (!network_options_fill (&options, dict, &error))
    return app_usage_error (app, "%s", error->message);
  request = g_variant_ref_sink (g_variant_dict_end (dict));
  if (!app_connect (app, &exit_code))
    return exit_code;

  vm = vmsan_client_get_vm_sync (app->client, argv[1], NULL, &error);
  if (vm == NULL)
    return app_report (error, NULL);
  return g_variant_n_children (request) == 0 ? show (app, vm, argv[1])
                                             : change (app, vm, argv[1], request);
}

const Command command_network = {
  .name = "network",
  .arguments = N_ ("VM"),
  .summary = N_ ("Show what a machine may reach or, with options, change it"),
  .description = N_ ("What is not given stays as it is. An empty text in place of a list's only "
                     "value empties it."),
  .run = run,
};
