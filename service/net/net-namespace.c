/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: a namespace is there whole or not at all, and whatever a crash left can be listed and
 * deleted. */

#include "net/net-namespace.h"

#include "net/net-inside.h"
#include "net/net-links.h"
#include "net/net-names.h"
#include "net/net-sysctl.h"
#include "net/net-uplink.h"
#include "sys/error.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* ---- Where names are ----------------------------------------------------------------------- */

/* For a thread that ends soon. A mount namespace can only be entered by a thread that shares its
 * root and working directory with no other (setns(2)). */
static gboolean
enter_host_mounts (GError **error)
{
  vmsan_autofd int fd = open ("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

  if (fd < 0 || unshare (CLONE_FS) < 0 || setns (fd, CLONE_NEWNS) < 0)
    return vmsan_error_set_errno (error, errno,
                                  "Entering the host's mount namespace failed; "
                                  "the service needs CAP_SYS_PTRACE and CAP_SYS_CHROOT for it");
  return TRUE;
}

typedef struct
{
  const VmsanNetSetup *setup;
  VmsanNetInsideFunc func;
  gpointer data;
} NameWork;

static gboolean
in_host_mounts (gpointer data, GError **error)
{
  NameWork *work = data;

  return enter_host_mounts (error) && work->func (work->data, error);
}

/* Calls @func where names are bound. */
static gboolean
where_names_are (const VmsanNetSetup *setup, VmsanNetInsideFunc func, gpointer data, GError **error)
{
  NameWork work = { setup, func, data };

  if (setup->host_mounts)
    return vmsan_net_inside_thread (in_host_mounts, &work, error);
  return func (data, error);
}

/* ---- Creating ------------------------------------------------------------------------------ */

typedef struct
{
  const VmsanNetSetup *setup;
  const char *name;
  guint slot;
  guint mtu;
  VmsanNetlink *host;
  int proc_fd;
  int host_conf6;
  gboolean has_pair;
} Creation;

/* Called in the new namespace. */
static gboolean
make_links (Creation *creation, int namespace_fd, GError **error)
{
  const VmsanNetPools *pools = creation->setup->pools;
  g_autoptr (VmsanNetlink) inside = vmsan_netlink_open (error);

  if (inside == NULL || !vmsan_net_links_set_defaults (creation->proc_fd, pools->has_pool6, error))
    return FALSE;
  creation->has_pair =
      vmsan_net_links_add_pair (creation->host, creation->slot, namespace_fd, creation->mtu, error);
  return creation->has_pair && vmsan_net_links_add_tap (error) &&
         vmsan_net_links_configure_inside (inside, pools, creation->slot, creation->mtu, error) &&
         vmsan_net_links_configure_host (creation->host, creation->host_conf6, pools,
                                         creation->slot, error);
}

/* The pair would die with the namespace, but only when the kernel gets round to it. */
static void
undo (const Creation *creation)
{
  g_autoptr (GError) link_error = NULL;
  g_autoptr (GError) name_error = NULL;

  if (creation->has_pair &&
      !vmsan_net_links_delete (creation->host, &creation->slot, 1, &link_error))
    g_warning ("Undoing a machine's network: %s", link_error->message);
  if (!vmsan_net_names_unbind (creation->setup->directory, creation->name, &name_error))
    g_warning ("Undoing a machine's network: %s", name_error->message);
}

static gboolean
create_in_thread (gpointer data, GError **error)
{
  Creation *creation = data;
  vmsan_autofd int namespace_fd = -1;

  if (creation->setup->host_mounts && !enter_host_mounts (error))
    return FALSE;
  if (unshare (CLONE_NEWNET) < 0)
    return vmsan_error_set_errno (error, errno, "Making a network namespace failed");
  namespace_fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (namespace_fd < 0)
    return vmsan_error_set_errno (error, errno, "Opening a new network namespace failed");
  if (!vmsan_net_names_bind (creation->setup->directory, creation->name, namespace_fd, error))
    return FALSE;
  if (!make_links (creation, namespace_fd, error))
    {
      undo (creation);
      return FALSE;
    }
  return TRUE;
}

static gboolean
create (Creation *creation, GError **error)
{
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  vmsan_autofd int proc_fd = -1;
  vmsan_autofd int host_conf6 = -1;

  if (host == NULL)
    return FALSE;
  proc_fd = vmsan_net_sysctl_mount (error);
  if (proc_fd < 0 ||
      !vmsan_net_links_open_conf6 (proc_fd, creation->setup->pools->has_pool6, &host_conf6, error))
    return FALSE;
  creation->host = host;
  creation->proc_fd = proc_fd;
  creation->host_conf6 = host_conf6;
  if (creation->mtu == 0)
    creation->mtu = vmsan_net_uplink_get_mtu (host);
  return vmsan_net_inside_thread (create_in_thread, creation, error);
}

static gboolean
check_creation (const Creation *creation, GError **error)
{
  const VmsanNetSetup *setup = creation->setup;

  if (!vmsan_net_names_check (creation->name, error))
    return FALSE;
  if (creation->slot >= vmsan_net_pools_get_n_slots (setup->pools))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "The address pool has no slot %u", creation->slot);
      return FALSE;
    }
  if (setup->mtu != 0 && (setup->mtu < VMSAN_NET_MIN_MTU || setup->mtu > VMSAN_NET_MAX_MTU))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_INVALID_ARGUMENT,
                   "An MTU of %u is not possible; it must be %d to %d", setup->mtu,
                   VMSAN_NET_MIN_MTU, VMSAN_NET_MAX_MTU);
      return FALSE;
    }
  return TRUE;
}

