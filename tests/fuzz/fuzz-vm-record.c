/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Fuzzing of what is read from the state directory: whatever is accepted follows the rules of
 * CreateVM, and is the same when it was written and read once more. */

#include "fuzz-input.h"
#include "sanitizer-options.h"
#include "vm/vm-record.h"

#define ID       "abcdefghijkl"
#define N_INPUTS 20000

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (VmsanVmRecord) record = vmsan_vm_record_parse ((const char *) data, size, ID, NULL);
  g_autoptr (VmsanVmRecord) again = NULL;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;
  gsize length = 0;

  if (record == NULL)
    return 0;
  g_assert_cmpstr (record->id, ==, ID);
  g_assert_true (vmsan_name_check (record->name, "Name", NULL));
  g_assert_true (vmsan_hostname_check (record->hostname, NULL));
  g_assert_true (vmsan_init_check (record->init, NULL));
  g_assert_true (vmsan_labels_check (record->labels, NULL));
  g_assert_cmpuint (record->uid, >=, 65536);
  g_assert_cmpuint (record->vcpus, <=, 32);
  g_assert_cmpuint (g_strv_length (record->steps), <=, VMSAN_VM_MAX_STEPS);

  first = vmsan_vm_record_to_json (record, &length);
  again = vmsan_vm_record_parse (first, length, ID, NULL);
  g_assert_nonnull (again);
  second = vmsan_vm_record_to_json (again, NULL);
  g_assert_cmpstr (first, ==, second);
  return 0;
}

#ifndef VMSAN_LIBFUZZER
static void
make_record (FuzzInput *input)
{
  static const char pieces[] = "{}[]:,\"\\u0d8/*-+.eE19 \n\t\xff\x80\xc3tfn";
  static const char *const texts[] = { "",       "auto", "/sbin/init",      "[[[[{{{{",
                                       "a\\\"b", "é",    "\xf0\x9f\x98\x80" };
  g_autoptr (VmsanVmRecord) record = vmsan_vm_record_new ();
  g_autofree char *hash = g_strnfill (64, '0');
  g_autofree char *json = NULL;
  gsize size = 0;

  vmsan_vm_record_set_text (&record->id, ID);
  vmsan_vm_record_set_text (&record->name, "web");
  vmsan_vm_record_set_text (&record->driver, "qemu");
  vmsan_vm_record_set_text (&record->image_id, hash);
  vmsan_vm_record_set_text (&record->kernel_id, hash);
  vmsan_vm_record_set_text (&record->hostname, "web");
  vmsan_vm_record_set_text (&record->init, "auto");
  vmsan_vm_record_set_text (&record->reason, texts[fuzz_below (input, G_N_ELEMENTS (texts))]);
  record->vcpus = 1 + fuzz_below (input, 33);
  record->memory_mib = 128;
  record->disk_mib = 64;
  record->uid = 65535 + fuzz_below (input, 3);
  record->state = fuzz_below (input, VMSAN_VM_STATE_LAST + 1);
  record->has_operation = fuzz_below (input, 2);
  record->operation = fuzz_below (input, VMSAN_VERB_LAST + 1);
  if (fuzz_below (input, 2) == 0)
    {
      g_variant_unref (record->labels);
      record->labels = g_variant_ref_sink (
          g_variant_new_parsed ("{'a': %s}", texts[fuzz_below (input, G_N_ELEMENTS (texts))]));
    }
  json = vmsan_vm_record_to_json (record, &size);
  fuzz_append (input, json, size);
  fuzz_damage (input, pieces, sizeof pieces - 1);
}

int
main (int argc, char **argv)
{
  return fuzz_main (argc, argv, N_INPUTS, make_record, LLVMFuzzerTestOneInput);
}
#endif
