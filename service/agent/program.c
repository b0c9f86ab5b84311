/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <linux/close_range.h>

#define CHILD_STACK_SIZE (64 << 10)

/* The steps of the child that can fail, reported to the parent with errno. */
typedef enum
{
  STEP_NONE, /* the program runs */
  STEP_SETUP,
  STEP_USER,
  STEP_DIRECTORY,
  STEP_EXEC,
} Step;

typedef struct
{
  Step step;
  int error;
} ChildReport;

/* What the child needs; everything is looked up before the fork. */
typedef struct
{
  const AgentRequest *request;
  const AgentUser *user;
  const AgentEnvironment *environment;
  const char *cwd;         /* must be entered */
  const char *cwd_or_root; /* is tried; "/" will do */
  int fds[3];
  int terminal;
  ChildReport report; /* the memory is shared until the program runs */
} ChildSpec;

void
agent_program_init (AgentProgram *program)
{
  *program = (AgentProgram){ .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .terminal = -1 };
}

void
agent_program_close (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

/* ---- In the child -------------------------------------------------------------------------- */

static void
unblock_signals (void)
{
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
}

/* The agent must outlive a guest that runs out of memory; what it starts must not. */
static void
reset_oom_score (void)
{
  const int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (write (fd, "0", 1) < 0)
    agent_log ("cannot reset the memory score of a program: errno %d", errno);
  close (fd);
}

static bool
become_user (const AgentUser *user)
{
  /* Only root may set groups; an agent that serves its own user has nothing to change. */
  if (geteuid () != 0 && user->uid == geteuid ())
    return true;
  return setgroups (user->n_groups, user->groups) == 0 &&
         setresgid (user->gid, user->gid, user->gid) == 0 &&
         setresuid (user->uid, user->uid, user->uid) == 0;
}

/* Joins a session or terminal and takes the descriptors. */
static bool
take_stdio (const ChildSpec *spec)
{
  if (spec->terminal >= 0)
    {
      if (setpgid (0, 0) < 0 || tcsetpgrp (spec->terminal, getpid ()) < 0)
        return false;
    }
  else if (setsid () < 0)
    return false;
  for (int i = 0; i < 3; i++)
    if (dup2 (spec->fds[i], i) < 0)
      return false;
  return true;
}

/* Tries each directory of PATH, as execvp(3) does, but without handing what is no program to a
 * shell. Returns the errno that says most. */
static int
exec_program (const ChildSpec *spec)
{
  char *const *args = spec->request->args.items;
  char *const *env = spec->environment->items;
  const char *path = agent_environment_get (spec->environment, "PATH");
  char candidate[PATH_MAX];
  int found_error = ENOENT;

  if (strchr (args[0], '/') != NULL)
    {
      execve (args[0], args, env);
      return errno == ENOENT && access (args[0], F_OK) == 0 ? ENOEXEC : errno;
    }
  for (const char *next = path; next != NULL && *next != '\0';)
    {
      const int length = (int) strcspn (next, ":");

      if (snprintf (candidate, sizeof candidate, "%.*s/%s", length > 0 ? length : 1,
                    length > 0 ? next : ".", args[0]) < (int) sizeof candidate)
        {
          execve (candidate, args, env);
          /* It is there, so what is missing is its interpreter or loader. */
          if (errno == ENOENT && access (candidate, F_OK) == 0)
            return ENOEXEC;
          if (errno == EACCES)
            found_error = EACCES;
          else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ELOOP)
            return errno;
        }
      next += length;
      next += *next == ':';
    }
  return found_error;
}

static void
fail_child (ChildSpec *spec, Step step, int error)
{
  spec->report = (ChildReport){ step, error };
  _exit (127);
}

/* Shares the session's memory, so it changes nothing but its stack and the report. */
static int
run_child (void *data)
{
  ChildSpec *spec = data;

  if (!take_stdio (spec))
    fail_child (spec, STEP_SETUP, errno);
  umask (022);
  reset_oom_score ();
  if (!become_user (spec->user))
    fail_child (spec, STEP_USER, errno);
  if (spec->cwd != NULL && chdir (spec->cwd) < 0)
    fail_child (spec, STEP_DIRECTORY, errno);
  if (spec->cwd == NULL && chdir (spec->cwd_or_root) < 0 && chdir ("/") < 0)
    fail_child (spec, STEP_DIRECTORY, errno);
  unblock_signals ();
  /* All are so already; a descriptor that slipped through could speak for the session. */
  close_range (3, ~0U, CLOSE_RANGE_CLOEXEC);
  fail_child (spec, STEP_EXEC, exec_program (spec));
  return 127;
}

/* ---- In the session ------------------------------------------------------------------------ */

static bool
fail (AgentExecFailure *failure, uint32_t code, const char *what)
{
  failure->code = code;
  return agent_error_set_errno (&failure->error, "%s", what);
}

