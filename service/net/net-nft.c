/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: all of a text is done, or nothing of it. */

#include "net/net-nft.h"

#include "net/net-closer.h"
#include "net/net-inside.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/* Enough for the first complaints; nftables repeats one for every element of a set. */
#define MAX_MESSAGE 600

typedef struct nft_ctx NftContext;

typedef struct
{
  const char *commands;
  const char *what;
  gboolean json;
  GAsyncQueue *answers; /* it is put there when it is done */

  /* (out) */
  gboolean done;
  GError *error;
  char *output; /* with json */
} Job;

static gboolean
ask_generation (struct nl_sock *netlink)
{
  struct nl_msg *message =
      nlmsg_alloc_simple (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_REQUEST | NLM_F_ACK);
  const struct nfgenmsg header = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };

  if (message == NULL || nlmsg_append (message, (void *) &header, sizeof header, NLMSG_ALIGNTO) < 0)
    g_error ("Out of memory for a netlink message");
  return nl_send_sync (netlink, message) >= 0; /* frees the message */
}

static gboolean
is_there (void)
{
  struct nl_sock *netlink = nl_socket_alloc ();
  gboolean there;

  if (netlink == NULL)
    g_error ("Out of memory for a netlink socket");
  there = nl_connect (netlink, NETLINK_NETFILTER) >= 0 && ask_generation (netlink);
  vmsan_net_close_later (netlink, (GDestroyNotify) nl_socket_free);
  return there;
}

/* What was there once stays, as long as it is used. */
gboolean
vmsan_net_nft_check (GError **error)
{
  static int known;

  if (g_atomic_int_get (&known))
    return TRUE;
  if (!is_there ())
    {
      g_set_error_literal (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                           "Networks of machines need nftables, which cannot be used here: the "
                           "kernel needs CONFIG_NF_TABLES and the service CAP_NET_ADMIN; or create "
                           "machines with “network” “none”");
      return FALSE;
    }
  g_atomic_int_set (&known, TRUE);
  return TRUE;
}

static NftContext *
open_context (const Job *job, GError **error)
{
  NftContext *context = nft_ctx_new (NFT_CTX_DEFAULT);

  if (context == NULL || nft_ctx_buffer_output (context) != 0 ||
      nft_ctx_buffer_error (context) != 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "%s failed: libnftables cannot be used", job->what);
      g_clear_pointer (&context, nft_ctx_free);
    }
  return context;
}

/* Each complaint is a line "FILE:POSITION: Error: TEXT", followed by the command and a marker. */
static char *
shorten (const char *message)
{
  g_auto (GStrv) lines = g_strsplit (message != NULL ? message : "", "\n", -1);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; lines[i] != NULL && text->len < MAX_MESSAGE; i++)
    {
      const char *complaint = strstr (lines[i], "Error: ");

      if (complaint != NULL)
        g_string_append_printf (text, "%s%.200s", text->len > 0 ? "; " : "",
                                complaint + strlen ("Error: "));
    }
  if (text->len == 0)
    g_string_append (text, "nftables gives no reason");
  return g_utf8_make_valid (text->str, text->len);
}

static gboolean
fail (NftContext *context, const Job *job, int saved_errno, GError **error)
{
  g_autofree char *reason = shorten (nft_ctx_get_error_buffer (context));
  VmsanError code = VMSAN_ERROR_FAILED;

  if (strstr (reason, g_strerror (ENOENT)) != NULL)
    code = VMSAN_ERROR_NOT_FOUND;
  else if (strstr (reason, g_strerror (EEXIST)) != NULL)
    code = VMSAN_ERROR_EXISTS;
  else if (saved_errno == EOPNOTSUPP || saved_errno == EPROTONOSUPPORT)
    code = VMSAN_ERROR_UNAVAILABLE;
  g_set_error (error, VMSAN_ERROR, code, "%s failed: %s", job->what, reason);
  return FALSE;
}

static gboolean
run_in (NftContext *context, Job *job, GError **error)
{
  nft_ctx_output_set_flags (context, job->json ? NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL
                                               : NFT_CTX_OUTPUT_NUMERIC_ALL);
  errno = 0;
  if (nft_run_cmd_from_buffer (context, job->commands) != 0)
    return fail (context, job, errno, error);
  if (job->json)
    job->output = g_strdup (nft_ctx_get_output_buffer (context));
  return TRUE;
}

