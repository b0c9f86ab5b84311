/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The supervisor's command line. */

#pragma once

#include <stddef.h>
#include <sys/types.h>

typedef struct
{
  uid_t jailed_uid; /* the program is a jailer, and this is whom it becomes; 0: it is not */
  int console_fd;   /* -1: none */
  int log_fd;
  int status_fd;
  size_t max_bytes;
  char **program; /* NULL-terminated */
} Options;

/* NULL, or what is wrong. */
const char *options_parse (Options *options, int argc, char **argv);
