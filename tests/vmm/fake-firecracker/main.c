/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A stand-in for Firecracker: its command line, API, vsock socket, snapshots and exit codes, with
 * the guest's real agent where the machine would be. It is static, as the real one is, and so runs
 * in a jail. What it would not take, it refuses as the real one does; orders.h says how tests make
 * it fail. */

#include "api.h"
#include "guest.h"
#include "machine.h"
#include "orders.h"
#include "snapshot.h"
#include "vsock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_GENERIC       1
#define EXIT_CONFIGURATION 152
#define EXIT_ARGUMENTS     153
#define FILTER_BYTES_MAX   100000

#define RELEASE_DEFAULT "1.15.1"

typedef struct
{
  const char *name;
  bool takes_value;
  const char *value; /* "" for a flag that was given */
} Option;

static Option options[] = {
  { "--api-sock", true, "/run/firecracker.socket" },
  { "--id", true, "anonymous-instance" },
  { "--seccomp-filter", true, NULL },
  { "--no-seccomp", false, NULL },
  { "--start-time-us", true, NULL },
  { "--start-time-cpu-us", true, NULL },
  { "--parent-cpu-time-us", true, NULL },
  { "--log-path", true, NULL },
  { "--level", true, NULL },
  { "--module", true, NULL },
  { "--show-level", false, NULL },
  { "--show-log-origin", false, NULL },
  { "--metrics-path", true, NULL },
  { "--boot-timer", false, NULL },
  { "--http-api-max-payload-size", true, "51200" },
  { "--mmds-size-limit", true, NULL },
  { "--enable-pci", false, NULL },
  { "--version", false, NULL },
  { "--snapshot-version", false, NULL },
  { "--print-api", false, NULL }, /* ours */
};

static const char *
get (const char *name)
{
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    if (strcmp (options[i].name, name) == 0)
      return options[i].value;
  return NULL;
}

static void __attribute__ ((noreturn)) fail (int exit_code, const char *what, const char *detail)
{
  fprintf (stderr, "Error: %s%s\n", what, detail);
  exit (exit_code);
}

static void
parse_options (int argc, char **argv)
{
  bool given[sizeof options / sizeof options[0]] = { false };

  for (int i = 1; i < argc; i++)
    {
      size_t k = 0;

      while (k < sizeof options / sizeof options[0] && strcmp (options[k].name, argv[i]) != 0)
        k++;
      if (k == sizeof options / sizeof options[0])
        fail (EXIT_ARGUMENTS, "Arguments parsing error: unexpected argument ", argv[i]);
      if (given[k])
        fail (EXIT_ARGUMENTS, "Arguments parsing error: given twice: ", argv[i]);
      given[k] = true;
      if (options[k].takes_value && i + 1 == argc)
        fail (EXIT_ARGUMENTS, "Arguments parsing error: no value for ", argv[i]);
      options[k].value = options[k].takes_value ? argv[++i] : "";
    }
  if (get ("--seccomp-filter") != NULL && get ("--no-seccomp") != NULL)
    fail (EXIT_ARGUMENTS, "Arguments parsing error: --no-seccomp forbids --seccomp-filter", "");
}

static void
read_release (Release *release)
{
  const char *given = getenv ("FAKE_FIRECRACKER_VERSION");
  char text[32] = RELEASE_DEFAULT;

  if (given != NULL)
    snprintf (text, sizeof text, "%s", given);
  orders_get ("version", NULL, text, sizeof text);
  if (sscanf (text, "%d.%d.%d", &release->major, &release->minor, &release->patch) != 3 ||
      release->major != 1 || release->minor < 10)
    fail (EXIT_ARGUMENTS, "this is no release to stand in for: ", text);
}

static void
check_id (const char *id)
{
  bool good = *id != '\0' && strlen (id) <= 64;

  for (const char *p = id; good && *p != '\0'; p++)
    good = isalnum ((unsigned char) *p) || *p == '-';
  if (!good)
    {
      fprintf (stderr, "Invalid instance ID: %s\n", id);
      abort (); /* as a panic does */
    }
}