/* ---- Sessions ------------------------------------------------------------------------------ */

/* A thread with a context of libnftables, which runs jobs until one fails, or END_OF_JOBS comes.
 *
 * It has a table of descriptors of its own. Libnftables waits with select(2), and the process is
 * ended where the number of its socket is FD_SETSIZE or more: with some hundreds of machines, a
 * service has more descriptors than that.
 *
 * Nobody waits for it to close its socket: after rules were deleted in a namespace, the kernel does
 * not let go of one until no packet can be at the old rules any more, some ten milliseconds. */
typedef struct
{
  int namespace_fd; /* lent until the first job is done; -1: stay */
  GAsyncQueue *jobs;
} Session;

static Job end_of_jobs;
#define END_OF_JOBS (&end_of_jobs)

/* In older kernels without close_range(2) the table stays the process's. The thread must not log
 * from then on, as GLib's socket for that is in the other table. */
static gboolean
enter (const Session *session, GError **error)
{
  if (session->namespace_fd >= 0 && setns (session->namespace_fd, CLONE_NEWNET) < 0)
    return vmsan_error_set_errno (error, errno, "Entering a network namespace failed");
  close_range (STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE);
  return TRUE;
}

/* Who was answered may count on no thread being left in a machine's network. The process's first
 * thread never is in one. */
static void
go_home (const Session *session)
{
  vmsan_autofd int home_fd = -1;

  if (session->namespace_fd < 0)
    return;
  home_fd = open ("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home_fd >= 0)
    setns (home_fd, CLONE_NEWNET);
}

/* The job is gone then, and its caller does not wait until the queue is not used here any more. */
static void
answer (Job *job)
{
  g_autoptr (GAsyncQueue) answers = g_async_queue_ref (job->answers);

  g_async_queue_push (answers, job);
}

static gpointer
session_thread (gpointer data)
{
  g_autofree Session *session = data;
  g_autoptr (GAsyncQueue) jobs = session->jobs;
  g_autoptr (GError) enter_error = NULL;
  gboolean entered = enter (session, &enter_error);
  NftContext *context = NULL;
  gboolean done = TRUE;
  Job *job;

  while (done && (job = g_async_queue_pop (jobs)) != END_OF_JOBS)
    {
      if (!entered)
        job->error = g_steal_pointer (&enter_error);
      else if (context == NULL)
        context = open_context (job, &job->error);
      done = job->done = context != NULL && run_in (context, job, &job->error);
      go_home (session);
      answer (job);
    }
  g_clear_pointer (&context, nft_ctx_free);
  return NULL;
}

/* (transfer full): where jobs are put. */
static GAsyncQueue *
session_start (int namespace_fd, GError **error)
{
  Session *session = g_new (Session, 1);
  GAsyncQueue *jobs = g_async_queue_new ();
  GThread *thread;

  *session = (Session){ namespace_fd, g_async_queue_ref (jobs) };
  thread = g_thread_try_new ("vmsan-nft", session_thread, session, error);
  if (thread != NULL)
    {
      g_thread_unref (thread);
      return jobs;
    }
  g_prefix_error (error, "Starting a thread for nftables failed: ");
  g_async_queue_unref (jobs);
  g_async_queue_unref (jobs);
  g_free (session);
  return NULL;
}

static void
wait_until_done (GAsyncQueue *jobs, Job *job)
{
  job->answers = g_async_queue_new ();
  g_async_queue_push (jobs, job);
  g_async_queue_pop (job->answers);
  g_clear_pointer (&job->answers, g_async_queue_unref);
}

/* The one session here goes on, as it would have to be waited for before the next one. After a
 * failure it has ended: what it believes the kernel to have may be wrong. */
static gboolean
run_here (Job *job, GError **error)
{
  static GMutex mutex;
  static GAsyncQueue *jobs;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&mutex);

  if (jobs == NULL)
    jobs = session_start (-1, error);
  if (jobs == NULL)
    return FALSE;
  wait_until_done (jobs, job);
  if (!job->done)
    g_clear_pointer (&jobs, g_async_queue_unref);
  return TRUE;
}

