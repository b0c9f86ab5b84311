/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Promise: nothing that a machine has, gets or gives back is reported, let alone removed. */

#include "doctor/leaks.h"

#include <string.h>

/* Of each kind in one examination, so that its findings fit a message; the next finds others. */
#define MAX_OF_A_KIND 1024

static void
leak_free (gpointer data)
{
  VmsanLeak *self = data;

  g_free (self->name);
  g_free (self);
}

/* ---- The first look ------------------------------------------------------------------------ */

/* An error is told by the second look. */
static void
look_for (const VmsanDoctorScope *scope, const VmsanLeakKind *kind, GPtrArray *leaks)
{
  g_auto (GStrv) names = kind->list (scope, NULL);

  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    {
      VmsanLeak *leak = g_new0 (VmsanLeak, 1);

      leak->kind = kind;
      leak->name = g_strdup (names[i]);
      g_ptr_array_add (leaks, leak);
    }
}

GPtrArray *
vmsan_leaks_look (const VmsanDoctorScope *scope)
{
  GPtrArray *leaks = g_ptr_array_new_with_free_func (leak_free);

  for (const VmsanLeakKind *kind = vmsan_leak_kinds; kind->check != NULL; kind++)
    look_for (scope, kind, leaks);
  return leaks;
}

/* ---- Whose it is --------------------------------------------------------------------------- */

static gboolean
reserve (VmsanVmManager *manager, const char *number, GArray *reserved)
{
  guint64 slot;

  if (!g_ascii_string_to_unsigned (number, 10, 0, G_MAXUINT - 1, &slot, NULL))
    return FALSE;
  /* A namespace and a link may have the same. */
  for (guint i = 0; i < reserved->len; i++)
    if (g_array_index (reserved, guint, i) == slot)
      return TRUE;
  if (!vmsan_net_manager_claim_slot (vmsan_vm_manager_get_networks (manager), slot))
    return FALSE;
  g_array_append_vals (reserved, &(guint){ slot }, 1);
  return TRUE;
}

static gboolean
is_nobodys (const VmsanLeak *self, VmsanVmManager *manager, GArray *reserved)
{
  const char *owner = self->name + strlen (self->kind->prefix);

  switch (self->kind->owner)
    {
    case VMSAN_LEAK_BY_ID:
      return vmsan_vm_manager_get (manager, owner) == NULL;
    case VMSAN_LEAK_BY_SLOT:
      return reserve (manager, owner, reserved);
    case VMSAN_LEAK_NOBODYS:
      return TRUE;
    default:
      g_assert_not_reached ();
    }
}

void
vmsan_leaks_keep_nobodys (GPtrArray *leaks, VmsanVmManager *manager, GArray *reserved)
{
  const VmsanLeakKind *kind = NULL;
  guint n = 0;
  guint kept = 0;

  for (guint i = 0; i < leaks->len; i++)
    {
      VmsanLeak *leak = g_ptr_array_index (leaks, i);

      n = leak->kind == kind ? n : 0;
      kind = leak->kind;
      if (n == MAX_OF_A_KIND || !is_nobodys (leak, manager, reserved))
        continue;
      n++;
      leaks->pdata[i] = leaks->pdata[kept];
      leaks->pdata[kept++] = leak;
    }
  g_ptr_array_set_size (leaks, kept);
}

/* ---- The second look ----------------------------------------------------------------------- */

#define ADVICE_LOOK   "Remove it: vmsan-client doctor --repair"
#define ADVICE_FAILED "Do what the message says, and try again"

static void
judge (const VmsanDoctorScope *scope, const VmsanLeak *leak, gboolean repair, GPtrArray *findings)
{
  VmsanSeverity severity = VMSAN_SEVERITY_WARNING;
  g_autofree char *text = leak->kind->describe (scope, leak->name, &severity);
  g_autoptr (GError) error = NULL;
  VmsanFinding *finding;

  if (!repair)
    finding = vmsan_findings_add (findings, leak->kind->check, severity, leak->name, ADVICE_LOOK,
                                  "%s", text);
  else if (leak->kind->destroy (scope, leak->name, &error))
    {
      g_message ("%s: “%s” was nobody's, and is removed", leak->kind->check, leak->name);
      finding = vmsan_findings_add (findings, leak->kind->check, VMSAN_SEVERITY_NOTE, leak->name,
                                    NULL, "%s", text);
      finding->repaired = TRUE;
    }
  else
    finding =
        vmsan_findings_add (findings, leak->kind->check, VMSAN_SEVERITY_ERROR, leak->name,
                            ADVICE_FAILED, "%s; removing it failed: %s", text, error->message);
  finding->is_leak = TRUE;
  finding->is_confidential = TRUE;
}

/* Adds those of @leaks to @left that are still there. A kind that cannot be listed has no leaks
 * that could be known of, which is worth to know. */
static void
look_again (const VmsanDoctorScope *scope,
            const VmsanLeakKind *kind,
            GPtrArray *leaks,
            GPtrArray *left,
            GPtrArray *findings)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = kind->list (scope, &error);

  if (names == NULL)
    vmsan_findings_add (findings, kind->check, VMSAN_SEVERITY_WARNING, NULL,
                        "See what else is found", "Left-overs could not be looked for: %s",
                        error->message);
  for (guint i = 0; names != NULL && i < leaks->len; i++)
    {
      const VmsanLeak *leak = g_ptr_array_index (leaks, i);

      if (leak->kind == kind && g_strv_contains ((const char *const *) names, leak->name))
        g_ptr_array_add (left, leaks->pdata[i]);
    }
}

void
vmsan_leaks_judge (const VmsanDoctorScope *scope,
                   GPtrArray *leaks,
                   gboolean repair,
                   GPtrArray *findings)
{
  g_autoptr (GPtrArray) left = g_ptr_array_new ();
  guint before = findings->len;

  /* All of it before anything is removed: one thing may go with another. */
  for (const VmsanLeakKind *kind = vmsan_leak_kinds; kind->check != NULL; kind++)
    look_again (scope, kind, leaks, left, findings);
  for (guint i = 0; i < left->len; i++)
    judge (scope, g_ptr_array_index (left, i), repair, findings);
  if (findings->len == before)
    vmsan_findings_add (findings, "leaks", VMSAN_SEVERITY_OK, NULL, NULL,
                        "Nothing is left of machines that are no more");
}
