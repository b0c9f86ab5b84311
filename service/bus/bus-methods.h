/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of all methods. A method that has no row is refused; a test walks the XML. */

#pragma once

#include "bus/bus-call.h"

/* (transfer none), or NULL. */
const VmsanBusMethod *vmsan_bus_methods_find (const char *interface, const char *name);

/* ---- manager-methods.c --------------------------------------------------------------------- */

gboolean vmsan_bus_parse_create_vm (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_create_vm (VmsanBusCall *call);
gboolean vmsan_bus_parse_list_vms (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_list_vms (VmsanBusCall *call);
gboolean vmsan_bus_parse_name (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_get_vm (VmsanBusCall *call);

/* ---- content-methods.c --------------------------------------------------------------------- */

gboolean vmsan_bus_parse_add_image (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_add_image (VmsanBusCall *call);
gboolean vmsan_bus_parse_add_kernel (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_add_kernel (VmsanBusCall *call);
void vmsan_bus_get_image (VmsanBusCall *call);
void vmsan_bus_get_kernel (VmsanBusCall *call);
void vmsan_bus_list_images (VmsanBusCall *call);
void vmsan_bus_list_kernels (VmsanBusCall *call);
void vmsan_bus_remove_image (VmsanBusCall *call);
void vmsan_bus_remove_kernel (VmsanBusCall *call);

/* ---- doctor-methods.c ---------------------------------------------------------------------- */

gboolean vmsan_bus_parse_doctor (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_doctor (VmsanBusCall *call);

/* ---- plugin-methods.c ---------------------------------------------------------------------- */

gboolean vmsan_bus_parse_register_plugin (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_register_plugin (VmsanBusCall *call);
gboolean
vmsan_bus_parse_unregister_plugin (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_unregister_plugin (VmsanBusCall *call);
void vmsan_bus_list_plugins (VmsanBusCall *call);
gboolean vmsan_bus_parse_get_events (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_get_events (VmsanBusCall *call);

/* ---- vm-methods.c -------------------------------------------------------------------------- */

gboolean vmsan_bus_parse_no_options (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_start (VmsanBusCall *call);
gboolean vmsan_bus_parse_stop (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_stop (VmsanBusCall *call);
gboolean vmsan_bus_parse_remove (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_remove (VmsanBusCall *call);
gboolean vmsan_bus_parse_set_timeout (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_set_timeout (VmsanBusCall *call);
gboolean
vmsan_bus_parse_set_network_policy (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_set_network_policy (VmsanBusCall *call);
gboolean vmsan_bus_parse_exec (VmsanBusCall *call, GVariant *parameters, GError **error);
gboolean vmsan_bus_parse_run (VmsanBusCall *call, GVariant *parameters, GError **error);
void vmsan_bus_exec (VmsanBusCall *call);
void vmsan_bus_run (VmsanBusCall *call);
void vmsan_bus_get_details (VmsanBusCall *call);
