/* SPDX-License-Identifier: GPL-2.0-or-later */

/* same-objects ROUNDS STATE TEMPLATE
 * same-objects ROUNDS STATE TEMPLATE RUNTIME CGROUP-PARENT UID MONITOR AGENT
 *
 * What the machine at least has to do for CreateVM, one thing after the other and with no service
 * around it: the record, saved before and after; a directory; a sparse disk, copied from a
 * template; and, with a runtime directory, what a start adds: that directory, a cgroup with limits,
 * a confined child, and the agent in it configured. As many fsyncs as vmsand makes, in the same
 * places. Prints median and least microseconds of a round; what it made is removed at the end, as
 * the file system would have to write that with the next round's things.
 *
 * Control groups and the child are made by the service's own functions, which are system calls and
 * little else; all the rest is done here. */

#include "agent-stream.h"
#include "raw-bus.h"
#include "times.h"

#include "sys/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RECORD_SIZE 900 /* of a record of vmsand */

typedef struct
{
  int state_fd;
  int template_fd;
  const char *runtime; /* NULL: no start */
  const char *cgroup_parent;
  uid_t uid;
  const char *monitor;
  const char *agent;
  char id[16]; /* of this round */
} Setup;

static void
check (gboolean ok, const char *what)
{
  if (!ok)
    die ("%s: %s", what, g_strerror (errno));
}

