/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the administrator decided: vmsand.conf, a key file. data/vmsand.conf documents every key. */

#pragma once

#include <glib.h>
#include <sys/types.h>

#define VMSAN_BUILDER_UIDS 65536 /* from builder_first_uid on */

typedef struct
{
  char *state_directory;
  char *runtime_directory;
  char *libexec_directory; /* not in the file: where vmsan-agent and the other helpers are */

  guint max_vms;
  guint max_vms_per_user;
  guint max_vcpus_per_user;
  guint64 max_memory_mib_per_user;
  guint64 max_disk_mib_per_user;
  guint64 max_image_mib;

  guint default_vcpus;
  guint default_memory_mib;
  guint default_disk_mib;
  char *default_driver;
  guint stop_deadline_ms;
  guint start_deadline_ms;

  uid_t first_uid;
  guint uid_count;
  uid_t builder_first_uid;

  char *cgroup_parent;

  char *ipv4_pool;
  char *ipv6_pool; /* "" for none */
  guint prepared_networks;
  char *resolver;       /* ADDRESS or ADDRESS#PORT; "" for the host's own */
  char *dnsmasq_binary; /* "" to look for it */

  char *firecracker_directories; /* separated by ":" */
  char *kvm_device;              /* "" to take KVM for granted */
  char *qemu_binary;
  guint console_max_kib;
} VmsanConfig;

/* Reads @path; NULL gives the defaults. A value that is out of its range or not of its type is an
 * error that names group and key; a key that nobody knows is warned of. */
VmsanConfig *vmsan_config_load (const char *path, GError **error);
/* All keys that there are, as "Group/Key": what the documentation must have. (transfer full) */
GStrv vmsan_config_list_keys (void);

void vmsan_config_free (VmsanConfig *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VmsanConfig, vmsan_config_free)
