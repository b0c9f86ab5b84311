/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: one machine's failure is reported and keeps no other from its turn. */

#include "config.h"

#include "verb.h"

typedef struct
{
  const char *name;
  VmsanVM *vm;
  GAsyncResult *result;
  GError *error;
} Job;

static void
job_clear (gpointer data)
{
  Job *job = data;

  g_clear_object (&job->vm);
  g_clear_object (&job->result);
  g_clear_error (&job->error);
}

static void
job_finish (Job *job, const Verb *verb, gpointer user_data)
{
  g_clear_error (&job->error);
  verb->finish (job->vm, app_wait (&job->result), user_data, &job->error);
  g_clear_object (&job->result);
}

static void
run_all (App *app, const Verb *verb, GArray *jobs, gpointer user_data)
{
  for (guint i = 0; i < jobs->len; i++)
    {
      Job *job = &g_array_index (jobs, Job, i);

      job->vm = vmsan_client_get_vm_sync (app->client, job->name, NULL, &job->error);
      if (job->vm != NULL)
        verb->begin (job->vm, user_data, app_done, &job->result);
    }
  for (guint i = 0; i < jobs->len; i++)
    {
      Job *job = &g_array_index (jobs, Job, i);

      if (job->vm != NULL)
        job_finish (job, verb, user_data);
    }
}

/* app_may_ask() says yes once; from then on asking is what the client does. */
static void
ask_one_by_one (App *app, const Verb *verb, GArray *jobs, gpointer user_data)
{
  gboolean asking = FALSE;

  for (guint i = 0; i < jobs->len; i++)
    {
      Job *job = &g_array_index (jobs, Job, i);

      if (job->vm == NULL ||
          !g_error_matches (job->error, VMSAN_ERROR, VMSAN_ERROR_AUTHORIZATION_REQUIRED))
        continue;
      asking = asking || app_may_ask (app, &job->error);
      if (!asking)
        return;
      verb->begin (job->vm, user_data, app_done, &job->result);
      job_finish (job, verb, user_data);
    }
}

int
verb_run (App *app, const Verb *verb, char **names, gpointer user_data)
{
  g_autoptr (GArray) jobs = g_array_new (FALSE, TRUE, sizeof (Job));
  int exit_code = APP_OK;

  g_array_set_clear_func (jobs, job_clear);
  g_array_set_size (jobs, g_strv_length (names));
  for (guint i = 0; i < jobs->len; i++)
    g_array_index (jobs, Job, i).name = names[i];

  run_all (app, verb, jobs, user_data);
  ask_one_by_one (app, verb, jobs, user_data);
  for (guint i = 0; i < jobs->len; i++)
    {
      const Job *job = &g_array_index (jobs, Job, i);
      int one;

      if (job->error == NULL)
        continue;
      verb->report (job->name, job->error->message);
      one = app_exit_code (job->error);
      exit_code = exit_code == APP_OK ? one : exit_code;
    }
  return exit_code;
}