static void
check_number (const char *name)
{
  const char *value = get (name);

  if (value != NULL && (*value == '\0' || value[strspn (value, "0123456789")] != '\0'))
    {
      fprintf (stderr, "%s is not a number\n", name);
      abort ();
    }
}

static void
check_files (void)
{
  const char *filter = get ("--seccomp-filter");
  const char *level = get ("--level");
  struct stat st;

  if (filter != NULL && (stat (filter, &st) < 0 || st.st_size > FILTER_BYTES_MAX))
    fail (EXIT_GENERIC, "Seccomp error: cannot use the filter ", filter);
  if (level != NULL && strcasestr ("error warning info debug trace off", level) == NULL)
    fail (EXIT_CONFIGURATION, "Invalid value for logger level: ", level);
  if (get ("--log-path") != NULL && access (get ("--log-path"), R_OK | W_OK) < 0)
    fail (EXIT_GENERIC, "Could not initialize logger: ", get ("--log-path"));
}

/* ---- Running ------------------------------------------------------------------------------- */

/* As the first process of its namespace it gets everybody's orphans. */
static void
reap (void)
{
  char value[16];
  pid_t pid;

  while ((pid = waitpid (-1, NULL, WNOHANG)) > 0)
    if (pid == guest_pid ())
      {
        guest_forget ();
        if (machine_ends_with_guest ())
          exit (orders_get ("guest-exit-code", NULL, value, sizeof value) ? atoi (value) : 0);
      }
}

static void __attribute__ ((noreturn)) run (int signals)
{
  static struct pollfd fds[1 + API_POLL_MAX + VSOCK_POLL_MAX];

  for (;;)
    {
      struct signalfd_siginfo info;
      size_t n_api, n_vsock;

      fds[0] = (struct pollfd){ signals, POLLIN, 0 };
      n_api = api_prepare (fds + 1);
      /* The thread of a paused machine's devices serves nobody. */
      n_vsock = machine_is_paused () ? 0 : vsock_prepare (fds + 1 + n_api);
      if (poll (fds, 1 + n_api + n_vsock, -1) < 0 && errno != EINTR)
        exit (EXIT_GENERIC);
      if (fds[0].revents != 0 && read (signals, &info, sizeof info) > 0)
        reap ();
      if (n_vsock > 0)
        vsock_handle (fds + 1 + n_api, n_vsock);
      api_handle (fds + 1, n_api);
    }
}

int
main (int argc, char **argv)
{
  Release release;
  sigset_t children;
  int saved_errno;

  orders_init (argv[0]);
  read_release (&release);
  parse_options (argc, argv);
  if (get ("--version") != NULL)
    return printf ("Firecracker v%d.%d.%d\n\n", release.major, release.minor, release.patch) < 0;
  if (get ("--snapshot-version") != NULL)
    return printf ("v%d.0.0\n", snapshot_format (release.minor)) < 0;
  if (get ("--print-api") != NULL)
    {
      schema_print (VERSION (release.major, release.minor, release.patch));
      return 0;
    }
  check_id (get ("--id"));
  check_number ("--start-time-us");
  check_number ("--start-time-cpu-us");
  check_number ("--parent-cpu-time-us");
  check_number ("--http-api-max-payload-size");
  check_files ();

  sigemptyset (&children);
  sigaddset (&children, SIGCHLD);
  sigprocmask (SIG_BLOCK, &children, NULL);
  machine_init (get ("--id"), &release);
  api_configure (VERSION (release.major, release.minor, release.patch),
                 strtoul (get ("--http-api-max-payload-size"), NULL, 10));
  saved_errno = api_listen (get ("--api-sock"));
  if (saved_errno != 0)
    fail (EXIT_GENERIC,
          "RunWithApiError error: Failed to bind the API socket: ", strerror (saved_errno));
  fprintf (stderr, "listening\n"); /* for a test to wait for */
  run (signalfd (-1, &children, SFD_CLOEXEC));
}
