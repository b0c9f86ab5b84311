/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* create: makes a machine and boots it. */

#include "config.h"

#include "commands.h"
#include "network-options.h"
#include "output.h"
#include "progress.h"
#include "units.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  char *image;
  char *name;
  char *kernel;
  char *driver;
  char *hostname;
  char *init;
  char *project;
  char *memory;
  char *disk;
  char *timeout;
  char **labels;
  NetworkOptions network;
  int cpus;
  gboolean no_start;
  gboolean disable_seccomp;
  gboolean disable_pid_ns;
  gboolean disable_cgroup;
  gboolean disable_netns;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->image);
  g_free (options->name);
  g_free (options->kernel);
  g_free (options->driver);
  g_free (options->hostname);
  g_free (options->init);
  g_free (options->project);
  g_free (options->memory);
  g_free (options->disk);
  g_free (options->timeout);
  g_strfreev (options->labels);
  network_options_clear (&options->network);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
parse_labels (char **labels, GVariantDict *dict, GError **error)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (gsize i = 0; labels[i] != NULL; i++)
    {
      const char *equals = strchr (labels[i], '=');
      g_autofree char *key = NULL;

      if (equals == NULL || equals == labels[i] || !g_utf8_validate (labels[i], -1, NULL))
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                       _ ("“%s” is not a label: write KEY=VALUE"), labels[i]);
          g_variant_builder_clear (&builder);
          return FALSE;
        }
      key = g_strndup (labels[i], (gsize) (equals - labels[i]));
      g_variant_builder_add (&builder, "{ss}", key, equals + 1);
    }
  g_variant_dict_insert_value (dict, "labels", g_variant_builder_end (&builder));
  return TRUE;
}

static gboolean
parse_numbers (const Options *options, GVariantDict *dict, GError **error)
{
  guint32 mib;
  guint64 ms;

  if (options->cpus < 0 || options->cpus > G_MAXINT16)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, _ ("%d is not a number of CPUs"),
                   options->cpus);
      return FALSE;
    }
  if (options->cpus > 0)
    g_variant_dict_insert (dict, "vcpus", "u", (guint32) options->cpus);
  if (options->memory != NULL)
    {
      if (!units_parse_mib (options->memory, &mib, error))
        return FALSE;
      g_variant_dict_insert (dict, "memory-mib", "u", mib);
    }
  if (options->disk != NULL)
    {
      if (!units_parse_mib (options->disk, &mib, error))
        return FALSE;
      g_variant_dict_insert (dict, "disk-mib", "u", mib);
    }
  if (options->timeout != NULL)
    {
      if (!units_parse_duration_ms (options->timeout, &ms, error))
        return FALSE;
      g_variant_dict_insert (dict, "timeout-ms", "t", ms);
    }
  return TRUE;
}

/* a{sv} for CreateVM, not floating; NULL when an option does not make sense. */
static GVariant *
make_request (const Options *options, GError **error)
{
  const struct
  {
    const char *key;
    const char *value;
  } strings[] = {
    { "image", options->image },       { "name", options->name },
    { "kernel", options->kernel },     { "driver", options->driver },
    { "hostname", options->hostname }, { "init", options->init },
    { "project", options->project },
  };
  const struct
  {
    const char *key;
    gboolean set;
  } flags[] = {
    { "disable-seccomp", options->disable_seccomp },
    { "disable-pid-ns", options->disable_pid_ns },
    { "disable-cgroup", options->disable_cgroup },
    { "disable-netns", options->disable_netns },
  };
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (strings); i++)
    if (strings[i].value != NULL)
      g_variant_dict_insert (&dict, strings[i].key, "s", strings[i].value);
  for (gsize i = 0; i < G_N_ELEMENTS (flags); i++)
    if (flags[i].set)
      g_variant_dict_insert (&dict, flags[i].key, "b", TRUE);
  if (options->no_start)
    g_variant_dict_insert (&dict, "start", "b", FALSE);
  if (!parse_numbers (options, &dict, error) ||
      !network_options_fill (&options->network, &dict, error) ||
      (options->labels != NULL && !parse_labels (options->labels, &dict, error)))
    {
      g_variant_dict_clear (&dict);
      return NULL;
    }
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* What happens to a machine of ours meanwhile; after a password, so it never disturbs one. */
static void
on_hook (VmsanClient *client, const char *name, GVariant *parameters, gpointer user_data)
{
  guint32 owner = 0;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(tsuss)")))
    return;
  g_variant_get_child (parameters, 2, "u", &owner);
  if (owner != getuid ())
    return;
  if (strcmp (name, "BeforeCreate") == 0)
    progress_say (user_data, "%s", _ ("creating…"));
  else if (strcmp (name, "BeforeStart") == 0)
    progress_say (user_data, "%s", _ ("booting…"));
}

static VmsanVM *
create (App *app, GVariant *request, GError **error)
{
  g_auto (Progress) progress = { 0 };
  gulong handler;
  VmsanVM *vm;

  progress_begin (&progress, app->quiet);
  handler = g_signal_connect (app->client, "hook", G_CALLBACK (on_hook), &progress);
  do
    {
      g_autoptr (GAsyncResult) result = NULL;

      vmsan_client_create_vm (app->client, request, NULL, app_done, &result);
      vm = vmsan_client_create_vm_finish (app->client, app_wait (&result), error);
    }
  while (vm == NULL && app_may_ask (app, error));
  g_signal_handler_disconnect (app->client, handler);
  return vm;
}

