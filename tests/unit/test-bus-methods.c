/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of methods, the interfaces and the polkit actions must be of one mind: a method that
 * is forgotten here would be refused at best. */

#include "bus/bus-methods.h"

#include <gio/gio.h>
#include <string.h>

static char *
read_file (const char *variable, const char *name)
{
  const char *directory = g_getenv (variable);
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;
  char *text = NULL;

  g_assert_nonnull (directory);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

typedef void (*Visitor) (const char *interface, GDBusMethodInfo *method, gpointer data);

static guint
visit_methods (Visitor visit, gpointer data)
{
  const char *directory = g_getenv ("VMSAN_INTERFACES");
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *xml = NULL;
      g_autoptr (GDBusNodeInfo) node = NULL;
      g_autoptr (GError) error = NULL;

      if (!g_str_has_suffix (name, ".xml"))
        continue;
      xml = read_file ("VMSAN_INTERFACES", name);
      node = g_dbus_node_info_new_for_xml (xml, &error);
      g_assert_no_error (error);
      /* What the service calls has no row. */
      if (g_str_equal (name, "org.vmsan.Plugin.xml"))
        continue;
      for (guint i = 0; node->interfaces != NULL && node->interfaces[i] != NULL; i++)
        for (guint m = 0;
             node->interfaces[i]->methods != NULL && node->interfaces[i]->methods[m] != NULL;
             m++, n++)
          visit (node->interfaces[i]->name, node->interfaces[i]->methods[m], data);
    }
  return n;
}

static void
check_row (const char *interface, GDBusMethodInfo *method, gpointer data)
{
  const VmsanBusMethod *row = vmsan_bus_methods_find (interface, method->name);
  gboolean has_arguments = method->in_args != NULL && method->in_args[0] != NULL;

  g_test_message ("%s.%s", interface, method->name);
  g_assert_nonnull (row);
  g_assert_cmpstr (row->interface, ==, interface);
  g_assert_cmpstr (row->name, ==, method->name);
  g_assert_true (row->perform != NULL);
  /* Arguments that nobody parses are arguments that nobody checks. */
  g_assert_true ((row->parse != NULL) == has_arguments);
}

static void
test_every_method_has_a_row (void)
{
  g_assert_cmpuint (visit_methods (check_row, NULL), >=, 18);
}

static void
test_what_is_not_in_the_table_is_not_found (void)
{
  g_assert_null (vmsan_bus_methods_find ("org.vmsan.Manager", "Start"));
  g_assert_null (vmsan_bus_methods_find ("org.vmsan.VM", "start"));
  g_assert_null (vmsan_bus_methods_find ("org.vmsan.Nothing", "Start"));
  g_assert_null (vmsan_bus_methods_find ("", ""));
}

static void
assert_action (const char *policy, const char *action)
{
  g_autofree char *element = g_strdup_printf ("<action id=\"%s\">", action);

  g_test_message ("%s", action);
  g_assert_true (g_str_has_prefix (action, "org.vmsan."));
  g_assert_nonnull (strstr (policy, element));
}

static void
check_access (const char *interface, GDBusMethodInfo *method, gpointer data)
{
  const VmsanBusMethod *row = vmsan_bus_methods_find (interface, method->name);

  switch (row->access)
    {
    case VMSAN_ACCESS_PUBLIC:
      /* Whatever changes something must be asked about. */
      g_assert_true (g_str_has_prefix (method->name, "Get") ||
                     g_str_has_prefix (method->name, "List"));
      g_assert_null (row->action);
      g_assert_null (row->other_action);
      break;
    case VMSAN_ACCESS_ACTION:
      assert_action (data, row->action);
      g_assert_null (row->other_action);
      break;
    case VMSAN_ACCESS_OWNER:
      g_assert_cmpstr (interface, ==, "org.vmsan.VM");
      assert_action (data, row->action);
      assert_action (data, row->other_action);
      g_assert_cmpstr (row->action, !=, row->other_action);
      break;
    case VMSAN_ACCESS_EFFECT:
      /* What it changes is found out from its arguments. */
      g_assert_true (row->parse != NULL);
      assert_action (data, row->action);
      assert_action (data, row->other_action);
      g_assert_cmpstr (row->action, !=, row->other_action);
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
test_every_action_is_known_to_polkit (void)
{
  g_autofree char *policy = read_file ("VMSAN_DATA", "org.vmsan.policy.in");

  visit_methods (check_access, policy);
}

/* polkit remembers a password by action, not by machine. */
static void
check_keep (const char *interface, GDBusMethodInfo *method, gpointer data)
{
  const VmsanBusMethod *row = vmsan_bus_methods_find (interface, method->name);
  const char *const actions[] = { row->action, row->other_action };

  for (guint i = 0; row->access == VMSAN_ACCESS_OWNER && i < G_N_ELEMENTS (actions); i++)
    {
      g_autofree char *element = g_strdup_printf ("<action id=\"%s\">", actions[i]);
      const char *start = strstr (data, element);
      const char *end = strstr (start, "</action>");
      g_autofree char *body = g_strndup (start, end - start);

      g_test_message ("%s", actions[i]);
      g_assert_null (strstr (body, "_keep"));
    }
}

static void
test_no_password_for_one_machine_opens_another (void)
{
  g_autofree char *policy = read_file ("VMSAN_DATA", "org.vmsan.policy.in");

  visit_methods (check_keep, policy);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/bus-methods/every-method-has-a-row", test_every_method_has_a_row);
  g_test_add_func ("/bus-methods/what-is-not-in-the-table-is-not-found",
                   test_what_is_not_in_the_table_is_not_found);
  g_test_add_func ("/bus-methods/every-action-is-known-to-polkit",
                   test_every_action_is_known_to_polkit);
  g_test_add_func ("/bus-methods/no-password-for-one-machine-opens-another",
                   test_no_password_for_one_machine_opens_another);
  return g_test_run ();
}
