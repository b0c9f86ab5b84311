/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the jailer was asked for, and how it gives up. */

#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#define CGROUPS_MAX 16

typedef struct
{
  const char *id;
  char exec_path[PATH_MAX];
  const char *exec_name; /* inside exec_path */
  char root[PATH_MAX];   /* of the jail: BASE/EXEC-NAME/ID/root */
  uid_t uid;
  gid_t gid;
  const char *netns; /* NULL: stays where it is */
  bool daemonize;
  bool new_pid_ns;
  int cgroup_version;
  const char *parent_cgroup;
  char *cgroups[CGROUPS_MAX]; /* FILE=VALUE */
  int n_cgroups;
  rlim_t file_size; /* RLIM_INFINITY: as it is */
  rlim_t n_files;
  char **extra; /* arguments for Firecracker, NULL-terminated */
} Jail;

/* Exit code 1, as for an error that the real one returns; with errno's text if it is not 0. */
void jailer_fail (int saved_errno, const char *format, ...)
    __attribute__ ((noreturn, format (printf, 2, 3)));

/* Exit code 101, as for one on which it panics. */
void jailer_panic (int saved_errno, const char *format, ...)
    __attribute__ ((noreturn, format (printf, 2, 3)));

/* Checks what is checked before anything is made. */
void cgroup_check (const Jail *jail);

/* Makes the groups, sets the values, and moves this process into them. */
void cgroup_apply (const Jail *jail);

/* From the copy of the binary to the exec. */
void jail_run (Jail *jail) __attribute__ ((noreturn));
