/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: what a real one would have to open is opened, from inside the jail, at the same
 * moment. */

#include "machine.h"

#include "guest.h"
#include "memory.h"
#include "orders.h"
#include "snapshot.h"
#include "vsock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#define PARTS_MAX   32 /* of a configuration */
#define CMDLINE_MAX 2048
#define MIB_DEFAULT 128

/* A body that was accepted, under the path that it came with. */
typedef struct
{
  char path[128];
  char *text;
  Json *body;
} Part;

static struct
{
  const char *id;
  Release release;
  int version;
  bool boots; /* configured: no snapshot can be loaded any more */
  bool has_metrics;
  bool started;
  bool paused;
  int kernel_fd;
  Part parts[PARTS_MAX];
  size_t n_parts;
} machine = { .kernel_fd = -1 };

void
machine_init (const char *id, const Release *release)
{
  machine.id = id;
  machine.release = *release;
  machine.version = VERSION (release->major, release->minor, release->patch);
}

static void
write_body (Answer *answer, const char *member, const char *text)
{
  size_t used = (size_t) snprintf (answer->body, sizeof answer->body, "{\"%s\":\"", member);

  for (const char *p = text; *p != '\0' && used + 8 < sizeof answer->body; p++)
    {
      if (*p == '"' || *p == '\\')
        answer->body[used++] = '\\';
      answer->body[used++] = (unsigned char) *p < 0x20 ? ' ' : *p;
    }
  snprintf (answer->body + used, sizeof answer->body - used, "\"}");
}

void
answer_fail (Answer *answer, int status, const char *format, ...)
{
  char text[2048];
  va_list args;

  va_start (args, format);
  vsnprintf (text, sizeof text, format, args);
  va_end (args);
  answer->status = status;
  write_body (answer, status == 413 ? "error" : "fault_message", text);
}

#define FAIL(answer, ...) answer_fail (answer, 400, __VA_ARGS__)

static void
fail_errno (Answer *answer, const char *what)
{
  int saved_errno = errno;

  FAIL (answer, "%s: %s (os error %d)", what, strerror (saved_errno), saved_errno);
}

/* ---- Parts --------------------------------------------------------------------------------- */

static Part *
find_part (const char *path)
{
  for (size_t i = 0; i < machine.n_parts; i++)
    if (strcmp (machine.parts[i].path, path) == 0)
      return &machine.parts[i];
  return NULL;
}

static const Json *
find_body (const char *path)
{
  const Part *part = find_part (path);

  return part != NULL ? part->body : NULL;
}

/* Kept in one line, for the file of a snapshot. */
static void
keep_part (const char *path, const char *text, Answer *answer)
{
  Part *part = find_part (path);

  if (part == NULL && machine.n_parts == PARTS_MAX)
    {
      FAIL (answer, "Too many devices");
      return;
    }
  if (part == NULL)
    part = &machine.parts[machine.n_parts++];
  free (part->text);
  json_free (part->body);
  snprintf (part->path, sizeof part->path, "%s", path);
  part->text = strdup (text);
  for (char *p = part->text; *p != '\0'; p++)
    if (*p == '\n' || *p == '\r')
      *p = ' ';
  part->body = json_parse (part->text, strlen (part->text));
}

/* ---- Before the start ---------------------------------------------------------------------- */

static void
set_machine (const Json *body, Answer *answer)
{
  long long vcpus = json_number (body, "vcpu_count", 1);
  long long mib = json_number (body, "mem_size_mib", MIB_DEFAULT);
  const char *pages = json_text (body, "huge_pages");

  if (json_flag (body, "smt") && vcpus > 1 && vcpus % 2 != 0)
    FAIL (answer, "Machine config error: The number of vCPUs must be greater than 0, less than 32 "
                  "and must be 1 or an even number if SMT is enabled.");
  else if (mib == 0 || (pages != NULL && strcmp (pages, "2M") == 0 && mib % 2 != 0))
    FAIL (answer, "Machine config error: The memory size (MiB) is either 0, or not a multiple of "
                  "the configured page size.");
}

