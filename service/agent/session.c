/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "agent/session.h"

#include "agent/frames.h"
#include "agent/loop.h"
#include "agent/process-tree.h"
#include "agent/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_TICK_MS    20   /* between two looks at a tree that is being killed */
#define KILL_MAX_MS     2000 /* a process may be stuck in the kernel */
#define LINGER_MS       5000 /* for the other end of a socket to see the end */
#define CREDIT_STEP     (VMSAN_STDIN_WINDOW / 4)
#define TERMINAL_BUFFER (64u << 10) /* more than the kernel keeps for a terminal */
#define NO_LIMIT        SIZE_MAX
#define TIMEOUT_MAX_MS  (UINT64_MAX / 2)
#define FRAMES_AT_ONCE  32
#define MUCH_OUTPUT     (16 << 10) /* in one piece */

typedef enum
{
  SESSION_WAITING,  /* for EXEC */
  SESSION_RUNNING,  /* until the program has ended and its output was taken */
  SESSION_FLUSHING, /* the last frame is on its way */
  SESSION_GONE,     /* nobody is there any more; what the program started is ended */
  SESSION_OVER,
} SessionState;

/* Input that the program has not taken yet: as much as the host may have under way. */
typedef struct
{
  size_t start;
  size_t used;
  size_t credit;   /* what the host may still send */
  size_t consumed; /* taken by the program, and not yet granted again */
  bool ended;      /* STDIN_EOF came */
  uint8_t last;    /* last byte written */
  uint8_t bytes[VMSAN_STDIN_WINDOW];
} SessionInput;

typedef struct
{
  int stream;
  int signal_fd;
  int proc_fd;
  bool is_socket;
  const AgentConfig *config;
  SessionState state;
  int exit_status;
  AgentProgram program;
  bool ended;     /* the program was reaped */
  bool childless; /* so was everything it left to us */
  bool killing;   /* the whole tree */
  uint64_t kill_until_ms;
  uint64_t timeout_at_ms; /* 0: none */
  uint64_t hangup_kill_at_ms;
  uint64_t linger_until_ms;
  size_t limits[2]; /* how much of stdout and stderr may still be taken */
  bool much[2];     /* they come in large pieces */
  bool told[2];     /* their ends were sent */
  bool deaf;        /* what the host still sends is left to whoever reads the stream next */
  unsigned turn;    /* which of the two comes first */
  VmsanExited exited;
  SessionInput input;
  AgentFrameReader reader;
  AgentOutput output;
  AgentRequest request;
} Session;

/* ---- The program's end --------------------------------------------------------------------- */

static void
kill_tree (Session *session)
{
  session->killing = true;
  session->kill_until_ms = agent_now_ms () + KILL_MAX_MS;
}

/* Nobody is at the other end. */
static void
hang_up (Session *session)
{
  if (session->state == SESSION_GONE || session->state == SESSION_OVER)
    return;
  if (session->state != SESSION_RUNNING)
    {
      session->state = SESSION_OVER;
      return;
    }
  session->state = SESSION_GONE;
  agent_output_reset (&session->output);
  agent_program_close (&session->program.stdin_fd);
  /* Both: a stopped program could not act on SIGHUP. */
  agent_process_tree_signal (session->proc_fd, SIGHUP);
  agent_process_tree_signal (session->proc_fd, SIGCONT);
  session->hangup_kill_at_ms = agent_now_ms () + VMSAN_HANGUP_GRACE_MS;
}

/* What is in the pipe now was written before the program ended, by it or by what it waited for.
 * A child left in the background may write for ever, and is not waited for. */
static size_t
count_pending (const Session *session, int fd)
{
  int pending = 0;

  if (session->program.terminal >= 0)
    return TERMINAL_BUFFER;
  return fd >= 0 && ioctl (fd, FIONREAD, &pending) == 0 && pending > 0 ? (size_t) pending : 0;
}

static void
note_end (Session *session, int wait_status)
{
  session->ended = true;
  session->program.pid = 0;
  if (WIFSIGNALED (wait_status))
    session->exited.signal_number = (uint32_t) WTERMSIG (wait_status);
  else
    session->exited.exit_code = (uint32_t) WEXITSTATUS (wait_status);
  session->timeout_at_ms = 0;
  session->limits[0] = count_pending (session, session->program.stdout_fd);
  session->limits[1] = count_pending (session, session->program.stderr_fd);
}