static gboolean
run_inside (int namespace_fd, Job *job, GError **error)
{
  g_autoptr (GAsyncQueue) jobs = session_start (namespace_fd, error);

  if (jobs == NULL)
    return FALSE;
  wait_until_done (jobs, job);
  g_async_queue_push (jobs, END_OF_JOBS);
  return TRUE;
}

static gboolean
run (int namespace_fd, Job *job, GError **error)
{
  /* Asked first, as libnftables ends the whole process where there is no netlink for it. */
  if (!vmsan_net_nft_check (error))
    {
      g_prefix_error (error, "%s failed: ", job->what);
      return FALSE;
    }
  if (namespace_fd < 0 ? !run_here (job, error) : !run_inside (namespace_fd, job, error))
    return FALSE;
  if (job->error != NULL)
    g_propagate_error (error, g_steal_pointer (&job->error));
  return job->done;
}

gboolean
vmsan_net_nft_run (int namespace_fd, const char *commands, const char *what, GError **error)
{
  Job job = { .commands = commands, .what = what };

  return run (namespace_fd, &job, error);
}

JsonNode *
vmsan_net_nft_list (int namespace_fd, const char *command, const char *what, GError **error)
{
  Job job = { .commands = command, .what = what, .json = TRUE };
  g_autofree char *output = NULL;
  g_autoptr (GError) local_error = NULL;
  JsonNode *root;

  if (!run (namespace_fd, &job, error))
    return NULL;
  output = job.output;
  root = json_from_string (output, &local_error);
  if (root == NULL)
    g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "%s failed: nftables' answer: %s", what,
                 local_error != NULL ? local_error->message : "empty");
  return root;
}

/* ---- Generation ---------------------------------------------------------------------------- */

typedef struct
{
  struct nl_sock *socket;
  guint32 *generation;
  gboolean found;
} GenerationQuery;

static int
read_generation (struct nl_msg *message, void *data)
{
  GenerationQuery *query = data;
  struct nlattr *attributes[NFTA_GEN_MAX + 1];

  if (nlmsg_parse (nlmsg_hdr (message), sizeof (struct nfgenmsg), attributes, NFTA_GEN_MAX, NULL) >=
          0 &&
      attributes[NFTA_GEN_ID] != NULL && nla_len (attributes[NFTA_GEN_ID]) == sizeof (guint32))
    {
      *query->generation = ntohl (nla_get_u32 (attributes[NFTA_GEN_ID]));
      query->found = TRUE;
    }
  return NL_OK;
}

/* libnftables keeps to itself what it knows of this. */
static gboolean
query_generation (gpointer data, GError **error)
{
  const struct nfgenmsg header = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };
  struct nl_msg *message =
      nlmsg_alloc_simple ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, NLM_F_ACK);
  GenerationQuery *query = data;
  int code;

  if (message == NULL || nlmsg_append (message, (void *) &header, sizeof header, NLMSG_ALIGNTO) < 0)
    g_error ("Out of memory");
  query->socket = nl_socket_alloc ();
  nl_socket_modify_cb (query->socket, NL_CB_VALID, NL_CB_CUSTOM, read_generation, query);
  code = nl_connect (query->socket, NETLINK_NETFILTER);
  if (code >= 0)
    code = nl_send_sync (query->socket, g_steal_pointer (&message));
  if (code >= 0 && query->found)
    return TRUE;
  g_clear_pointer (&message, nlmsg_free);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED,
               "Asking whether nftables' rules have changed failed: %s",
               code < 0 ? nl_geterror (code) : "no answer");
  return FALSE;
}

gboolean
vmsan_net_nft_get_generation (int namespace_fd, guint32 *generation, GError **error)
{
  GenerationQuery query = { .generation = generation };
  gboolean done = vmsan_net_inside_run (namespace_fd, query_generation, &query, error);

  if (query.socket != NULL)
    vmsan_net_close_later (query.socket, (GDestroyNotify) nl_socket_free);
  return done;
}
