/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: the same steps as the jailer's, in its order, each of which fails where its does. */

#include "jailer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64

static void
make_directories (const char *path)
{
  char part[PATH_MAX];

  for (size_t i = 1; path[i - 1] != '\0'; i++)
    if (path[i] == '/' || path[i] == '\0')
      {
        snprintf (part, sizeof part, "%.*s", (int) i, path);
        if (mkdir (part, 0777) < 0 && errno != EEXIST)
          jailer_fail (errno, "Failed to create directory %s", part);
      }
}

/* With the mode of the original. false: there is none. */
static bool
copy_file (const char *from, const char *to)
{
  int in = open (from, O_RDONLY | O_CLOEXEC), out;
  struct stat st;
  off_t left;

  if (in < 0 || fstat (in, &st) < 0)
    return false;
  out = open (to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
  for (left = st.st_size; out >= 0 && left > 0;)
    {
      ssize_t n = sendfile (out, in, NULL, (size_t) left);

      if (n <= 0)
        jailer_fail (errno, "Failed to copy %s to %s", from, to);
      left -= n;
    }
  if (out < 0 || fchmod (out, st.st_mode & 0777) < 0)
    jailer_fail (errno, "Failed to copy %s to %s", from, to);
  close (out);
  close (in);
  return true;
}

/* The binary; and the orders that a test left beside it, which only a stand-in has. */
static void
copy_exec (const Jail *jail)
{
  char from[PATH_MAX + 16], to[PATH_MAX * 2];

  make_directories (jail->root);
  snprintf (to, sizeof to, "%s/%s", jail->root, jail->exec_name);
  if (!copy_file (jail->exec_path, to))
    jailer_fail (errno, "Failed to copy %s to %s", jail->exec_path, to);
  snprintf (from, sizeof from, "%s.orders", jail->exec_path);
  snprintf (to, sizeof to, "%s/%s.orders", jail->root, jail->exec_name);
  copy_file (from, to);
}

static void
join_netns (const char *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0)
    jailer_fail (errno, "Failed to open file %s", path);
  if (setns (fd, CLONE_NEWNET) < 0)
    jailer_fail (errno, "Failed to join network namespace: netns");
  close (fd);
}

static void
set_limits (const Jail *jail)
{
  const struct rlimit files = { jail->n_files, jail->n_files };
  const struct rlimit size = { jail->file_size, jail->file_size };

  if (setrlimit (RLIMIT_NOFILE, &files) < 0 ||
      (jail->file_size != RLIM_INFINITY && setrlimit (RLIMIT_FSIZE, &size) < 0))
    jailer_fail (errno, "Failed to set limit for resource");
}

/* ---- The root ------------------------------------------------------------------------------ */

