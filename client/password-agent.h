/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asks for passwords on the terminal, for what this process itself is about to do. An agent of the
 * desktop comes first where there is one. */

#pragma once

#include <glib.h>

/* NULL with @error set when polkit does not answer. */
gpointer password_agent_register (GError **error);

/* Takes @agent. */
void password_agent_unregister (gpointer agent);
