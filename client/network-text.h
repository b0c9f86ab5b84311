/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A machine's network, for people. */

#pragma once

#include <glib.h>

/* @network: the a{sv} "network" of a machine's details; lines as of pairs.h. */
void network_text_append (GString *text, GVariant *network, gboolean colourful);
