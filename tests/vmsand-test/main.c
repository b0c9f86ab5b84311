/* SPDX-License-Identifier: GPL-2.0-or-later */

/* vmsand for tests: the whole service, with the driver that has no machines, and with failures that
 * a test orders at chosen steps.
 *
 * VMSAN_STEP_ORDERS names a file, read again at every step, with one line
 *
 *   VERB STEP MOMENT ACTION
 *
 * VERB as in records ("create"), STEP by its name, MOMENT before-apply, after-apply, before-revert
 * or after-revert; ACTION "fail", or "kill", which is the end of the service as by SIGKILL. The
 * service carries an order out once and then removes the file. */

#include "daemon.h"

#include "null-vmm.h"
#include "sys/error.h"
#include "vm/vm-operation.h"

#include <signal.h>
#include <unistd.h>

static const char *const moments[] = {
  [VMSAN_STEP_BEFORE_APPLY] = "before-apply",
  [VMSAN_STEP_AFTER_APPLY] = "after-apply",
  [VMSAN_STEP_BEFORE_REVERT] = "before-revert",
  [VMSAN_STEP_AFTER_REVERT] = "after-revert",
};

static gboolean
follow_orders (VmsanVerb verb, const char *step, VmsanStepMoment moment, GError **error)
{
  const char *path = g_getenv ("VMSAN_STEP_ORDERS");
  g_autofree char *order = NULL;
  g_auto (GStrv) words = NULL;

  if (path == NULL || !g_file_get_contents (path, &order, NULL, NULL))
    return TRUE;
  words = g_strsplit (g_strstrip (order), " ", 4);
  if (g_strv_length (words) != 4 || !g_str_equal (words[0], vmsan_verb_to_string (verb)) ||
      !g_str_equal (words[1], step) || !g_str_equal (words[2], moments[moment]))
    return TRUE;

  unlink (path);
  if (g_str_equal (words[3], "kill"))
    kill (getpid (), SIGKILL);
  g_set_error (error, VMSAN_ERROR, VMSAN_ERROR_FAILED, "Ordered to fail %s %s", moments[moment],
               step);
  return FALSE;
}

static GPtrArray *
make_drivers (const VmsanConfig *config)
{
  GPtrArray *vmms = g_ptr_array_new_with_free_func (g_object_unref);

  /* The first does not work, unless it is ordered to. */
  g_ptr_array_add (vmms, vmsan_null_elf_vmm_new_from_environment ());
  g_ptr_array_add (vmms, vmsan_null_vmm_new_from_environment ());
  return vmms;
}

int
main (int argc, char **argv)
{
  vmsan_operation_set_observer (follow_orders);
  return vmsan_daemon_main (argc, argv, make_drivers);
}