static bool
open_terminal (AgentProgram *program,
               const AgentRequest *request,
               const AgentUser *user,
               AgentExecFailure *failure)
{
  const int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

  if (master < 0)
    return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a terminal could not be opened");
  program->stdin_fd = master;
  program->stdout_fd = fcntl (master, F_DUPFD_CLOEXEC, 3);
  /* TIOCGPTPEER rather than a path below /dev, which the guest's programs may have changed. */
  if (program->stdout_fd < 0 || unlockpt (master) < 0 ||
      (program->terminal = ioctl (master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
    return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a terminal could not be opened");
  agent_program_resize (program, request->rows, request->columns);
  /* The session leads the terminal, not the program: when a leader ends, the kernel throws away
   * output that was not read yet. */
  if (setsid () < 0 || ioctl (program->terminal, TIOCSCTTY, 0) < 0)
    return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a terminal could not be controlled");
  if (geteuid () == 0 && (fchown (program->terminal, user->uid, (gid_t) -1) < 0 ||
                          fchmod (program->terminal, 0620) < 0))
    return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a terminal could not be given to the user");
  return true;
}

/* Makes the pipes; the program's ends go to @theirs. */
static bool
open_pipes (AgentProgram *program, int theirs[3], AgentExecFailure *failure)
{
  int *const ours[3] = { &program->stdin_fd, &program->stdout_fd, &program->stderr_fd };

  for (int i = 0; i < 3; i++)
    {
      int ends[2];

      if (pipe2 (ends, O_CLOEXEC) < 0)
        return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a pipe could not be made");
      *ours[i] = i == 0 ? ends[1] : ends[0];
      theirs[i] = i == 0 ? ends[0] : ends[1];
      /* Only our end: programs do not expect EAGAIN. */
      if (fcntl (*ours[i], F_SETFL, O_NONBLOCK) < 0)
        return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a pipe could not be set up");
    }
  return true;
}

/* Turns what the child reported into words. */
static bool
explain (const ChildReport *report,
         const AgentRequest *request,
         const AgentUser *user,
         const char *cwd,
         AgentExecFailure *failure)
{
  const char *program = request->args.items[0];

  errno = report->error;
  switch (report->step)
    {
    case STEP_USER:
      failure->code = VMSAN_EXEC_NO_USER;
      return agent_error_set_errno (&failure->error, "cannot become user “%s”", user->name);
    case STEP_DIRECTORY:
      failure->code = VMSAN_EXEC_NO_DIRECTORY;
      return agent_error_set_errno (&failure->error, "cannot enter the directory “%.300s”",
                                    cwd != NULL ? cwd : "/");
    case STEP_EXEC:
      if (report->error == ENOENT || report->error == ENOTDIR)
        {
          failure->code = VMSAN_EXEC_NOT_FOUND;
          if (strchr (program, '/') == NULL)
            return agent_error_set (&failure->error, "there is no program “%.300s” in PATH",
                                    program);
          return agent_error_set_errno (&failure->error, "cannot run “%.300s”", program);
        }
      failure->code = VMSAN_EXEC_NOT_EXECUTABLE;
      if (report->error == ENOMEM || report->error == EAGAIN)
        failure->code = VMSAN_EXEC_NO_RESOURCES;
      if (report->error == ENOEXEC)
        return agent_error_set (&failure->error,
                                "cannot run “%.300s”: it is not a program for this machine, or "
                                "its interpreter or loader is missing",
                                program);
      return agent_error_set_errno (&failure->error, "cannot run “%.300s”", program);
    case STEP_SETUP:
    case STEP_NONE:
    default:
      failure->code = VMSAN_EXEC_NO_RESOURCES;
      return agent_error_set_errno (&failure->error, "cannot set up “%.300s”", program);
    }
}

/* Returns when the program runs, or could not. A fork would copy what exec throws away, and that is
 * most of its cost. */
static bool
spawn (AgentProgram *program, ChildSpec *spec, AgentExecFailure *failure)
{
  char *stack = malloc (CHILD_STACK_SIZE);

  program->pid = stack != NULL ? clone (run_child, stack + CHILD_STACK_SIZE,
                                        CLONE_VM | CLONE_VFORK | SIGCHLD, spec)
                               : -1;
  free (stack);
  if (program->pid < 0)
    {
      program->pid = 0;
      return fail (failure, VMSAN_EXEC_NO_RESOURCES, "a process could not be made");
    }
  if (spec->report.step == STEP_NONE)
    return true;
  while (waitpid (program->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  program->pid = 0;
  return explain (&spec->report, spec->request, spec->user, spec->cwd, failure);
}

bool
agent_program_start (AgentProgram *program,
                     const AgentConfig *config,
                     const AgentRequest *request,
                     AgentExecFailure *failure)
{
  static AgentEnvironment environment;
  static AgentUser user;
  const char *cwd = request->cwd[0] != '\0' ? request->cwd : config->cwd;
  ChildSpec spec = { .request = request,
                     .user = &user,
                     .environment = &environment,
                     .cwd = cwd[0] != '\0' ? cwd : NULL,
                     .cwd_or_root = user.home,
                     .fds = { -1, -1, -1 },
                     .terminal = -1 };
  bool started;

  agent_program_init (program);
  if (!agent_user_find (&user, request->user[0] != '\0' ? request->user : config->user,
                        &failure->error))
    {
      failure->code = VMSAN_EXEC_NO_USER;
      return false;
    }
  agent_environment_make (&environment, config, request, &user);
  started = request->terminal ? open_terminal (program, request, &user, failure)
                              : open_pipes (program, spec.fds, failure);
  if (request->terminal)
    {
      spec.terminal = program->terminal;
      spec.fds[0] = spec.fds[1] = spec.fds[2] = program->terminal;
    }
  started = started && spawn (program, &spec, failure);
  for (int i = 0; i < 3 && !request->terminal; i++)
    agent_program_close (&spec.fds[i]);
  if (!started)
    {
      agent_program_close (&program->stdin_fd);
      agent_program_close (&program->stdout_fd);
      agent_program_close (&program->stderr_fd);
      agent_program_close (&program->terminal);
    }
  return started;
}

void
agent_program_resize (AgentProgram *program, uint16_t rows, uint16_t columns)
{
  const struct winsize size = { .ws_row = rows, .ws_col = columns };

  if (program->terminal >= 0)
    ioctl (program->terminal, TIOCSWINSZ, &size);
}
