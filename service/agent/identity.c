/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/identity.h"

#include "agent/error.h"
#include "agent/etc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <net/if.h>

#define HOSTS_MAX (64u << 10)

/* Whether NAME is missing or a plain file; a link is what the image wants it to be. */
static bool
may_replace (int etc_fd, const char *name)
{
  struct stat stat;

  if (fstatat (etc_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT;
  return S_ISREG (stat.st_mode);
}

static void
replace_file (int etc_fd, const char *name, const char *content)
{
  if (!agent_etc_replace (etc_fd, name, content))
    agent_log ("cannot write /etc/%s: %s", name, strerror (errno));
}

/* The content, NUL-terminated and freed by the caller; empty when there is none. NULL: too long. */
static char *
read_file (int etc_fd, const char *name)
{
  const int fd = openat (etc_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  char *content = calloc (1, HOSTS_MAX + 1);
  size_t used = 0;
  ssize_t n = 0;

  while (fd >= 0 && content != NULL && used <= HOSTS_MAX &&
         (n = read (fd, content + used, HOSTS_MAX + 1 - used)) > 0)
    used += (size_t) n;
  if (fd >= 0)
    close (fd);
  if (used <= HOSTS_MAX && n >= 0)
    return content;
  free (content);
  return NULL;
}

/* Whether NAME is a word of the file, outside comments. */
static bool
hosts_names (const char *content, const char *name)
{
  const size_t length = strlen (name);

  for (const char *line = content; *line != '\0';)
    {
      const size_t line_length = strcspn (line, "\n");
      const size_t used = strcspn (line, "#\n");

      for (size_t i = 1; i + length <= used; i++)
        if (isspace ((unsigned char) line[i - 1]) && strncmp (line + i, name, length) == 0 &&
            (i + length == used || isspace ((unsigned char) line[i + length])))
          return true;
      line += line_length + (line[line_length] == '\n');
    }
  return false;
}

/* Adds what is missing and keeps the rest: the file may be the user's own by now. */
static void
complete_hosts (int etc_fd, const char *hostname)
{
  char *old_content = read_file (etc_fd, "hosts");
  char *content = NULL;
  size_t length;

  if (old_content == NULL)
    {
      agent_log ("leaving /etc/hosts as it is: it cannot be read or is too long");
      return;
    }
  length = strlen (old_content);
  if ((!hosts_names (old_content, "localhost") || !hosts_names (old_content, hostname)) &&
      asprintf (&content, "%s%s%s%s%s%s", old_content,
                length > 0 && old_content[length - 1] != '\n' ? "\n" : "",
                hosts_names (old_content, "localhost")
                    ? ""
                    : "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
                hosts_names (old_content, hostname) ? "" : "127.0.1.1\t",
                hosts_names (old_content, hostname) ? "" : hostname,
                hosts_names (old_content, hostname) ? "" : "\n") > 0)
    replace_file (etc_fd, "hosts", content);
  free (content);
  free (old_content);
}

void
agent_identity_set_hostname (const char *hostname)
{
  char line[80];
  int etc_fd;

  if (sethostname (hostname, strlen (hostname)) < 0)
    agent_log ("cannot set the host name: %s", strerror (errno));
  etc_fd = agent_etc_open ();
  if (etc_fd < 0)
    {
      agent_log ("leaving /etc as it is: %s", strerror (errno));
      return;
    }
  snprintf (line, sizeof line, "%s\n", hostname);
  if (may_replace (etc_fd, "hostname"))
    replace_file (etc_fd, "hostname", line);
  if (may_replace (etc_fd, "hosts"))
    complete_hosts (etc_fd, hostname);
  close (etc_fd);
}

void
agent_identity_set_clock (uint64_t realtime_ns)
{
  const struct timespec time = { .tv_sec = (time_t) (realtime_ns / 1000000000),
                                 .tv_nsec = (long) (realtime_ns % 1000000000) };

  if (clock_settime (CLOCK_REALTIME, &time) < 0)
    agent_log ("cannot set the clock: %s", strerror (errno));
}

void
agent_identity_bring_up_loopback (void)
{
  /* The kernel gives the interface its addresses when it comes up. */
  struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
  const int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || ioctl (fd, SIOCSIFFLAGS, &request) < 0)
    agent_log ("cannot bring up the loopback interface: %s", strerror (errno));
  if (fd >= 0)
    close (fd);
}
