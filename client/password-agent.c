/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Promise: the terminal is left as it was found, also when a signal ends the program while a
 * password is typed. */

#include "config.h"

#include "password-agent.h"

#define POLKIT_AGENT_I_KNOW_API_IS_SUBJECT_TO_CHANGE
#include <polkitagent/polkitagent.h>

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

typedef struct
{
  PolkitAgentListener *listener;
  gpointer registration;
  struct sigaction old_actions[4];
} Agent;

static const int signals[4] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* For the signal handler, which has no other way to know them. */
static int tty_fd = -1;
static struct termios tty_attributes;

/* The agent switches echo off while it reads. */
static void
restore_terminal (int signal_number)
{
  tcsetattr (tty_fd, TCSANOW, &tty_attributes);
  /* SA_RESETHAND has put the default back. */
  raise (signal_number);
}

static void
guard_terminal (Agent *agent)
{
  struct sigaction action = { .sa_handler = restore_terminal, .sa_flags = (int) SA_RESETHAND };

  tty_fd = open ("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (tty_fd < 0 || tcgetattr (tty_fd, &tty_attributes) != 0)
    {
      if (tty_fd >= 0)
        close (tty_fd);
      tty_fd = -1;
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &action, &agent->old_actions[i]);
}

static void
release_terminal (Agent *agent)
{
  if (tty_fd < 0)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &agent->old_actions[i], NULL);
  close (tty_fd);
  tty_fd = -1;
}

gpointer
password_agent_register (GError **error)
{
  g_autoptr (PolkitSubject) subject =
      polkit_unix_process_new_for_owner (getpid (), 0, (gint) getuid ());
  g_autoptr (GVariant) options = NULL;
  GVariantDict dict;
  Agent *agent = g_new0 (Agent, 1);

  /* polkit takes a fallback agent only for a process of a login session, which a desktop's is. */
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "fallback", "b",
                         g_getenv ("DISPLAY") != NULL || g_getenv ("WAYLAND_DISPLAY") != NULL);
  options = g_variant_ref_sink (g_variant_dict_end (&dict));

  /* In a thread, because reading the terminal blocks. */
  agent->listener = polkit_agent_text_listener_new (NULL, error);
  if (agent->listener != NULL)
    agent->registration =
        polkit_agent_listener_register_with_options (agent->listener,
                                                     POLKIT_AGENT_REGISTER_FLAGS_RUN_IN_THREAD,
                                                     subject, NULL, options, NULL, error);
  if (agent->registration == NULL)
    {
      g_clear_object (&agent->listener);
      g_free (agent);
      return NULL;
    }
  guard_terminal (agent);
  return agent;
}

void
password_agent_unregister (gpointer data)
{
  Agent *agent = data;

  release_terminal (agent);
  polkit_agent_listener_unregister (agent->registration);
  g_object_unref (agent->listener);
  g_free (agent);
}
