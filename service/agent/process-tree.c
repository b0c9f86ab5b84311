/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/process-tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  pid_t pid;
  pid_t parent;
  bool dead;
  bool ours;
} Process;

typedef struct
{
  Process *items;
  size_t n_items;
  size_t capacity;
} Processes;

/* Fills in state and parent from PID/stat. The command in parentheses may hold anything, also
 * parentheses: the last one closes it. */
static bool
read_process (int proc_fd, const char *name, Process *process)
{
  char path[64], text[512];
  const char *after;
  ssize_t n;
  char state;
  int fd;

  snprintf (path, sizeof path, "%.20s/stat", name);
  fd = openat (proc_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  n = read (fd, text, sizeof text - 1);
  close (fd);
  if (n <= 0)
    return false;
  text[n] = '\0';
  after = strrchr (text, ')');
  if (after == NULL || sscanf (after + 1, " %c %d", &state, &process->parent) != 2)
    return false;
  process->pid = atoi (name);
  process->dead = state == 'Z' || state == 'X';
  process->ours = false;
  return true;
}

static bool
add_process (Processes *processes, const Process *process)
{
  if (processes->n_items == processes->capacity)
    {
      const size_t capacity = processes->capacity > 0 ? processes->capacity * 2 : 128;
      Process *items = realloc (processes->items, capacity * sizeof *items);

      if (items == NULL)
        return false;
      processes->items = items;
      processes->capacity = capacity;
    }
  processes->items[processes->n_items++] = *process;
  return true;
}

static int
compare_pids (const void *a, const void *b)
{
  const Process *x = a, *y = b;

  return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool
list_processes (int proc_fd, Processes *processes)
{
  /* A descriptor of its own: sessions share the offset of the one they inherited. */
  const int fd = openat (proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  Process process;

  if (directory == NULL)
    {
      if (fd >= 0)
        close (fd);
      return false;
    }
  while ((entry = readdir (directory)) != NULL)
    if (isdigit ((unsigned char) entry->d_name[0]) &&
        read_process (proc_fd, entry->d_name, &process) && !add_process (processes, &process))
      break;
  closedir (directory);
  if (processes->n_items > 0)
    qsort (processes->items, processes->n_items, sizeof process, compare_pids);
  return true;
}

/* Marks the descendants of @ancestor, one generation in each round. */
static void
mark_descendants (Processes *processes, pid_t ancestor)
{
  bool found;

  do
    {
      found = false;
      for (size_t i = 0; i < processes->n_items; i++)
        {
          Process *process = &processes->items[i];
          const Process key = { .pid = process->parent };
          const Process *parent;

          if (process->ours)
            continue;
          parent = bsearch (&key, processes->items, processes->n_items, sizeof key, compare_pids);
          process->ours = process->parent == ancestor || (parent != NULL && parent->ours);
          found = found || process->ours;
        }
    }
  while (found);
}

int
agent_process_tree_signal (int proc_fd, int signal_number)
{
  Processes processes = { 0 };
  int n_alive = 0;

  if (!list_processes (proc_fd, &processes))
    return -1;
  mark_descendants (&processes, getpid ());
  for (size_t i = 0; i < processes.n_items; i++)
    {
      const Process *process = &processes.items[i];

      if (!process->ours || process->dead)
        continue;
      kill (process->pid, signal_number);
      n_alive++;
    }
  free (processes.items);
  return n_alive;
}
