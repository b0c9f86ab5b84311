/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: all of a text is done, or nothing of it. */

#include "net/net-nft.h"

#include "net/net-closer.h"
#include "net/net-inside.h"
#include "sys/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <nftables/libnftables.h>
#include <string.h>

/* Enough for the first complaints; nftables repeats one for every element of a set. */
#define MAX_MESSAGE 600

typedef struct nft_ctx NftContext;

typedef struct
{
  const char *commands;
  const char *what;
  gboolean json;
  char *output;        /* (out) with json */
  NftContext *context; /* (out) to be closed, where it ran in another namespace */
} Job;

static NftContext *
open_context (const Job *job, GError **error)
{
  NftContext *context = nft_ctx_new (NFT_CTX_DEFAULT);

  if (context == NULL || nft_ctx_buffer_output (context) != 0 ||
      nft_ctx_buffer_error (context) != 0)
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_UNAVAILABLE,
                   "%s failed: nftables cannot be used; the kernel needs CONFIG_NF_TABLES and the "
                   "service CAP_NET_ADMIN",
                   job->what);
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

/* ---- Here ---------------------------------------------------------------------------------- */

/* The one context stays open, as closing it would keep the next call waiting. After a failure it is
 * not used again: what it believes the kernel to have may be wrong. */
static gboolean
run_here (Job *job, GError **error)
{
  static GMutex mutex;
  static NftContext *context;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&mutex);

  if (context == NULL)
    context = open_context (job, error);
  if (context == NULL)
    return FALSE;
  if (run_in (context, job, error))
    return TRUE;
  vmsan_net_close_later (g_steal_pointer (&context), (GDestroyNotify) nft_ctx_free);
  return FALSE;
}

/* ---- In another namespace ------------------------------------------------------------------ */

static gboolean
run_inside (gpointer data, GError **error)
{
  Job *job = data;

  job->context = open_context (job, error);
  return job->context != NULL && run_in (job->context, job, error);
}

static gboolean
run (int namespace_fd, Job *job, GError **error)
{
  gboolean done;

  if (namespace_fd < 0)
    return run_here (job, error);
  done = vmsan_net_inside_run (namespace_fd, run_inside, job, error);
  if (job->context != NULL)
    vmsan_net_close_later (g_steal_pointer (&job->context), (GDestroyNotify) nft_ctx_free);
  return done;
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
