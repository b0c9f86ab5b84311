/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libvmsan: runs untrusted code in microVMs through the system service vmsand. */

#pragma once

#include "vmsan-client.h"
#include "vmsan-error.h"
#include "vmsan-image.h"
#include "vmsan-kernel.h"
#include "vmsan-process.h"
#include "vmsan-vm.h"
