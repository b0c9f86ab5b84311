/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A stand-in for Firecracker's jailer: its command line, and a real jail for the stand-in for
 * Firecracker. It makes namespaces, groups, devices and owners as the real one does, and needs the
 * same rights. */

#include "jailer.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_ERROR      1
#define EXIT_PANIC      101
#define ID_MAX          64
#define N_FILES_DEFAULT 2048

static void __attribute__ ((format (printf, 2, 0)))
complain (int saved_errno, const char *format, va_list args)
{
  fputs ("Error: ", stderr);
  vfprintf (stderr, format, args);
  if (saved_errno != 0)
    fprintf (stderr, ": %s (os error %d)", strerror (saved_errno), saved_errno);
  fputc ('\n', stderr);
}

void
jailer_fail (int saved_errno, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  complain (saved_errno, format, args);
  va_end (args);
  exit (EXIT_ERROR);
}

void
jailer_panic (int saved_errno, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  complain (saved_errno, format, args);
  va_end (args);
  exit (EXIT_PANIC);
}

/* ---- Arguments ----------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  bool takes_value;
  bool repeats;
  const char *value; /* of the last one; "" for a flag that was given */
} Option;

static Option options[] = {
  { "--id", true },
  { "--exec-file", true },
  { "--uid", true },
  { "--gid", true },
  { "--chroot-base-dir", true, false, "/srv/jailer" },
  { "--netns", true },
  { "--daemonize", false },
  { "--new-pid-ns", false },
  { "--cgroup", true, true },
  { "--resource-limit", true, true },
  { "--cgroup-version", true, false, "1" },
  { "--parent-cgroup", true },
  { "--version", false },
};

static Option *
find_option (const char *name)
{
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    if (strcmp (options[i].name, name) == 0)
      return &options[i];
  return NULL;
}

static const char *
get (const char *name)
{
  return find_option (name)->value;
}

static const char *
get_required (const char *name)
{
  const char *value = get (name);

  if (value == NULL)
    jailer_fail (0, "Arguments parsing error: Argument '%s' required, but not found.", name + 2);
  return value;
}

static unsigned long long
parse_number (const char *text, unsigned long long max, const char *what)
{
  unsigned long long value;

  errno = 0;
  value = isdigit ((unsigned char) *text) ? strtoull (text, NULL, 10) : 0;
  if (*text == '\0' || text[strspn (text, "0123456789")] != '\0' || errno != 0 || value > max)
    jailer_fail (0, "Invalid %s: %s", what, text);
  return value;
}

static void
add_limit (Jail *jail, const char *text)
{
  const char *equals = strchr (text, '=');

  if (equals == NULL)
    jailer_fail (0, "Invalid format for resources limits: %s", text);
  if (strncmp (text, "fsize=", 6) == 0)
    jail->file_size = parse_number (equals + 1, RLIM_INFINITY, "limit value for resource");
  else if (strncmp (text, "no-file=", 8) == 0)
    jail->n_files = parse_number (equals + 1, RLIM_INFINITY, "limit value for resource");
  else
    jailer_fail (0, "Invalid resource argument: %s", text);
}

static void
take_repeated (Jail *jail, const Option *option)
{
  if (strcmp (option->name, "--resource-limit") == 0)
    add_limit (jail, option->value);
  else if (jail->n_cgroups == CGROUPS_MAX)
    jailer_fail (0, "the stand-in takes at most %d groups", CGROUPS_MAX);
  else
    jail->cgroups[jail->n_cgroups++] = strdup (option->value);
}

