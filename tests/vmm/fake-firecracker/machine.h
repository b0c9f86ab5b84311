/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The one machine: what it was given, whether it runs, and snapshots of it. */

#pragma once

#include "schema.h"

typedef struct
{
  int status;
  char body[4096];
  int exit_code; /* after the answer; -1: it goes on */
} Answer;

typedef struct
{
  int major, minor, patch;
} Release;

void machine_init (const char *id, const Release *release);

/* Carries out one request that has been checked against its schema. @text: of the body. */
void machine_handle (const Endpoint *endpoint,
                     const char *path_id,
                     const Json *body,
                     const char *text,
                     Answer *answer);

void answer_fail (Answer *answer, int status, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

bool machine_is_paused (void);

/* Whether Firecracker ends with the guest: only when that reboots, and does so by the keyboard. */
bool machine_ends_with_guest (void);