gboolean
vmsan_net_namespace_create (const VmsanNetSetup *setup,
                            const char *name,
                            guint slot,
                            GError **error)
{
  Creation creation = { .setup = setup, .name = name, .slot = slot, .mtu = setup->mtu };

  if (check_creation (&creation, error) && create (&creation, error))
    return TRUE;
  g_prefix_error (error, "Making network “%s” failed: ", name != NULL ? name : "");
  return FALSE;
}

/* ---- Opening ------------------------------------------------------------------------------- */

typedef struct
{
  const VmsanNetSetup *setup;
  const char *name;
  const char *new_name;
  int fd;
} NameArguments;

static gboolean
open_name (gpointer data, GError **error)
{
  NameArguments *arguments = data;

  arguments->fd = vmsan_net_names_open (arguments->setup->directory, arguments->name, error);
  return arguments->fd >= 0;
}

int
vmsan_net_namespace_open (const VmsanNetSetup *setup, const char *name, GError **error)
{
  NameArguments arguments = { setup, name, NULL, -1 };

  where_names_are (setup, open_name, &arguments, error);
  return arguments.fd;
}

static gboolean
open_tap (gpointer data, GError **error)
{
  vmsan_autofd int fd = vmsan_net_links_open_tap (error);
  struct ifreq request;
  int *out = data;

  if (fd < 0)
    return FALSE;
  /* Where tap0 is missing the kernel has just made one, without addresses, that nobody keeps. */
  if (ioctl (fd, TUNGETIFF, &request) < 0)
    return vmsan_error_set_errno (error, errno, "Asking about “%s” failed", VMSAN_NET_TAP_NAME);
  if (!(request.ifr_flags & IFF_PERSIST))
    {
      g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_NOT_FOUND,
                   "The machine's tap “%s” is gone; stop and start the machine",
                   VMSAN_NET_TAP_NAME);
      return FALSE;
    }
  *out = g_steal_fd (&fd);
  return TRUE;
}

int
vmsan_net_namespace_open_tap (int namespace_fd, GError **error)
{
  int fd = -1;

  vmsan_net_inside_run (namespace_fd, open_tap, &fd, error);
  return fd;
}

/* ---- Renaming ------------------------------------------------------------------------------ */

static gboolean
is_same_namespace (int a, int b)
{
  struct stat first;
  struct stat second;

  return fstat (a, &first) == 0 && fstat (b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

/* A mount below a shared one cannot be moved (mount(2), MS_MOVE), so the namespace is bound a
 * second time first; a crash in between leaves both names. */
static gboolean
rename_name (gpointer data, GError **error)
{
  const NameArguments *arguments = data;
  const char *directory = arguments->setup->directory;
  vmsan_autofd int there = vmsan_net_names_open (directory, arguments->new_name, NULL);

  if ((there < 0 || !is_same_namespace (arguments->fd, there)) &&
      !vmsan_net_names_bind (directory, arguments->new_name, arguments->fd, error))
    return FALSE;
  return g_str_equal (arguments->name, arguments->new_name) ||
         vmsan_net_names_unbind (directory, arguments->name, error);
}

gboolean
vmsan_net_namespace_rename (
    const VmsanNetSetup *setup, int namespace_fd, const char *from, const char *to, GError **error)
{
  NameArguments arguments = { setup, from, to, namespace_fd };

  if (where_names_are (setup, rename_name, &arguments, error))
    return TRUE;
  g_prefix_error (error, "Renaming network “%s” to “%s” failed: ", from, to);
  return FALSE;
}

/* ---- Deleting ------------------------------------------------------------------------------ */

typedef struct
{
  const VmsanNetSetup *setup;
  const char *const *names;
  guint n;
} Names;

/* One that cannot be unbound must not keep the others. */
static gboolean
unbind_names (gpointer data, GError **error)
{
  Names *names = data;
  gboolean done = TRUE;

  for (guint i = 0; i < names->n; i++)
    {
      if (names->names[i] != NULL &&
          !vmsan_net_names_unbind (names->setup->directory, names->names[i], done ? error : NULL))
        done = FALSE;
    }
  return done;
}

gboolean
vmsan_net_namespace_delete (const VmsanNetSetup *setup,
                            const char *const *names,
                            const guint *slots,
                            guint n,
                            GError **error)
{
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  Names unbound = { setup, names, n };

  /* Links first: until then a name shows that something is left. Once the pairs are deleted here,
   * they are gone when this returns; in a dying namespace, some time later. */
  if (host == NULL || (slots != NULL && !vmsan_net_links_delete (host, slots, n, error)))
    return FALSE;
  return names == NULL || where_names_are (setup, unbind_names, &unbound, error);
}

/* ---- Listing ------------------------------------------------------------------------------- */

typedef struct
{
  const VmsanNetSetup *setup;
  GStrv names;
} List;

static gboolean
list_names (gpointer data, GError **error)
{
  List *list = data;

  list->names = vmsan_net_names_list (list->setup->directory, error);
  return list->names != NULL;
}

GStrv
vmsan_net_namespace_list (const VmsanNetSetup *setup, GArray **slots, GError **error)
{
  g_autoptr (VmsanNetlink) host = vmsan_netlink_open (error);
  g_autoptr (GArray) found = NULL;
  List list = { setup, NULL };

  if (host == NULL)
    return NULL;
  found = vmsan_net_links_list (host, error);
  if (found == NULL || !where_names_are (setup, list_names, &list, error))
    return NULL;
  if (slots != NULL)
    *slots = g_steal_pointer (&found);
  return list.names;
}
