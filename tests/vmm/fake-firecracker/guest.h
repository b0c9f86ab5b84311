/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The machine's inside: the real agent as an ordinary process, with busybox for programs. */

#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Starts it; NULL, or what went wrong. */
const char *guest_start (void);

/* -1 when it is not running. */
pid_t guest_pid (void);

/* Its process has been reaped. */
void guest_forget (void);

/* A connected, non-blocking socket to the agent, or -1. */
int guest_connect (void);

void guest_freeze (bool frozen);
void guest_power_off (void);
