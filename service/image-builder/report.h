/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How a confined tool (this one, or the kernel unpacker) says why it gave up: one line on
 * descriptor 3 for vmsand, a word of this list and a text, and the same text on standard error. */

#pragma once

#define REPORT_FD 3

enum ReportKind
{
  REPORT_INVALID, /* what it was given is not acceptable */
  REPORT_LIMIT,   /* larger than allowed */
  REPORT_SPACE,   /* the host's file system is full */
  REPORT_FAILED,  /* anything else */
};

/* Reports and exits with 1. Control characters and all but the first kilobyte are left out. */
void report_and_exit (enum ReportKind kind, const char *format, ...)
    __attribute__ ((format (printf, 2, 3), noreturn));

/* As above, for a failed system call: a full disk is REPORT_SPACE, anything else @kind; the
 * error's text is appended. */
void report_errno_and_exit (enum ReportKind kind, int saved_errno, const char *format, ...)
    __attribute__ ((format (printf, 3, 4), noreturn));

/* A remark that does not end the work; on standard error only. */
void report_note (const char *format, ...) __attribute__ ((format (printf, 1, 2)));
