/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A world for tests of the QEMU driver: the host's kernel with its modules in a store, an image
 * with busybox, and machines with a cgroup, a uid and a runtime directory each. All of it is gone
 * afterwards, and a test fails that leaves something. */

#pragma once

#include "storage/content-store.h"
#include "sys/error.h"
#include "vmm/vmm.h"

typedef struct
{
  char *directory;
  VmsanManagedRoot *root;
  VmsanContentStore *kernels;
  VmsanContent *kernel;
  VmsanVmm *vmm;
  char *cgroup_parent;
} World;

/* One machine; its members may be changed before it is spawned. */
typedef struct
{
  World *world;
  char *name;
  char *runtime_dir;
  VmsanVmmSpec spec;
  VmsanMonitor *monitor;
  guint8 token[32];
} Machine;

World *world_new (void);
void world_free (World *self);

/* Number @n decides its uid and names. */
Machine *machine_new (World *world, guint n);

/* Kills what is left, and removes all. */
void machine_free (Machine *self);

/* Each runs the main context until it is done. */
gboolean machine_spawn (Machine *self, GCancellable *cancellable, GError **error);
gboolean machine_boot (Machine *self, GError **error);
gboolean machine_pause (Machine *self, gboolean paused, GError **error);

/* A stream after the handshake, or -1. */
int machine_open_stream (Machine *self, guint stream, guint16 kind, GError **error);

/* Boots it and waits until the agent is ready. Returns the control session. */
GObject *machine_start (Machine *self, GError **error);

/* Runs a shell command in the guest on stream 1. Its output, or NULL. */
char *machine_run (Machine *self, const char *command, GError **error);

/* What the monitor's end is said to be. */
char *machine_wait_for_end (Machine *self);

/* QEMU itself, the supervisor's child. */
pid_t machine_get_qemu (Machine *self);

/* The whole console log. */
char *machine_read_console (Machine *self);

/* The test fails when it does not; with the console, where the guest does not come up. */
void machine_assert_spawns (Machine *self);
GObject *machine_assert_starts (Machine *self);

/* It must fail with @code and a message that has @words, and leave no process. */
void machine_assert_no_spawn (Machine *self, VmsanError code, const char *words);

/* No process is in its control group. */
void machine_assert_cgroup_is_empty (Machine *self);

/* For calls of the test's own. */
void on_result (GObject *source, GAsyncResult *result, gpointer user_data);
GAsyncResult *wait_for_result (GAsyncResult **result);
