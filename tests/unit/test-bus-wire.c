/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What bus-wire.c writes, against what GDBus writes for the same values. */

#include "bus/bus-wire.h"

#include <string.h>

static GVariant *
new_properties (guint number)
{
  GVariantDict dict;
  g_autofree char *text = g_strnfill (number, 'x');

  g_variant_dict_init (&dict, NULL);
  if (number > 0)
    {
      g_variant_dict_insert (&dict, "Text", "s", text);
      g_variant_dict_insert (&dict, "Byte", "y", number);
      g_variant_dict_insert (&dict, "Long", "t", G_GUINT64_CONSTANT (1) << 40);
      g_variant_dict_insert (&dict, "Flag", "b", TRUE);
    }
  return g_variant_dict_end (&dict);
}

static GBytes *
body_by_gdbus (GVariant *body)
{
  g_autoptr (GDBusMessage) message = g_dbus_message_new_signal ("/a", "a.b", "C");
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *blob = NULL;
  guint32 body_size;
  gsize size;

  g_dbus_message_set_serial (message, 1);
  g_dbus_message_set_body (message, body);
  blob = g_dbus_message_to_blob (message, &size, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  g_assert_no_error (error);
  memcpy (&body_size, blob + 4, sizeof body_size);
  return g_bytes_new (blob + size - body_size, body_size);
}

static void
assert_same (GByteArray *wire, GVariant *body)
{
  g_autoptr (GBytes) expected = body_by_gdbus (body);
  gsize size;
  gconstpointer data = g_bytes_get_data (expected, &size);

  g_assert_cmpmem (wire->data, wire->len, data, size);
}

/* Dictionaries that end at every offset that padding depends on, and empty ones. */
static void
test_list_of_dictionaries (void)
{
  for (guint count = 0; count < 20; count++)
    {
      g_autoptr (GByteArray) wire = g_byte_array_new ();
      GVariantBuilder builder;
      guint begin = vmsan_wire_begin_array (wire);

      g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{oa{sv}}"));
      for (guint i = 0; i < count; i++)
        {
          g_autoptr (GVariant) properties = g_variant_ref_sink (new_properties (i));
          g_autoptr (GBytes) dictionary = vmsan_wire_new_dictionary (properties);
          g_autofree char *path = g_strdup_printf ("/path/%u", i * i * i);

          g_variant_builder_add (&builder, "{o@a{sv}}", path, properties);
          vmsan_wire_align (wire);
          vmsan_wire_append_string (wire, path);
          vmsan_wire_append_dictionary (wire, dictionary);
        }
      vmsan_wire_end_array (wire, begin);
      vmsan_wire_append_string (wire, "next");
      assert_same (wire, g_variant_new ("(a{oa{sv}}s)", &builder, "next"));
    }
}

static void
test_nested_dictionaries (void)
{
  g_autoptr (GByteArray) wire = g_byte_array_new ();
  g_autoptr (GVariant) properties = g_variant_ref_sink (new_properties (3));
  g_autoptr (GBytes) dictionary = vmsan_wire_new_dictionary (properties);
  GVariantBuilder builder;
  guint objects = vmsan_wire_begin_array (wire);

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{oa{sa{sv}}}"));
  for (guint i = 0; i < 9; i++)
    {
      g_autofree char *interface = g_strnfill (1 + i, 'i');
      GVariantBuilder inner;
      guint interfaces;

      g_variant_builder_init (&inner, G_VARIANT_TYPE ("a{sa{sv}}"));
      g_variant_builder_add (&inner, "{s@a{sv}}", interface, properties);
      g_variant_builder_add (&builder, "{oa{sa{sv}}}", "/o", &inner);

      vmsan_wire_align (wire);
      vmsan_wire_append_string (wire, "/o");
      interfaces = vmsan_wire_begin_array (wire);
      vmsan_wire_append_string (wire, interface);
      vmsan_wire_append_dictionary (wire, dictionary);
      vmsan_wire_end_array (wire, interfaces);
    }
  vmsan_wire_end_array (wire, objects);
  assert_same (wire, g_variant_new ("(a{oa{sa{sv}}})", &builder));
}

static void
test_signature_and_number (void)
{
  g_autoptr (GByteArray) wire = g_byte_array_new ();

  vmsan_wire_append_signature (wire, "a{sv}");
  vmsan_wire_append_u32 (wire, 7);
  assert_same (wire, g_variant_new ("(gu)", "a{sv}", 7));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bus/wire/list-of-dictionaries-is-as-by-gdbus", test_list_of_dictionaries);
  g_test_add_func ("/bus/wire/nested-dictionaries-are-as-by-gdbus", test_nested_dictionaries);
  g_test_add_func ("/bus/wire/signature-and-number-are-as-by-gdbus", test_signature_and_number);
  return g_test_run ();
}
