/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Follows firewalld, which replaces rules of the host when it reloads. */

#pragma once

#include "bus/bus-service.h"

VmsanBusFirewalld *vmsan_bus_firewalld_new (VmsanBus *bus);
void vmsan_bus_firewalld_free (VmsanBusFirewalld *self);