static void
change_root (const char *root)
{
  if (unshare (CLONE_NEWNS) < 0)
    jailer_fail (errno, "Failed to unshare into new mount namespace");
  if (mount (NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
    jailer_fail (errno, "Failed to change the propagation type to slave");
  if (mount (root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
    jailer_fail (errno, "Failed to bind mount the jail root directory");
  if (chdir (root) < 0)
    jailer_fail (errno, "Failed to change current directory");
  if (mkdir ("old_root", 0700) < 0)
    jailer_fail (errno, "Failed to create the jail root directory before pivoting root");
  if (syscall (SYS_pivot_root, ".", "old_root") < 0)
    jailer_fail (errno, "Failed to pivot root");
  if (chdir ("/") < 0)
    jailer_fail (errno, "Failed to chdir into chroot directory");
  if (umount2 ("old_root", MNT_DETACH) < 0)
    jailer_fail (errno, "Failed to unmount the old jail root");
  if (rmdir ("old_root") < 0)
    jailer_fail (errno, "Failed to remove old jail root directory");
}

static void
make_folder (const Jail *jail, const char *path)
{
  make_directories (path);
  if (chmod (path, 0700) < 0)
    jailer_fail (errno, "Failed to change permissions on %s", path);
  if (chown (path, jail->uid, jail->gid) < 0)
    jailer_fail (errno, "Failed to change owner for %s", path);
}

static bool
make_device (const Jail *jail, const char *path, unsigned major, unsigned minor)
{
  return mknod (path, S_IFCHR | S_IRUSR | S_IWUSR, makedev (major, minor)) == 0 &&
         chown (path, jail->uid, jail->gid) == 0;
}

static void
make_devices (const Jail *jail, bool has_kvm)
{
  if (!make_device (jail, "/dev/net/tun", 10, 200))
    jailer_fail (errno, "Failed to create /dev/net/tun via mknod inside the jail");
  if (has_kvm && !make_device (jail, "/dev/kvm", 10, 232))
    jailer_fail (errno, "Failed to create /dev/kvm via mknod inside the jail");
  if (!has_kvm)
    {
      /* The node could be made, but not be opened. */
      int fd = open ("/dev/kvm", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

      if (fd < 0 || fchown (fd, jail->uid, jail->gid) < 0)
        jailer_fail (errno, "Failed to create /dev/kvm via mknod inside the jail");
      close (fd);
      fprintf (stderr, "This machine has no KVM: /dev/kvm of the jail is an ordinary file\n");
    }
  if (!make_device (jail, "/dev/urandom", 1, 9))
    printf ("Warning! Could not create /dev/urandom device inside jailer: %s.\n", strerror (errno));
}

/* ---- The end ------------------------------------------------------------------------------- */

static void
daemonize (int null_fd)
{
  pid_t pid = fork ();

  if (pid < 0)
    jailer_fail (errno, "Failed to daemonize");
  if (pid > 0)
    _exit (0);
  if (setsid () < 0)
    jailer_fail (errno, "Failed to daemonize: setsid");
  pid = fork ();
  if (pid < 0)
    jailer_fail (errno, "Failed to daemonize");
  if (pid > 0)
    _exit (0);
  for (int fd = 0; fd <= 2; fd++)
    if (dup2 (null_fd, fd) < 0)
      jailer_fail (errno, "Failed to duplicate fd");
}

static void
save_pid (const Jail *jail, pid_t pid)
{
  char path[NAME_MAX + 16], text[16];
  int length = snprintf (text, sizeof text, "%d", pid), fd;

  snprintf (path, sizeof path, "/%s.pid", jail->exec_name);
  fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0)
    jailer_fail (errno, "Failed to open file %s", path);
  if (write (fd, text, (size_t) length) != length)
    jailer_fail (errno, "Failed to write to %s", path);
  close (fd);
}

static void __attribute__ ((noreturn)) execute (const Jail *jail)
{
  char program[NAME_MAX + 2], now[32];
  char *argv[ARGUMENTS_MAX] = { program,
                                (char[]){ "--id" },
                                (char *) jail->id,
                                (char[]){ "--start-time-us" },
                                now,
                                (char[]){ "--start-time-cpu-us" },
                                (char[]){ "0" },
                                (char[]){ "--parent-cpu-time-us" },
                                (char[]){ "0" } };
  char *const envp[] = { NULL };
  int n = 9;

  snprintf (program, sizeof program, "/%s", jail->exec_name);
  snprintf (now, sizeof now, "%lld", (long long) time (NULL) * 1000000);
  for (char **extra = jail->extra; *extra != NULL && n + 1 < ARGUMENTS_MAX; extra++)
    argv[n++] = *extra;
  if ((jail->uid != 0 && setgroups (0, NULL) < 0) || setgid (jail->gid) < 0 ||
      setuid (jail->uid) < 0)
    jailer_fail (errno, "Failed to exec into Firecracker");
  execve (program, argv, envp);
  jailer_fail (errno, "Failed to exec into Firecracker");
}

static void __attribute__ ((noreturn)) execute_in_pid_ns (const Jail *jail)
{
  pid_t pid = (pid_t) syscall (SYS_clone, (long) CLONE_NEWPID, NULL, NULL, NULL, NULL);

  if (pid < 0)
    jailer_fail (errno, "Failed cloning into a new child process");
  if (pid == 0)
    execute (jail);
  save_pid (jail, pid);
  _exit (0);
}

void
jail_run (Jail *jail)
{
  static const char *const folders[] = { "/", "/dev", "/dev/net", "/run" };
  bool has_kvm = access ("/dev/kvm", F_OK) == 0;
  int null_fd;

  copy_exec (jail);
  if (jail->netns != NULL)
    join_netns (jail->netns);
  set_limits (jail);
  cgroup_apply (jail);
  null_fd = jail->daemonize ? open ("/dev/null", O_RDWR | O_CLOEXEC) : -1;
  change_root (jail->root);
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    make_folder (jail, folders[i]);
  make_devices (jail, has_kvm);
  if (jail->daemonize)
    daemonize (null_fd);
  if (jail->new_pid_ns)
    execute_in_pid_ns (jail);
  save_pid (jail, getpid ());
  execute (jail);
}
