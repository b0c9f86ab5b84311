/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A monitor that does nothing, for machines that are to run. */

#pragma once

#include "vmm/vmm.h"

#define TEST_TYPE_MONITOR (test_monitor_get_type ())
G_DECLARE_FINAL_TYPE (TestMonitor, test_monitor, TEST, MONITOR, VmsanMonitor)

struct _TestMonitor
{
  VmsanMonitor parent;
};

G_DEFINE_FINAL_TYPE (TestMonitor, test_monitor, VMSAN_TYPE_MONITOR)

static void
test_monitor_class_init (TestMonitorClass *klass)
{
}

static void
test_monitor_init (TestMonitor *self)
{
}