static void
set_boot_source (const Json *body, Answer *answer)
{
  const char *initrd = json_text (body, "initrd_path");
  const char *arguments = json_text (body, "boot_args");
  int initrd_fd;

  if (arguments != NULL && strlen (arguments) >= CMDLINE_MAX)
    {
      FAIL (answer, "Boot source error: The kernel command line is invalid: Too large.");
      return;
    }
  if (machine.kernel_fd >= 0)
    close (machine.kernel_fd);
  machine.kernel_fd = open (json_text (body, "kernel_image_path"), O_RDONLY | O_CLOEXEC);
  if (machine.kernel_fd < 0)
    fail_errno (answer, "Boot source error: The kernel file cannot be opened");
  initrd_fd = initrd != NULL ? open (initrd, O_RDONLY | O_CLOEXEC) : -1;
  if (initrd != NULL && initrd_fd < 0)
    fail_errno (answer, "Boot source error: The initrd file cannot be opened due to invalid path "
                        "or invalid permissions");
}

static bool
another_drive_is_root (const char *id)
{
  for (size_t i = 0; i < machine.n_parts; i++)
    {
      const char *other = json_text (machine.parts[i].body, "drive_id");

      if (other != NULL && strcmp (other, id) != 0 &&
          json_flag (machine.parts[i].body, "is_root_device"))
        return true;
    }
  return false;
}

static void
set_drive (const Json *body, Answer *answer)
{
  const char *path = json_text (body, "path_on_host");

  if (path == NULL || json_text (body, "socket") != NULL)
    FAIL (answer, "Drive config error: Unable to create the virtio block device: Virtio backend "
                  "error: Configuration is not valid for a virtio-block device");
  else if (json_flag (body, "is_root_device") &&
           another_drive_is_root (json_text (body, "drive_id")))
    FAIL (answer, "Drive config error: A root block device already exists!");
  else if (open (path, (json_flag (body, "is_read_only") ? O_RDONLY : O_RDWR) | O_CLOEXEC) < 0)
    fail_errno (answer, "Drive config error: Unable to create the virtio block device: Virtio "
                        "backend error: Error manipulating the backing file");
}

static bool
is_mac (const char *text)
{
  for (int i = 0; i < 17; i++)
    if (i % 3 == 2 ? text[i] != ':' : !isxdigit ((unsigned char) text[i]))
      return false;
  return text[17] == '\0';
}

