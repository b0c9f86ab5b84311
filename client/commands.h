/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The subcommands, one file each. */

#pragma once

#include "app.h"

extern const Command command_create;
extern const Command command_doctor;
extern const Command command_events;
extern const Command command_exec;
extern const Command command_image_add;
extern const Command command_image_list;
extern const Command command_image_remove;
extern const Command command_kernel_add;
extern const Command command_kernel_list;
extern const Command command_kernel_remove;
extern const Command command_list;
extern const Command command_network;
extern const Command command_plugins;
extern const Command command_remove;
extern const Command command_setup_firecracker;
extern const Command command_show;
extern const Command command_start;
extern const Command command_stop;
extern const Command command_timeout;

/* All, in the order of the help; ends with NULL. */
extern const Command *const commands[];

/* The command that argv[1] (and argv[2]) names, and how many words that took; NULL: none. */
const Command *command_find (int argc, char **argv, int *n_words);

/* The second words that may follow @word, such as "add, list, remove" for "image"; NULL: none. */
char *command_list_after (const char *word);