static void
reap (Session *session)
{
  struct signalfd_siginfo info;
  int wait_status;
  pid_t pid;

  while (read (session->signal_fd, &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGHUP)
      hang_up (session);
  while ((pid = waitpid (-1, &wait_status, WNOHANG)) > 0)
    if (pid == session->program.pid)
      note_end (session, wait_status);
  session->childless = pid < 0 && errno == ECHILD;
}

/* ---- Frames from the host ------------------------------------------------------------------ */

static void
refuse (Session *session, uint32_t code, const AgentError *error)
{
  uint8_t payload[sizeof error->message + 64];
  size_t used = 0;

  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_CODE, &code, sizeof code);
  vmsan_field_append (payload, sizeof payload, &used, VMSAN_FIELD_MESSAGE, error->message,
                      strlen (error->message));
  agent_output_frame (&session->output, VMSAN_FRAME_EXEC_FAILED, payload, used);
  session->state = SESSION_FLUSHING;
  session->deaf = true;
}

static bool
start (Session *session, const AgentFrame *frame)
{
  const uint32_t credit = VMSAN_STDIN_WINDOW;
  AgentExecFailure failure = { VMSAN_EXEC_BAD_REQUEST, { "" } };
  uint32_t pid;

  switch (agent_request_parse (&session->request, frame->payload, frame->length, &failure.error))
    {
    case AGENT_PARSE_MALFORMED:
      return false;
    case AGENT_PARSE_REFUSED:
      refuse (session, VMSAN_EXEC_BAD_REQUEST, &failure.error);
      return true;
    case AGENT_PARSE_OK:
      break;
    }
  if (!agent_program_start (&session->program, session->config, &session->request, &failure))
    {
      refuse (session, failure.code, &failure.error);
      return true;
    }
  session->state = SESSION_RUNNING;
  session->childless = false;
  session->input.credit = credit;
  if (session->request.timeout_ms > 0)
    session->timeout_at_ms = agent_now_ms () + (session->request.timeout_ms < TIMEOUT_MAX_MS
                                                    ? session->request.timeout_ms
                                                    : TIMEOUT_MAX_MS);
  pid = (uint32_t) session->program.pid;
  return agent_output_frame (&session->output, VMSAN_FRAME_STARTED, &pid, sizeof pid) &&
         agent_output_frame (&session->output, VMSAN_FRAME_STDIN_CREDIT, &credit, sizeof credit);
}

static bool
take_input (Session *session, const AgentFrame *frame)
{
  SessionInput *input = &session->input;

  if (input->ended || frame->length > input->credit)
    return false;
  input->credit -= frame->length;
  if (session->program.stdin_fd < 0)
    {
      input->consumed += frame->length;
      return true;
    }
  if (input->start + input->used + frame->length > sizeof input->bytes)
    {
      memmove (input->bytes, input->bytes + input->start, input->used);
      input->start = 0;
    }
  memcpy (input->bytes + input->start + input->used, frame->payload, frame->length);
  input->used += frame->length;
  return true;
}

static bool
send_signal (Session *session, const AgentFrame *frame)
{
  uint32_t number;

  if (frame->length != sizeof number)
    return false;
  memcpy (&number, frame->payload, sizeof number);
  if (number < 1 || number > (uint32_t) SIGRTMAX)
    return false;
  if (session->program.pid > 0)
    kill (-session->program.pid, (int) number);
  return true;
}

static bool
resize (Session *session, const AgentFrame *frame)
{
  uint16_t size[2];

  if (frame->length != sizeof size)
    return false;
  memcpy (size, frame->payload, sizeof size);
  agent_program_resize (&session->program, size[0], size[1]);
  return true;
}

/* False: the host does not keep to the protocol. */
static bool
handle_frame (Session *session, const AgentFrame *frame)
{
  if (session->state == SESSION_WAITING)
    return frame->type == VMSAN_FRAME_EXEC && start (session, frame);
  switch (frame->type)
    {
    case VMSAN_FRAME_STDIN:
      return take_input (session, frame);
    case VMSAN_FRAME_STDIN_EOF:
      if (frame->length != 0 || session->input.ended)
        return false;
      session->input.ended = true;
      return true;
    case VMSAN_FRAME_SIGNAL:
      return send_signal (session, frame);
    case VMSAN_FRAME_WINDOW_SIZE:
      return resize (session, frame);
    default:
      return false;
    }
}