static void
parse_options (Jail *jail, int argc, char **argv)
{
  bool given[sizeof options / sizeof options[0]] = { false };
  int i;

  for (i = 1; i < argc && strcmp (argv[i], "--") != 0; i++)
    {
      Option *option = find_option (argv[i]);

      if (option == NULL)
        jailer_fail (0,
                     "Arguments parsing error: Found argument '%s' which wasn't expected, or isn't "
                     "valid in this context.",
                     argv[i]);
      if (given[option - options] && !option->repeats)
        jailer_fail (0, "Arguments parsing error: Argument '%s' was provided more than once.",
                     argv[i] + 2);
      given[option - options] = true;
      if (option->takes_value && (i + 1 == argc || strncmp (argv[i + 1], "--", 2) == 0))
        jailer_fail (0,
                     "Arguments parsing error: The argument '%s' requires a value, but none was "
                     "supplied.",
                     argv[i] + 2);
      option->value = option->takes_value ? argv[++i] : "";
      if (option->repeats)
        take_repeated (jail, option);
    }
  jail->extra = argv + (i < argc ? i + 1 : argc);
}

/* ---- Checks -------------------------------------------------------------------------------- */

static void
check_id (const char *id)
{
  if (*id == '\0' || strlen (id) > ID_MAX)
    jailer_fail (0, "Invalid instance ID: Invalid len (%zu);  the length must be between 1 and 64",
                 strlen (id));
  for (const char *p = id; *p != '\0'; p++)
    if (!isalnum ((unsigned char) *p) && *p != '-')
      jailer_fail (0, "Invalid instance ID: Invalid char (%c) at position %zu", *p,
                   (size_t) (p - id));
}

static void
check_exec_file (Jail *jail, const char *path)
{
  struct stat st;

  if (realpath (path, jail->exec_path) == NULL)
    jailer_fail (errno, "Failed to canonicalize path %s", path);
  if (stat (jail->exec_path, &st) < 0 || !S_ISREG (st.st_mode))
    jailer_fail (0, "%s is not a file", jail->exec_path);
  jail->exec_name = strrchr (jail->exec_path, '/') + 1;
  if (strstr (jail->exec_name, "firecracker") == NULL)
    jailer_fail (0,
                 "Invalid filename. The filename of `--exec-file` option must contain "
                 "\"firecracker\": %s",
                 jail->exec_name);
}

static void
check_base (Jail *jail, const char *path)
{
  char base[PATH_MAX];
  struct stat st;

  if (realpath (path, base) == NULL)
    jailer_fail (errno, "Failed to canonicalize path %s", path);
  if (stat (base, &st) < 0 || !S_ISDIR (st.st_mode))
    jailer_fail (0, "%s is not a directory", base);
  if (snprintf (jail->root, sizeof jail->root, "%s/%s/%s/root", base, jail->exec_name, jail->id) >=
      (int) sizeof jail->root)
    jailer_fail (ENAMETOOLONG, "Failed to create directory %s", jail->root);
}

int
main (int argc, char **argv)
{
  Jail jail = { .file_size = RLIM_INFINITY, .n_files = N_FILES_DEFAULT };

  /* Nothing of the caller's goes into the jail. */
  close_range (3, ~0u, 0);
  clearenv ();
  parse_options (&jail, argc, argv);
  if (get ("--version") != NULL)
    return puts ("Jailer v1.15.1\n") < 0;
  jail.id = get_required ("--id");
  check_id (jail.id);
  check_exec_file (&jail, get_required ("--exec-file"));
  check_base (&jail, get ("--chroot-base-dir"));
  jail.uid = (uid_t) parse_number (get_required ("--uid"), UINT_MAX, "uid");
  jail.gid = (gid_t) parse_number (get_required ("--gid"), UINT_MAX, "gid");
  jail.netns = get ("--netns");
  jail.daemonize = get ("--daemonize") != NULL;
  jail.new_pid_ns = get ("--new-pid-ns") != NULL;
  jail.cgroup_version = (int) parse_number (get ("--cgroup-version"), 255, "cgroup version");
  jail.parent_cgroup = get ("--parent-cgroup") != NULL ? get ("--parent-cgroup") : jail.exec_name;
  cgroup_check (&jail);
  jail_run (&jail);
}
