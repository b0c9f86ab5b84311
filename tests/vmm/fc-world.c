/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what is not ended by a test is ended here, by its pid, and no file is left. */

#include "fc-world.h"

#include "sys/error.h"
#include "sys/fd.h"
#include "vm/agent-handshake.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/if_tun.h>

#define API_SOCKET "api.sock"

void
fc_make_tap (const char *name, uid_t owner)
{
  struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  vmsan_autofd int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  g_strlcpy (request.ifr_name, name, sizeof request.ifr_name);
  g_assert_no_errno (ioctl (fd, TUNSETIFF, &request));
  g_assert_no_errno (ioctl (fd, TUNSETOWNER, (unsigned long) owner));
  g_assert_no_errno (ioctl (fd, TUNSETPERSIST, 1));
}

void
fc_world_init (void)
{
  g_assert_no_errno (unshare (CLONE_NEWNET));
  fc_make_tap ("tap0", 0);
  fc_make_tap ("tap1", 0);
}

/* ---- Files --------------------------------------------------------------------------------- */

char *
fc_world_path (FcWorld *self, const char *name)
{
  return g_build_filename (self->dir, name, NULL);
}

static void
write_file (FcWorld *self, const char *name, const char *text)
{
  g_autofree char *path = fc_world_path (self, name);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

FcWorld *
fc_world_new (void)
{
  static const char *const empty[] = { "initrd", "disk", "log", "metrics", "serial" };
  FcWorld *self = g_new0 (FcWorld, 1);
  g_autoptr (GError) error = NULL;

  self->dir = g_dir_make_tmp ("vmsan-fc-XXXXXX", &error);
  g_assert_no_error (error);
  self->dir_fd = open (self->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self->log_fd = -1;
  self->log = g_string_new (NULL);
  write_file (self, "kernel", "\177ELF, as far as anybody looks");
  write_file (self, "text", "not a kernel");
  for (guint i = 0; i < G_N_ELEMENTS (empty); i++)
    write_file (self, empty[i], "");
  fc_world_order (self, "");
  return self;
}

static void
remove_files (FcWorld *self)
{
  g_autoptr (GDir) dir = g_dir_open (self->dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    g_assert_no_errno (unlinkat (self->dir_fd, name, 0));
}

void
fc_world_free (FcWorld *self)
{
  g_clear_object (&self->api);
  fc_world_stop (self);
  remove_files (self);
  vmsan_fd_close (&self->dir_fd);
  g_assert_no_errno (g_rmdir (self->dir));
  g_string_free (self->log, TRUE);
  g_free (self->dir);
  g_free (self);
}

void
fc_world_order (FcWorld *self, const char *orders)
{
  g_autofree char *text = NULL;

  /* Where there is no /dev/kvm, something else has to be opened. */
  if (access ("/dev/kvm", F_OK) < 0)
    text = g_strconcat ("kvm /dev/null\n", orders, NULL);
  write_file (self, "orders", text != NULL ? text : orders);
}

/* ---- The process --------------------------------------------------------------------------- */

static void
read_log (FcWorld *self)
{
  char buffer[4096];
  gssize n;

  while (self->log_fd >= 0 && (n = read (self->log_fd, buffer, sizeof buffer)) > 0)
    g_string_append_len (self->log, buffer, n);
}

gboolean
fc_world_wait_listening (FcWorld *self)
{
  struct pollfd pollfd = { self->log_fd, POLLIN, 0 };

  while (strstr (self->log->str, "listening\n") == NULL)
    {
      g_assert_cmpint (poll (&pollfd, 1, FC_DEADLINE_MS), ==, 1);
      if ((pollfd.revents & POLLIN) == 0)
        return FALSE;
      read_log (self);
    }
  return TRUE;
}

static void
die_with_test (gpointer user_data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

void
fc_world_spawn (FcWorld *self, const char *const *argv, const char *const *environment)
{
  g_autoptr (GError) error = NULL;

  fc_world_stop (self);
  g_spawn_async_with_pipes (self->dir, (char **) argv, (char **) environment,
                            G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, die_with_test,
                            NULL, &self->pid, NULL, NULL, &self->log_fd, &error);
  g_assert_no_error (error);
  g_assert_true (g_unix_set_fd_nonblocking (self->log_fd, TRUE, NULL));
  g_string_truncate (self->log, 0);
}

void
fc_world_start_alone (FcWorld *self, const char *release)
{
  g_autofree char *socket = fc_world_path (self, API_SOCKET);
  g_autofree char *path = fc_world_path (self, "orders");
  g_autofree char *orders = g_strconcat ("FAKE_FIRECRACKER_ORDERS=", path, NULL);
  g_autofree char *version = g_strconcat ("FAKE_FIRECRACKER_VERSION=", release, NULL);
  const char *const argv[] = { FAKE_FIRECRACKER, "--api-sock", socket, "--id", "vm-1", NULL };
  const char *const environment[] = { orders, version, NULL };

  fc_world_spawn (self, argv, environment);
  if (!fc_world_wait_listening (self))
    g_error ("The stand-in ended: %s", self->log->str);
}

void
fc_world_start (FcWorld *self, const char *release)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_clear_object (&self->api);
  fc_world_start_alone (self, release);
  self->api = vmsan_fc_api_open (self->dir_fd, API_SOCKET, &error);
  g_assert_no_error (error);
  vmsan_fc_api_ask_version_async (self->api, FC_DEADLINE_MS, NULL, fc_on_result, &result);
  vmsan_fc_api_ask_version_finish (self->api, fc_wait (&result), &self->version, &error);
  g_assert_no_error (error);
}

int
fc_world_wait (FcWorld *self)
{
  int status;

  g_assert_cmpint (self->pid, >, 0);
  g_assert_cmpint (waitpid (self->pid, &status, 0), ==, self->pid);
  self->pid = 0;
  read_log (self);
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

void
fc_world_stop (FcWorld *self)
{
  if (self->pid > 0)
    {
      g_assert_no_errno (kill (self->pid, SIGKILL));
      fc_world_wait (self);
    }
  vmsan_fd_close (&self->log_fd);
  unlinkat (self->dir_fd, API_SOCKET, 0);
  unlinkat (self->dir_fd, "vsock", 0);
}

guint
fc_world_count (FcWorld *self, const char *call)
{
  g_auto (GStrv) lines = NULL;
  guint n = 0;

  read_log (self);
  lines = g_strsplit (self->log->str, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    n += g_str_equal (lines[i], call);
  return n;
}

/* ---- Requests ------------------------------------------------------------------------------ */

void
fc_on_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

GAsyncResult *
fc_wait (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

JsonObject *
fc_world_try (FcWorld *self, VmsanFcRequest *request, guint deadline_ms, GError **error)
{
  g_autoptr (VmsanFcRequest) owned = request;
  g_autoptr (GAsyncResult) result = NULL;

  g_assert_nonnull (request);
  vmsan_fc_api_send_async (self->api, owned, deadline_ms, NULL, fc_on_result, &result);
  return vmsan_fc_api_send_finish (self->api, fc_wait (&result), error);
}

void
fc_world_send (FcWorld *self, VmsanFcRequest *request)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = fc_world_try (self, request, FC_DEADLINE_MS, &error);

  g_assert_no_error (error);
  g_assert_nonnull (answer);
}

void
fc_world_refused (FcWorld *self, VmsanFcRequest *request, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) answer = fc_world_try (self, request, FC_DEADLINE_MS, &error);

  g_assert_null (answer);
  g_assert_error (error, VMSAN_ERROR, VMSAN_ERROR_VMM_FAILED);
  if (strstr (error->message, words) == NULL)
    g_error ("“%s” is not in “%s”", words, error->message);
}

/* ---- An ordinary machine ------------------------------------------------------------------- */

VmsanFcRequest *
fc_world_machine (void)
{
  const VmsanFcMachine machine = { .vcpus = 2, .memory_mib = 128 };

  return vmsan_fc_request_new_machine (&machine, NULL);
}

VmsanFcRequest *
fc_world_boot_source (FcWorld *self)
{
  g_autofree char *kernel = fc_world_path (self, "kernel");
  g_autofree char *initrd = fc_world_path (self, "initrd");
  const VmsanFcBootSource source = { kernel, initrd, "console=ttyS0 reboot=k panic=-1" };

  return vmsan_fc_request_new_boot_source (&source, NULL);
}

VmsanFcRequest *
fc_world_drive (FcWorld *self)
{
  g_autofree char *path = fc_world_path (self, "disk");
  const VmsanFcDrive drive = { .id = "base", .path = path, .read_only = TRUE };

  return vmsan_fc_request_new_drive (&drive, NULL);
}

VmsanFcRequest *
fc_world_interface (FcWorld *self)
{
  const VmsanFcInterface interface = { .id = "eth0", .tap = "tap0", .mac = "02:00:00:00:00:01" };

  return vmsan_fc_request_new_interface (&self->version, &interface, NULL);
}

VmsanFcRequest *
fc_world_vsock (FcWorld *self)
{
  g_autofree char *path = fc_world_path (self, "vsock");

  return vmsan_fc_request_new_vsock (3, path, NULL);
}

void
fc_world_configure (FcWorld *self)
{
  fc_world_send (self, fc_world_machine ());
  fc_world_send (self, fc_world_boot_source (self));
  fc_world_send (self, fc_world_drive (self));
  fc_world_send (self, fc_world_interface (self));
  fc_world_send (self, fc_world_vsock (self));
}

/* ---- The guest ----------------------------------------------------------------------------- */

int
fc_connect_guest (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  vmsan_autofd int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_cmpint (write (fd, "CONNECT 7000\n", 13), ==, 13);
  return g_steal_fd (&fd);
}

char *
fc_read_line (int fd, guint deadline_ms)
{
  g_autoptr (GString) line = g_string_new (NULL);
  struct pollfd pollfd = { fd, POLLIN, 0 };
  char byte;

  while (poll (&pollfd, 1, deadline_ms) == 1 && read (fd, &byte, 1) == 1)
    {
      if (byte == '\n')
        return g_string_free (g_steal_pointer (&line), FALSE);
      g_string_append_c (line, byte);
    }
  return NULL;
}

int
fc_open_session (const char *path, guint16 kind)
{
  const guint8 token[VMSAN_TOKEN_SIZE] = { 1, 2, 3 };
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  vmsan_autofd int fd = fc_connect_guest (path);
  g_autofree char *line = fc_read_line (fd, FC_DEADLINE_MS);

  g_assert_nonnull (line);
  g_assert_true (g_str_has_prefix (line, "OK "));
  g_assert_true (g_unix_set_fd_nonblocking (fd, TRUE, NULL));
  vmsan_agent_handshake_async (fd, kind, token, FC_DEADLINE_MS, NULL, fc_on_result, &result);
  vmsan_agent_handshake_finish (fc_wait (&result), &error);
  g_assert_no_error (error);
  return g_steal_fd (&fd);
}