/* A host that is out of step is told how it ended, as far as there is a way to tell. */
static void
end_malformed (Session *session)
{
  const AgentError error = { "the request does not keep to the protocol" };

  session->deaf = true;
  if (session->state == SESSION_WAITING)
    refuse (session, VMSAN_EXEC_BAD_REQUEST, &error);
  else if (session->state == SESSION_RUNNING)
    kill_tree (session);
}

static void
read_stream (Session *session)
{
  AgentFrame frame;

  for (int i = 0; i < FRAMES_AT_ONCE && !session->deaf; i++)
    switch (agent_frame_reader_read (&session->reader, session->stream, &frame))
      {
      case AGENT_FRAME_COMPLETE:
        if (!handle_frame (session, &frame))
          end_malformed (session);
        break;
      case AGENT_FRAME_NONE:
        return;
      case AGENT_FRAME_HELLO:
        session->exit_status = AGENT_SESSION_HELLO;
        hang_up (session);
        return;
      case AGENT_FRAME_MALFORMED:
        end_malformed (session);
        return;
      case AGENT_FRAME_HANGUP:
        hang_up (session);
        return;
      }
}

/* ---- The program's input and output -------------------------------------------------------- */

static void
drop_input (Session *session)
{
  session->input.consumed += session->input.used;
  session->input.used = 0;
  agent_program_close (&session->program.stdin_fd);
}

/* On a terminal the end of input is a character, which needs an empty line to be the end. */
static void
end_input (Session *session)
{
  static const char end[] = "\004\004";
  const size_t length = session->input.last == '\n' || session->input.last == 0 ? 1 : 2;

  if (session->program.terminal >= 0 && write (session->program.stdin_fd, end, length) < 0 &&
      errno == EAGAIN)
    return;
  agent_program_close (&session->program.stdin_fd);
}

static void
write_input (Session *session)
{
  SessionInput *input = &session->input;

  while (input->used > 0 && session->program.stdin_fd >= 0)
    {
      const ssize_t n = write (session->program.stdin_fd, input->bytes + input->start, input->used);

      if (n > 0)
        {
          input->last = input->bytes[input->start + (size_t) n - 1];
          input->start += (size_t) n;
          input->used -= (size_t) n;
          input->consumed += (size_t) n;
        }
      else if (n < 0 && errno == EAGAIN)
        break;
      else if (n == 0 || errno != EINTR)
        drop_input (session);
    }
  if (input->used == 0)
    input->start = 0;
  if (input->used == 0 && input->ended && session->program.stdin_fd >= 0)
    end_input (session);
}

static void
grant_credit (Session *session)
{
  const uint32_t credit = (uint32_t) session->input.consumed;

  if (credit < CREDIT_STEP || session->input.ended ||
      !agent_output_frame (&session->output, VMSAN_FRAME_STDIN_CREDIT, &credit, sizeof credit))
    return;
  session->input.credit += credit;
  session->input.consumed = 0;
}

/* With each switch between program and session caches are lost. So the program may fill a large
 * pipe, and the session does not interrupt it at each of its writes. If that is refused, to
 * somebody who has many pipes for instance, it is only slower. */
static void
prepare_for_much (int fd)
{
  const struct sched_param no_priority = { 0 };

  fcntl (fd, F_SETPIPE_SZ, AGENT_PIPE_SIZE);
  sched_setscheduler (0, SCHED_BATCH, &no_priority);
}

/* Small pieces are copied, which takes fewer calls; large ones are passed on. */
static ssize_t
take_output (Session *session, unsigned which, int fd)
{
  static const uint8_t types[2] = { VMSAN_FRAME_STDOUT, VMSAN_FRAME_STDERR };
  const bool passes = session->much[which] && !session->is_socket && session->program.terminal < 0;
  const size_t limit = session->limits[which];
  ssize_t n = -1;

  if (passes)
    n = agent_output_pass (&session->output, types[which], fd, limit);
  if (n < 0)
    n = agent_output_fill (&session->output, types[which], fd, limit);
  if (n >= MUCH_OUTPUT && !session->much[which])
    prepare_for_much (fd);
  session->much[which] = n >= MUCH_OUTPUT;
  return n;
}

