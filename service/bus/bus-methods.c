/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "bus/bus-methods.h"

#define MANAGER "org.vmsan.Manager"
#define VM      "org.vmsan.VM"
#define IMAGE   "org.vmsan.Image"
#define KERNEL  "org.vmsan.Kernel"

#define PUBLIC               VMSAN_ACCESS_PUBLIC, NULL, NULL
#define ACTION(action)       VMSAN_ACCESS_ACTION, "org.vmsan." action, NULL
#define OWNER(own, other)    VMSAN_ACCESS_OWNER, "org.vmsan." own, "org.vmsan." other
#define EFFECT(look, change) VMSAN_ACCESS_EFFECT, "org.vmsan." look, "org.vmsan." change

static const VmsanBusMethod methods[] = {
  { MANAGER, "CreateVM", ACTION ("create"), vmsan_bus_parse_create_vm, vmsan_bus_create_vm },
  { MANAGER, "GetVM", PUBLIC, vmsan_bus_parse_name, vmsan_bus_get_vm },
  { MANAGER, "ListVMs", PUBLIC, vmsan_bus_parse_list_vms, vmsan_bus_list_vms },
  { MANAGER, "AddImage", ACTION ("images"), vmsan_bus_parse_add_image, vmsan_bus_add_image },
  { MANAGER, "AddKernel", ACTION ("images"), vmsan_bus_parse_add_kernel, vmsan_bus_add_kernel },
  { MANAGER, "GetImage", PUBLIC, vmsan_bus_parse_name, vmsan_bus_get_image },
  { MANAGER, "GetKernel", PUBLIC, vmsan_bus_parse_name, vmsan_bus_get_kernel },
  { MANAGER, "ListImages", PUBLIC, NULL, vmsan_bus_list_images },
  { MANAGER, "ListKernels", PUBLIC, NULL, vmsan_bus_list_kernels },
  { MANAGER, "Doctor", EFFECT ("diagnose", "repair"), vmsan_bus_parse_doctor, vmsan_bus_doctor },

  { MANAGER, "RegisterPlugin", ACTION ("register-plugin"), vmsan_bus_parse_register_plugin,
    vmsan_bus_register_plugin },
  { MANAGER, "UnregisterPlugin", ACTION ("register-plugin"), vmsan_bus_parse_unregister_plugin,
    vmsan_bus_unregister_plugin },
  { MANAGER, "ListPlugins", PUBLIC, NULL, vmsan_bus_list_plugins },
  { MANAGER, "GetEvents", PUBLIC, vmsan_bus_parse_get_events, vmsan_bus_get_events },

  { VM, "Start", OWNER ("manage-own", "manage"), vmsan_bus_parse_no_options, vmsan_bus_start },
  { VM, "Stop", OWNER ("manage-own", "manage"), vmsan_bus_parse_stop, vmsan_bus_stop },
  { VM, "Remove", OWNER ("manage-own", "manage"), vmsan_bus_parse_remove, vmsan_bus_remove },
  { VM, "SetTimeout", OWNER ("manage-own", "manage"), vmsan_bus_parse_set_timeout,
    vmsan_bus_set_timeout },
  { VM, "SetNetworkPolicy", OWNER ("network-own", "network"), vmsan_bus_parse_set_network_policy,
    vmsan_bus_set_network_policy },
  { VM, "Run", OWNER ("access-own", "access"), vmsan_bus_parse_run, vmsan_bus_run },
  { VM, "Exec", OWNER ("access-own", "access"), vmsan_bus_parse_exec, vmsan_bus_exec },
  { VM, "GetDetails", OWNER ("manage-own", "view"), NULL, vmsan_bus_get_details },

  { IMAGE, "Remove", ACTION ("images"), NULL, vmsan_bus_remove_image },
  { KERNEL, "Remove", ACTION ("images"), NULL, vmsan_bus_remove_kernel },
};

const VmsanBusMethod *
vmsan_bus_methods_find (const char *interface, const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++)
    if (g_str_equal (methods[i].interface, interface) && g_str_equal (methods[i].name, name))
      return &methods[i];
  return NULL;
}
