/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The two files of a snapshot: the machine's state, and a memory file of the machine's size. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Of the state, by minor release. */
int snapshot_format (int minor);

typedef struct
{
  const char *state_path;
  const char *memory_path;
  long long memory_mib;
  int format;
  FILE *state;
  uint32_t sum;
} SnapshotWriter;

/* Begin and end fail with errno; parts between them are a path and one line of text. */
bool snapshot_begin (SnapshotWriter *writer);
void snapshot_add (SnapshotWriter *writer, const char *path, const char *text);
bool snapshot_end (SnapshotWriter *writer);

typedef struct
{
  const char *state_path;
  const char *memory_path;
  int format;
  char *text;
  char *next;
} SnapshotReader;

/* NULL, or what is wrong with it. */
const char *snapshot_open (SnapshotReader *reader);
bool snapshot_next (SnapshotReader *reader, char **path, char **text);
void snapshot_close (SnapshotReader *reader);
