/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all subcommands share: common options, the connection to the service, asking for a
 * password, messages and exit codes. */

#pragma once

#include <vmsan.h>

typedef enum
{
  APP_OK = 0,
  APP_ERROR = 1,
  APP_USAGE = 2,
  APP_NOT_FOUND = 3,
  APP_NOT_AUTHORIZED = 4,
  APP_BUSY = 5,
  APP_EXEC_TIMED_OUT = 124,
  APP_EXEC_FAILED = 125,
  APP_EXEC_NOT_EXECUTABLE = 126,
  APP_EXEC_NOT_FOUND = 127,
} AppExit;

typedef struct _App App;

typedef struct
{
  const char *name;        /* "list", or "image list" */
  const char *arguments;   /* behind the options in the usage line; translated, may be "" */
  const char *summary;     /* one line; translated */
  const char *description; /* what --help says at its end, or NULL; translated */
  int (*run) (App *app, int argc, char **argv); /* argv[0] is the name's last word */
} Command;

struct _App
{
  const Command *command;
  VmsanClient *client; /* NULL until app_connect() */
  gpointer agent;      /* registration of the password agent, or NULL */

  /* common options */
  gboolean json;
  gboolean quiet;
  gboolean no_ask_password;
};

/* How app_parse() treats what is not an option. */
typedef enum
{
  APP_PARSE_ANYWHERE, /* options may come behind arguments */
  APP_PARSE_POSIX,    /* the first argument ends the options */
} AppParse;

/* Parses the command's own @entries and the common ones. --help prints and exits. On an error it
 * says so and returns FALSE: return APP_USAGE then. */
gboolean app_parse (App *app, const GOptionEntry *entries, AppParse how, int *argc, char ***argv);

/* "vmsan-client: TEXT" and how to get help; returns APP_USAGE. */
int app_usage_error (App *app, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* "vmsan-client: TEXT" on standard error. */
void app_print_error (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* A remark on standard error, unless --quiet. */
void app_print_note (App *app, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* The exit code that stands for @error. */
int app_exit_code (const GError *error);

/* Prints @error with what was attempted, unless NULL; returns its exit code. */
int app_report (const GError *error, const char *attempted);

/* FALSE: it was reported, and *@exit_code is set. */
gboolean app_connect (App *app, int *exit_code);

/* Calls are made without permission to ask first, which is all that most need. When that is what
 * *@error says and asking is possible, prepares it, clears the error, and says TRUE: call again.
 *   do
 *     vm = vmsan_client_get_vm_sync (..., &error);
 *   while (vm == NULL && app_may_ask (app, &error)); */
gboolean app_may_ask (App *app, GError **error);

/* The terminal is wanted for something else now. */
void app_stop_asking (App *app);

/* For asynchronous calls: app_done as callback with a GAsyncResult ** as user data, then wait. */
void app_done (GObject *object, GAsyncResult *result, gpointer user_data);
GAsyncResult *app_wait (GAsyncResult **result);

void app_clear (App *app);
