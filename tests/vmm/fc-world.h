/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A directory with a stand-in for Firecracker running in it, outside any jail, and the client
 * connected to it. */

#pragma once

#include "vmm/firecracker/fc-api.h"

#include <sys/types.h>

#define FC_DEADLINE_MS 20000

typedef struct
{
  char *dir;
  int dir_fd;
  GPid pid; /* 0: not running */
  int log_fd;
  GString *log; /* what it wrote so far */
  VmsanFcApi *api;
  VmsanFcVersion version;
} FcWorld;

/* A tap device in the network namespace of this process. */
void fc_make_tap (const char *name, uid_t owner);

/* For all worlds of this process: a network namespace of its own with a device "tap0". Before any
 * thread. */
void fc_world_init (void);

/* With files to use: kernel, text, initrd, disk, log, metrics, serial. */
FcWorld *fc_world_new (void);
void fc_world_free (FcWorld *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FcWorld, fc_world_free)

/* (transfer full) */
char *fc_world_path (FcWorld *self, const char *name);

/* Lines of orders.h. */
void fc_world_order (FcWorld *self, const char *orders);

/* Starts the stand-in for @release, ends one that runs, and waits until it listens. Connects to it
 * and asks for its version. */
void fc_world_start (FcWorld *self, const char *release);

/* Runs @argv with its errors as the log. */
void fc_world_spawn (FcWorld *self, const char *const *argv, const char *const *environment);

/* Waits until it says that it listens. FALSE when it ends without. */
gboolean fc_world_wait_listening (FcWorld *self);

/* The same with no client. */
void fc_world_start_alone (FcWorld *self, const char *release);

/* Kills it, and takes its sockets away. */
void fc_world_stop (FcWorld *self);

/* Waits for its end. Returns the exit code, or 128 + the signal. */
int fc_world_wait (FcWorld *self);

/* How often it was sent "PUT /vsock", up to now. */
guint fc_world_count (FcWorld *self, const char *call);

/* Sends @request (transfer full) and waits. NULL with @error. */
JsonObject *
fc_world_try (FcWorld *self, VmsanFcRequest *request, guint deadline_ms, GError **error);

/* The same where nothing may go wrong. */
void fc_world_send (FcWorld *self, VmsanFcRequest *request);

/* The same where Firecracker refuses, with @words in the message. */
void fc_world_refused (FcWorld *self, VmsanFcRequest *request, const char *words);

/* Requests of an ordinary machine. */
VmsanFcRequest *fc_world_machine (void);
VmsanFcRequest *fc_world_boot_source (FcWorld *self);
VmsanFcRequest *fc_world_drive (FcWorld *self);
VmsanFcRequest *fc_world_interface (FcWorld *self);
VmsanFcRequest *fc_world_vsock (FcWorld *self);

/* Sends all of them. */
void fc_world_configure (FcWorld *self);

/* Asks the vsock socket at @path for the guest's agent; it may never answer. */
int fc_connect_guest (const char *path);

/* The same with an answer and a handshake: a session of @kind, non-blocking. */
int fc_open_session (const char *path, guint16 kind);

/* The line with which the monitor answered, with a deadline. NULL when none came. */
char *fc_read_line (int fd, guint deadline_ms);

/* For callbacks of asynchronous functions. */
void fc_on_result (GObject *source, GAsyncResult *result, gpointer user_data);
GAsyncResult *fc_wait (GAsyncResult **result);
