/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The kernel modules of the initramfs: /modules/NN-NAME.ko, in the order of their names. */

#pragma once

/* Loads all. One that cannot be loaded is named on the console; what needed it will say more. */
void agent_modules_load (const char *directory);