/* Takes what stdout (0) or stderr (1) has to say, as far as there is room. */
static void
read_output (Session *session, unsigned which)
{
  int *fd = which == 0 ? &session->program.stdout_fd : &session->program.stderr_fd;
  size_t *limit = &session->limits[which];
  ssize_t n;

  if (*fd < 0 || agent_output_room (&session->output) < VMSAN_FRAME_PAYLOAD_MAX / 4)
    return;
  n = *limit > 0 ? take_output (session, which, *fd) : 0;
  if (n > 0 && *limit != NO_LIMIT)
    *limit -= (size_t) n;
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
      (n < 0 && errno == EAGAIN && session->ended))
    agent_program_close (fd);
}

/* With nobody to read it, output is still taken: a program that winds up must not die of SIGPIPE.
 */
static void
discard_output (Session *session, int *fd)
{
  ssize_t n;

  if (*fd < 0)
    return;
  n = read (*fd, session->output.bytes, sizeof session->output.bytes);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    agent_program_close (fd);
}

/* Tells the ends of the two streams, each once. */
static void
announce_ends (Session *session)
{
  static const uint8_t types[2] = { VMSAN_FRAME_STDOUT_EOF, VMSAN_FRAME_STDERR_EOF };
  /* On a terminal both end together. */
  const int fds[2] = { session->program.stdout_fd, session->program.terminal >= 0
                                                       ? session->program.stdout_fd
                                                       : session->program.stderr_fd };

  for (int i = 0; i < 2; i++)
    if (fds[i] < 0 && !session->told[i])
      session->told[i] = agent_output_frame (&session->output, types[i], NULL, 0);
}

static bool
has_output_left (const Session *session)
{
  return session->program.stdout_fd >= 0 || session->program.stderr_fd >= 0;
}

/* ---- The session --------------------------------------------------------------------------- */

static void
advance_running (Session *session)
{
  write_input (session);
  /* First: after output that is passed on nothing else can be queued. */
  grant_credit (session);
  announce_ends (session);
  session->turn ^= 1;
  read_output (session, session->turn);
  read_output (session, session->turn ^ 1);
  announce_ends (session);
  if (!session->ended || session->killing || !session->told[0] || !session->told[1])
    return;
  if (agent_output_frame (&session->output, VMSAN_FRAME_EXITED, &session->exited,
                          sizeof session->exited))
    {
      session->state = SESSION_FLUSHING;
      session->deaf = true;
    }
}

static void
advance_timers (Session *session)
{
  const uint64_t now = agent_now_ms ();

  if (session->timeout_at_ms != 0 && now >= session->timeout_at_ms)
    {
      session->timeout_at_ms = 0;
      session->exited.timed_out = 1;
      kill_tree (session);
    }
  if (session->hangup_kill_at_ms != 0 && now >= session->hangup_kill_at_ms)
    {
      session->hangup_kill_at_ms = 0;
      kill_tree (session);
    }
  if (session->killing &&
      (agent_process_tree_signal (session->proc_fd, SIGKILL) == 0 || now >= session->kill_until_ms))
    session->killing = false;
  if (session->linger_until_ms != 0 && now >= session->linger_until_ms)
    session->state = SESSION_OVER;
}

/* A socket that is closed with unread input is reset, and that may overtake the last frames: so
 * the other end closes first. */
static void
linger (Session *session)
{
  if (session->linger_until_ms == 0)
    {
      shutdown (session->stream, SHUT_WR);
      session->linger_until_ms = agent_now_ms () + LINGER_MS;
    }
  while (read (session->stream, session->reader.payload, sizeof session->reader.payload) > 0)
    ;
}

static void
advance (Session *session)
{
  int flushed;

  advance_timers (session);
  if (session->state == SESSION_RUNNING)
    advance_running (session);
  if (session->state == SESSION_GONE)
    {
      discard_output (session, &session->program.stdout_fd);
      discard_output (session, &session->program.stderr_fd);
    }
  if (session->state == SESSION_GONE &&
      (session->childless || (session->hangup_kill_at_ms == 0 && !session->killing)))
    session->state = SESSION_OVER;
  if (session->state == SESSION_GONE || session->state == SESSION_OVER)
    return;
  flushed = agent_output_flush (&session->output, session->stream);
  if (flushed < 0)
    hang_up (session);
  else if (flushed == 1 && session->state == SESSION_FLUSHING && session->is_socket)
    linger (session);
  else if (flushed == 1 && session->state == SESSION_FLUSHING)
    session->state = SESSION_OVER;
}