/* Makes no device, as a real one that is root would: it has to be there. */
static void
open_tap (const char *name, Answer *answer)
{
  struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  int fd = open ("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

  if (fd >= 0 && strlen (name) < IFNAMSIZ && if_nametoindex (name) != 0)
    {
      strcpy (request.ifr_name, name);
      if (ioctl (fd, TUNSETIFF, &request) == 0)
        return;
    }
  fail_errno (answer, "Network config error: Could not create the network device: Open tap device "
                      "failed");
}

static void
set_interface (const Json *body, Answer *answer)
{
  const char *mac = json_text (body, "guest_mac");

  if (mac != NULL && !is_mac (mac))
    {
      FAIL (answer, "An error occurred when deserializing the json body of a request: invalid MAC "
                    "address.");
      return;
    }
  for (size_t i = 0; mac != NULL && i < machine.n_parts; i++)
    {
      const char *other = json_text (machine.parts[i].body, "guest_mac");

      if (other != NULL && strcasecmp (other, mac) == 0 &&
          strcmp (json_text (machine.parts[i].body, "iface_id"), json_text (body, "iface_id")) != 0)
        {
          FAIL (answer, "Network config error: The MAC address is already in use: %s", mac);
          return;
        }
    }
  open_tap (json_text (body, "host_dev_name"), answer);
}

static void
bind_vsock (const char *path, Answer *answer)
{
  errno = vsock_listen (path);
  if (errno != 0)
    fail_errno (answer, "Vsock config error: Cannot create backend for vsock device: Error binding "
                        "to the host-side Unix socket");
}

/* It makes none of these files. */
static void
open_log (const char *path, const char *what, Answer *answer)
{
  if (path != NULL && open (path, O_RDWR | O_NONBLOCK | O_CLOEXEC) < 0)
    fail_errno (answer, what);
}

static void
set_metrics (const Json *body, Answer *answer)
{
  if (machine.has_metrics)
    FAIL (answer, "Metrics error: Cannot initialize the metrics system due to bad user input: "
                  "Metrics already initialized");
  else
    open_log (json_text (body, "metrics_path"),
              "Metrics error: Cannot initialize the metrics system due to bad user input", answer);
  machine.has_metrics = machine.has_metrics || answer->status == 204;
}

static void
set_balloon (const Json *body, Answer *answer)
{
  const Json *config = find_body ("/machine-config");

  if (json_number (body, "amount_mib", 0) > json_number (config, "mem_size_mib", MIB_DEFAULT))
    FAIL (answer, "Balloon config error: Amount of pages requested is too large.");
}

/* ---- The start ----------------------------------------------------------------------------- */

static bool
open_kvm (Answer *answer)
{
  char path[256] = "/dev/kvm";
  int fd;

  orders_get ("kvm", NULL, path, sizeof path);
  fd = open (path, O_RDWR | O_CLOEXEC);
  if (fd < 0)
    fail_errno (answer,
                "Start microvm error: Internal error while starting microVM: Error creating "
                "KVM object");
  return fd >= 0;
}

static void
start (Answer *answer)
{
  const Json *serial = find_body ("/serial");
  const char *fault = NULL;
  char magic[4] = "";

  if (machine.kernel_fd < 0)
    {
      FAIL (answer, "Start microvm error: Cannot start microvm without kernel configuration.");
      return;
    }
  if (pread (machine.kernel_fd, magic, sizeof magic, 0) != sizeof magic ||
      memcmp (magic, "\177ELF", sizeof magic) != 0)
    {
      FAIL (answer, "Start microvm error: Cannot load kernel due to invalid memory configuration "
                    "or invalid kernel image: Kernel Loader: failed to load ELF kernel image");
      return;
    }
  open_log (json_text (serial, "serial_out_path"), "Start microvm error: Failed to open serial_out",
            answer);
  if (answer->status != 204 || !open_kvm (answer))
    return;
  fault = guest_start ();
  if (fault != NULL)
    FAIL (answer, "Start microvm error: the stand-in %s: %s", fault, strerror (errno));
  machine.started = fault == NULL;
}

static void
press_ctrl_alt_del (void)
{
  char unused[8];

  if (!orders_get ("ignore-ctrl-alt-del", NULL, unused, sizeof unused))
    guest_power_off ();
}

static void
act (const Json *body, Answer *answer)
{
  const char *type = json_text (body, "action_type");
  bool starts = strcmp (type, "InstanceStart") == 0;

  if (starts && machine.started)
    FAIL (answer, "The requested operation is not supported after starting the microVM.");
  else if (!starts && !machine.started)
    FAIL (answer, "The requested operation is not supported before starting the microVM.");
  else if (starts)
    start (answer);
  else if (strcmp (type, "SendCtrlAltDel") == 0)
    press_ctrl_alt_del ();
}

static void
set_state (const Json *body, Answer *answer)
{
  bool paused = strcmp (json_text (body, "state"), "Paused") == 0;
  const Release *release = &machine.release;

  (void) answer;
  if (machine.paused && !paused && release->major == 1 && release->minor == 16 &&
      release->patch <= 1)
    vsock_stop_answering ();
  if (machine.paused != paused)
    guest_freeze (paused);
  machine.paused = paused;
}

/* ---- Snapshots ----------------------------------------------------------------------------- */

static void
create_snapshot (const Json *body, Answer *answer)
{
  const Json *config = find_body ("/machine-config");
  const char *type = json_text (body, "snapshot_type");
  SnapshotWriter writer = {
    .state_path = json_text (body, "snapshot_path"),
    .memory_path = json_text (body, "mem_file_path"),
    .memory_mib = json_number (config, "mem_size_mib", MIB_DEFAULT),
    .format = snapshot_format (machine.release.minor),
  };

  if (!machine.paused)
    FAIL (answer, "Create snapshot error: Cannot save the microVM state: Operation not allowed: "
                  "the microVM is not paused");
  else if (type != NULL && strcmp (type, "Diff") == 0 && !json_flag (config, "track_dirty_pages"))
    FAIL (answer, "Create snapshot error: Diff snapshots are not allowed on uVMs with dirty page "
                  "tracking disabled");
  else if (snapshot_begin (&writer))
    for (size_t i = 0; i < machine.n_parts; i++)
      snapshot_add (&writer, machine.parts[i].path, machine.parts[i].text);
  if (answer->status == 204 && !snapshot_end (&writer))
    FAIL (answer, "Create snapshot error: Cannot write the snapshot: %s", strerror (errno));
}

/* The tap for an interface: another one, if the request says so. */
static const char *
choose_tap (const Json *body, const Json *load)
{
  const Json *overrides = json_member (load, "network_overrides");

  for (const Json *o = overrides != NULL ? overrides->first : NULL; o != NULL; o = o->next)
    if (strcmp (json_text (o, "iface_id"), json_text (body, "iface_id")) == 0)
      return json_text (o, "host_dev_name");
  return json_text (body, "host_dev_name");
}

static void
restore_part (const char *path, const char *text, const Json *load, Answer *answer)
{
  const Json *override = json_member (load, "vsock_override");
  const Json *body;

  keep_part (path, text, answer);
  body = find_body (path);
  if (body == NULL)
    FAIL (answer, "Failed to deserialize the state of %s", path);
  else if (strncmp (path, "/drives/", 8) == 0)
    set_drive (body, answer);
  else if (strncmp (path, "/network-interfaces/", 20) == 0)
    open_tap (choose_tap (body, load), answer);
  else if (strcmp (path, "/vsock") == 0)
    bind_vsock (json_text (override != NULL ? override : body, "uds_path"), answer);
}

static bool
names_known_interfaces (const Json *load)
{
  const Json *overrides = json_member (load, "network_overrides");
  char path[128];

  for (const Json *o = overrides != NULL ? overrides->first : NULL; o != NULL; o = o->next)
    {
      snprintf (path, sizeof path, "/network-interfaces/%s", json_text (o, "iface_id"));
      if (find_part (path) == NULL)
        return false;
    }
  return true;
}

static const char *
restore_guest (void)
{
  const char *fault = guest_start ();
  int fd = fault == NULL ? guest_connect () : -1;

  if (fault == NULL && (fd < 0 || !memory_restore (fd)))
    fault = "the stand-in cannot restore its guest";
  if (fd >= 0)
    close (fd);
  return fault;
}

static void
restore (const Json *load, const char *memory_path, Answer *answer)
{
  SnapshotReader reader = {
    .state_path = json_text (load, "snapshot_path"),
    .memory_path = memory_path,
    .format = snapshot_format (machine.release.minor),
  };
  const char *fault = snapshot_open (&reader);
  char *path, *text;

  while (fault == NULL && answer->status == 204 && snapshot_next (&reader, &path, &text))
    restore_part (path, text, load, answer);
  if (fault == NULL && answer->status == 204 && !names_known_interfaces (load))
    fault = "Unknown Network Device";
  if (fault == NULL && answer->status == 204 && json_member (load, "vsock_override") != NULL &&
      find_part ("/vsock") == NULL)
    fault = "Unknown Vsock Device";
  if (fault == NULL && answer->status == 204 && open_kvm (answer))
    fault = restore_guest ();
  snapshot_close (&reader);
  if (fault != NULL)
    FAIL (answer, "Load snapshot error: Failed to restore from snapshot: %s", fault);
}

static void
load_snapshot (const Json *load, Answer *answer)
{
  const Json *backend = json_member (load, "mem_backend");
  const char *path = json_text (load, "mem_file_path");

  if ((backend != NULL) == (path != NULL))
    {
      FAIL (answer,
            "An error occurred when deserializing the json body of a request: %s fields: "
            "either `mem_backend` or `mem_file_path` exclusively is required.",
            path != NULL ? "too many" : "missing");
      return;
    }
  if (machine.boots)
    {
      FAIL (answer, "Load snapshot error: Loading a microVM snapshot not allowed after configuring "
                    "boot-specific resources.");
      return;
    }
  restore (load, path != NULL ? path : json_text (backend, "backend_path"), answer);
  if (answer->status != 204)
    {
      answer->exit_code = 1;
      return;
    }
  machine.started = true;
  machine.paused = !json_flag (load, "resume_vm");
  guest_freeze (machine.paused);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void
describe (Answer *answer)
{
  answer->status = 200;
  snprintf (answer->body, sizeof answer->body,
            "{\"id\":\"%s\",\"state\":\"%s\",\"vmm_version\":\"%d.%d.%d\",\"app_name\":"
            "\"Firecracker\"}",
            machine.id,
            !machine.started ? "Not started"
            : machine.paused ? "Paused"
                             : "Running",
            machine.release.major, machine.release.minor, machine.release.patch);
}

static void
tell_version (Answer *answer)
{
  answer->status = 200;
  snprintf (answer->body, sizeof answer->body, "{\"firecracker_version\":\"%d.%d.%d\"}",
            machine.release.major, machine.release.minor, machine.release.patch);
}

static void
get_machine (Answer *answer)
{
  const Json *config = find_body ("/machine-config");

  answer->status = 200;
  snprintf (answer->body, sizeof answer->body,
            "{\"vcpu_count\":%lld,\"mem_size_mib\":%lld,\"smt\":%s,\"track_dirty_pages\":%s,"
            "\"huge_pages\":\"None\"}",
            json_number (config, "vcpu_count", 1),
            json_number (config, "mem_size_mib", MIB_DEFAULT),
            json_flag (config, "smt") ? "true" : "false",
            json_flag (config, "track_dirty_pages") ? "true" : "false");
}

static void
run (Call call, const Json *body, Answer *answer)
{
  switch (call)
    {
    case CALL_DESCRIBE:
      return describe (answer);
    case CALL_VERSION:
      return tell_version (answer);
    case CALL_GET_MACHINE:
      return get_machine (answer);
    case CALL_MACHINE:
      return set_machine (body, answer);
    case CALL_BOOT_SOURCE:
      return set_boot_source (body, answer);
    case CALL_DRIVE:
      return set_drive (body, answer);
    case CALL_INTERFACE:
      return set_interface (body, answer);
    case CALL_VSOCK:
      return bind_vsock (json_text (body, "uds_path"), answer);
    case CALL_LOGGER:
      return open_log (json_text (body, "log_path"), "Logger error: Failed to open target file",
                       answer);
    case CALL_METRICS:
      return set_metrics (body, answer);
    case CALL_BALLOON:
      return set_balloon (body, answer);
    case CALL_ACTION:
      return act (body, answer);
    case CALL_STATE:
      return set_state (body, answer);
    case CALL_SNAPSHOT_CREATE:
      return create_snapshot (body, answer);
    case CALL_SNAPSHOT_LOAD:
      return load_snapshot (body, answer);
    case CALL_BALLOON_SIZE:
      if (find_part ("/balloon") == NULL)
        FAIL (answer, "Balloon update error: Device not found");
      return;
    case CALL_ENTROPY:
    case CALL_SERIAL: /* its file is opened at the start */
      return;
    }
}

static bool
check_path_id (const char *path_id, const Json *body, const char *field, Answer *answer)
{
  const char *body_id = json_text (body, field);

  if (*path_id == '\0')
    FAIL (answer, "The ID cannot be empty.");
  else if (path_id[strspn (path_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789_")] != '\0')
    FAIL (answer, "API Resource IDs can only contain alphanumeric characters and underscores.");
  else if (strcmp (path_id, body_id) != 0)
    FAIL (answer, "The id from the path [%s] does not match the id from the body [%s]!", path_id,
          body_id);
  return answer->status == 204;
}

void
machine_handle (const Endpoint *endpoint,
                const char *path_id,
                const Json *body,
                const char *text,
                Answer *answer)
{
  const char *brace = strchr (endpoint->path, '{');
  char path[128], field[32];

  answer->status = 204;
  answer->body[0] = '\0';
  answer->exit_code = -1;
  snprintf (path, sizeof path, "%.*s%s", brace != NULL ? (int) (brace - endpoint->path) : 127,
            endpoint->path, path_id != NULL ? path_id : "");
  if (brace != NULL)
    {
      snprintf (field, sizeof field, "%.*s", (int) strlen (brace) - 2, brace + 1);
      if (!check_path_id (path_id, body, field, answer))
        return;
    }
  if ((endpoint->when == WHEN_PREBOOT || endpoint->when == WHEN_PREBOOT_BOOTS) && machine.started)
    FAIL (answer, "The requested operation is not supported after starting the microVM.");
  else if (endpoint->when == WHEN_RUNNING && !machine.started)
    FAIL (answer, "The requested operation is not supported before starting the microVM.");
  if (answer->status != 204)
    return;
  /* Whether it succeeds or not. */
  machine.boots = machine.boots || endpoint->when == WHEN_PREBOOT_BOOTS;
  run (endpoint->call, body, answer);
  if (answer->status == 204 && endpoint->when != WHEN_ALWAYS && endpoint->when != WHEN_RUNNING &&
      endpoint->call != CALL_SNAPSHOT_LOAD && endpoint->call != CALL_LOGGER &&
      endpoint->call != CALL_METRICS)
    keep_part (path, text, answer);
}

bool
machine_is_paused (void)
{
  return machine.paused;
}

bool
machine_ends_with_guest (void)
{
  const char *arguments = json_text (find_body ("/boot-source"), "boot_args");

  return !memory_wants_power_off () && arguments != NULL && strstr (arguments, "reboot=k") != NULL;
}
