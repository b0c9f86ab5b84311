/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "daemon.h"

#include "vmm/firecracker/fc-driver.h"
#include "vmm/qemu/qemu-driver.h"

static GPtrArray *
make_drivers (const VmsanConfig *config)
{
  GPtrArray *vmms = g_ptr_array_new_with_free_func (g_object_unref);

  /* In the order in which "auto" takes them. */
  g_ptr_array_add (vmms, vmsan_fc_driver_new (config->firecracker_directories, config->kvm_device,
                                              config->libexec_directory));
  g_ptr_array_add (vmms, vmsan_qemu_driver_new (config->qemu_binary, config->libexec_directory));
  return vmms;
}

int
main (int argc, char **argv)
{
  return vmsan_daemon_main (argc, argv, make_drivers);
}