static int
next_timeout (const Session *session)
{
  const uint64_t now = agent_now_ms ();
  const uint64_t times[] = { session->timeout_at_ms, session->hangup_kill_at_ms,
                             session->linger_until_ms, session->killing ? now + KILL_TICK_MS : 0 };
  uint64_t next = UINT64_MAX;

  if (session->state == SESSION_RUNNING && session->ended && has_output_left (session) &&
      agent_output_room (&session->output) >= VMSAN_FRAME_PAYLOAD_MAX / 4)
    return 0;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if (times[i] != 0 && times[i] < next)
      next = times[i];
  if (next == UINT64_MAX)
    return -1;
  if (next <= now)
    return 0;
  return next - now < INT_MAX ? (int) (next - now) : INT_MAX;
}

enum
{
  POLL_SIGNALS,
  POLL_STREAM,
  POLL_STDIN,
  POLL_STDOUT,
  POLL_STDERR,
  N_POLLS,
};

static void
wait_for_events (Session *session, struct pollfd polls[N_POLLS])
{
  const bool gone = session->state == SESSION_GONE;
  const bool has_room = agent_output_room (&session->output) >= VMSAN_FRAME_PAYLOAD_MAX / 4;
  const bool wants_input = session->input.used > 0 || session->input.ended;
  const AgentProgram *program = &session->program;
  short stream_events = POLLRDHUP;

  if (!session->deaf || session->linger_until_ms != 0)
    stream_events |= POLLIN;
  if (agent_output_is_pending (&session->output))
    stream_events |= POLLOUT;
  polls[POLL_SIGNALS] = (struct pollfd){ session->signal_fd, POLLIN, 0 };
  polls[POLL_STREAM] = (struct pollfd){ gone ? -1 : session->stream, stream_events, 0 };
  polls[POLL_STDIN] = (struct pollfd){ program->stdin_fd, wants_input ? POLLOUT : 0, 0 };
  polls[POLL_STDOUT] = (struct pollfd){ has_room ? program->stdout_fd : -1, POLLIN, 0 };
  polls[POLL_STDERR] = (struct pollfd){ has_room ? program->stderr_fd : -1, POLLIN, 0 };
  while (poll (polls, N_POLLS, next_timeout (session)) < 0 && errno == EINTR)
    ;
}

static void
serve (Session *session)
{
  struct pollfd polls[N_POLLS];

  while (session->state != SESSION_OVER)
    {
      wait_for_events (session, polls);
      if (polls[POLL_SIGNALS].revents != 0)
        reap (session);
      if ((polls[POLL_STREAM].revents & POLLIN) != 0 && !session->deaf)
        read_stream (session);
      if ((polls[POLL_STREAM].revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0)
        hang_up (session);
      /* On a pipe: nobody will read any more. */
      if ((polls[POLL_STDIN].revents & POLLERR) != 0)
        drop_input (session);
      advance (session);
    }
}

/* The program gets the usual actions, and so that it need not set them, the session has them: what
 * must not end it is blocked. */
static void
reset_signals (void)
{
  const struct sigaction action = { .sa_handler = SIG_DFL };

  for (int i = 1; i < NSIG; i++)
    sigaction (i, &action, NULL);
}

static bool
set_up (Session *session)
{
  sigset_t signals;

  sigemptyset (&signals);
  sigaddset (&signals, SIGCHLD);
  sigaddset (&signals, SIGHUP);
  session->signal_fd = signalfd (-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  /* The session outlives what ends others: it has to say how they ended. */
  sigaddset (&signals, SIGTERM);
  sigaddset (&signals, SIGINT);
  sigaddset (&signals, SIGPIPE);
  sigaddset (&signals, SIGTTOU);
  session->proc_fd = open ("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (session->signal_fd < 0 || sigprocmask (SIG_BLOCK, &signals, NULL) < 0)
    return false;
  reset_signals ();
  return prctl (PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl (PR_SET_PDEATHSIG, SIGHUP) == 0;
}

int
agent_session_run (int stream, bool is_socket, const AgentConfig *config)
{
  /* Large, and touched only as far as it is used. */
  Session *session = calloc (1, sizeof *session);
  int exit_status;

  if (session == NULL)
    return AGENT_SESSION_OVER;
  session->stream = stream;
  session->is_socket = is_socket;
  session->config = config;
  session->limits[0] = session->limits[1] = NO_LIMIT;
  session->childless = true;
  agent_program_init (&session->program);
  if (set_up (session))
    serve (session);
  exit_status = session->exit_status;
  free (session);
  return exit_status;
}