static void
print (App *app, VmsanVM *vm)
{
  g_autoptr (JsonBuilder) builder = NULL;

  if (!app->json)
    {
      puts (vmsan_vm_get_id (vm));
      return;
    }
  builder = json_builder_new ();
  output_begin_vm (builder, vm);
  json_builder_end_object (builder);
  output_print (builder, TRUE);
}

static int
run (App *app, int argc, char **argv)
{
  g_auto (Options) options = { 0 };
  const GOptionEntry entries[] = {
    { "image", 'i', 0, G_OPTION_ARG_STRING, &options.image,
      N_ ("Image to make it from (default: the only one)"), N_ ("IMAGE") },
    { "name", 'n', 0, G_OPTION_ARG_STRING, &options.name, N_ ("Name, unique among your machines"),
      N_ ("NAME") },
    { "kernel", 'k', 0, G_OPTION_ARG_STRING, &options.kernel,
      N_ ("Kernel to boot (default: the newest)"), N_ ("KERNEL") },
    { "cpus", 'c', 0, G_OPTION_ARG_INT, &options.cpus, N_ ("Virtual CPUs (default: 1)"), "N" },
    { "memory", 'm', 0, G_OPTION_ARG_STRING, &options.memory,
      N_ ("Memory, in MiB or with M or G (default: 256M)"), N_ ("SIZE") },
    { "disk", 'd', 0, G_OPTION_ARG_STRING, &options.disk,
      N_ ("Private disk, in MiB or with M, G or T (default: 1G)"), N_ ("SIZE") },
    { "timeout", 't', 0, G_OPTION_ARG_STRING, &options.timeout,
      N_ ("Stop it when it ran this long, such as 30s, 5m or 2h"), N_ ("DURATION") },
    { "driver", 0, 0, G_OPTION_ARG_STRING, &options.driver, N_ ("auto, qemu or firecracker"),
      N_ ("DRIVER") },
    { "hostname", 0, 0, G_OPTION_ARG_STRING, &options.hostname,
      N_ ("Host name in the guest (default: the name)"), N_ ("NAME") },
    { "init", 0, 0, G_OPTION_ARG_STRING, &options.init,
      N_ ("What runs as init: auto, none or a path in the image"), N_ ("INIT") },
    { "label", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &options.labels,
      N_ ("A label; may be given several times"), N_ ("KEY=VALUE") },
    { "project", 0, 0, G_OPTION_ARG_STRING, &options.project,
      N_ ("A label that authorization rules see"), N_ ("PROJECT") },
    { "network-policy", 0, 0, G_OPTION_ARG_STRING, &options.network.policy,
      N_ ("What it may reach: allow-all (default), deny-all or custom"), N_ ("POLICY") },
    { "allowed-domain", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.network.allowed_domains,
      N_ ("A name that it may reach, *.NAME for those below; may be given several times"),
      N_ ("NAME") },
    { "allowed-cidr", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.network.allowed_cidrs,
      N_ ("Addresses that it may reach; may be given several times"), N_ ("CIDR") },
    { "denied-cidr", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.network.denied_cidrs,
      N_ ("Addresses that it may not, whatever else is allowed; may be given several times"),
      N_ ("CIDR") },
    { "publish-port", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.network.ports,
      N_ ("A port of this host that leads to one of the guest; may be given several times"),
      N_ ("[ADDRESS:]PORT:GUEST-PORT[/udp]") },
    { "bandwidth", 0, 0, G_OPTION_ARG_STRING, &options.network.bandwidth,
      N_ ("Limit in each direction in Mbit/s (default: none)"), N_ ("MBIT") },
    { "no-icmp", 0, 0, G_OPTION_ARG_NONE, &options.network.no_icmp, N_ ("Drop pings"), NULL },
    { "no-network", 0, 0, G_OPTION_ARG_NONE, &options.network.none, N_ ("Loopback only"), NULL },
    { "no-start", 0, 0, G_OPTION_ARG_NONE, &options.no_start, N_ ("Do not boot it yet"), NULL },
    { "disable-seccomp", 0, 0, G_OPTION_ARG_NONE, &options.disable_seccomp,
      N_ ("Leave the monitor's filter of system calls out"), NULL },
    { "disable-pid-ns", 0, 0, G_OPTION_ARG_NONE, &options.disable_pid_ns,
      N_ ("Leave the monitor's PID namespace out"), NULL },
    { "disable-cgroup", 0, 0, G_OPTION_ARG_NONE, &options.disable_cgroup,
      N_ ("Leave the limits of memory, CPU and processes out"), NULL },
    { "disable-netns", 0, 0, G_OPTION_ARG_NONE, &options.disable_netns,
      N_ ("Leave the monitor's network namespace out"), NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) request = NULL;
  g_autoptr (VmsanVM) vm = NULL;
  int exit_code;

  if (!app_parse (app, entries, APP_PARSE_ANYWHERE, &argc, &argv))
    return APP_USAGE;
  if (argc > 2 || (argc == 2 && options.image != NULL))
    return app_usage_error (app, "%s", _ ("Name one image"));
  if (argc == 2)
    options.image = g_strdup (argv[1]);
  request = make_request (&options, &error);
  if (request == NULL)
    return app_usage_error (app, "%s", error->message);
  if (!app_connect (app, &exit_code))
    return exit_code;

  vm = create (app, request, &error);
  if (vm == NULL)
    return app_report (error, _ ("Could not create a machine"));
  print (app, vm);
  return APP_OK;
}

const Command command_create = {
  .name = "create",
  .arguments = N_ ("[IMAGE]"),
  .summary = N_ ("Create a machine and boot it; prints its id"),
  .run = run,
};