static void
save_record (const Setup *setup)
{
  g_autofree char *name = g_strconcat (setup->id, ".json", NULL);
  g_autofree char *temporary = g_strconcat (".", name, ".new", NULL);
  char record[RECORD_SIZE];
  int fd = openat (setup->state_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  memset (record, 'x', sizeof record);
  check (fd >= 0 && write (fd, record, sizeof record) == sizeof record && fsync (fd) == 0,
         "record");
  close (fd);
  check (renameat (setup->state_fd, temporary, setup->state_fd, name) == 0 &&
             fsync (setup->state_fd) == 0,
         "record");
}

static void
copy_disk (const Setup *setup)
{
  g_autofree char *name = g_build_filename (setup->id, "disk", NULL);
  int fd = openat (setup->state_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  struct stat st;
  off_t data = 0;

  check (fd >= 0 && fstat (setup->template_fd, &st) == 0 && ftruncate (fd, st.st_size) == 0,
         "disk");
  while ((data = lseek (setup->template_fd, data, SEEK_DATA)) >= 0)
    {
      off_t end = lseek (setup->template_fd, data, SEEK_HOLE);
      off_t target = data;

      while (data < end)
        check (copy_file_range (setup->template_fd, &data, fd, &target, end - data, 0) > 0, "disk");
    }
  check (fdatasync (fd) == 0, "disk");
  close (fd);
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (g_strlcpy (address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
    die ("%s is too long for a socket", path);
  check (fd >= 0 && bind (fd, (struct sockaddr *) &address, sizeof address) == 0 &&
             listen (fd, 64) == 0,
         path);
  return fd;
}

/* The child as the null driver starts it (tests/null-vmm), with the agent in it. */
static void
start_child (const Setup *setup, VmsanCgroup *cgroup, int runtime_fd, const char *socket)
{
  int agent_fd, status_fd, ready[2];
  int monitor_fd = open (setup->monitor, O_RDONLY | O_CLOEXEC);
  char byte;
  g_autoptr (GError) error = NULL;
  g_autoptr (VmsanProcess) process = NULL;

  agent_fd = listen_at (socket);
  status_fd = openat (runtime_fd, "status", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  check (monitor_fd >= 0 && status_fd >= 0 && pipe2 (ready, O_CLOEXEC) == 0, "files of the child");
  {
    const VmsanBind binds[] = {
      { .source = setup->agent, .source_fd = -1, .target = "/agent" },
      { .source = "/usr", .source_fd = -1, .target = "/usr" },
      { .source = "/bin", .source_fd = -1, .target = "/bin" },
      { .source = "/lib", .source_fd = -1, .target = "/lib" },
      { .source = "/lib64", .source_fd = -1, .target = "/lib64", .optional = TRUE },
      { .source = "/etc", .source_fd = -1, .target = "/etc" },
      { .source = "/dev/null", .source_fd = -1, .target = "/dev/null", .device = TRUE },
      { .source = "/dev/urandom", .source_fd = -1, .target = "/dev/urandom", .device = TRUE },
    };
    const char *const argv[] = { "/null-monitor", "--", "/agent", "--host-socket=fd:5", NULL };
    const VmsanSpawnFd fds[] = { { status_fd, 3 }, { ready[1], 4 }, { agent_fd, 5 } };
    const VmsanSpawnSpec spec = {
      .argv = argv,
      .exec_fd = monitor_fd,
      .flags = VMSAN_SPAWN_NEW_MOUNT_NS | VMSAN_SPAWN_NEW_PID_NS | VMSAN_SPAWN_NEW_NET_NS,
      .uid = setup->uid,
      .gid = setup->uid,
      .cgroup = cgroup,
      .root_binds = binds,
      .n_root_binds = G_N_ELEMENTS (binds),
      .fds = fds,
      .n_fds = G_N_ELEMENTS (fds),
      .new_session = TRUE,
    };

    process = vmsan_process_spawn (&spec, &error);
  }
  if (process == NULL)
    die ("%s", error->message);
  close (ready[1]);
  check (read (ready[0], &byte, 1) == 0, "child");
  close (ready[0]);
  close (monitor_fd);
  close (agent_fd);
  close (status_fd);
}

static void
start (const Setup *setup)
{
  const VmsanCgroupLimits limits = { (guint64) 512 << 20, 200, 160 };
  static const guint8 token[VMSAN_TOKEN_SIZE] = { 1 };
  g_autofree char *directory = g_build_filename (setup->runtime, setup->id, NULL);
  g_autofree char *socket = g_build_filename (directory, "agent.sock", NULL);
  g_autoptr (VmsanCgroup) cgroup = NULL;
  g_autoptr (GError) error = NULL;
  int runtime_fd, stream_fd;

  check (mkdir (directory, 0700) == 0, "runtime directory");
  runtime_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  cgroup = vmsan_cgroup_create (setup->cgroup_parent, setup->id, &limits, &error);
  if (cgroup == NULL)
    die ("%s", error->message);
  start_child (setup, cgroup, runtime_fd, socket);
  stream_fd = agent_connect (socket);
  agent_shake_hands (stream_fd, VMSAN_SESSION_CONTROL, token);
  agent_configure (stream_fd, setup->id);
  close (stream_fd);
  close (runtime_fd);
}

static void
name_round (Setup *setup, int round)
{
  g_snprintf (setup->id, sizeof setup->id, "same%d", round);
}

static void
remove_all (const Setup *setup)
{
  g_autofree char *disk = g_build_filename (setup->id, "disk", NULL);
  g_autofree char *record = g_strconcat (setup->id, ".json", NULL);
  g_autoptr (GError) error = NULL;

  check (unlinkat (setup->state_fd, disk, 0) == 0 &&
             unlinkat (setup->state_fd, setup->id, AT_REMOVEDIR) == 0 &&
             unlinkat (setup->state_fd, record, 0) == 0,
         "removing");
  if (setup->runtime == NULL)
    return;
  if (!vmsan_cgroup_destroy (setup->cgroup_parent, setup->id, &error))
    die ("%s", error->message);
  for (guint i = 0; i < 3; i++)
    {
      static const char *const names[] = { "agent.sock", "status", NULL };
      g_autofree char *path = g_build_filename (setup->runtime, setup->id, names[i], NULL);

      check (remove (path) == 0, path);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  Setup setup = { 0 };
  int rounds;

  if (argc != 4 && argc != 9)
    die ("Usage: see the head of same-objects.c");
  rounds = atoi (argv[1]);
  setup.state_fd = open (argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  setup.template_fd = open (argv[3], O_RDONLY | O_CLOEXEC);
  check (setup.state_fd >= 0 && setup.template_fd >= 0, "opening");
  if (argc == 9)
    {
      setup.runtime = argv[4];
      setup.cgroup_parent = argv[5];
      setup.uid = strtoul (argv[6], NULL, 10);
      setup.monitor = argv[7];
      setup.agent = argv[8];
    }
  umask (077);
  for (int round = 0; round < rounds; round++)
    {
      gint64 begin = now_ns ();
      gint64 taken;

      name_round (&setup, round);
      save_record (&setup);
      check (mkdirat (setup.state_fd, setup.id, 0700) == 0, "directory");
      copy_disk (&setup);
      if (setup.runtime != NULL)
        start (&setup);
      save_record (&setup);
      taken = now_ns () - begin;
      g_array_append_val (times, taken);
    }
  for (int round = 0; round < rounds; round++)
    {
      name_round (&setup, round);
      remove_all (&setup);
    }
  g_array_sort (times, compare_times);
  printf ("%.1f %.1f\n", g_array_index (times, gint64, rounds / 2) / 1e3,
          g_array_index (times, gint64, 0) / 1e3);
  return 0;
}
