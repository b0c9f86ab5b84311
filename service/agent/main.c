/* SPDX-License-Identifier: GPL-2.0-or-later */

/* vmsan-agent: /init of a guest, or the same protocol served by an ordinary process. */

#include "agent/guest.h"
#include "agent/host.h"
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  static const char option[] = "--host-socket=";

  if (argc == 2 && strncmp (argv[1], option, strlen (option)) == 0)
    return agent_host_run (argv[1] + strlen (option));
  if (argc == 2 && strcmp (argv[1], "--version") == 0)
    {
      puts ("vmsan-agent " PACKAGE_VERSION);
      return 0;
    }
  /* The kernel hands parameters that it does not know to init, so they are no reason to refuse. */
  if (getpid () == 1)
    return agent_guest_run (argv);
  fputs ("Usage: vmsan-agent --host-socket=PATH | --host-socket=fd:N | --version\n"
         "Without an option it is the first process of a virtual machine.\n",
         stderr);
  return 2;
}
