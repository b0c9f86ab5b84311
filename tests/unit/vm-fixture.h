/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Records that are right, and waiting with a deadline. */

#pragma once

#include "vm/vm-record.h"

#include <string.h>

static inline VmsanVmRecord *
vm_fixture_record (const char *id)
{
  VmsanVmRecord *record = vmsan_vm_record_new ();

  vmsan_vm_record_set_text (&record->id, id);
  vmsan_vm_record_set_text (&record->name, id);
  vmsan_vm_record_set_text (&record->driver, "null");
  g_free (record->image_id);
  record->image_id = g_strnfill (64, 'a');
  g_free (record->kernel_id);
  record->kernel_id = g_strnfill (64, 'b');
  vmsan_vm_record_set_text (&record->hostname, "host");
  vmsan_vm_record_set_text (&record->init, "auto");
  record->owner = 1000;
  record->vcpus = 1;
  record->memory_mib = 128;
  record->disk_mib = 64;
  record->created_us = 1700000000000000;
  record->uid = 1879048192;
  record->state = VMSAN_VM_STOPPED;
  return record;
}

static inline gboolean
vm_fixture_too_late (gpointer data)
{
  g_error ("What the test waits for did not happen in time");
  return G_SOURCE_REMOVE;
}

/* Runs the main context until @condition (@data). */
static inline void
vm_fixture_wait_until (gboolean (*condition) (gpointer data), gpointer data)
{
  guint deadline = g_timeout_add_seconds (30, vm_fixture_too_late, NULL);

  while (!condition (data))
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (deadline);
}

/* Everything that is there has been dealt with when this returns. */
static inline void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static inline gboolean
vm_fixture_is_set (gpointer data)
{
  return *(gpointer *) data != NULL;
}

/* For asynchronous calls: @user_data is a GAsyncResult **. */
static inline void
vm_fixture_keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **kept = user_data;

  g_assert_null (*kept);
  *kept = g_object_ref (result);
}

static inline void
vm_fixture_wait_for_result (GAsyncResult **kept)
{
  vm_fixture_wait_until (vm_fixture_is_set, kept);
}
